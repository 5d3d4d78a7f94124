/* Steps without computing; see rehearse.h. Every rank says how far it has come. Whether one may go on follows from what
 * the others have said, so who says something wakes just those who now may. */
#include "cli/rehearse.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "collectives/collectives.h"
#include "comm/bell.h"

enum { MOST_STEPS = 16, LINE = 64 };
static const double enough_s = 0.3;

typedef struct player {
    _Alignas(LINE) atomic_llong come; /* to this instruction, counted through all steps */
    cb_bell bell;
    int coord[CB_DIMS];
    cb_group tp;
    float *stream; /* what is summed over tp */
} player;

typedef struct play {
    const cb_rehearsal *what;
    cb_patience patience;
    cb_gate **gates; /* (stages), each (instructions) */
    int steps;
    player *player;         /* (ranks) */
    atomic_llong at_step;   /* how many ranks have come to the optimizer's step, in all steps */
    atomic_bool failed;     /* nobody needs to wait any more */
    int64_t *first, in_all; /* (stages) instructions of the stages before; of all */
    cb_span *span;          /* (steps, instructions of all stages) */
} play;

/* A rank, looked at. */
typedef struct one {
    play *p;
    int rank;
} one;

static player *player_of(const one *o) {
    return &o->p->player[o->rank];
}

static const cb_instr_list *list_of(const one *o) {
    return &o->p->what->schedule->list[player_of(o)->coord[CB_PP]];
}

/* The rank at another place along a dimension. */
static one along(const one *o, cb_dim dim, int at) {
    int coord[CB_DIMS];
    memcpy(coord, player_of(o)->coord, sizeof coord);
    coord[dim] = at;
    return (one){o->p, cb_mesh_rank(&o->p->what->run->mesh, coord)};
}

/* All ranks along a dimension, whose lists are alike, have come as far. */
static bool all_come(const one *o, cb_dim dim, int64_t to) {
    for (int i = 0; i < o->p->what->run->mesh.size[dim]; i++) {
        one other = along(o, dim, i);
        if (atomic_load(&player_of(&other)->come) < to) return false;
    }
    return true;
}

/* Of a receive the message is there, of a send one of those before it is taken, of a tied reduction its other end has
 * come. */
static bool gate_is_open(const one *o, int64_t step, int index) {
    const cb_gate gate = o->p->gates[player_of(o)->coord[CB_PP]][index];
    if (gate.stage < 0) return true;
    const one other = along(o, CB_PP, gate.stage);
    return atomic_load(&player_of(&other)->come) >=
           step * list_of(&other)->count + gate.index + !gate.opens_when_reached;
}

/* What an instruction waits for is there. */
static bool may_begin(const one *o) {
    const int64_t come = atomic_load(&player_of(o)->come), count = list_of(o)->count, step = come / count;
    const int index = (int)(come % count);
    const cb_instr_kind kind = list_of(o)->at[index].kind;
    if (kind == CB_REDUCE_GRADS) return all_come(o, CB_DP, come);
    if (kind == CB_STEP) return atomic_load(&o->p->at_step) >= (step + 1) * o->p->what->run->mesh.ranks;
    return gate_is_open(o, step, index);
}

static bool may_go_on(const void *arg) {
    const one *o = arg;
    return atomic_load(&o->p->failed) || may_begin(o);
}

static void wait(const one *o) {
    (void)cb_bell_wait(&player_of(o)->bell, o->p->patience, may_go_on, o, 0);
}

/* Something has been said. */
static void wake_others(const one *o) {
    for (int r = 0; r < o->p->what->run->mesh.ranks; r++) {
        one other = {o->p, r};
        cb_bell *bell = &player_of(&other)->bell;
        if (r != o->rank && atomic_load(&bell->sleeping) && may_go_on(&other)) cb_bell_ring(bell);
    }
}

static int64_t stream_elements(const cb_run *run) {
    return (int64_t)run->B * run->T * run->model.channels;
}

static void keep_core_busy(double s) {
    for (double until_s = cb_thread_cpu_s() + s; cb_thread_cpu_s() < until_s;) continue;
}

static void keep_busy(double s, int threads) {
    if (s <= 0) return;
    if (threads == 1) {
        keep_core_busy(s);
        return;
    }
#pragma omp parallel num_threads(threads)
    keep_core_busy(s);
}

/* In equal parts, with an all-reduce after each but the last. */
static cb_err carry_out(const one *o, int index) {
    player *me = player_of(o);
    const cb_run *run = o->p->what->run;
    const int stage = me->coord[CB_PP], sums = me->tp.size > 1 ? o->p->what->all_reduces[stage][index] : 0;
    const int64_t small = (int64_t)run->B * run->T * 2;
    for (int i = 0; i <= sums; i++) {
        const int64_t count = i > sums - o->p->what->small[stage][index] ? small : stream_elements(run);
        if (i > 0) TRY(cb_all_reduce(&me->tp, me->stream, count, CB_F32, CB_SUM, NULL));
        keep_busy(o->p->what->busy_s[stage][index] / (sums + 1), run->threads_per_rank);
    }
    return CB_OK;
}

static void move_on(const one *o, int next) {
    if (next < list_of(o)->count && list_of(o)->at[next].kind == CB_STEP) atomic_fetch_add(&o->p->at_step, 1);
    atomic_fetch_add(&player_of(o)->come, 1);
    wake_others(o);
}

static cb_err one_step(const one *o, cb_span *spans) {
    const cb_instr_list *list = list_of(o);
    for (int i = 0; i < list->count; i++) {
        const bool receives = list->at[i].kind == CB_RECV_F || list->at[i].kind == CB_RECV_B;
        const double begin_s = cb_now_s();
        if (receives) TRY(carry_out(o, i));
        wait(o);
        if (atomic_load(&o->p->failed)) return CB_OK;
        if (!receives) TRY(carry_out(o, i));
        spans[i] = (cb_span){begin_s, cb_now_s()};
        move_on(o, i + 1);
    }
    return CB_OK;
}

static cb_err make_tp(const one *o, cb_comm *comm) {
    player *me = player_of(o);
    const cb_run *run = o->p->what->run;
    const int size = run->mesh.size[CB_TP];
    int *ranks = malloc((size_t)size * sizeof *ranks);
    me->stream = calloc((size_t)stream_elements(run), sizeof *me->stream);
    cb_err e = ranks && me->stream ? CB_OK : cb_fail(CB_ENOMEM, "no memory to rehearse with %d ranks", run->mesh.ranks);
    if (!e) (void)cb_mesh_group(&run->mesh, CB_MASK(CB_TP), o->rank, ranks);
    if (!e) e = cb_group_make(&me->tp, comm, CB_FOR_TP, ranks, size);
    me->tp.selection = run->selection;
    free(ranks);
    return e;
}

/* Spans of ranks that are not the first of their stage are not kept. */
static cb_err all_steps(const one *o, cb_comm *comm) {
    play *p = o->p;
    const int *coord = player_of(o)->coord, stage = coord[CB_PP];
    const bool is_first = coord[CB_TP] == 0 && coord[CB_DP] == 0;
    cb_span *own = calloc((size_t)list_of(o)->count, sizeof *own);
    cb_err e = own ? make_tp(o, comm) : cb_fail(CB_ENOMEM, "no memory for the times of a step");
    for (int step = 0; step < p->steps && !e && !atomic_load(&p->failed); step++)
        e = one_step(o, is_first ? p->span + step * p->in_all + p->first[stage] : own);
    free(own);
    return e;
}

static cb_err live(cb_comm *comm, void *arg) {
    const one o = {arg, cb_comm_rank(comm)};
    cb_err e = all_steps(&o, comm);
    if (e) cb_comm_abort(comm);
    if (e) atomic_store(&o.p->failed, true);
    if (e) wake_others(&o);
    cb_group_free(&player_of(&o)->tp);
    free(player_of(&o)->stream);
    return e;
}

/* After one that warms up, unless a step takes long. */
static int steps_for(const cb_rehearsal *what) {
    const cb_schedule *schedule = what->schedule;
    double core_s = 0;
    for (int s = 0; s < schedule->stages; s++)
        for (int i = 0; i < schedule->list[s].count; i++) core_s += what->busy_s[s][i];
    const double step_s = core_s * what->run->threads_per_rank * what->run->mesh.ranks / schedule->stages / what->cores;
    return step_s > enough_s ? 1 : (int)fmin(1 + ceil(enough_s / step_s), MOST_STEPS);
}

static cb_err make(play *p) {
    const cb_schedule *schedule = p->what->schedule;
    const int ranks = p->what->run->mesh.ranks;
    p->steps = steps_for(p->what);
    p->patience = cb_patience_for(ranks, p->what->cores);
    p->first = calloc((size_t)schedule->stages, sizeof *p->first);
    p->gates = calloc((size_t)schedule->stages, sizeof *p->gates);
    p->player = aligned_alloc(LINE, (size_t)ranks * sizeof *p->player);
    for (int s = 0; p->first && s < schedule->stages; s++) {
        p->first[s] = p->in_all;
        p->in_all += schedule->list[s].count;
    }
    p->span = calloc((size_t)(p->steps * p->in_all), sizeof *p->span);
    if (!p->first || !p->gates || !p->player || !p->span)
        return cb_fail(CB_ENOMEM, "no memory to rehearse with %d ranks", ranks);
    memset(p->player, 0, (size_t)ranks * sizeof *p->player);
    for (int r = 0; r < ranks; r++) cb_mesh_coords(&p->what->run->mesh, r, p->player[r].coord);
    return cb_schedule_gates(schedule, CB_SEND_WINDOW, p->gates);
}

static double took_s(const play *p, int step) {
    const int stage = p->what->stage;
    const cb_span *of = p->span + step * p->in_all + p->first[stage];
    return of[p->what->schedule->list[stage].count - 1].end_s - of[0].begin_s;
}

/* Its spans, from the first stage's begin on. */
static void take_median(const play *p, cb_span *spans, double *total_s) {
    const int warms_up = p->steps > 1, count = p->steps - warms_up;
    double sorted[MOST_STEPS];
    for (int i = 0; i < count; i++) sorted[i] = took_s(p, warms_up + i);
    const double median_s = cb_bench_median(sorted, count);
    int step = warms_up;
    for (int i = warms_up; i < p->steps; i++)
        if (fabs(took_s(p, i) - median_s) < fabs(took_s(p, step) - median_s)) step = i;
    const cb_span *of = p->span + step * p->in_all;
    for (int64_t i = 0; i < p->in_all; i++)
        spans[i] = (cb_span){of[i].begin_s - of[0].begin_s, of[i].end_s - of[0].begin_s};
    *total_s = took_s(p, step);
}

cb_err cb_rehearse(const cb_rehearsal *what, cb_span **spans, double *total_s) {
    play p = {.what = what};
    const cb_launch launch = {
        .backend = "threads", .ranks = what->run->mesh.ranks, .deadline_s = what->run->launch.deadline_s};
    spans[0] = NULL;
    cb_err e = make(&p);
    if (!e) e = cb_spans_make(what->schedule, spans);
    if (!e) e = cb_comm_launch(&launch, live, &p);
    if (!e) take_median(&p, spans[0], total_s);
    if (p.gates) free(p.gates[0]);
    free(p.gates);
    free(p.player);
    free(p.first);
    free(p.span);
    if (!e) return CB_OK;
    free(spans[0]);
    spans[0] = NULL;
    return e;
}
