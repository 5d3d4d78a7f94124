/* See sleeping.h. A sleep ends late, by the timer's slack and the scheduler; what it was late by is taken off the next
 * one, so that the time of many kernels in a row is what was asked for. */
#include "sleeping.h"

#include <math.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "compute/around.h"

#pragma GCC diagnostic ignored "-Wunused-parameter" /* kernels that do nothing with them */

static double rate; /* set before ranks begin */

typedef struct sleeper {
    cb_around around;
    cb_compute_ops ops;
    double late_s; /* the last sleep's */
} sleeper;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void wait(cb_around *around, double flops) {
    sleeper *s = (sleeper *)(void *)around;
    double until_s = now_s() + flops / rate - s->late_s, whole_s = floor(until_s);
    struct timespec until = {.tv_sec = (time_t)whole_s, .tv_nsec = (long)(1e9 * (until_s - whole_s))};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) continue;
    s->late_s = now_s() - until_s;
}

/* Attention: two products over all pairs of tokens; backward five. */
static void end(cb_around *around, const cb_op *op) {
    const cb_gemm *g = op->gemm;
    const cb_attention *a = op->attention;
    if (g) wait(around, 2.0 * op->count * (double)g->m * (double)g->n * (double)g->k);
    if (a) wait(around, 2.0 * (op->backward ? 5 : 2) * a->B * a->H * (double)a->T * (double)a->T * a->D);
}

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
    s->ops = *cb_around_ops();
    s->ops.name = "sleeping";
    s->ops.ce_max = ce_max;
    s->ops.ce_exp = ce_exp;
    s->around = (cb_around){.compute = {.ops = &s->ops, .threads = threads}, .end = end};
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* of this thread, ns: wake in time */
    *compute = &s->around.compute;
    return CB_OK;
}
