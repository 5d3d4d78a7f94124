/* Schedules with time on shared cores: from event to event each stage that computes progresses at the rate that its
 * cores leave it. The next event is the first end of an instruction, arrival of a message, or tick of the timer. See
 * shared_cores.h. */
#include "pipeline/shared_cores.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/lists.h"

/* The timer's tick of Linux, 250 a second (kernel/sched/fair.c): then a thread that others wait for leaves its core to
 * them, and a core that has nothing to do takes over a thread that waits. Of longer instructions every sixteenth is
 * looked at. When it ticks is chance: the median of some phases counts. */
static const double tick_s = 4e-3;
enum { TICKS = 16, PHASES = 5 };

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
    bool placed;    /* its workers are on cores */
    int *core;      /* (need) where they are, or were */
    double rate;    /* at which its work progresses, 1 where it has its cores for itself */
    int turn;       /* lower ones first */
    bool leaves;    /* at this tick */
} stage_now;

typedef struct core_now {
    int workers;
    double taken, wanted; /* shares of its time: by stages before, and by the one looked at */
} core_now;

typedef struct shared_run {
    const cb_schedule *schedule;
    const cb_shared_cores *shared;
    cb_positions positions;
    stage_now *stage;       /* (stages) */
    core_now *core;         /* (cores) */
    int *workers;           /* room of the stages' cores */
    int turns;              /* given so far */
    double every_s, next_s; /* ticks: between two, the next */
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

static bool works(const shared_run *r, int s) {
    return !is_over(r, s) && r->stage[s].phase == WORKS;
}

/* The core with fewest workers, if possible the one before. */
static int least_used(const shared_run *r, int before) {
    int best = before;
    for (int c = 0; c < r->shared->cores; c++)
        if (r->core[c].workers < r->core[best].workers) best = c;
    return best;
}

static void settle(shared_run *r, int s) {
    stage_now *stage = &r->stage[s];
    if (works(r, s) == stage->placed) return;
    for (int i = 0; i < r->shared->need[s]; i++) {
        if (!stage->placed) stage->core[i] = least_used(r, stage->core[i]);
        r->core[stage->core[i]].workers += stage->placed ? -1 : 1;
    }
    stage->placed = !stage->placed;
    stage->turn = r->turns++;
}

/* A worker of the fullest core; NULL: none has more than one. */
static int *crowded(const shared_run *r) {
    int *found = NULL, most = 1;
    for (int s = 0; s < r->schedule->stages; s++) {
        for (int i = 0; i < r->shared->need[s] && r->stage[s].placed; i++) {
            int *at = &r->stage[s].core[i];
            if (r->core[*at].workers <= most) continue;
            most = r->core[*at].workers;
            found = at;
        }
    }
    return found;
}

static double busy_of(const shared_run *r, int s) {
    return r->shared->busy ? r->shared->busy[s][r->stage[s].at] : 1;
}

/* The placed stage with the lowest turn from `turn` on; -1: none. */
static int next_in_turn(const shared_run *r, int turn) {
    int found = -1;
    for (int s = 0; s < r->schedule->stages; s++) {
        const stage_now *stage = &r->stage[s];
        if (stage->placed && stage->turn >= turn && (found < 0 || stage->turn < r->stage[found].turn)) found = s;
    }
    return found;
}

/* What the stages before leave of its cores; it is as slow as its slowest worker. */
static void set_rate(shared_run *r, int s) {
    stage_now *stage = &r->stage[s];
    const int need = r->shared->need[s];
    const double busy = busy_of(r, s);
    stage->rate = 1;
    for (int i = 0; i < need; i++) r->core[stage->core[i]].wanted = 0;
    for (int i = 0; i < need; i++) r->core[stage->core[i]].wanted += busy;
    for (int i = 0; i < need; i++) {
        const core_now *core = &r->core[stage->core[i]];
        if (core->wanted > 0) stage->rate = fmin(stage->rate, fmax(0, 1 - core->taken) / core->wanted);
    }
    for (int i = 0; i < need; i++) r->core[stage->core[i]].taken += stage->rate * busy;
}

static void set_rates(shared_run *r) {
    for (int c = 0; c < r->shared->cores; c++) r->core[c].taken = 0;
    for (int s = next_in_turn(r, 0); s >= 0; s = next_in_turn(r, r->stage[s].turn + 1)) set_rate(r, s);
}

/* A stage after it is slowed on one of its cores. */
static bool keeps_waiting(const shared_run *r, int s) {
    for (int other = 0; other < r->schedule->stages; other++) {
        const stage_now *later = &r->stage[other];
        if (!later->placed || later->turn <= r->stage[s].turn || later->rate >= 1) continue;
        for (int i = 0; i < r->shared->need[s]; i++)
            for (int k = 0; k < r->shared->need[other]; k++)
                if (r->stage[s].core[i] == later->core[k]) return true;
    }
    return false;
}

/* Who keeps others waiting lets them go first; cores without a worker take over one of the fullest. */
static void tick(shared_run *r) {
    const int last = r->turns;
    for (int s = 0; s < r->schedule->stages; s++)
        r->stage[s].leaves = r->stage[s].placed && r->stage[s].rate > 0 && keeps_waiting(r, s);
    for (int s = next_in_turn(r, 0); s >= 0 && r->stage[s].turn < last;) {
        int turn = r->stage[s].turn;
        if (r->stage[s].leaves) r->stage[s].turn = r->turns++;
        s = next_in_turn(r, turn + 1);
    }
    for (int c = 0; c < r->shared->cores; c++) {
        int *worker = r->core[c].workers ? NULL : crowded(r);
        if (!worker) continue;
        r->core[*worker].workers--;
        r->core[ *worker = c].workers++;
    }
}

static bool some_wait(const shared_run *r) {
    for (int s = 0; s < r->schedule->stages; s++)
        if (r->stage[s].placed && r->stage[s].rate < 1) return true;
    return false;
}

/* Those that wait leave their cores before those that begin take theirs; who goes on without a wait stays. Returns when
 * the next tick comes, INFINITY: it changes nothing. */
static double place_all(shared_run *r) {
    for (int leaving = 1; leaving >= 0; leaving--)
        for (int s = 0; s < r->schedule->stages; s++)
            if (r->stage[s].placed == leaving) settle(r, s);
    set_rates(r);
    if (r->now_s >= r->next_s) {
        tick(r);
        set_rates(r);
        r->next_s += r->every_s * (floor((r->now_s - r->next_s) / r->every_s) + 1);
    }
    return some_wait(r) ? r->next_s : INFINITY;
}

static double ends_in_s(const shared_run *r, int s) {
    const stage_now *stage = &r->stage[s];
    if (is_over(r, s) || stage->phase == ARRIVED) return INFINITY;
    if (stage->phase == WAITS) return stage->until_s - r->now_s;
    return stage->left_s <= 0 ? 0 : stage->rate > 0 ? stage->left_s / stage->rate : INFINITY;
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
            stage->left_s = done ? 0 : stage->left_s - passed_s * stage->rate;
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

static cb_err make_room(shared_run *r) {
    const int stages = r->schedule->stages, cores = r->shared->cores;
    size_t all = 0;
    for (int s = 0; s < stages; s++) all += (size_t)r->shared->need[s];
    r->stage = calloc((unsigned)stages, sizeof *r->stage);
    r->core = calloc((unsigned)cores, sizeof *r->core);
    r->workers = calloc(all, sizeof *r->workers);
    if (!r->stage || !r->core || !r->workers)
        return cb_fail(CB_ENOMEM, "not enough memory to simulate %d stages", stages);
    r->every_s = fmax(tick_s, longest_s(r) / TICKS);
    for (int s = 0, first = 0; s < stages; first += r->shared->need[s++]) r->stage[s].core = &r->workers[first];
    return CB_OK;
}

/* Each stage's workers begin on cores next to each other, those of the next stage after them, and round again. */
static void begin_step(shared_run *r, int of) {
    for (int s = 0, worker = 0; s < r->schedule->stages; s++) {
        r->stage[s] = (stage_now){.core = r->stage[s].core, .rate = 1};
        for (int i = 0; i < r->shared->need[s]; i++) r->stage[s].core[i] = worker++ % r->shared->cores;
    }
    for (int c = 0; c < r->shared->cores; c++) r->core[c] = (core_now){0};
    r->turns = 0;
    r->now_s = 0;
    r->next_s = r->every_s * (of + 0.5) / PHASES;
}

static cb_err simulate(shared_run *r, int of) {
    begin_step(r, of);
    return run(r);
}

/* The phase of the median step, which is simulated again to leave its spans. */
static cb_err simulate_median(shared_run *r) {
    double total_s[PHASES];
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
    cb_err e = make_room(&r);
    if (!e) e = cb_spans_make(schedule, spans);
    if (!e) e = simulate_median(&r);
    free(r.positions.at);
    free(r.stage);
    free(r.core);
    free(r.workers);
    *total_s = r.now_s;
    if (!e) return CB_OK;
    free(spans[0]);
    spans[0] = NULL;
    return e;
}
