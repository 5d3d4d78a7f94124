/* Schedules with time: each instruction begins when the one before it on its stage has ended and what it waits for is
 * there. The walk visits instructions in an order in which both are known already. See simulate.h. */
#include "pipeline/simulate.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "pipeline/lists.h"

typedef struct simulation {
    const cb_schedule *schedule;
    const cb_durations *durations; /* NULL: work_s */
    double *const *work_s;
    double message_s;
    cb_span **spans;
} simulation;

static double of_chunk(const cb_schedule *schedule, const cb_durations *d, const double *seconds, int stage,
                       int chunk) {
    if (!seconds) return 0;
    return d->per_chunk ? seconds[stage * schedule->chunks + chunk] : seconds[stage] / schedule->chunks;
}

static double compute_s(const cb_schedule *schedule, const cb_durations *d, cb_instr_kind kind, int stage, int chunk) {
    double w_s = of_chunk(schedule, d, d->w_s, stage, chunk);
    switch (kind) {
    case CB_F:
        return of_chunk(schedule, d, d->f_s, stage, chunk);
    case CB_B:
        return of_chunk(schedule, d, d->b_s, stage, chunk) + (schedule->split_backward ? 0 : w_s);
    case CB_W:
        return w_s;
    default:
        return 0;
    }
}

double cb_durations_of_stage(const cb_schedule *schedule, const cb_durations *d, cb_instr_kind kind, int stage) {
    double sum_s = 0;
    for (int chunk = 0; chunk < schedule->chunks; chunk++) sum_s += compute_s(schedule, d, kind, stage, chunk);
    return sum_s;
}

/* When the stage comes to its instruction `index`. */
static double arrival_s(const simulation *sim, int stage, int index) {
    return index > 0 ? sim->spans[stage][index - 1].end_s : 0;
}

static double work_s(const simulation *sim, int stage, int index) {
    const cb_instr instr = sim->schedule->list[stage].at[index];
    if (!sim->durations) return sim->work_s[stage][index];
    if (instr.kind == CB_STEP) return sim->durations->step_s;
    return compute_s(sim->schedule, sim->durations, instr.kind, stage, instr.chunk);
}

static void visit(void *context, int stage, int index, int partner_stage, int partner_index) {
    const simulation *sim = context;
    const cb_instr_kind kind = sim->schedule->list[stage].at[index].kind;
    const double work = work_s(sim, stage, index);
    cb_span span = {.begin_s = arrival_s(sim, stage, index)};
    span.end_s = span.begin_s + work;
    if (kind == CB_RECV_F || kind == CB_RECV_B) {
        span.end_s = fmax(span.end_s, sim->spans[partner_stage][partner_index].end_s + sim->message_s);
    } else if (kind == CB_REDUCE_TIED) {
        span.end_s = fmax(span.begin_s, arrival_s(sim, partner_stage, partner_index)) + work;
    }
    sim->spans[stage][index] = span;
}

/* The optimizer's step begins on no stage before all have come to it. */
static void agree_on_step(const simulation *sim) {
    double all_there_s = 0;
    for (int again = 0; again < 2; again++) {
        for (int stage = 0; stage < sim->schedule->stages; stage++) {
            const int last = sim->schedule->list[stage].count - 1;
            if (last < 0 || sim->schedule->list[stage].at[last].kind != CB_STEP) continue;
            if (again) sim->spans[stage][last].end_s = all_there_s + work_s(sim, stage, last);
            all_there_s = fmax(all_there_s, sim->spans[stage][last].begin_s);
        }
    }
}

static bool is_duration(double seconds) {
    return isfinite(seconds) && seconds >= 0;
}

static cb_err check_per_stage(const cb_schedule *schedule, const char *what, const double *seconds, int per_stage,
                              bool needed) {
    if (!seconds && needed) return cb_fail(CB_EINVAL, "simulation: schedule %s needs %s", schedule->name, what);
    for (int i = 0; seconds && i < schedule->stages * per_stage; i++) {
        if (is_duration(seconds[i])) continue;
        return cb_fail(CB_EINVAL, "simulation: %s of stage %d is %g s; durations are finite and not negative", what,
                       i / per_stage, seconds[i]);
    }
    return CB_OK;
}

static cb_err check_durations(const cb_schedule *schedule, const cb_durations *d) {
    int per_stage = d->per_chunk ? schedule->chunks : 1;
    TRY(check_per_stage(schedule, "f_s", d->f_s, per_stage, true));
    TRY(check_per_stage(schedule, "b_s", d->b_s, per_stage, !schedule->forward_only));
    TRY(check_per_stage(schedule, "w_s", d->w_s, per_stage, schedule->split_backward));
    if (is_duration(d->message_s) && is_duration(d->step_s)) return CB_OK;
    return cb_fail(CB_EINVAL, "simulation: message_s is %g s, step_s %g s; durations are finite and not negative",
                   d->message_s, d->step_s);
}

cb_err cb_spans_make(const cb_schedule *schedule, cb_span **spans) {
    int64_t count = 0, offset = 0;
    for (int stage = 0; stage < schedule->stages; stage++) count += schedule->list[stage].count;
    cb_span *block = calloc((size_t)(count ? count : 1), sizeof *block);
    if (!block) return cb_fail(CB_ENOMEM, "not enough memory to simulate %lld instructions", (long long)count);
    for (int stage = 0; stage < schedule->stages; stage++) {
        spans[stage] = block + offset;
        offset += schedule->list[stage].count;
    }
    return CB_OK;
}

static cb_err check_work(const cb_schedule *schedule, double *const *work, double message_s) {
    if (!is_duration(message_s))
        return cb_fail(CB_EINVAL, "simulation: message_s is %g s; durations are finite and not negative", message_s);
    for (int stage = 0; stage < schedule->stages; stage++) {
        for (int i = 0; i < schedule->list[stage].count; i++) {
            char text[24];
            if (is_duration(work[stage][i])) continue;
            return cb_fail(CB_EINVAL, "simulation: %s of stage %d takes %g s; durations are finite and not negative",
                           cb_instr_text(schedule, schedule->list[stage].at[i], text), stage, work[stage][i]);
        }
    }
    return CB_OK;
}

static double end_of_all(const simulation *sim) {
    double end_s = 0;
    for (int stage = 0; stage < sim->schedule->stages; stage++) {
        int count = sim->schedule->list[stage].count;
        if (count > 0) end_s = fmax(end_s, sim->spans[stage][count - 1].end_s);
    }
    return end_s;
}

static void find_bubbles(const simulation *sim, double total_s, double *bubble_s) {
    const cb_schedule *schedule = sim->schedule;
    for (int stage = 0; stage < schedule->stages; stage++) {
        bubble_s[stage] = total_s;
        for (int i = 0; i < schedule->list[stage].count; i++) {
            cb_instr it = schedule->list[stage].at[i];
            bubble_s[stage] -= compute_s(schedule, sim->durations, it.kind, stage, it.chunk);
        }
    }
}

/* Fills the spans; without them where there is an error. */
static cb_err walk(simulation *sim) {
    cb_positions positions;
    const cb_schedule *schedule = sim->schedule;
    TRY(cb_positions_make(&positions, schedule));
    cb_err e = cb_spans_make(schedule, sim->spans);
    if (!e) e = cb_schedule_walk(schedule, &positions, INT_MAX, visit, sim);
    free(positions.at);
    if (!e) return CB_OK;
    free(sim->spans[0]);
    sim->spans[0] = NULL;
    return cb_err_context(e, "schedule %s (%d stages, %d microbatches)", schedule->name, schedule->stages,
                          schedule->micro_batches);
}

cb_err cb_schedule_simulate(const cb_schedule *schedule, const cb_durations *durations, cb_span **spans,
                            double *total_s, double *bubble_s) {
    simulation sim = {.schedule = schedule, .durations = durations, .message_s = durations->message_s, .spans = spans};
    spans[0] = NULL;
    TRY(check_durations(schedule, durations));
    TRY(walk(&sim));
    *total_s = end_of_all(&sim);
    if (bubble_s) find_bubbles(&sim, *total_s, bubble_s);
    return CB_OK;
}

cb_err cb_schedule_simulate_each(const cb_schedule *schedule, double *const *work, double message_s, cb_span **spans,
                                 double *total_s) {
    simulation sim = {.schedule = schedule, .work_s = work, .message_s = message_s, .spans = spans};
    spans[0] = NULL;
    TRY(check_work(schedule, work, message_s));
    TRY(walk(&sim));
    agree_on_step(&sim);
    *total_s = end_of_all(&sim);
    return CB_OK;
}
