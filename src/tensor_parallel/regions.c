/* The sum over shards as a tree: its lower levels are in the product (gemm_sum), the upper ones the all-reduce; the same
 * bits for the same S. See regions.h. */
#include "tensor_parallel/regions.h"

cb_err cb_tp_reduce_start(cb_tp *tp, cb_pending *pending, float *out, int64_t count) {
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
