/* Inside tensor_parallel/: Megatron's g, the sum over the shards of a cut dimension, in halves so that work fits between. */
#ifndef CB_TENSOR_PARALLEL_REGIONS_H
#define CB_TENSOR_PARALLEL_REGIONS_H

#include "mesh/shard.h"
#include "tensor_parallel/tensor_parallel.h"

/* Where owned shard s writes its partial result (count): straight into out where it is the only one. */
float *cb_tp_target(cb_tp *tp, float *out, int s, int64_t count);
/* out (count) = sum of the partial results over all S shards. start leaves pending untouched where the group has one rank.
 * *Collective over tp.* */
CB_MUST_USE cb_err cb_tp_reduce_start(cb_tp *tp, cb_pending *pending, float *out, int64_t count);
CB_MUST_USE cb_err cb_tp_reduce_finish(cb_tp *tp, cb_pending *pending);
CB_MUST_USE cb_err cb_tp_reduce(cb_tp *tp, float *out, int64_t count);

#endif
