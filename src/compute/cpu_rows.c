/* The `cpu` backend's loops over rows of (M, N): bias, GELU, residual stream, embedding and positions. Sums over rows
 * are taken in ascending order of the row by whichever thread has the column. */
#include <string.h>

#include "compute/cpu.h"
#include "compute/vmath.h"

enum { COLUMNS = 64 }; /* the unit in which columns are given to threads: four cache lines */

void cb_cpu_bias_add(cb_compute *c, float *y, const float *b, int64_t M, int64_t N) {
    int width = cb_cpu_width(c, M * N);
    if (!b) return;
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) {
        float *row = y + i * N;
#pragma omp simd
        for (int64_t j = 0; j < N; j++) row[j] += b[j];
    }
}

/* db[0..n) += rows of dy (M, ld), four at a time, each added on its own */
static void add_rows(float *restrict db, const float *restrict dy, int64_t M, int64_t ld, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= M; i += 4) {
        const float *r = dy + i * ld;
        for (int64_t j = 0; j < n; j++) db[j] = db[j] + r[j] + r[ld + j] + r[2 * ld + j] + r[3 * ld + j];
    }
    for (; i < M; i++) {
        for (int64_t j = 0; j < n; j++) db[j] += dy[i * ld + j];
    }
}

void cb_cpu_bias_grad(cb_compute *c, float *db, const float *dy, int64_t M, int64_t N) {
    int width = cb_cpu_width(c, M * N);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t j = 0; j < N; j += COLUMNS) add_rows(db + j, dy + j, M, N, N - j < COLUMNS ? N - j : COLUMNS);
}

void cb_cpu_bias_gelu(cb_compute *c, float *y, float *x, const float *b, int64_t M, int64_t N) {
    int width = cb_cpu_width(c, M * N);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) {
        float *in = x + i * N, *out = y + i * N;
#pragma omp simd
        for (int64_t j = 0; j < N; j++) {
            in[j] += b[j];
            out[j] = cb_gelu(in[j]);
        }
    }
}

void cb_cpu_gelu_backward(cb_compute *c, float *dx, const float *x, const float *dy, int64_t n) {
    int width = cb_cpu_width(c, n);
#pragma omp parallel for simd num_threads(width) if (parallel : width > 1)
    for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * cb_gelu_slope(x[i]);
}

void cb_cpu_residual(cb_compute *c, float *out, const float *x, const float *p, const float *b, int64_t M, int64_t C) {
    int width = cb_cpu_width(c, M * C);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) {
#pragma omp simd
        for (int64_t j = 0; j < C; j++) out[i * C + j] = x[i * C + j] + (p[i * C + j] + b[j]);
    }
}

void cb_cpu_embedding(cb_compute *c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count,
                      int64_t M, int64_t C) {
    int width = cb_cpu_width(c, M * C);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) {
        int64_t row = tokens[i] - begin;
        if (row >= 0 && row < count) { /* plus the zeros of other shards, which make -0 to 0 */
            for (int64_t j = 0; j < C; j++) x[i * C + j] = table[row * C + j] + 0.0f;
        } else {
            memset(x + i * C, 0, (size_t)C * sizeof *x);
        }
    }
}

void cb_cpu_embedding_backward(cb_compute *c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin,
                               int64_t count, int64_t M, int64_t C) {
    int width = cb_cpu_width(c, M * C);
    int64_t share = (C + width - 1) / width;
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t j = 0; j < C; j += share) { /* a token may come twice, so threads share columns, not rows */
        int64_t n = C - j < share ? C - j : share;
        for (int64_t i = 0; i < M; i++) {
            int64_t row = tokens[i] - begin;
            if (row < 0 || row >= count) continue;
            const float *restrict from = dx + i * C + j;
            float *restrict to = dtable + row * C + j;
            for (int64_t l = 0; l < n; l++) to[l] += from[l];
        }
    }
}

void cb_cpu_positions(cb_compute *c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C) {
    int width = cb_cpu_width(c, B * T * C);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < B * T; i++) {
        float *restrict row = x + i * C;
        const float *restrict add = wpe + i % T * C;
        for (int64_t j = 0; j < C; j++) row[j] += add[j];
    }
}

void cb_cpu_positions_backward(cb_compute *c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C) {
    int width = cb_cpu_width(c, B * T * C);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t t = 0; t < T; t++) add_rows(dwpe + t * C, dx + t * C, B, T * C, C);
}
