/* Row-parallel linear layer: the input features are cut. Forward sums the partial outputs over the shards; backward needs no
 * message. The bias is whole on every rank and added once, after the sum. Source: Shoeybi et al. 2019, section 3. */
#include "tensor_parallel/regions.h"

void cb_row_product(cb_tp *tp, const cb_linear *l, float *y, const float *x, int64_t M) {
    cb_compute *c = tp->compute;
    int64_t N = l->out, K = l->in / tp->shards;
    cb_gemm g[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) {
        g[s] = (cb_gemm){.tb = true, .m = M, .n = N, .k = K, .a = x + s * M * K, .lda = K, .b = l->w + s * N * K,
                         .ldb = K, .c = y, .ldc = N};
    }
    c->ops->gemm_sum(c, g, tp->owned, tp->sum_scratch);
}

cb_err cb_row_forward(cb_tp *tp, const cb_linear *l, float *y, const float *x, int64_t M) {
    cb_row_product(tp, l, y, x, M);
    return cb_tp_reduce(tp, y, M * l->out);
}

static void data_gradient(cb_tp *tp, const cb_linear *l, float *dx, const float *dy, int64_t M) {
    int64_t N = l->out, K = l->in / tp->shards;
    cb_gemm g[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) {
        g[s] = (cb_gemm){.m = M, .n = K, .k = N, .a = dy, .lda = N, .b = l->w + s * N * K, .ldb = K, .c = dx + s * M * K,
                         .ldc = K};
    }
    tp->compute->ops->gemm(tp->compute, g, tp->owned);
}

void cb_row_weight_gradient(cb_tp *tp, const cb_linear *l, const float *dy, const float *x, int64_t M) {
    int64_t N = l->out, K = l->in / tp->shards;
    cb_gemm g[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) {
        g[s] = (cb_gemm){.ta = true, .m = N, .n = K, .k = M, .a = dy, .lda = N, .b = x + s * M * K, .ldb = K,
                         .c = l->dw + s * N * K, .ldc = K, .beta = 1};
    }
    tp->compute->ops->gemm(tp->compute, g, tp->owned);
}

void cb_row_backward(cb_tp *tp, const cb_linear *l, float *dx, const float *dy, const float *x, int64_t M) {
    data_gradient(tp, l, dx, dy, M);
    if (l->dw) cb_row_weight_gradient(tp, l, dy, x, M);
    if (l->db) tp->compute->ops->bias_grad(tp->compute, l->db, dy, M, l->out);
}
