/* Column-parallel linear layer: the output features are cut. Forward needs no message; backward sums dx over the
 * shards, and the weight gradient's product runs meanwhile. Source: Shoeybi et al. 2019, section 3. */
#include "tensor_parallel/regions.h"

void cb_column_forward(cb_tp *tp, const cb_linear *l, float *y, const float *x, int64_t M) {
    cb_compute *c = tp->compute;
    int64_t N = l->out / tp->shards, K = l->in;
    cb_gemm g[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) {
        g[s] = (cb_gemm){.tb = true,
                         .m = M,
                         .n = N,
                         .k = K,
                         .a = x,
                         .lda = K,
                         .b = l->w + s * N * K,
                         .ldb = K,
                         .c = y + s * M * N,
                         .ldc = N};
    }
    c->ops->gemm(c, g, tp->owned);
    for (int s = 0; l->b && s < tp->owned; s++) c->ops->bias_add(c, y + s * M * N, l->b + s * N, M, N);
}

void cb_column_data_gradient(cb_tp *tp, const cb_linear *l, float *dx, const float *dy, int64_t M) {
    cb_compute *c = tp->compute;
    int64_t N = l->out / tp->shards, K = l->in;
    cb_gemm g[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) {
        g[s] = (cb_gemm){
            .m = M, .n = K, .k = N, .a = dy + s * M * N, .lda = N, .b = l->w + s * N * K, .ldb = K, .c = dx, .ldc = K};
    }
    c->ops->gemm_sum(c, g, tp->owned, tp->sum_scratch);
}

void cb_column_weight_gradient(cb_tp *tp, const cb_linear *l, const float *dy, const float *x, int64_t M) {
    cb_compute *c = tp->compute;
    int64_t N = l->out / tp->shards, K = l->in;
    cb_gemm g[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) {
        g[s] = (cb_gemm){.ta = true,
                         .m = N,
                         .n = K,
                         .k = M,
                         .a = dy + s * M * N,
                         .lda = N,
                         .b = x,
                         .ldb = K,
                         .c = l->dw + s * N * K,
                         .ldc = K,
                         .beta = 1};
    }
    c->ops->gemm(c, g, tp->owned);
}

void cb_column_own_gradients(cb_tp *tp, const cb_linear *l, const float *dy, const float *x, int64_t M) {
    cb_compute *c = tp->compute;
    int64_t N = l->out / tp->shards;
    if (l->dw) cb_column_weight_gradient(tp, l, dy, x, M);
    for (int s = 0; l->db && s < tp->owned; s++) c->ops->bias_grad(c, l->db + s * N, dy + s * M * N, M, N);
}

cb_err cb_column_backward(cb_tp *tp, const cb_linear *l, float *dx, const float *dy, const float *x, int64_t M) {
    cb_pending pending;
    cb_column_data_gradient(tp, l, dx, dy, M);
    TRY(cb_tp_reduce_start(tp, &pending, dx, M * l->in));
    cb_column_own_gradients(tp, l, dy, x, M);
    return cb_tp_reduce_finish(tp, &pending, dx, M * l->in);
}
