/* Every operation of another backend, with calls before and after. See around.h. */
#include "compute/around.h"

#include <stddef.h>

static cb_around *around_of(cb_compute *c) {
    return (cb_around *)(void *)c;
}

static void begin_op(cb_around *a) {
    if (a->begin) a->begin(a);
}

/* An operation of the table: what is said of it, its name, its parameters, and the arguments of the inner one. */
#define AROUND(op, name, parameters, ...)                                        \
    static void name parameters {                                                \
        cb_around *around = around_of(c);                                        \
        begin_op(around);                                                        \
        if (around->inner) around->inner->ops->name(around->inner, __VA_ARGS__); \
        around->end(around, &(op));                                              \
    }

#define PRODUCT ((cb_op){.kind = CB_OP_PRODUCT, .gemm = g, .count = count})
AROUND(PRODUCT, gemm, (cb_compute * c, const cb_gemm *g, int count), g, count)
AROUND(PRODUCT, gemm_sum, (cb_compute * c, const cb_gemm *g, int count, float *scratch), g, count, scratch)

#define ATTENTION(back) ((cb_op){.kind = CB_OP_ATTENTION, .attention = a, .backward = (back)})
AROUND(ATTENTION(false), attention, (cb_compute * c, const cb_attention *a), a)
AROUND(ATTENTION(true), attention_backward, (cb_compute * c, const cb_attention *a), a)

static const cb_op elementwise = {.kind = CB_OP_ELEMENTWISE};
AROUND(elementwise, bias_add, (cb_compute * c, float *y, const float *b, int64_t M, int64_t N), y, b, M, N)
AROUND(elementwise, bias_grad, (cb_compute * c, float *db, const float *dy, int64_t M, int64_t N), db, dy, M, N)
AROUND(elementwise, bias_gelu, (cb_compute * c, float *y, float *x, const float *b, int64_t M, int64_t N), y, x, b, M,
       N)
AROUND(elementwise, gelu_backward, (cb_compute * c, float *dx, const float *x, const float *dy, int64_t n), dx, x, dy,
       n)
AROUND(elementwise, layernorm,
       (cb_compute * c, float *y, float *mean, float *rstd, const float *x, const float *w, const float *b, int64_t M,
        int64_t C, float eps),
       y, mean, rstd, x, w, b, M, C, eps)
AROUND(elementwise, layernorm_backward,
       (cb_compute * c, float *dx, float *dw, float *db, const float *dy, const float *x, const float *w,
        const float *mean, const float *rstd, int64_t M, int64_t C),
       dx, dw, db, dy, x, w, mean, rstd, M, C)
AROUND(elementwise, residual,
       (cb_compute * c, float *out, const float *x, const float *p, const float *b, int64_t M, int64_t C), out, x, p, b,
       M, C)
AROUND(elementwise, embedding,
       (cb_compute * c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count, int64_t M,
        int64_t C),
       x, tokens, table, begin, count, M, C)
AROUND(elementwise, embedding_backward,
       (cb_compute * c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin, int64_t count, int64_t M,
        int64_t C),
       dtable, tokens, dx, begin, count, M, C)
AROUND(elementwise, positions, (cb_compute * c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C), x, wpe, B,
       T, C)
AROUND(elementwise, positions_backward, (cb_compute * c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C),
       dwpe, dx, B, T, C)
AROUND(elementwise, ce_max, (cb_compute * c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid),
       max, logits, M, ld, valid)
AROUND(elementwise, ce_exp,
       (cb_compute * c, float *logits, float *sum, float *target_logit, const float *max, const int32_t *targets,
        int64_t begin, int64_t M, int64_t ld, int64_t valid),
       logits, sum, target_logit, max, targets, begin, M, ld, valid)
AROUND(elementwise, ce_backward,
       (cb_compute * c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M, int64_t ld,
        int64_t valid, float scale),
       exps, sum, targets, begin, M, ld, valid, scale)
AROUND(elementwise, adamw, (cb_compute * c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h),
       p, g, m, v, n, h)
AROUND(elementwise, zero, (cb_compute * c, float *x, int64_t n), x, n)
AROUND(elementwise, accumulate, (cb_compute * c, float *y, const float *x, int64_t n), y, x, n)
AROUND(elementwise, tree_sum, (cb_compute * c, float *to, float *const *from, int n, int64_t count), to, from, n, count)

static double sum_squares(cb_compute *c, const float *x, int64_t n) {
    cb_around *around = around_of(c);
    begin_op(around);
    double sum = around->inner ? around->inner->ops->sum_squares(around->inner, x, n) : 0;
    around->end(around, &elementwise);
    return sum;
}

static int64_t first_nonfinite(cb_compute *c, const float *x, int64_t n) {
    cb_around *around = around_of(c);
    return around->inner ? around->inner->ops->first_nonfinite(around->inner, x, n) : -1;
}

static bool takes_bf16(void) {
    return false; /* it may stand around nothing */
}

static const cb_compute_ops around_ops = {
    .name = "around",
    .takes_bf16 = takes_bf16,
    .gemm = gemm,
    .gemm_sum = gemm_sum,
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

const cb_compute_ops *cb_around_ops(void) {
    return &around_ops;
}
