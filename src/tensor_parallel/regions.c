/* The sum over shards as a tree: its lower levels are in the product (gemm_sum), the upper ones the all-reduce; the
 * same bits for the same S. What travels as bf16 is rounded into wire_room first, and each sum of two again. See
 * regions.h. */
#include "tensor_parallel/regions.h"

static bool is_narrow(const cb_tp *tp) {
    return tp->wire == CB_BF16;
}

cb_err cb_tp_reduce_start(cb_tp *tp, cb_pending *pending, float *out, int64_t count) {
    if (tp->group->size == 1) return CB_OK;
    if (is_narrow(tp)) cb_bf16_narrow_all(tp->wire_room, out, count);
    void *data = is_narrow(tp) ? (void *)tp->wire_room : out;
    return cb_all_reduce_start(pending, tp->group, data, count, tp->wire, CB_SUM, tp->scratch);
}

cb_err cb_tp_reduce_finish(cb_tp *tp, cb_pending *pending, float *out, int64_t count) {
    if (tp->group->size == 1) return CB_OK;
    TRY(cb_all_reduce_finish(pending));
    if (is_narrow(tp)) cb_bf16_widen_all(out, tp->wire_room, count);
    return CB_OK;
}

cb_err cb_tp_reduce(cb_tp *tp, float *out, int64_t count) {
    cb_pending pending;
    TRY(cb_tp_reduce_start(tp, &pending, out, count));
    return cb_tp_reduce_finish(tp, &pending, out, count);
}

cb_err cb_tp_gather(cb_tp *tp, float *whole, const float *part, int64_t count) {
    if (!is_narrow(tp)) return cb_all_gather(tp->group, whole, part, count, CB_F32);
    uint16_t *own = tp->wire_room + tp->group->me * count;
    cb_bf16_narrow_all(own, part, count);
    TRY(cb_all_gather(tp->group, tp->wire_room, own, count, CB_BF16));
    cb_bf16_widen_all(whole, tp->wire_room, tp->group->size * count);
    return CB_OK;
}

cb_err cb_tp_reduce_scatter(cb_tp *tp, float *part, const float *whole, int64_t count) {
    if (!is_narrow(tp)) return cb_reduce_scatter(tp->group, part, whole, count, CB_F32, CB_SUM);
    uint16_t *own = tp->wire_room + tp->group->me * count;
    cb_bf16_narrow_all(tp->wire_room, whole, tp->group->size * count);
    TRY(cb_reduce_scatter(tp->group, own, tp->wire_room, count, CB_BF16, CB_SUM));
    cb_bf16_widen_all(part, own, count);
    return CB_OK;
}
