/* Timing of training steps. Every copy is a world of its own; copies run side by side on threads of this process. */
#include "cli/bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "cli/machine.h"

enum { MOST_COPIES = 64, MOST_REPEATS = 64 };

typedef struct copy {
    cb_run run;
    double step_s[MOST_REPEATS + 1];
    int steps;
    cb_err error;
} copy;

cb_err cb_bench_tokens(cb_tokens **tokens, int64_t count, int64_t vocab) {
    char path[64];
    int fd = memfd_create("tokens.bin", MFD_CLOEXEC);
    uint16_t *ids = malloc((size_t)count * sizeof *ids);
    cb_err e = fd >= 0 && ids ? CB_OK : cb_fail(CB_ENOMEM, "no memory for %lld made-up tokens", (long long)count);
    if (!e) {
        cb_rng_key key = {.seed = 1, .stream = 0xbe9c};
        for (int64_t i = 0; i < count; i++) ids[i] = (uint16_t)(cb_rng_u32(key, (uint64_t)i) % (uint64_t)vocab);
        ssize_t bytes = count * (ssize_t)sizeof *ids;
        if (write(fd, ids, (size_t)bytes) != bytes)
            e = cb_fail(CB_EIO, "cannot write made-up tokens: %s", strerror(errno));
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (!e) e = cb_tokens_open(tokens, path, CB_TOKENS_NANOGPT);
    free(ids);
    if (fd >= 0) close(fd);
    return e;
}

static void on_step(void *arg, const cb_step_report *report) {
    copy *c = arg;
    if (c->steps <= MOST_REPEATS) c->step_s[c->steps++] = report->step_s;
}

static cb_err make_run(const cb_bench_case *c, cb_run *run) {
    int size[CB_DIMS] = {[CB_TP] = c->tp, [CB_CP] = 1, [CB_EP] = 1, [CB_DP] = c->dp, [CB_PP] = c->pp};
    *run = (cb_run){.model = *c->model,
                    .B = c->B,
                    .T = c->T,
                    .global_batch = (int64_t)c->micro_batches * c->B,
                    .micro_batches = c->micro_batches / c->dp,
                    .shards = c->shards,
                    .schedule = c->schedule,
                    .recompute = c->recompute,
                    .compute = c->compute,
                    .threads_per_rank = c->threads,
                    .seed = 1,
                    .steps = c->repeats + 1,
                    .beta1 = 0.9,
                    .beta2 = 0.95,
                    .adam_eps = 1e-8,
                    .weight_decay = 0.1,
                    .clip = 1,
                    .bucket_elements = 1 << 20};
    run->lr = (cb_lr){.peak = 1e-4, .least = 1e-4, .style = CB_DECAY_CONSTANT};
    run->launch = (cb_launch){.backend = "threads", .ranks = c->dp * c->tp * c->pp, .deadline_s = 600};
    TRY(cb_mesh_make(&run->mesh, size, CB_DEFAULT_ORDER));
    TRY(cb_model_check_tp(&run->model, c->tp));
    TRY(cb_run_place(run, "auto"));
    TRY(cb_recompute_check(&run->recompute, &run->placement));
    return cb_sampler_make(&run->train, c->tokens, "training", 0, 1, c->T, c->model->vocab, 1, true);
}

cb_err cb_bench_check(const cb_bench_case *c) {
    cb_run run;
    if (c->micro_batches % c->dp)
        return cb_fail(CB_EINVAL, "--micro-batches %d cannot be divided over dp %d", c->micro_batches, c->dp);
    return make_run(c, &run);
}

static void *run_copy(void *arg) {
    copy *c = arg;
    c->error = cb_run_train(&c->run);
    return NULL;
}

/* Starts all copies, waits for all; the first error. */
static cb_err run_copies(copy *all, int copies) {
    pthread_t thread[MOST_COPIES];
    int started = 0;
    cb_err e = CB_OK;
    for (; started < copies && !e; started++) {
        if (pthread_create(&thread[started], NULL, run_copy, &all[started])) {
            e = cb_fail(CB_ENOMEM, "cannot start a thread for copy %d", started);
            break;
        }
    }
    for (int i = 0; i < started; i++) {
        pthread_join(thread[i], NULL);
        if (!e)
            e = all[i].error;
        else
            cb_err_free(all[i].error);
    }
    return e;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void cb_bench_sort(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, ascending);
}

double cb_bench_median(double *values, int n) {
    cb_bench_sort(values, n);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/* The first step warms up (pages, caches, code) and is left out. */
static void take_times(copy *all, const cb_bench_case *c, cb_bench_time *time) {
    time->step_s = time->best_s = 0;
    for (int i = 0; i < c->copies; i++) {
        int n = all[i].steps - 1;
        double median = cb_bench_median(all[i].step_s + 1, n);
        if (median > time->step_s) time->step_s = median;
        if (all[i].step_s[1] > time->best_s) time->best_s = all[i].step_s[1];
    }
}

static cb_err measure(const cb_bench_case *c, copy *all, cb_bench_time *time) {
    double before, after;
    int threads = c->threads * c->dp * c->tp * c->pp, m = c->micro_batches / c->dp;
    for (int i = 0; i < c->copies; i++) {
        TRY(make_run(c, &all[i].run));
        all[i].run.observer = (cb_observer){.arg = &all[i], .on_step = on_step};
    }
    TRY(cb_machine_rate(c->compute, threads, CB_F32, &before));
    TRY(run_copies(all, c->copies));
    TRY(cb_machine_rate(c->compute, threads, CB_F32, &after));
    take_times(all, c, time);
    time->rate = before > after ? before : after;
    time->flops = (double)c->micro_batches * c->B * c->T * cb_model_flops_per_token(c->model, c->T);
    time->floor_s = time->flops / time->rate;
    time->bubble_closed = (double)(c->pp - 1) / (m + c->pp - 1);
    return CB_OK;
}

cb_err cb_bench_measure(const cb_bench_case *c, cb_bench_time *time) {
    copy *all = calloc((size_t)c->copies, sizeof *all);
    if (!all) return cb_fail(CB_ENOMEM, "no memory for %d copies of a run", c->copies);
    cb_err e = measure(c, all, time);
    free(all);
    return e;
}
