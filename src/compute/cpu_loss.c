/* The `cpu` backend's cross-entropy on a shard of the vocabulary, one row after the other: a maximum that passes over
 * NaN, the exponentials and their sum (which NaN reaches), the gradient. */
#include <string.h>

#include "compute/cpu.h"
#include "compute/lanes.h"
#include "compute/vmath.h"

void cb_cpu_ce_max(cb_compute *c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid) {
    int width = cb_cpu_width(c, M * ld);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) max[i] = cb_row_max(logits + i * ld, valid);
}

/* x becomes exp(x - max); returns the sum */
static float exp_row(float *x, float max, int64_t n) {
    enum { PIECE = 1024 }; /* summed while it is in L1, each piece on its own: less rounding than one long sum */
    float total = 0;
    for (int64_t i = 0; i < n; i += PIECE) {
        int64_t part = n - i < PIECE ? n - i : PIECE;
        float *restrict piece = x + i;
        for (int64_t j = 0; j < part; j++) piece[j] = cb_expf(piece[j] - max);
        total += cb_row_sum(piece, part);
    }
    return total;
}

void cb_cpu_ce_exp(cb_compute *c, float *logits, float *sum, float *target_logit, const float *max,
                   const int32_t *targets, int64_t begin, int64_t M, int64_t ld, int64_t valid) {
    int width = cb_cpu_width(c, M * ld);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) {
        float *row = logits + i * ld;
        int64_t target = targets[i] - begin;
        target_logit[i] = target >= 0 && target < valid ? row[target] - max[i] : 0;
        sum[i] = exp_row(row, max[i], valid);
        if (ld > valid) memset(row + valid, 0, (size_t)(ld - valid) * sizeof *row);
    }
}

void cb_cpu_ce_backward(cb_compute *c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M,
                        int64_t ld, int64_t valid, float scale) {
    int width = cb_cpu_width(c, M * ld);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < M; i++) {
        float *row = exps + i * ld;
        int64_t target = targets[i] - begin;
        float inverse = 1.0f / sum[i];
        bool mine = target >= 0 && target < valid;
        float at_target = mine ? (row[target] * inverse - 1.0f) * scale : 0;
        float factor = inverse * scale;
        for (int64_t j = 0; j < valid; j++) row[j] *= factor;
        if (mine) row[target] = at_target;
        if (ld > valid) memset(row + valid, 0, (size_t)(ld - valid) * sizeof *row);
    }
}
