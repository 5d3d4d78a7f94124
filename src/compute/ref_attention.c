/* Causal self-attention of the oracle, one query after the other. The row being worked on lives in the probs that the
 * operation writes anyway, or, backward, in the scratch; both hold floats, the sums are in double.
 * Softmax is shifted by the row's maximum (Milakov and Gimelshein, arXiv:1805.02867, the safe form). */
#include <math.h>
#include <stddef.h>

#include "compute/ref.h"

typedef struct head {
    const float *q, *k, *v, *dout;
    float *dq, *dk, *dv, *out, *probs;
    int64_t row, T, D; /* row: elements from one position of qkv to the next; out's and dout's is row / 3 */
    double scale;
} head;

static head head_of(const cb_attention *a, int b, int h) {
    int64_t C = (int64_t)a->H * a->D, in = (int64_t)b * a->T * 3 * C + (int64_t)h * a->D;
    int64_t out = (int64_t)b * a->T * C + (int64_t)h * a->D;
    return (head){.q = a->qkv + in,
                  .k = a->qkv + in + C,
                  .v = a->qkv + in + 2 * C,
                  .dout = a->dout ? a->dout + out : NULL,
                  .dq = a->dqkv ? a->dqkv + in : NULL,
                  .dk = a->dqkv ? a->dqkv + in + C : NULL,
                  .dv = a->dqkv ? a->dqkv + in + 2 * C : NULL,
                  .out = a->out ? a->out + out : NULL,
                  .probs = a->probs + ((int64_t)b * a->H + h) * a->T * a->T,
                  .row = 3 * C,
                  .T = a->T,
                  .D = a->D,
                  .scale = 1 / sqrt((double)a->D)};
}

static double dot(const float *x, const float *y, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
    return sum;
}

/* p (T) = softmax of query t's scores, zero after t */
static void probabilities(const head *h, int64_t t, float *p) {
    float max = -INFINITY;
    for (int64_t s = 0; s <= t; s++) {
        p[s] = (float)(dot(h->q + t * h->row, h->k + s * h->row, h->D) * h->scale);
        if (p[s] > max) max = p[s];
    }
    double sum = 0;
    for (int64_t s = 0; s <= t; s++) sum += exp((double)p[s] - (double)max);
    for (int64_t s = 0; s <= t; s++) p[s] = (float)(exp((double)p[s] - (double)max) / sum);
    for (int64_t s = t + 1; s < h->T; s++) p[s] = 0;
}

void cb_ref_attention(cb_compute *c, const cb_attention *a) {
    (void)c;
    for (int i = 0; i < a->B * a->H; i++) {
        head h = head_of(a, i / a->H, i % a->H);
        for (int64_t t = 0; t < h.T; t++) {
            float *p = h.probs + t * h.T;
            probabilities(&h, t, p);
            for (int64_t d = 0; h.out && d < h.D; d++) {
                double sum = 0;
                for (int64_t s = 0; s <= t; s++) sum += (double)p[s] * (double)h.v[s * h.row + d];
                h.out[t * (h.row / 3) + d] = (float)sum;
            }
        }
    }
}

/* ds (t+1) = d(loss)/d(scores before scale) of query t: p (dp - p . dp) scale, with dp[s] = dout[t] . v[s] */
static void scores_backward(const head *h, int64_t t, float *ds) {
    const float *p = h->probs + t * h->T, *dout = h->dout + t * (h->row / 3);
    double sum = 0;
    for (int64_t s = 0; s <= t; s++) {
        double dp = dot(dout, h->v + s * h->row, h->D);
        sum += dp * (double)p[s];
        ds[s] = (float)dp;
    }
    for (int64_t s = 0; s <= t; s++) ds[s] = (float)((double)p[s] * ((double)ds[s] - sum) * h->scale);
}

static void head_backward(const head *h, float *ds) {
    int64_t row = h->row;
    for (int64_t t = 0; t < h->T; t++) {
        for (int64_t d = 0; d < h->D; d++) h->dq[t * row + d] = h->dk[t * row + d] = h->dv[t * row + d] = 0;
    }
    for (int64_t t = 0; t < h->T; t++) {
        scores_backward(h, t, ds);
        for (int64_t d = 0; d < h->D; d++) {
            double dq = 0;
            for (int64_t s = 0; s <= t; s++) {
                dq += (double)ds[s] * (double)h->k[s * row + d];
                h->dk[s * row + d] += ds[s] * h->q[t * row + d];
                h->dv[s * row + d] += h->probs[t * h->T + s] * h->dout[t * (row / 3) + d];
            }
            h->dq[t * row + d] = (float)dq;
        }
    }
}

void cb_ref_attention_backward(cb_compute *c, const cb_attention *a) {
    (void)c;
    for (int i = 0; i < a->B * a->H; i++) {
        head h = head_of(a, i / a->H, i % a->H);
        head_backward(&h, a->scratch);
    }
}
