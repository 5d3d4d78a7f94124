/* The row under measurement; see comm_passes.h. A sample is a number of calls one after the other between two looks at
 * the clock, of which the slowest rank's time counts; roots go round, so that none runs ahead of those that it sends
 * to. */
#include <string.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/comm_passes.h"
#include "collectives/algorithms.h"

enum { MOST_CALLS = 20000, PACE_BARRIERS = 64, PACE_TRIES = 3 };
static const double sample_s = 4e-3,
                    shared_sample_s = 24e-3; /* the second where ranks share cores: some turns of each */

cb_err cb_comm_largest(cb_comm_bench *r, double *value) {
    return cb_all_reduce(&r->control, value, 1, CB_F64, CB_MAX, NULL);
}

static cb_err call_once(cb_comm_turn *t) {
    bool rooted = t->call.kind == CB_BROADCAST || t->call.kind == CB_REDUCE;
    t->call.root = rooted ? t->called++ % t->r->group.size : 0;
    if (t->entry->native) return cb_comm_native(t->r->comm, &t->call);
    return cb_algorithm_run(t->row->algorithm, &t->r->group, &t->call, t->r->scratch);
}

cb_err cb_comm_turn_check(cb_comm_turn *t) {
    cb_comm_bench *r = t->r;
    cb_comm_data_fill(&r->data, &t->call, r->group.me);
    TRY(cb_barrier(&r->control)); /* none reads what another still fills */
    TRY(call_once(t));
    double wrong = (double)cb_comm_data_wrong(&r->data, &t->call, r->group.me);
    TRY(cb_all_reduce(&r->control, &wrong, 1, CB_F64, CB_SUM, NULL));
    t->row->wrong += (int64_t)wrong;
    return CB_OK;
}

/* In place a sum would grow from call to call, so what is timed is the sum of zeros. */
static void make_lasting(cb_comm_turn *t) {
    if (t->call.kind == CB_ALL_REDUCE) memset(t->call.to, 0, (size_t)t->row->bytes);
}

static cb_err sample(cb_comm_turn *t, int calls, double *each_s) {
    TRY(cb_barrier(&t->r->control));
    double begin_s = cb_now_s();
    for (int i = 0; i < calls; i++) TRY(call_once(t));
    *each_s = (cb_now_s() - begin_s) / calls;
    return cb_comm_largest(t->r, each_s);
}

/* As many calls as fill a sample, the same on all ranks. */
static cb_err choose_calls(cb_comm_turn *t) {
    const cb_comm_bench *r = t->r;
    bool shared = cb_comm_local_size(r->comm) > r->here_cores;
    double wanted_s = shared ? shared_sample_s : sample_s, each_s;
    TRY(cb_comm_largest(t->r, &wanted_s));
    for (int i = 0; i < r->plan->warmup; i++) TRY(call_once(t));
    for (int calls = 1;;) {
        TRY(sample(t, calls, &each_s));
        double fits = wanted_s / (each_s + 1e-9);
        t->row->calls = fits < 1 ? 1 : fits > MOST_CALLS ? MOST_CALLS : (int)fits;
        if (calls * 4 >= t->row->calls) return CB_OK;
        calls = t->row->calls > 16 * calls ? 16 * calls : t->row->calls;
    }
}

cb_err cb_comm_turn_begin(cb_comm_turn *t) {
    TRY(cb_comm_turn_check(t));
    make_lasting(t);
    return choose_calls(t);
}

cb_err cb_comm_look_at_pace(cb_comm_bench *r, double *pace_s) {
    double tries_s[PACE_TRIES];
    *pace_s = 0;
    if (cb_comm_local_size(r->comm) < r->group.size || r->group.size > r->here_cores) return CB_OK;
    for (int i = 0; i < PACE_TRIES; i++) {
        double begin_s = cb_now_s();
        for (int k = 0; k < PACE_BARRIERS; k++) TRY(cb_barrier(&r->control));
        tries_s[i] = (cb_now_s() - begin_s) / PACE_BARRIERS;
    }
    *pace_s = cb_bench_median(tries_s, PACE_TRIES);
    return cb_comm_largest(r, pace_s);
}

cb_err cb_comm_turn_sample(cb_comm_turn *t) {
    cb_paced *next = &t->samples[*t->taken];
    TRY(cb_comm_look_at_pace(t->r, &next->pace_s));
    TRY(sample(t, t->row->calls, &next->time_s));
    ++*t->taken;
    return CB_OK;
}
