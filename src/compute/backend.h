/* Internal: the two tables, and what both backends share. Only files of this directory include it. */
#ifndef CB_COMPUTE_BACKEND_H
#define CB_COMPUTE_BACKEND_H

#include "compute/compute.h"

extern const cb_compute_ops cb_ref_ops, cb_cpu_ops;

/* Query rows that attention takes at a time. A constant: with it a head's bits depend on its own numbers, T and D only.
 */
enum { CB_ATTENTION_BLOCK = 64 };

#endif
