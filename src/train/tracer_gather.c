/* Traced steps from all ranks to rank 0, and from all clocks to its own.
 *
 * Ranks of one machine share a clock. For the others the difference is estimated as in Cristian, "Probabilistic clock
 * synchronization", 1989: of several exchanges the fastest counts, and the other's time is taken to be that of its
 * middle, wrong by half its length at most. A difference within that error is none. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/rank.h"

enum { EXCHANGES = 16, COUNTS = 4 };

/* The other side of `measure`. */
static cb_err answer(cb_group *world) {
    for (int i = 0; i < EXCHANGES; i++) {
        double now_s;
        TRY(cb_recv(world, &now_s, 1, CB_F64, 0));
        now_s = cb_now_s();
        TRY(cb_send(world, &now_s, 1, CB_F64, 0));
    }
    return CB_OK;
}

/* How far rank r's clock is ahead of this one's, and by how much that may be wrong. */
static cb_err measure(cb_group *world, int r, double *ahead_s, double *error_s) {
    *error_s = INFINITY;
    for (int i = 0; i < EXCHANGES; i++) {
        double begin_s = cb_now_s(), theirs_s;
        TRY(cb_send(world, &begin_s, 1, CB_F64, r));
        TRY(cb_recv(world, &theirs_s, 1, CB_F64, r));
        double end_s = cb_now_s();
        if ((end_s - begin_s) / 2 >= *error_s) continue;
        *error_s = (end_s - begin_s) / 2;
        *ahead_s = theirs_s - (begin_s + end_s) / 2;
    }
    if (fabs(*ahead_s) <= *error_s) *ahead_s = *error_s = 0;
    return CB_OK;
}

static cb_err allocate(cb_traced_rank *r, int steps) {
    r->step = calloc((size_t)steps, sizeof *r->step);
    r->instr = calloc((size_t)r->instrs + 1, sizeof *r->instr);
    r->span = calloc((size_t)r->spans + 1, sizeof *r->span);
    r->comm = calloc((size_t)r->comms + 1, sizeof *r->comm);
    if (r->step && r->instr && r->span && r->comm) return CB_OK;
    return cb_fail(CB_ENOMEM, "no memory to gather %lld traced events", (long long)(r->instrs + r->spans + r->comms));
}

/* The four arrays of a rank, as bytes. */
static cb_err exchange_arrays(cb_group *world, cb_traced_rank *r, int steps, int peer, bool to_send) {
    struct {
        void *data;
        int64_t bytes;
    } arrays[] = {{r->step, steps * (int64_t)sizeof *r->step},
                  {r->instr, r->instrs * (int64_t)sizeof *r->instr},
                  {r->span, r->spans * (int64_t)sizeof *r->span},
                  {r->comm, r->comms * (int64_t)sizeof *r->comm}};
    for (int i = 0; i < 4; i++) {
        if (arrays[i].bytes == 0) continue;
        TRY(to_send ? cb_send(world, arrays[i].data, arrays[i].bytes, CB_U8, peer)
                    : cb_recv(world, arrays[i].data, arrays[i].bytes, CB_U8, peer));
    }
    return CB_OK;
}

static cb_err send_own(cb_rank *rank) {
    cb_traced_rank *own = &rank->tracer.own;
    int64_t counts[COUNTS] = {own->instrs, own->spans, own->comms, rank->tracer.comm.lost};
    if (!cb_comm_in_process(rank->comm)) TRY(answer(&rank->world));
    TRY(cb_send(&rank->world, counts, COUNTS, CB_I64, 0));
    return exchange_arrays(&rank->world, own, rank->tracer.steps, 0, true);
}

static void shift(cb_traced_rank *r, int steps, double by_s) {
    for (int i = 0; i < steps; i++) {
        r->step[i].begin_s += by_s;
        r->step[i].end_s += by_s;
    }
    for (int64_t i = 0; i < r->instrs; i++) {
        r->instr[i].begin_s += by_s;
        r->instr[i].end_s += by_s;
    }
    for (int64_t i = 0; i < r->spans; i++) {
        r->span[i].begin_s += by_s;
        r->span[i].end_s += by_s;
    }
    for (int64_t i = 0; i < r->comms; i++) {
        r->comm[i].begin_s += by_s;
        r->comm[i].posted_s += by_s;
        r->comm[i].wait_s += by_s;
        r->comm[i].end_s += by_s;
    }
}

static cb_err receive_from(cb_rank *rank, cb_traced *all, int r) {
    int64_t counts[COUNTS];
    double ahead_s = 0, error_s = 0;
    cb_traced_rank *theirs = &all->rank[r];
    if (!cb_comm_in_process(rank->comm)) TRY(measure(&rank->world, r, &ahead_s, &error_s));
    TRY(cb_recv(&rank->world, counts, COUNTS, CB_I64, r));
    theirs->instrs = counts[0];
    theirs->spans = counts[1];
    theirs->comms = counts[2];
    all->lost += counts[3];
    TRY(allocate(theirs, all->steps));
    TRY(exchange_arrays(&rank->world, theirs, all->steps, r, false));
    shift(theirs, all->steps, -ahead_s);
    all->clock_error_s = fmax(all->clock_error_s, error_s);
    return CB_OK;
}

/* Copied, as the last step's instructions are shown again at the end of the run. */
static cb_err copy_own(const cb_rank *rank, cb_traced_rank *to) {
    const cb_traced_rank *own = &rank->tracer.own;
    *to = (cb_traced_rank){.instrs = own->instrs, .spans = own->spans, .comms = own->comms};
    TRY(allocate(to, rank->tracer.steps));
    memcpy(to->step, own->step, (size_t)rank->tracer.steps * sizeof *to->step);
    if (own->instrs) memcpy(to->instr, own->instr, (size_t)own->instrs * sizeof *to->instr);
    if (own->spans) memcpy(to->span, own->span, (size_t)own->spans * sizeof *to->span);
    if (own->comms) memcpy(to->comm, own->comm, (size_t)own->comms * sizeof *to->comm);
    return CB_OK;
}

static cb_err make(cb_rank *rank, cb_traced *all) {
    const cb_run *run = rank->run;
    *all = (cb_traced){.mesh = run->mesh,
                       .schedule = rank->schedule, /* lent */
                       .B = run->B,
                       .T = run->T,
                       .global_batch = run->global_batch,
                       .lost = rank->tracer.comm.lost,
                       .steps = rank->tracer.steps,
                       .step = calloc((size_t)rank->tracer.steps, sizeof *all->step),
                       .rank = calloc((size_t)run->mesh.ranks, sizeof *all->rank)};
    snprintf(all->model, sizeof all->model, "%s", run->model.name);
    if (!all->step || !all->rank) return cb_fail(CB_ENOMEM, "no memory to gather %d traced ranks", run->mesh.ranks);
    for (int i = 0; i < all->steps; i++) all->step[i] = run->trace_first + i + 1;
    return copy_own(rank, &all->rank[0]);
}

static cb_err gather(cb_rank *rank, cb_traced *all) {
    double begin_s = INFINITY;
    TRY(make(rank, all));
    for (int r = 1; r < all->mesh.ranks; r++) TRY(receive_from(rank, all, r));
    for (int r = 0; r < all->mesh.ranks; r++) begin_s = fmin(begin_s, all->rank[r].step[0].begin_s);
    for (int r = 0; r < all->mesh.ranks; r++) shift(&all->rank[r], all->steps, -begin_s);
    return CB_OK;
}

static cb_err gather_and_show(cb_rank *rank) {
    cb_traced all;
    cb_err e = gather(rank, &all);
    if (!e && rank->run->observer.on_trace) rank->run->observer.on_trace(rank->run->observer.arg, &all);
    all.schedule = (cb_schedule){0};
    cb_traced_free(&all);
    return e;
}

cb_err cb_tracer_deliver(cb_rank *rank) {
    cb_tracer *t = &rank->tracer;
    const cb_run *run = rank->run;
    int64_t done = rank->step + 1;
    bool over = done == run->trace_end || done == run->steps || rank->report.stop || rank->report.nonfinite;
    if (t->steps == 0 || !over) return CB_OK;
    t->own.comm = t->comm.event;
    t->own.comms = t->comm.count;
    TRY(rank->world.me ? send_own(rank) : gather_and_show(rank));
    cb_tracer_forget(t);
    return CB_OK;
}
