/* The `cpu` backend's LayerNorm (Ba et al., arXiv:1607.06450): rows over threads for y and dx; columns over threads for
 * dw and db, whose rows are added in ascending order. The variance is taken from the centred row, in a second pass over
 * L1. */
#include "compute/cpu.h"
#include "compute/lanes.h"
#include "compute/vmath.h"

enum { COLUMNS = 64 };

static float square_deviations(const float *x, float mean, int64_t n) {
    float lane[CB_LANES] = {0};
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        for (int l = 0; l < CB_LANES; l++) lane[l] = cb_madd(x[i + l] - mean, x[i + l] - mean, lane[l]);
    }
    for (int l = 0; i + l < n; l++) lane[l] = cb_madd(x[i + l] - mean, x[i + l] - mean, lane[l]);
    return cb_lanes_sum(lane);
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

/* The row's sums of g = dy w and of g n, n = (x - m) r */
static void backward_sums(float *g_sum, float *gn_sum, const float *dy, const float *x, const float *w, float m,
                          float r, int64_t n) {
    float lane[CB_LANES] = {0}, lane_n[CB_LANES] = {0};
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        for (int l = 0; l < CB_LANES; l++) {
            float g = dy[i + l] * w[i + l];
            lane[l] += g;
            lane_n[l] = cb_madd(g, (x[i + l] - m) * r, lane_n[l]);
        }
    }
    for (int l = 0; i + l < n; l++) {
        float g = dy[i + l] * w[i + l];
        lane[l] += g;
        lane_n[l] = cb_madd(g, (x[i + l] - m) * r, lane_n[l]);
    }
    *g_sum = cb_lanes_sum(lane);
    *gn_sum = cb_lanes_sum(lane_n);
}

/* dx += r (g - mean(g) - n mean(g n)) */
static void backward_row(float *restrict dx, const float *restrict dy, const float *restrict x, const float *restrict w,
                         float m, float r, int64_t C) {
    float g_mean, gn_mean;
    backward_sums(&g_mean, &gn_mean, dy, x, w, m, r, C);
    g_mean /= (float)C;
    gn_mean /= (float)C;
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
