/* The oracle's embedding, positions, cross-entropy over a shard of the vocabulary, and AdamW.
 * AdamW: Loshchilov and Hutter, arXiv:1711.05101. Vocabulary-parallel loss: Shoeybi et al., arXiv:1909.08053. */
#include <math.h>

#include "compute/ref.h"

void cb_ref_embedding(cb_compute *c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count,
                      int64_t M, int64_t C) {
    (void)c;
    for (int64_t i = 0; i < M; i++) {
        int64_t row = tokens[i] - begin;
        bool mine = row >= 0 && row < count;
        for (int64_t j = 0; j < C; j++) x[i * C + j] = mine ? table[row * C + j] : 0;
    }
}

void cb_ref_embedding_backward(cb_compute *c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin,
                               int64_t count, int64_t M, int64_t C) {
    (void)c;
    for (int64_t i = 0; i < M; i++) {
        int64_t row = tokens[i] - begin;
        if (row < 0 || row >= count) continue;
        for (int64_t j = 0; j < C; j++) dtable[row * C + j] += dx[i * C + j];
    }
}

void cb_ref_positions(cb_compute *c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C) {
    (void)c;
    for (int64_t b = 0; b < B; b++) {
        for (int64_t i = 0; i < T * C; i++) x[b * T * C + i] += wpe[i];
    }
}

void cb_ref_positions_backward(cb_compute *c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C) {
    (void)c;
    for (int64_t b = 0; b < B; b++) {
        for (int64_t i = 0; i < T * C; i++) dwpe[i] += dx[b * T * C + i];
    }
}

void cb_ref_ce_max(cb_compute *c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid) {
    (void)c;
    for (int64_t i = 0; i < M; i++) {
        max[i] = -INFINITY;
        for (int64_t j = 0; j < valid; j++) {
            if (logits[i * ld + j] > max[i]) max[i] = logits[i * ld + j];
        }
    }
}

void cb_ref_ce_exp(cb_compute *c, float *logits, float *sum, float *target_logit, const float *max,
                   const int32_t *targets, int64_t begin, int64_t M, int64_t ld, int64_t valid) {
    (void)c;
    for (int64_t i = 0; i < M; i++) {
        float *row = logits + i * ld;
        int64_t target = targets[i] - begin;
        target_logit[i] = target >= 0 && target < valid ? row[target] - max[i] : 0;
        double total = 0;
        for (int64_t j = 0; j < ld; j++) {
            row[j] = j < valid ? (float)exp((double)row[j] - (double)max[i]) : 0;
            total += (double)row[j];
        }
        sum[i] = (float)total;
    }
}

void cb_ref_ce_backward(cb_compute *c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M,
                        int64_t ld, int64_t valid, float scale) {
    (void)c;
    for (int64_t i = 0; i < M; i++) {
        for (int64_t j = 0; j < ld; j++) {
            double one = targets[i] - begin == j ? 1 : 0;
            double d = ((double)exps[i * ld + j] / (double)sum[i] - one) * (double)scale;
            exps[i * ld + j] = j < valid ? (float)d : 0;
        }
    }
}

void cb_ref_adamw(cb_compute *c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h) {
    (void)c;
    double beta1 = (double)h->beta1, beta2 = (double)h->beta2, lr = (double)h->lr;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)g[i] * (double)h->grad_scale;
        double mean = beta1 * (double)m[i] + (1 - beta1) * d;
        double square = beta2 * (double)v[i] + (1 - beta2) * d * d;
        double step = mean / (double)h->correction1 / (sqrt(square / (double)h->correction2) + (double)h->eps);
        p[i] = (float)((double)p[i] - lr * (step + (double)h->weight_decay * (double)p[i]));
        m[i] = (float)mean;
        v[i] = (float)square;
    }
}

double cb_ref_sum_squares(cb_compute *c, const float *x, int64_t n) {
    (void)c;
    enum { BLOCK = 4096 };
    double total = 0;
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        double sum = 0;
        for (int64_t i = begin; i < n && i < begin + BLOCK; i++) sum += (double)x[i] * (double)x[i];
        total += sum;
    }
    return total;
}
