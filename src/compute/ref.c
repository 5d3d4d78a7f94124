/* The oracle: what each operation of compute.h means, in loops as plain as its definition. Sums are kept in double, so
 * a difference between backends is the other's rounding. One thread, no tuning. */
#include <math.h>
#include <string.h>

#include "compute/ref.h"

static double at(const void *x, cb_type type, bool transposed, int64_t ld, int64_t row, int64_t column) {
    int64_t i = transposed ? column * ld + row : row * ld + column;
    return (double)(type == CB_BF16 ? cb_bf16_widen(((const uint16_t *)x)[i]) : ((const float *)x)[i]);
}

static double element(const cb_gemm *g, int64_t i, int64_t j) {
    double sum = 0;
    for (int64_t l = 0; l < g->k; l++) {
        sum += at(g->a, g->type, g->ta, g->lda, i, l) * at(g->b, g->type, g->tb, g->ldb, l, j);
    }
    return sum;
}

static bool takes_bf16(void) {
    return true;
}

static void gemm(cb_compute *c, const cb_gemm *g, int count) {
    (void)c;
    for (int s = 0; s < count; s++) {
        for (int64_t i = 0; i < g[s].m; i++) {
            for (int64_t j = 0; j < g[s].n; j++) {
                float *to = &g[s].c[i * g[s].ldc + j];
                double sum = element(&g[s], i, j);
                *to = (float)(g[s].beta != 0 ? sum + (double)g[s].beta * (double)*to : sum);
            }
        }
    }
}

/* A tree over n operands is the first 2^k of them, 2^k < n the largest, and the rest: the same tree as pairs of
 * neighbours, level by level. */
static int left_of(int n) {
    int left = 1;
    while (2 * left < n) left *= 2;
    return left;
}

/* The tree over products first .. first+count-1. */
static float element_sum(const cb_gemm *g, int first, int count, int64_t i, int64_t j) {
    if (count == 1) return (float)element(&g[first], i, j);
    int left = left_of(count);
    return element_sum(g, first, left, i, j) + element_sum(g, first + left, count - left, i, j);
}

static void gemm_sum(cb_compute *c, const cb_gemm *g, int count, float *scratch) {
    (void)c, (void)scratch;
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++) g->c[i * g->ldc + j] = element_sum(g, 0, count, i, j);
    }
}

static void bias_add(cb_compute *c, float *y, const float *b, int64_t M, int64_t N) {
    (void)c;
    for (int64_t i = 0; b && i < M * N; i++) y[i] += b[i % N];
}

static void bias_grad(cb_compute *c, float *db, const float *dy, int64_t M, int64_t N) {
    (void)c;
    for (int64_t j = 0; j < N; j++) {
        double sum = db[j];
        for (int64_t i = 0; i < M; i++) sum += (double)dy[i * N + j];
        db[j] = (float)sum;
    }
}

/* gelu(x) = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3): Hendrycks and Gimpel, arXiv:1606.08415 */
static const double root_2_over_pi = 0.79788456080286535588, cubic = 0.044715;

static void bias_gelu(cb_compute *c, float *y, float *x, const float *b, int64_t M, int64_t N) {
    (void)c;
    for (int64_t i = 0; i < M * N; i++) {
        x[i] += b[i % N];
        double v = (double)x[i], u = root_2_over_pi * (v + cubic * v * v * v);
        y[i] = (float)(0.5 * v * (1 + tanh(u)));
    }
}

static void gelu_backward(cb_compute *c, float *dx, const float *x, const float *dy, int64_t n) {
    (void)c;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)x[i], t = tanh(root_2_over_pi * (v + cubic * v * v * v));
        double du = root_2_over_pi * (1 + 3 * cubic * v * v);
        double slope = 1 - t * t;
        /* v * slope * du is inf * 0 for huge v, where the product tends to 0 */
        double derivative = 0.5 * (1 + t) + (slope == 0 ? 0 : 0.5 * v * slope * du);
        dx[i] = (float)(derivative * (double)dy[i]);
    }
}

static void layernorm(cb_compute *c, float *y, float *mean, float *rstd, const float *x, const float *w, const float *b,
                      int64_t M, int64_t C, float eps) {
    (void)c;
    for (int64_t i = 0; i < M; i++) {
        const float *row = x + i * C;
        double sum = 0, squares = 0;
        for (int64_t j = 0; j < C; j++) sum += (double)row[j];
        double m = sum / (double)C;
        for (int64_t j = 0; j < C; j++) squares += ((double)row[j] - m) * ((double)row[j] - m);
        double r = 1 / sqrt(squares / (double)C + (double)eps);
        for (int64_t j = 0; j < C; j++) y[i * C + j] = (float)(((double)row[j] - m) * r * (double)w[j] + (double)b[j]);
        mean[i] = (float)m;
        rstd[i] = (float)r;
    }
}

/* With n = (x - mean) rstd and g = dy w: dx += rstd (g - mean(g) - n mean(g n)) */
static void layernorm_backward(cb_compute *c, float *dx, float *dw, float *db, const float *dy, const float *x,
                               const float *w, const float *mean, const float *rstd, int64_t M, int64_t C) {
    bias_grad(c, db, dy, M, C);
    for (int64_t i = 0; i < M; i++) {
        double g_sum = 0, gn_sum = 0, m = (double)mean[i], r = (double)rstd[i];
        for (int64_t j = 0; j < C; j++) {
            double g = (double)dy[i * C + j] * (double)w[j], n = ((double)x[i * C + j] - m) * r;
            g_sum += g;
            gn_sum += g * n;
        }
        g_sum /= (double)C;
        gn_sum /= (double)C;
        for (int64_t j = 0; j < C; j++) {
            double g = (double)dy[i * C + j] * (double)w[j], n = ((double)x[i * C + j] - m) * r;
            dx[i * C + j] = (float)((double)dx[i * C + j] + r * (g - g_sum - n * gn_sum));
        }
    }
    for (int64_t j = 0; j < C; j++) {
        double sum = (double)dw[j];
        for (int64_t i = 0; i < M; i++) {
            sum += (double)dy[i * C + j] * ((double)x[i * C + j] - (double)mean[i]) * (double)rstd[i];
        }
        dw[j] = (float)sum;
    }
}

static void residual(cb_compute *c, float *out, const float *x, const float *p, const float *b, int64_t M, int64_t C) {
    (void)c;
    for (int64_t i = 0; i < M * C; i++) out[i] = x[i] + (p[i] + b[i % C]);
}

static void zero(cb_compute *c, float *x, int64_t n) {
    (void)c;
    if (n > 0) memset(x, 0, (size_t)n * sizeof *x);
}

static void accumulate(cb_compute *c, float *y, const float *x, int64_t n) {
    (void)c;
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static float tree(float *const *from, int n, int64_t i) {
    if (n == 1) return from[0][i];
    int left = left_of(n);
    return tree(from, left, i) + tree(from + left, n - left, i);
}

static void tree_sum(cb_compute *c, float *to, float *const *from, int n, int64_t count) {
    (void)c;
    for (int64_t i = 0; i < count; i++) to[i] = tree(from, n, i);
}

static int64_t first_nonfinite(cb_compute *c, const float *x, int64_t n) {
    (void)c;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) return i;
    }
    return -1;
}

const cb_compute_ops cb_ref_ops = {
    .name = "ref",
    .takes_bf16 = takes_bf16,
    .gemm = gemm,
    .gemm_sum = gemm_sum,
    .bias_add = bias_add,
    .bias_grad = bias_grad,
    .bias_gelu = bias_gelu,
    .gelu_backward = gelu_backward,
    .layernorm = layernorm,
    .layernorm_backward = layernorm_backward,
    .attention = cb_ref_attention,
    .attention_backward = cb_ref_attention_backward,
    .residual = residual,
    .embedding = cb_ref_embedding,
    .embedding_backward = cb_ref_embedding_backward,
    .positions = cb_ref_positions,
    .positions_backward = cb_ref_positions_backward,
    .ce_max = cb_ref_ce_max,
    .ce_exp = cb_ref_ce_exp,
    .ce_backward = cb_ref_ce_backward,
    .adamw = cb_ref_adamw,
    .sum_squares = cb_ref_sum_squares,
    .zero = zero,
    .accumulate = accumulate,
    .tree_sum = tree_sum,
    .first_nonfinite = first_nonfinite,
};
