/* Internal: the two tables, and what both backends share. Only files of this directory include it. */
#ifndef CB_COMPUTE_BACKEND_H
#define CB_COMPUTE_BACKEND_H

#include "compute/compute.h"

extern const cb_compute_ops cb_ref_ops, cb_cpu_ops;

/* Query rows that attention takes at a time. A constant: with it a head's bits depend on its own numbers, T and D only.
 */
enum { CB_ATTENTION_BLOCK = 64 };
/* Rows of scratch are this much longer than T: rows whose distance is a multiple of 4 KiB meet in the same cache sets,
 * and the transposed products of such rows run at half the rate. */
enum { CB_ATTENTION_PAD = 16 };
int64_t cb_attention_block_bytes(int T); /* of scratch, for CB_ATTENTION_BLOCK rows; a thread has two of them */

#endif
