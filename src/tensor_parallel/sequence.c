/* The sequence-parallel form of the two cut layers: g is a reduce-scatter instead of an all-reduce, f an all-gather
 * instead of nothing, and backward each is the other. Both sums, over the rank's shards and over ranks, are the tree of
 * the all-reduce form, taken of a rank's own rows only. Source: Korthikanti et al., arXiv:2205.05198, section 4.2. */
#include <stdio.h>

#include "tensor_parallel/regions.h"

cb_err cb_sequence_check(const cb_tp *tp, int64_t M) {
    int64_t size = tp->group->size;
    if (M % size == 0) return CB_OK;
    char fewer[24] = "";
    if (M > size) snprintf(fewer, sizeof fewer, "%lld or ", (long long)(M / size * size));
    return cb_fail(CB_EINVAL, "%lld rows cannot be divided over tp=%lld; %s%lld would work", (long long)M,
                   (long long)size, fewer, (long long)((M / size + 1) * size));
}

/* whole (M, width) from all ranks' part */
static cb_err gather(cb_tp *tp, float *whole, const float *part, int64_t M, int64_t width) {
    TRY(cb_sequence_check(tp, M));
    return cb_tp_gather(tp, whole, part, M / tp->group->size * width);
}

/* part = this rank's rows of the sum over ranks of whole (M, width) */
static cb_err scatter(cb_tp *tp, float *part, const float *whole, int64_t M, int64_t width) {
    TRY(cb_sequence_check(tp, M));
    return cb_tp_reduce_scatter(tp, part, whole, M / tp->group->size * width);
}

cb_err cb_sequence_column_forward(cb_tp *tp, const cb_linear *l, float *y, float *whole, const float *part, int64_t M) {
    TRY(gather(tp, whole, part, M, l->in));
    cb_column_forward(tp, l, y, whole, M);
    return CB_OK;
}

cb_err cb_sequence_column_backward(cb_tp *tp, const cb_linear *l, float *dpart, const float *dy, const float *whole,
                                   float *room, int64_t M) {
    cb_column_data_gradient(tp, l, room, dy, M);
    TRY(scatter(tp, dpart, room, M, l->in));
    cb_column_own_gradients(tp, l, dy, whole, M);
    return CB_OK;
}

cb_err cb_sequence_row_forward(cb_tp *tp, const cb_linear *l, float *part, const float *x, float *room, int64_t M) {
    cb_row_product(tp, l, room, x, M);
    return scatter(tp, part, room, M, l->out);
}

cb_err cb_sequence_row_backward(cb_tp *tp, const cb_linear *l, float *dx, float *whole, const float *dpart,
                                const float *x, int64_t M) {
    TRY(gather(tp, whole, dpart, M, l->out));
    cb_row_backward(tp, l, dx, whole, x, M);
    return CB_OK;
}
