/* Every operation of another backend between two looks at the clock. See timed.h. */
#include "compute/timed.h"

#include "base/clock.h"

/* An operation of the table: its name, its parameters, and the arguments with which the inner one is called. */
#define TIMED(kind, name, parameters, ...)          \
    static void name parameters {                   \
        cb_timed *t = (cb_timed *)(void *)c;        \
        double begin_s = cb_now_s();                \
        t->inner->ops->name(t->inner, __VA_ARGS__); \
        t->s[kind] += cb_now_s() - begin_s;         \
    }

static void count_flops(cb_compute *c, const cb_gemm *g, int count) {
    cb_timed *t = (cb_timed *)(void *)c;
    t->product_flops += 2.0 * (double)g->m * (double)g->n * (double)g->k * count;
}

TIMED(CB_OP_PRODUCT, gemm, (cb_compute * c, const cb_gemm *g, int count), g, count)
TIMED(CB_OP_PRODUCT, gemm_sum, (cb_compute * c, const cb_gemm *g, int count, float *scratch), g, count, scratch)
TIMED(CB_OP_ATTENTION, attention, (cb_compute * c, const cb_attention *a), a)
TIMED(CB_OP_ATTENTION, attention_backward, (cb_compute * c, const cb_attention *a), a)
TIMED(CB_OP_ELEMENTWISE, bias_add, (cb_compute * c, float *y, const float *b, int64_t M, int64_t N), y, b, M, N)
TIMED(CB_OP_ELEMENTWISE, bias_grad, (cb_compute * c, float *db, const float *dy, int64_t M, int64_t N), db, dy, M, N)
TIMED(CB_OP_ELEMENTWISE, bias_gelu, (cb_compute * c, float *y, float *x, const float *b, int64_t M, int64_t N), y, x, b,
      M, N)
TIMED(CB_OP_ELEMENTWISE, gelu_backward, (cb_compute * c, float *dx, const float *x, const float *dy, int64_t n), dx, x,
      dy, n)
TIMED(CB_OP_ELEMENTWISE, layernorm,
      (cb_compute * c, float *y, float *mean, float *rstd, const float *x, const float *w, const float *b, int64_t M,
       int64_t C, float eps),
      y, mean, rstd, x, w, b, M, C, eps)
TIMED(CB_OP_ELEMENTWISE, layernorm_backward,
      (cb_compute * c, float *dx, float *dw, float *db, const float *dy, const float *x, const float *w,
       const float *mean, const float *rstd, int64_t M, int64_t C),
      dx, dw, db, dy, x, w, mean, rstd, M, C)
TIMED(CB_OP_ELEMENTWISE, residual,
      (cb_compute * c, float *out, const float *x, const float *p, const float *b, int64_t M, int64_t C), out, x, p, b,
      M, C)
TIMED(CB_OP_ELEMENTWISE, embedding,
      (cb_compute * c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count, int64_t M,
       int64_t C),
      x, tokens, table, begin, count, M, C)
TIMED(CB_OP_ELEMENTWISE, embedding_backward,
      (cb_compute * c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin, int64_t count, int64_t M,
       int64_t C),
      dtable, tokens, dx, begin, count, M, C)
TIMED(CB_OP_ELEMENTWISE, positions, (cb_compute * c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C), x,
      wpe, B, T, C)
TIMED(CB_OP_ELEMENTWISE, positions_backward,
      (cb_compute * c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C), dwpe, dx, B, T, C)
TIMED(CB_OP_ELEMENTWISE, ce_max,
      (cb_compute * c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid), max, logits, M, ld,
      valid)
TIMED(CB_OP_ELEMENTWISE, ce_exp,
      (cb_compute * c, float *logits, float *sum, float *target_logit, const float *max, const int32_t *targets,
       int64_t begin, int64_t M, int64_t ld, int64_t valid),
      logits, sum, target_logit, max, targets, begin, M, ld, valid)
TIMED(CB_OP_ELEMENTWISE, ce_backward,
      (cb_compute * c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M, int64_t ld,
       int64_t valid, float scale),
      exps, sum, targets, begin, M, ld, valid, scale)
TIMED(CB_OP_ELEMENTWISE, adamw,
      (cb_compute * c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h), p, g, m, v, n, h)
TIMED(CB_OP_ELEMENTWISE, zero, (cb_compute * c, float *x, int64_t n), x, n)
TIMED(CB_OP_ELEMENTWISE, accumulate, (cb_compute * c, float *y, const float *x, int64_t n), y, x, n)
TIMED(CB_OP_ELEMENTWISE, tree_sum, (cb_compute * c, float *to, float *const *from, int n, int64_t count), to, from, n,
      count)

static double sum_squares(cb_compute *c, const float *x, int64_t n) {
    cb_timed *t = (cb_timed *)(void *)c;
    double begin_s = cb_now_s(), sum = t->inner->ops->sum_squares(t->inner, x, n);
    t->s[CB_OP_ELEMENTWISE] += cb_now_s() - begin_s;
    return sum;
}

static int64_t first_nonfinite(cb_compute *c, const float *x, int64_t n) {
    cb_timed *t = (cb_timed *)(void *)c;
    return t->inner->ops->first_nonfinite(t->inner, x, n);
}

static void counted_gemm(cb_compute *c, const cb_gemm *g, int count) {
    count_flops(c, g, count);
    gemm(c, g, count);
}

static void counted_gemm_sum(cb_compute *c, const cb_gemm *g, int count, float *scratch) {
    count_flops(c, g, count);
    gemm_sum(c, g, count, scratch);
}

static const cb_compute_ops timed_ops = {
    .name = "timed",
    .gemm = counted_gemm,
    .gemm_sum = counted_gemm_sum,
    .bias_add = bias_add,
    .bias_grad = bias_grad,
    .bias_gelu = bias_gelu,
    .gelu_backward = gelu_backward,
    .layernorm = layernorm,
    .layernorm_backward = layernorm_backward,
    .attention = attention,
    .attention_backward = attention_backward,
    .residual = residual,
    .embedding = embedding,
    .embedding_backward = embedding_backward,
    .positions = positions,
    .positions_backward = positions_backward,
    .ce_max = ce_max,
    .ce_exp = ce_exp,
    .ce_backward = ce_backward,
    .adamw = adamw,
    .sum_squares = sum_squares,
    .zero = zero,
    .accumulate = accumulate,
    .tree_sum = tree_sum,
    .first_nonfinite = first_nonfinite,
};

cb_timed cb_compute_timed(cb_compute *inner) {
    return (cb_timed){.compute = {.ops = &timed_ops, .threads = inner->threads}, .inner = inner};
}
