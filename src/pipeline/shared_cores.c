/* Schedules with time on shared cores: from event to event each stage that computes progresses at the rate that its
 * cores leave it. The next event is the first end of an instruction, arrival of a message, or move to a core that has
 * nothing to do. See shared_cores.h. */
#include "pipeline/shared_cores.h"

#include <math.h>
#include <stdlib.h>

#include "pipeline/lists.h"

/* For which a core has nothing to do until it takes a worker that waits on another: Linux looks for one when a core
 * runs dry only if it expects to be free for long, else at the timer's tick (250 a second, kernel/sched/fair.c). */
static const double idle_s = 4e-3;

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
} stage_now;

typedef struct core_now {
    int workers;
    double load, empty_s; /* the shares of time that they want; since when it has none */
} core_now;

typedef struct shared_run {
    const cb_schedule *schedule;
    const cb_shared_cores *shared;
    cb_positions positions;
    stage_now *stage; /* (stages) */
    core_now *core;   /* (cores) */
    int *workers;     /* room of the stages' cores */
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

static void put(shared_run *r, int *where, int core) {
    *where = core;
    r->core[core].workers++;
}

static void take_off(shared_run *r, int core) {
    if (--r->core[core].workers == 0) r->core[core].empty_s = r->now_s;
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
        if (stage->placed)
            take_off(r, stage->core[i]);
        else
            put(r, &stage->core[i], least_used(r, stage->core[i]));
    }
    stage->placed = !stage->placed;
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

/* Moves on to cores that have been empty for long; when the next will have been, INFINITY: never. */
static double move(shared_run *r) {
    double next_s = INFINITY;
    for (int c = 0; c < r->shared->cores; c++) {
        int *worker = r->core[c].workers ? NULL : crowded(r);
        if (!worker) continue;
        if (r->now_s < r->core[c].empty_s + idle_s) {
            next_s = fmin(next_s, r->core[c].empty_s + idle_s);
            continue;
        }
        take_off(r, *worker);
        put(r, worker, c);
    }
    return next_s;
}

static double busy_of(const shared_run *r, int s) {
    return r->shared->busy ? r->shared->busy[s][r->stage[s].at] : 1;
}

/* Workers of a core share it evenly, and a stage is as slow as its slowest worker. */
static void set_rates(shared_run *r) {
    const cb_shared_cores *shared = r->shared;
    for (int c = 0; c < shared->cores; c++) r->core[c].load = 0;
    for (int s = 0; s < r->schedule->stages; s++)
        for (int i = 0; i < shared->need[s] && r->stage[s].placed; i++)
            r->core[r->stage[s].core[i]].load += busy_of(r, s);
    for (int s = 0; s < r->schedule->stages; s++) {
        r->stage[s].rate = 1;
        for (int i = 0; i < shared->need[s] && r->stage[s].placed; i++)
            r->stage[s].rate = fmin(r->stage[s].rate, 1 / fmax(1, r->core[r->stage[s].core[i]].load));
    }
}

/* Those that wait leave their cores before those that begin take theirs; who goes on without a wait stays. Returns when
 * the next worker moves. */
static double place_all(shared_run *r) {
    for (int leaving = 1; leaving >= 0; leaving--)
        for (int s = 0; s < r->schedule->stages; s++)
            if (r->stage[s].placed == leaving) settle(r, s);
    double next_s = move(r);
    set_rates(r);
    return next_s;
}

/* Until the first end of an instruction or message; INFINITY: there will be none. An instruction without work is over
 * at once, whoever shares its core. */
static double next_event_s(const shared_run *r) {
    double least_s = INFINITY;
    for (int s = 0; s < r->schedule->stages; s++) {
        const stage_now *stage = &r->stage[s];
        if (is_over(r, s) || stage->phase == ARRIVED) continue;
        least_s = fmin(least_s, stage->phase == WORKS ? stage->left_s / stage->rate : stage->until_s - r->now_s);
    }
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
            bool done = stage->left_s / stage->rate <= passed_s;
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
        double next_s = next_event_s(r);
        if (isinf(next_s)) return cb_fail(CB_EINVAL, "simulation: schedule %s deadlocks", r->schedule->name);
        if (next_s > 0) { /* what takes no time leaves the workers where they are */
            double moves_s = place_all(r);
            next_s = fmin(next_event_s(r), moves_s - r->now_s);
        }
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

/* Each stage's workers begin on cores next to each other, those of the next stage after them, and round again. */
static cb_err make_room(shared_run *r) {
    const int stages = r->schedule->stages, cores = r->shared->cores;
    size_t all = 0;
    for (int s = 0; s < stages; s++) all += (size_t)r->shared->need[s];
    r->stage = calloc((unsigned)stages, sizeof *r->stage);
    r->core = calloc((unsigned)cores, sizeof *r->core);
    r->workers = calloc(all, sizeof *r->workers);
    if (!r->stage || !r->core || !r->workers)
        return cb_fail(CB_ENOMEM, "not enough memory to simulate %d stages", stages);
    for (size_t i = 0; i < all; i++) r->workers[i] = (int)(i % (size_t)cores);
    for (int s = 0, first = 0; s < stages; first += r->shared->need[s++]) {
        r->stage[s].core = &r->workers[first];
        r->stage[s].rate = 1;
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
    if (!e) e = run(&r);
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
