/* Inside tensor_parallel/: Megatron's g, the sum over the shards of a cut dimension, in halves so that work fits
 * between. */
#ifndef CB_TENSOR_PARALLEL_REGIONS_H
#define CB_TENSOR_PARALLEL_REGIONS_H

#include "mesh/shard.h"
#include "tensor_parallel/tensor_parallel.h"

/* out (count): on entry the sum over this rank's shards, on return that over all S. start leaves pending untouched
 * where the group has one rank. *Collective over tp.* */
CB_MUST_USE cb_err cb_tp_reduce_start(cb_tp *tp, cb_pending *pending, float *out, int64_t count);
CB_MUST_USE cb_err cb_tp_reduce_finish(cb_tp *tp, cb_pending *pending, float *out, int64_t count);
CB_MUST_USE cb_err cb_tp_reduce(cb_tp *tp, float *out, int64_t count);

/* The layers' work between messages; shapes as in tensor_parallel.h. Not collective. */
/* dx (M, in) = the sum of dy W over this rank's shards. */
void cb_column_data_gradient(cb_tp *tp, const cb_linear *linear, float *dx, const float *dy, int64_t M);
/* Weight (where wanted) and bias gradients. */
void cb_column_own_gradients(cb_tp *tp, const cb_linear *linear, const float *dy, const float *x, int64_t M);
/* y (M, out) = the sum of x W^T over this rank's shards. */
void cb_row_product(cb_tp *tp, const cb_linear *linear, float *y, const float *x, int64_t M);

#endif
