/* The `cpu` backend's LayerNorm (Ba et al., arXiv:1607.06450): rows over threads for y and dx; columns over threads for
 * dw and db, whose rows are added in ascending order. The variance is taken from the centred row, in a second pass over
 * L1. */
#include "compute/cpu.h"
#include "compute/lanes.h"
#include "compute/vmath.h"

enum { COLUMNS = 64 };

static void add_square_deviations(cb_lanes *sum, cb_lanes *x, float mean) {
    x->a -= mean;
    x->b -= mean;
    cb_lanes_add_product(sum, x, x);
}

static float square_deviations(const float *x, float mean, int64_t n) {
    cb_lanes sum = {{0}, {0}}, v;
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        cb_lanes_load(&v, x + i);
        add_square_deviations(&sum, &v, mean);
    }
    if (i < n) {
        cb_lanes_load_part(&v, x + i, n - i, mean);
        add_square_deviations(&sum, &v, mean);
    }
    return cb_lanes_total(&sum);
}

void cb_cpu_layernorm(cb_compute *c, float *y, float *mean, float *rstd, const float *x, const float *w, const float *b,
                      int64_t M, int64_t C, float eps) {
    int width = cb_cpu_width(c, M * C);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) {
        const float *in = x + i * C;
        float *out = y + i * C;
        float m = cb_row_sum(in, C) / (float)C;
        float r = 1.0f / sqrtf(square_deviations(in, m, C) / (float)C + eps);
#pragma omp simd
        for (int64_t j = 0; j < C; j++) out[j] = cb_madd((in[j] - m) * r, w[j], b[j]);
        mean[i] = m;
        rstd[i] = r;
    }
}

/* One row of backward: sums over it of g = dy w and of g n, n = (x - mean) rstd. */
typedef struct row_sums {
    cb_lanes g, gn;
    float mean, rstd;
} row_sums;

static inline void add_to_sums(row_sums *s, cb_lanes *dy, cb_lanes *x, const cb_lanes *w) {
    dy->a *= w->a;
    dy->b *= w->b;
    x->a = (x->a - s->mean) * s->rstd;
    x->b = (x->b - s->mean) * s->rstd;
    cb_lanes_add(&s->g, dy);
    cb_lanes_add_product(&s->gn, dy, x);
}

static void sum_row(row_sums *sums, const float *dy, const float *x, const float *w, int64_t n) {
    row_sums s = *sums;
    cb_lanes d, v, u;
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        cb_lanes_load(&d, dy + i);
        cb_lanes_load(&v, x + i);
        cb_lanes_load(&u, w + i);
        add_to_sums(&s, &d, &v, &u);
    }
    if (i < n) {
        cb_lanes_load_part(&d, dy + i, n - i, 0);
        cb_lanes_load_part(&v, x + i, n - i, 0);
        cb_lanes_load_part(&u, w + i, n - i, 0);
        add_to_sums(&s, &d, &v, &u);
    }
    *sums = s;
}

/* dx += r (g - mean(g) - n mean(g n)) */
static void backward_row(float *restrict dx, const float *restrict dy, const float *restrict x, const float *restrict w,
                         float m, float r, int64_t C) {
    row_sums sums = {.mean = m, .rstd = r};
    sum_row(&sums, dy, x, w, C);
    float g_mean = cb_lanes_total(&sums.g) / (float)C, gn_mean = cb_lanes_total(&sums.gn) / (float)C;
    for (int64_t j = 0; j < C; j++) {
        float n = (x[j] - m) * r;
        dx[j] = cb_madd(r, cb_madd(-n, gn_mean, dy[j] * w[j] - g_mean), dx[j]);
    }
}

/* dw, db (n) += over the rows of dy, x (M, ld) */
static void backward_columns(float *restrict dw, float *restrict db, const float *restrict dy, const float *restrict x,
                             const float *restrict mean, const float *restrict rstd, int64_t M, int64_t ld, int64_t n) {
    for (int64_t i = 0; i < M; i++) {
        const float *restrict d = dy + i * ld, *restrict in = x + i * ld;
        float m = mean[i], r = rstd[i];
        for (int64_t j = 0; j < n; j++) {
            dw[j] = cb_madd(d[j], (in[j] - m) * r, dw[j]);
            db[j] += d[j];
        }
    }
}

void cb_cpu_layernorm_backward(cb_compute *c, float *dx, float *dw, float *db, const float *dy, const float *x,
                               const float *w, const float *mean, const float *rstd, int64_t M, int64_t C) {
    int width = cb_cpu_width(c, M * C);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) backward_row(dx + i * C, dy + i * C, x + i * C, w, mean[i], rstd[i], C);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t j = 0; j < C; j += COLUMNS) {
        int64_t n = C - j < COLUMNS ? C - j : COLUMNS;
        backward_columns(dw + j, db + j, dy + j, x + j, mean, rstd, M, C, n);
    }
}
