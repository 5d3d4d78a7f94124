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

/* x (n) becomes softmax(scale x). The exponential may run on to x[room - 1], where there are scores too that the caller
 * will overwrite: whole vectors are faster than their last elements one by one. */
static void softmax(float *restrict x, int64_t n, int64_t room, float scale) {
    float max = cb_row_max(x, n) * scale;
    int64_t whole = (n + 7) / 8 * 8 < room ? (n + 7) / 8 * 8 : room;
    for (int64_t i = 0; i < whole; i++) x[i] = cb_expf(cb_madd(x[i], scale, -max));
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
            softmax(p + i * h->T, seen, keys, h->scale);
            memset(p + i * h->T + seen, 0, (size_t)(h->T - seen) * sizeof *p);
        }
        if (!h->out) continue;
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
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (int i = 0; i < heads; i++) {
        head h = head_of(a, i);
        forward_head(&h);
    }
}

/* ds (n) becomes p (ds - p . ds) scale */
static void softmax_backward(float *restrict ds, const float *restrict p, int64_t n, float scale) {
    float sum = cb_row_dot(p, ds, n);
    for (int64_t i = 0; i < n; i++) ds[i] = p[i] * (ds[i] - sum) * scale;
}

/* From query t on, `rows` queries against `keys` keys; dk and dv are written where beta is 0, else added to. p and ds
 * are scratch: the block's probabilities, copied to rows of length ld, and the gradient of its scores. */
static void backward_block(const head *h, int64_t t, int64_t rows, float beta, float *p, float *ds) {
    int64_t keys = t + rows, ld = h->T + CB_ATTENTION_PAD;
    const float *dout = h->dout + t * h->outs;
    cb_gemm dp = {.tb = true, .m = rows, .n = keys, .k = h->D, .a = dout, .b = h->v, .c = ds};
    cb_gemm dv = {.ta = true, .m = keys, .n = h->D, .k = rows, .a = p, .b = dout, .c = h->dv, .beta = beta};
    cb_gemm dq = {.m = rows, .n = h->D, .k = keys, .a = ds, .b = h->k, .c = h->dq + t * h->in};
    cb_gemm dk = {
        .ta = true, .m = keys, .n = h->D, .k = rows, .a = ds, .b = h->q + t * h->in, .c = h->dk, .beta = beta};
    dp.lda = dv.ldb = h->outs;
    dp.ldb = dv.ldc = dq.ldb = dq.ldc = dk.ldb = dk.ldc = h->in;
    dp.ldc = dv.lda = dq.lda = dk.lda = ld;
    cb_cpu_gemm_serial(&dp);
    for (int64_t i = 0; i < rows; i++) {
        int64_t seen = t + i + 1;
        memcpy(p + i * ld, h->probs + (t + i) * h->T, (size_t)keys * sizeof *p);
        softmax_backward(ds + i * ld, p + i * ld, seen, h->scale);
        memset(ds + i * ld + seen, 0, (size_t)(keys - seen) * sizeof *ds);
    }
    cb_cpu_gemm_serial(&dv);
    cb_cpu_gemm_serial(&dq);
    cb_cpu_gemm_serial(&dk);
}

/* The last block comes first: it sees every key, so it writes dk and dv, to which the others add. */
static void backward_head(const head *h, float *p, float *ds) {
    int64_t last = (h->T - 1) / CB_ATTENTION_BLOCK * CB_ATTENTION_BLOCK;
    for (int64_t t = last; t >= 0; t -= CB_ATTENTION_BLOCK) {
        int64_t rows = h->T - t < CB_ATTENTION_BLOCK ? h->T - t : CB_ATTENTION_BLOCK;
        backward_block(h, t, rows, t == last ? 0 : 1, p, ds);
    }
}

void cb_cpu_attention_backward(cb_compute *c, const cb_attention *a) {
    int threads = c->threads, heads = a->B * a->H, next = 0;
    int64_t block = cb_attention_block_bytes(a->T) / (int64_t)sizeof(float);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        int mine; /* which part of the scratch */
#pragma omp atomic capture
        mine = next++;
        float *p = a->scratch + 2 * mine * block, *ds = p + block;
#pragma omp for schedule(dynamic)
        for (int i = 0; i < heads; i++) {
            head h = head_of(a, i);
            backward_head(&h, p, ds);
        }
    }
}
