/* The sum over shards as a tree: with one rank the tree alone, with one shard per rank the all-reduce alone, between them
 * both; the same bits for the same S. See regions.h. */
#include "tensor_parallel/regions.h"

float *cb_tp_target(cb_tp *tp, float *out, int s, int64_t count) { return tp->owned == 1 ? out : tp->partial + s * count; }

static void sum_owned(cb_tp *tp, float *out, int64_t count) {
    if (tp->owned == 1) return; /* cb_tp_target pointed to out */
    float *from[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) from[s] = tp->partial + s * count;
    tp->compute->ops->tree_sum(tp->compute, out, from, tp->owned, count);
}

cb_err cb_tp_reduce_start(cb_tp *tp, cb_pending *pending, float *out, int64_t count) {
    sum_owned(tp, out, count);
    if (tp->group->size == 1) return CB_OK;
    return cb_all_reduce_start(pending, tp->group, out, count, CB_F32, CB_SUM, tp->scratch);
}

cb_err cb_tp_reduce_finish(cb_tp *tp, cb_pending *pending) {
    return tp->group->size == 1 ? CB_OK : cb_all_reduce_finish(pending);
}

cb_err cb_tp_reduce(cb_tp *tp, float *out, int64_t count) {
    cb_pending pending;
    TRY(cb_tp_reduce_start(tp, &pending, out, count));
    return cb_tp_reduce_finish(tp, &pending);
}
