/* A world of tp ranks measures one variant; see tp_measure.h. Times go from the first rank's begin to the last one's
 * end, on the clock that all ranks share, and every rank knows the same. */
#include "cli/tp_measure.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/bench.h"

typedef struct job {
    const cb_tp_setup *setup;
    const cb_tp_variant *variant;
    const cb_tp_layer *uncut;
    cb_tp_result *result; /* written by rank 0 */
    cb_tp_layer *keep;    /* where the layer is left; NULL: nowhere */
    cb_tp_watch *watch;   /* (tp), or NULL */
} job;

typedef struct rank {
    const job *job;
    cb_comm *comm;
    cb_group world, tp, alone; /* alone: this rank without the others */
    cb_compute *compute;
    cb_tp_layer layer;
} rank;

typedef enum what { TOGETHER, COMPUTE, COMM, PARTS } what;

static cb_err run_part(rank *r, what part, const cb_tp_pass *pass) {
    if (part == TOGETHER) return pass->run(&r->layer);
    if (part == COMM) return cb_tp_layer_communicate(&r->layer, pass);
    r->layer.tp.group = &r->alone;
    cb_err e = pass->alone(&r->layer);
    r->layer.tp.group = &r->tp;
    return e;
}

/* The largest of each over ranks, on every rank. */
static cb_err largest(rank *r, double *values, int64_t n) {
    return cb_all_reduce(&r->world, values, n, CB_F64, CB_MAX, NULL);
}

static cb_err timed(rank *r, what part, const cb_tp_pass *pass, double *took_s) {
    double range_s[2];
    TRY(cb_barrier(&r->world));
    range_s[0] = -cb_now_s();
    TRY(run_part(r, part, pass));
    range_s[1] = cb_now_s();
    TRY(largest(r, range_s, 2));
    *took_s = range_s[0] + range_s[1];
    return CB_OK;
}

/* What this rank has sent over tp since the counters were set to 0. */
static void take_traffic(const rank *r, cb_tp_time *time) {
    for (int kind = 0; kind < CB_KINDS; kind++) {
        const cb_traffic *t = cb_comm_traffic(r->comm, CB_FOR_TP, (cb_kind)kind);
        time->bytes += t->bytes;
        time->messages += t->messages;
    }
}

/* The first forward and backward: error and traffic; it warms up for the others. */
static cb_err first_passes(rank *r, cb_tp_result *result) {
    for (int i = 0; i < 2; i++) {
        const cb_tp_pass *pass = &r->job->variant->pass[i];
        cb_tp_time *time = &result->pass[i];
        *time = (cb_tp_time){.flops = cb_tp_pass_flops(pass, &r->layer.size)};
        cb_comm_traffic_reset(r->comm);
        TRY(pass->run(&r->layer));
        take_traffic(r, time);
        double sent[] = {(double)time->bytes, (double)time->messages}; /* whole numbers, exact below 2^53 */
        TRY(largest(r, sent, 2));
        time->bytes = (int64_t)sent[0];
        time->messages = (int64_t)sent[1];
    }
    result->error = r->job->uncut ? cb_tp_layer_error(&r->layer, r->job->uncut, r->job->variant) : 0;
    return largest(r, &result->error, 1);
}

/* In turns, so that what disturbs the machine disturbs all alike. */
static cb_err time_passes(rank *r, cb_tp_result *result) {
    double took_s[2][PARTS][CB_TP_MOST_REPEATS];
    int repeats = r->job->setup->repeats;
    for (int i = 0; i < repeats; i++) {
        for (int part = 0; part < PARTS; part++) {
            for (int p = 0; p < 2; p++) {
                TRY(timed(r, (what)part, &r->job->variant->pass[p], &took_s[p][part][i]));
            }
        }
    }
    for (int p = 0; p < 2; p++) {
        result->pass[p].together_s = cb_bench_median(took_s[p][TOGETHER], repeats);
        result->pass[p].compute_s = cb_bench_median(took_s[p][COMPUTE], repeats);
        bool talks = r->job->variant->pass[p].comms > 0 && r->tp.size > 1;
        result->pass[p].comm_s = talks ? cb_bench_median(took_s[p][COMM], repeats) : 0;
    }
    return CB_OK;
}

/* All leave it at the same moment, as far as they have cores. */
static cb_err begin_together(rank *r) {
    const double ahead_s = 2e-4; /* in which a rank that slept wakes */
    double at_s = cb_now_s() + ahead_s;
    TRY(largest(r, &at_s, 1));
    while (cb_now_s() < at_s) {
    }
    return CB_OK;
}

/* took_s: from the first rank's begin to the last one's end. */
static cb_err watch_once(rank *r, cb_tp_watch *watch, double *took_s) {
    const cb_tp_pass *pass = r->job->variant->pass;
    TRY(begin_together(r));
    double range_s[2] = {-cb_now_s()};
    cb_tp_watch_begin(watch, r->compute, r->comm);
    r->layer.tp.compute = &watch->around.compute;
    cb_err e = pass[0].run(&r->layer);
    watch->turn_s = cb_now_s();
    if (!e) e = pass[1].run(&r->layer);
    cb_comm_record(r->comm, NULL);
    r->layer.tp.compute = r->compute;
    TRY(e);
    range_s[1] = cb_now_s();
    TRY(largest(r, range_s, 2));
    *took_s = range_s[0] + range_s[1];
    return CB_OK;
}

/* The least disturbed of as many as are timed, after one that warms up. */
static cb_err watch_passes(rank *r, cb_tp_watch *watch) {
    double least_s = INFINITY;
    for (int i = 0; i <= r->job->setup->repeats; i++) {
        cb_tp_watch one;
        double took_s;
        TRY(watch_once(r, &one, &took_s));
        if (i == 0 || took_s >= least_s) continue;
        least_s = took_s;
        *watch = one;
    }
    return CB_OK;
}

static cb_err measure(rank *r) {
    const job *j = r->job;
    bool shared = r->tp.board != NULL;
    cb_tp_result result;
    TRY(cb_tp_layer_make(&r->layer, &j->setup->size, &r->tp, r->compute, shared));
    TRY(first_passes(r, &result));
    if (!j->keep) TRY(time_passes(r, &result));
    if (j->watch) TRY(watch_passes(r, &j->watch[r->tp.me]));
    if (j->result && r->tp.me == 0) *j->result = result;
    if (!j->keep) return CB_OK;
    *j->keep = r->layer;
    j->keep->tp.group = NULL;
    j->keep->tp.compute = NULL;
    r->layer = (cb_tp_layer){0};
    return CB_OK;
}

static cb_err live(cb_comm *comm, void *arg) {
    rank r = {.job = arg, .comm = comm, .alone = {.size = 1}};
    int all[CB_TP_MOST_RANKS], ranks = r.job->setup->size.tp;
    for (int i = 0; i < ranks; i++) all[i] = i;
    cb_err e = cb_compute_create_for(&r.compute, r.job->setup->compute, r.job->setup->threads, r.job->setup->size.type);
    if (!e) e = cb_group_make(&r.world, comm, CB_FOR_WORLD, all, ranks);
    if (!e) e = cb_group_make(&r.tp, comm, CB_FOR_TP, all, ranks);
    if (!e) e = measure(&r);
    if (e) cb_comm_abort(comm); /* before what others may read is freed */
    cb_tp_layer_free(&r.layer);
    cb_group_free(&r.tp);
    cb_group_free(&r.world);
    cb_compute_destroy(r.compute);
    return e;
}

static cb_err launch(job *j) {
    TRY(cb_tp_sizes_check(&j->setup->size));
    cb_launch how = {.backend = "threads", .ranks = j->setup->size.tp, .deadline_s = 600};
    return cb_comm_launch(&how, live, j);
}

cb_err cb_tp_measure_uncut(const cb_tp_setup *setup, const cb_tp_variant *variant, cb_tp_layer *uncut) {
    cb_tp_setup one = *setup;
    one.size.tp = one.size.shards = 1;
    *uncut = (cb_tp_layer){0};
    return launch(&(job){.setup = &one, .variant = variant, .keep = uncut});
}

cb_err cb_tp_measure(const cb_tp_setup *setup, const cb_tp_variant *variant, const cb_tp_layer *uncut,
                     cb_tp_result *result, cb_tp_watch *watch) {
    return launch(&(job){.setup = setup, .variant = variant, .uncut = uncut, .result = result, .watch = watch});
}

double cb_tp_time_hidden(const cb_tp_pass *pass, const cb_tp_time *t) {
    if (!pass->hides || t->comm_s <= 0) return NAN;
    double hidden = (t->compute_s + t->comm_s - t->together_s) / t->comm_s;
    return hidden < 0 ? 0 : hidden > 1 ? 1 : hidden;
}
