/* See sleeping.h. A sleep ends late, by the timer's slack and the scheduler; what it was late by is taken off the next
 * one, so that the time of many kernels in a row is what was asked for. */
#include "sleeping.h"

#include <math.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "compute/compute.h"

#pragma GCC diagnostic ignored "-Wunused-parameter" /* most kernels do nothing with any */

static double rate; /* set before ranks begin */

typedef struct sleeper {
    cb_compute base;
    double late_s; /* the last sleep's */
} sleeper;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void wait(cb_compute *c, double flops) {
    sleeper *s = (sleeper *)(void *)c;
    double until_s = now_s() + flops / rate - s->late_s, whole_s = floor(until_s);
    struct timespec until = {.tv_sec = (time_t)whole_s, .tv_nsec = (long)(1e9 * (until_s - whole_s))};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) continue;
    s->late_s = now_s() - until_s;
}

static void gemm(cb_compute *c, const cb_gemm *g, int count) {
    wait(c, 2.0 * count * (double)g->m * (double)g->n * (double)g->k);
}

static void gemm_sum(cb_compute *c, const cb_gemm *g, int count, float *scratch) {
    gemm(c, g, count);
}

/* Two products over all pairs of tokens; backward five. */
static double attention_flops(const cb_attention *a, int products) {
    return 2.0 * products * a->B * a->H * (double)a->T * (double)a->T * a->D;
}

static void attention(cb_compute *c, const cb_attention *a) {
    wait(c, attention_flops(a, 2));
}
static void attention_backward(cb_compute *c, const cb_attention *a) {
    wait(c, attention_flops(a, 5));
}

static void bias_add(cb_compute *c, float *y, const float *b, int64_t M, int64_t N) {}
static void bias_grad(cb_compute *c, float *db, const float *dy, int64_t M, int64_t N) {}
static void bias_gelu(cb_compute *c, float *y, float *x, const float *b, int64_t M, int64_t N) {}
static void gelu_backward(cb_compute *c, float *dx, const float *x, const float *dy, int64_t n) {}
static void layernorm(cb_compute *c, float *y, float *mean, float *rstd, const float *x, const float *w, const float *b,
                      int64_t M, int64_t C, float eps) {}
static void layernorm_backward(cb_compute *c, float *dx, float *dw, float *db, const float *dy, const float *x,
                               const float *w, const float *mean, const float *rstd, int64_t M, int64_t C) {}
static void residual(cb_compute *c, float *out, const float *x, const float *p, const float *b, int64_t M, int64_t C) {}
static void embedding(cb_compute *c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count,
                      int64_t M, int64_t C) {}
static void embedding_backward(cb_compute *c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin,
                               int64_t count, int64_t M, int64_t C) {}
static void positions(cb_compute *c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C) {}
static void positions_backward(cb_compute *c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C) {}

static void ce_max(cb_compute *c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid) {
    for (int64_t i = 0; i < M; i++) max[i] = 0;
}

static void ce_exp(cb_compute *c, float *logits, float *sum, float *target_logit, const float *max,
                   const int32_t *targets, int64_t begin, int64_t M, int64_t ld, int64_t valid) {
    for (int64_t i = 0; i < M; i++) {
        sum[i] = 1; /* whose logarithm is 0 */
        target_logit[i] = 0;
    }
}

static void ce_backward(cb_compute *c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M,
                        int64_t ld, int64_t valid, float scale) {}
static void adamw(cb_compute *c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h) {}
static double sum_squares(cb_compute *c, const float *x, int64_t n) {
    return 0;
}
static void zero(cb_compute *c, float *x, int64_t n) {}
static void accumulate(cb_compute *c, float *y, const float *x, int64_t n) {}
static void tree_sum(cb_compute *c, float *to, float *const *from, int n, int64_t count) {}
static int64_t first_nonfinite(cb_compute *c, const float *x, int64_t n) {
    return -1;
}

static const cb_compute_ops ops = {
    .name = "sleeping",
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

void cb_sleeping_rate(double flops_per_s) {
    rate = flops_per_s;
}

cb_err __real_cb_compute_create(cb_compute **compute, const char *backend, int threads);
cb_err __wrap_cb_compute_create(cb_compute **compute, const char *backend, int threads);

cb_err __wrap_cb_compute_create(cb_compute **compute, const char *backend, int threads) {
    if (rate <= 0) return __real_cb_compute_create(compute, backend, threads);
    sleeper *s = calloc(1, sizeof *s);
    *compute = NULL;
    if (!s) return cb_fail(CB_ENOMEM, "no memory for a compute backend");
    s->base = (cb_compute){.ops = &ops, .threads = threads};
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* of this thread, ns: wake in time */
    *compute = &s->base;
    return CB_OK;
}
