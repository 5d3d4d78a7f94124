/* A rank's slice of a tensor between memory and file: the blocks of cb_param_blocks on one side, rows of the global
 * tensor as the file has them on the other. */
#ifndef CB_CHECKPOINT_SLICE_H
#define CB_CHECKPOINT_SLICE_H

#include "checkpoint/weights.h"
#include "checkpoint/writer.h"

/* Writes the slice where it belongs; the tensor's first element lies at byte `base` of the file. Padded rows stay out.
 */
CB_MUST_USE cb_err cb_slice_write(cb_writer *writer, const cb_local_tensor *tensor, int64_t base);

/* Fills the slice from the whole tensor at `from` (any alignment), which has the file's shape. dtype: F32, F16 or BF16.
 * Padded rows become zero. */
CB_MUST_USE cb_err cb_slice_read(const cb_local_tensor *tensor, const unsigned char *from, const char *dtype);

#endif
