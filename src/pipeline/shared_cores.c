/* Schedules with time on shared cores: from event to event each stage that computes progresses at the rate that its
 * cores leave it. The next event is the first end of an instruction, arrival of a message, or tick of the timer. See
 * shared_cores.h. */
#include "pipeline/shared_cores.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/cores.h"
#include "pipeline/lists.h"

enum { PHASES = 5 }; /* of the timer's ticks: which one is chance, so the median step counts */

typedef enum phase {
    ARRIVED, /* at an instruction that may not begin yet */
    WORKS,   /* keeps its cores busy */
    WAITS,   /* a receive, for its message */
} phase;

typedef struct stage_now {
    phase phase;
    int at;         /* its instruction */
    double left_s;  /* of the work, at full rate */
    double until_s; /* the message is there; INFINITY: not sent yet */
} stage_now;

typedef struct shared_run {
    const cb_schedule *schedule;
    const cb_shared_cores *shared;
    cb_positions positions;
    stage_now *stage; /* (stages) */
    cb_cores cores;
    cb_span **spans;
    double now_s;
} shared_run;

static bool is_receive(cb_instr_kind kind) {
    return kind == CB_RECV_F || kind == CB_RECV_B;
}

static bool is_over(const shared_run *r, int s) {
    return r->stage[s].at >= r->schedule->list[s].count;
}

static cb_instr instr_of(const shared_run *r, int s) {
    return r->schedule->list[s].at[r->stage[s].at];
}

/* The stage has come to its optimizer's step, or has none. */
static bool is_at_step(const shared_run *r, int s) {
    const cb_instr_list *list = &r->schedule->list[s];
    return is_over(r, s) || list->at[r->stage[s].at].kind == CB_STEP;
}

/* May the work of the instruction that the stage has come to begin? */
static bool may_begin(const shared_run *r, int s) {
    cb_instr in = instr_of(r, s), other;
    int partner;
    if (in.kind == CB_STEP) {
        for (int i = 0; i < r->schedule->stages; i++) {
            if (!is_at_step(r, i)) return false;
        }
    }
    if (in.kind != CB_REDUCE_TIED || !cb_instr_partner(r->schedule, s, in, &partner, &other)) return true;
    return r->stage[partner].at >= cb_position(&r->positions, r->schedule, partner, other);
}

/* When the message of a receive is there. */
static double message_there_s(const shared_run *r, int s) {
    cb_instr send;
    int from;
    if (!cb_instr_partner(r->schedule, s, instr_of(r, s), &from, &send)) return r->now_s;
    int at = cb_position(&r->positions, r->schedule, from, send);
    if (at < 0 || r->stage[from].at <= at) return INFINITY;
    return fmax(r->now_s, r->spans[from][at].end_s + r->shared->message_s);
}

static void begin_all(shared_run *r) {
    for (int s = 0; s < r->schedule->stages; s++) {
        stage_now *stage = &r->stage[s];
        if (is_over(r, s)) continue;
        if (stage->phase == ARRIVED && may_begin(r, s)) {
            stage->phase = WORKS;
            stage->left_s = r->shared->work_s[s][stage->at];
        }
        if (stage->phase == WAITS && isinf(stage->until_s)) stage->until_s = message_there_s(r, s);
    }
}

static double busy_of(const shared_run *r, int s) {
    return r->shared->busy ? r->shared->busy[s][r->stage[s].at] : 1;
}

static bool works(const shared_run *r, int s) {
    return !is_over(r, s) && r->stage[s].phase == WORKS;
}

/* Returns when the next tick comes, see cb_cores_place. */
static double place_all(shared_run *r) {
    for (int s = 0; s < r->schedule->stages; s++) {
        r->cores.stage[s].works = works(r, s);
        r->cores.stage[s].busy = works(r, s) ? busy_of(r, s) : 0;
    }
    return cb_cores_place(&r->cores, r->now_s);
}

static double ends_in_s(const shared_run *r, int s) {
    const stage_now *stage = &r->stage[s];
    const double rate = r->cores.stage[s].rate;
    if (is_over(r, s) || stage->phase == ARRIVED) return INFINITY;
    if (stage->phase == WAITS) return stage->until_s - r->now_s;
    return stage->left_s <= 0 ? 0 : rate > 0 ? stage->left_s / rate : INFINITY;
}

/* An instruction without work is over at once, whoever shares its core. */
static bool some_end_now(const shared_run *r) {
    for (int s = 0; s < r->schedule->stages; s++)
        if (ends_in_s(r, s) <= 0) return true;
    return false;
}

/* Until the first end of an instruction or message; INFINITY: there will be none. */
static double next_event_s(const shared_run *r) {
    double least_s = INFINITY;
    for (int s = 0; s < r->schedule->stages; s++) least_s = fmin(least_s, ends_in_s(r, s));
    return least_s;
}

/* The stage moves on to its next instruction. */
static void end_instr(shared_run *r, int s) {
    stage_now *stage = &r->stage[s];
    r->spans[s][stage->at].end_s = r->now_s;
    stage->at++;
    stage->phase = ARRIVED;
    if (!is_over(r, s)) r->spans[s][stage->at].begin_s = r->now_s;
}

/* The time of an event has passed: work is done, whose instruction ends (a receive then waits), messages are there. */
static void pass(shared_run *r, double passed_s) {
    r->now_s += passed_s;
    for (int s = 0; s < r->schedule->stages; s++) {
        stage_now *stage = &r->stage[s];
        if (is_over(r, s) || stage->phase == ARRIVED) continue;
        if (stage->phase == WORKS) {
            bool done = ends_in_s(r, s) <= passed_s;
            stage->left_s = done ? 0 : stage->left_s - passed_s * r->cores.stage[s].rate;
            if (!done) continue;
            if (!is_receive(instr_of(r, s).kind)) {
                end_instr(r, s);
            } else {
                stage->phase = WAITS;
                stage->until_s = INFINITY;
            }
        } else if (stage->until_s <= r->now_s) {
            end_instr(r, s);
        }
    }
}

static bool all_over(const shared_run *r) {
    for (int s = 0; s < r->schedule->stages; s++) {
        if (!is_over(r, s)) return false;
    }
    return true;
}

static cb_err run(shared_run *r) {
    while (!all_over(r)) {
        begin_all(r);
        double next_s = 0;
        if (!some_end_now(r)) { /* what takes no time leaves the workers where they are */
            double tick_at_s = place_all(r);
            next_s = fmin(next_event_s(r), tick_at_s - r->now_s);
        }
        if (isinf(next_s)) return cb_fail(CB_EINVAL, "simulation: schedule %s deadlocks", r->schedule->name);
        pass(r, next_s);
    }
    return CB_OK;
}

static cb_err check(const cb_schedule *schedule, const cb_shared_cores *shared) {
    if (shared->cores < 1) return cb_fail(CB_EINVAL, "simulation on %d cores; there is at least 1", shared->cores);
    if (!isfinite(shared->message_s) || shared->message_s < 0)
        return cb_fail(CB_EINVAL, "simulation: message_s is %g s; durations are finite and not negative",
                       shared->message_s);
    for (int s = 0; s < schedule->stages; s++) {
        if (shared->need[s] < 1)
            return cb_fail(CB_EINVAL, "simulation: stage %d needs %d cores; it needs at least 1", s, shared->need[s]);
        for (int i = 0; i < schedule->list[s].count; i++) {
            double work_s = shared->work_s[s][i], busy = shared->busy ? shared->busy[s][i] : 1;
            char text[24];
            if (isfinite(work_s) && work_s >= 0 && busy >= 0 && busy <= 1) continue;
            return cb_fail(CB_EINVAL,
                           "simulation: %s of stage %d takes %g s and keeps its cores busy for %g of it; durations are "
                           "finite and not negative, shares 0 to 1",
                           cb_instr_text(schedule, schedule->list[s].at[i], text), s, work_s, busy);
        }
    }
    return CB_OK;
}

static double longest_s(const shared_run *r) {
    double most_s = 0;
    for (int s = 0; s < r->schedule->stages; s++)
        for (int i = 0; i < r->schedule->list[s].count; i++) most_s = fmax(most_s, r->shared->work_s[s][i]);
    return most_s;
}

static cb_err simulate(shared_run *r, int of) {
    for (int s = 0; s < r->schedule->stages; s++) r->stage[s] = (stage_now){0};
    r->now_s = 0;
    cb_cores_begin(&r->cores, (of + 0.5) / PHASES);
    return run(r);
}

/* Nobody waits for a core, so ticks change nothing. */
static bool all_have_cores(const shared_run *r) {
    int64_t needed = 0;
    for (int s = 0; s < r->schedule->stages; s++) needed += r->shared->need[s];
    return needed <= r->shared->cores;
}

/* The phase of the median step, which is simulated again to leave its spans. */
static cb_err simulate_median(shared_run *r) {
    double total_s[PHASES];
    if (all_have_cores(r)) return simulate(r, 0);
    for (int of = 0; of < PHASES; of++) {
        TRY(simulate(r, of));
        total_s[of] = r->now_s;
    }
    for (int of = 0; of < PHASES; of++) {
        int less = 0;
        for (int k = 0; k < PHASES; k++) less += total_s[k] < total_s[of] || (total_s[k] <= total_s[of] && k < of);
        if (less == PHASES / 2) return simulate(r, of);
    }
    return CB_OK;
}

cb_err cb_schedule_simulate_shared(const cb_schedule *schedule, const cb_shared_cores *shared, cb_span **spans,
                                   double *total_s) {
    shared_run r = {.schedule = schedule, .shared = shared, .spans = spans};
    spans[0] = NULL;
    TRY(check(schedule, shared));
    TRY(cb_positions_make(&r.positions, schedule));
    r.stage = calloc((unsigned)schedule->stages, sizeof *r.stage);
    cb_err e = r.stage ? CB_OK : cb_fail(CB_ENOMEM, "not enough memory to simulate %d stages", schedule->stages);
    if (!e) e = cb_cores_make(&r.cores, schedule->stages, shared->cores, shared->need, longest_s(&r));
    if (!e) e = cb_spans_make(schedule, spans);
    if (!e) e = simulate_median(&r);
    free(r.positions.at);
    free(r.stage);
    cb_cores_free(&r.cores);
    *total_s = r.now_s;
    if (!e) return CB_OK;
    free(spans[0]);
    spans[0] = NULL;
    return e;
}
