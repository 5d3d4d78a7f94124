/* A planned layout, trained for a few steps on made-up tokens: what it allocated, sent and took. See plan_machine.h. */
#include <string.h>

#include "cli/bench.h"
#include "cli/plan_machine.h"

typedef struct checked {
    cb_machine_layout *it;
    const cb_schedule *schedule;
} checked;

static void on_step(void *arg, const cb_step_report *report) {
    cb_machine_layout *it = ((checked *)arg)->it;
    if (report->step > 0 && it->steps < CB_MACHINE_MOST_STEPS) it->step_s[it->steps++] = report->step_s;
}

static int64_t apart(int64_t a, int64_t b) {
    return a < b ? b - a : a - b;
}

static void compare_rank(checked *c, const cb_run_summary *summary, int rank) {
    const cb_run *run = &c->it->resolved.run;
    const cb_rank_summary *found = &summary->rank[rank];
    int coord[CB_DIMS];
    cb_mesh_coords(&run->mesh, rank, coord);
    cb_sent sent = cb_run_sent(run, c->schedule, rank);
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
        int64_t predicted = c->it->plan.stage[coord[CB_PP]].memory.bytes[kind];
        c->it->memory_off_bytes += apart(found->used_bytes[kind], predicted);
    }
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++) {
        for (int kind = 0; kind < CB_KINDS; kind++) {
            const cb_traffic *predicted = &sent.of[purpose][kind], *counted = &found->traffic[purpose][kind];
            c->it->traffic_off_bytes += apart(counted->bytes, summary->steps * predicted->bytes);
            c->it->traffic_off_messages += apart(counted->messages, summary->steps * predicted->messages);
            c->it->traffic_off_operations += apart(counted->operations, summary->steps * predicted->operations);
        }
    }
}

static void on_summary(void *arg, const cb_run_summary *summary) {
    checked *c = arg;
    for (int rank = 0; rank < summary->ranks; rank++) compare_rank(c, summary, rank);
}

static cb_err train(checked *c, int steps) {
    cb_run run = c->it->resolved.run;
    cb_tokens *tokens;
    int64_t vocab = run.model.vocab < 65536 ? run.model.vocab : 65536, count = run.global_batch * run.T + 1;
    TRY(cb_bench_tokens(&tokens, count, vocab));
    run.steps = steps + 1;
    run.eval_samples = run.eval_interval = run.digest_every = run.check_replicas = run.trace_first = run.trace_end = 0;
    run.save = run.logits = NULL;
    run.record = false;
    run.observer = (cb_observer){.arg = c, .on_step = on_step, .on_summary = on_summary};
    cb_err e = cb_sampler_make(&run.train, tokens, "training", 0, 1, run.T, run.model.vocab, run.seed, true);
    if (!e) e = cb_run_train(&run);
    cb_tokens_close(tokens);
    return e;
}

cb_err cb_machine_check(cb_machine_layout *it, int steps) {
    cb_schedule schedule;
    TRY(cb_run_schedule(&it->resolved.run, &schedule));
    checked c = {.it = it, .schedule = &schedule};
    cb_err e = train(&c, steps);
    cb_schedule_free(&schedule);
    return e;
}

bool cb_machine_is_off(const cb_machine_layout *it) {
    return it->memory_off_bytes || it->traffic_off_bytes || it->traffic_off_messages || it->traffic_off_operations;
}

double cb_machine_step_s(const cb_machine_layout *it) {
    const int cut = it->steps / 4, kept = it->steps - 2 * cut;
    double sorted[CB_MACHINE_MOST_STEPS], sum_s = 0;
    memcpy(sorted, it->step_s, sizeof sorted);
    cb_bench_sort(sorted, it->steps);
    for (int i = cut; i < cut + kept; i++) sum_s += sorted[i];
    return kept ? sum_s / kept : 0;
}

double cb_machine_error(const cb_machine_layout *it) {
    return it->estimate.step_s / cb_machine_step_s(it) - 1;
}
