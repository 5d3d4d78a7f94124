/* The `cpu` backend's causal attention: a block of query rows at a time against the keys up to the block's end, so the
 * half above the diagonal is not computed. Heads go to threads whole, and each product runs on one thread; neither the
 * blocks nor the products depend on the number of heads or threads. The products read q, k and v where they lie, with
 * stride 3 H D. */
#include <string.h>

#include "base/arena.h"
#include "compute/cpu.h"
#include "compute/lanes.h"
#include "compute/vmath.h"

/* One head of one sequence. in: elements from one position to the next in qkv and dqkv; outs: in out and dout. */
typedef struct head {
    const float *q, *k, *v, *dout;
    float *dq, *dk, *dv, *out, *probs;
    int64_t in, outs, T, D;
    float scale;
} head;

static head head_of(const cb_attention *a, int i) {
    int64_t b = i / a->H, h = i % a->H, C = (int64_t)a->H * a->D;
    int64_t in = b * a->T * 3 * C + h * a->D, out = b * a->T * C + h * a->D;
    head it = {.q = a->qkv + in, .k = a->qkv + in + C, .v = a->qkv + in + 2 * C, .in = 3 * C, .outs = C};
    it.T = a->T;
    it.D = a->D;
    it.scale = 1.0f / sqrtf((float)a->D);
    it.probs = a->probs + i * it.T * it.T;
    if (a->out) it.out = a->out + out;
    if (a->dout) it.dout = a->dout + out;
    if (a->dqkv) {
        it.dq = a->dqkv + in;
        it.dk = it.dq + C;
        it.dv = it.dk + C;
    }
    return it;
}

/* x (n) becomes softmax of scale x (s0..n-1 counted) */
static void softmax(float *restrict x, int64_t n, float scale) {
    float max = cb_row_max(x, n) * scale;
    for (int64_t i = 0; i < n; i++) x[i] = cb_expf(cb_madd(x[i], scale, -max));
    float inverse = 1.0f / cb_row_sum(x, n);
    for (int64_t i = 0; i < n; i++) x[i] *= inverse;
}

static void forward_head(const head *h) {
    for (int64_t t = 0; t < h->T; t += CB_ATTENTION_BLOCK) {
        int64_t rows = h->T - t < CB_ATTENTION_BLOCK ? h->T - t : CB_ATTENTION_BLOCK, keys = t + rows;
        float *p = h->probs + t * h->T;
        cb_gemm scores = {.tb = true,
                          .m = rows,
                          .n = keys,
                          .k = h->D,
                          .a = h->q + t * h->in,
                          .b = h->k,
                          .c = p,
                          .lda = h->in,
                          .ldb = h->in,
                          .ldc = h->T};
        cb_cpu_gemm_serial(&scores);
        for (int64_t i = 0; i < rows; i++) {
            int64_t seen = t + i + 1;
            softmax(p + i * h->T, seen, h->scale);
            memset(p + i * h->T + seen, 0, (size_t)(h->T - seen) * sizeof *p);
        }
        cb_gemm values = {.m = rows,
                          .n = h->D,
                          .k = keys,
                          .a = p,
                          .b = h->v,
                          .c = h->out + t * h->outs,
                          .lda = h->T,
                          .ldb = h->in,
                          .ldc = h->outs};
        cb_cpu_gemm_serial(&values);
    }
}

void cb_cpu_attention(cb_compute *c, const cb_attention *a) {
    int threads = c->threads, heads = a->B * a->H;
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int w = 0; w < threads; w++) {
        for (int i = w; i < heads; i += threads) {
            head h = head_of(a, i);
            forward_head(&h);
        }
    }
}

/* ds becomes p (ds - p . ds) scale for n columns */
static void softmax_backward(float *restrict ds, const float *restrict p, int64_t n, float scale) {
    float lane[CB_LANES] = {0};
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        for (int l = 0; l < CB_LANES; l++) lane[l] = cb_madd(p[i + l], ds[i + l], lane[l]);
    }
    for (int l = 0; i + l < n; l++) lane[l] = cb_madd(p[i + l], ds[i + l], lane[l]);
    float sum = cb_lanes_sum(lane);
    for (i = 0; i < n; i++) ds[i] = p[i] * (ds[i] - sum) * scale;
}

/* The last block comes first: it sees every key, so it writes dk and dv, to which the others add. */
static void backward_head(const head *h, float *ds) {
    int64_t blocks = (h->T + CB_ATTENTION_BLOCK - 1) / CB_ATTENTION_BLOCK;
    for (int64_t b = blocks - 1; b >= 0; b--) {
        int64_t t = b * CB_ATTENTION_BLOCK;
        int64_t rows = h->T - t < CB_ATTENTION_BLOCK ? h->T - t : CB_ATTENTION_BLOCK, keys = t + rows;
        float beta = b == blocks - 1 ? 0 : 1;
        const float *p = h->probs + t * h->T, *dout = h->dout + t * h->outs;
        cb_gemm dv = {.ta = true,
                      .m = keys,
                      .n = h->D,
                      .k = rows,
                      .a = p,
                      .b = dout,
                      .c = h->dv,
                      .lda = h->T,
                      .ldb = h->outs,
                      .ldc = h->in,
                      .beta = beta};
        cb_gemm dp = {.tb = true,
                      .m = rows,
                      .n = keys,
                      .k = h->D,
                      .a = dout,
                      .b = h->v,
                      .c = ds,
                      .lda = h->outs,
                      .ldb = h->in,
                      .ldc = h->T};
        cb_gemm dq = {.m = rows,
                      .n = h->D,
                      .k = keys,
                      .a = ds,
                      .b = h->k,
                      .c = h->dq + t * h->in,
                      .lda = h->T,
                      .ldb = h->in,
                      .ldc = h->in};
        cb_gemm dk = {.ta = true,
                      .m = keys,
                      .n = h->D,
                      .k = rows,
                      .a = ds,
                      .b = h->q + t * h->in,
                      .c = h->dk,
                      .lda = h->T,
                      .ldb = h->in,
                      .ldc = h->in,
                      .beta = beta};
        cb_cpu_gemm_serial(&dv);
        cb_cpu_gemm_serial(&dp);
        for (int64_t i = 0; i < rows; i++) {
            int64_t seen = t + i + 1;
            softmax_backward(ds + i * h->T, p + i * h->T, seen, h->scale);
            memset(ds + i * h->T + seen, 0, (size_t)(keys - seen) * sizeof *ds);
        }
        cb_cpu_gemm_serial(&dq);
        cb_cpu_gemm_serial(&dk);
    }
}

void cb_cpu_attention_backward(cb_compute *c, const cb_attention *a) {
    int threads = c->threads, heads = a->B * a->H;
    int64_t share = cb_attention_scratch_bytes(a->B, a->T, a->H, a->D, 1) / (int64_t)sizeof(float);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int w = 0; w < threads; w++) {
        for (int i = w; i < heads; i += threads) {
            head h = head_of(a, i);
            backward_head(&h, a->scratch + w * share);
        }
    }
}
