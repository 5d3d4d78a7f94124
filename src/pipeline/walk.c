/* All lists executed abstractly, without time: each stage has a position in its list and moves on as soon as what its
 * instruction waits for is done. What can run is never taken back, so the order in which stages are tried does not
 * matter: if this execution gets stuck, every execution does. See lists.h. */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/lists.h"

static int64_t positions_of_stage(const cb_schedule *schedule) {
    return (int64_t)CB_INSTR_KINDS * schedule->chunks * schedule->micro_batches;
}

static int64_t slot(const cb_schedule *schedule, int stage, cb_instr instr) {
    return stage * positions_of_stage(schedule) +
           ((int64_t)instr.kind * schedule->chunks + instr.chunk) * schedule->micro_batches + instr.micro_batch;
}

int cb_position_of(const cb_positions *table, const cb_schedule *schedule, int stage, cb_instr instr) {
    return table->at[slot(schedule, stage, instr)];
}

static bool in_range(const cb_schedule *schedule, cb_instr instr) {
    bool per_micro_batch = instr.kind < CB_REDUCE_GRADS;
    return (unsigned)instr.kind < CB_INSTR_KINDS && instr.micro_batch >= 0 && instr.chunk >= 0 &&
           instr.micro_batch < (per_micro_batch ? schedule->micro_batches : 1) &&
           instr.chunk < (per_micro_batch ? schedule->chunks : 1);
}

static cb_err note_position(cb_positions *table, const cb_schedule *schedule, int stage, int index) {
    cb_instr instr = schedule->list[stage].at[index];
    char text[24];
    if (!in_range(schedule, instr)) {
        return cb_fail(CB_EINVAL, "stage %d: instruction %d, %s of chunk %d, is none of %d microbatches and %d chunks",
                       stage, index, cb_instr_text(schedule, instr, text), instr.chunk, schedule->micro_batches,
                       schedule->chunks);
    }
    int *at = &table->at[slot(schedule, stage, instr)];
    if (*at >= 0) {
        return cb_fail(CB_EINVAL, "stage %d has %s twice, as instructions %d and %d", stage,
                       cb_instr_text(schedule, instr, text), *at, index);
    }
    *at = index;
    return CB_OK;
}

static cb_err note_positions(cb_positions *table, const cb_schedule *schedule) {
    for (int stage = 0; stage < schedule->stages; stage++) {
        for (int i = 0; i < schedule->list[stage].count; i++) TRY(note_position(table, schedule, stage, i));
    }
    return CB_OK;
}

cb_err cb_positions_make(cb_positions *table, const cb_schedule *schedule) {
    int64_t n = schedule->stages * positions_of_stage(schedule);
    table->at = malloc((size_t)n * sizeof *table->at);
    if (!table->at) {
        return cb_fail(CB_ENOMEM, "not enough memory to check %d stages of %d microbatches (%lld bytes)",
                       schedule->stages, schedule->micro_batches, (long long)n * (long long)sizeof *table->at);
    }
    for (int64_t i = 0; i < n; i++) table->at[i] = -1;
    cb_err e = note_positions(table, schedule);
    if (e) {
        free(table->at);
        table->at = NULL;
    }
    return e;
}

typedef struct walk {
    const cb_schedule *schedule;
    const cb_positions *positions;
    int window;
    int *next; /* (stages): the instruction each stage is at */
} walk;

static const cb_gate no_gate = {-1, -1, false};

static cb_gate gate_of_partner(const walk *w, int stage, cb_instr instr, bool opens_when_reached) {
    cb_gate g = {.opens_when_reached = opens_when_reached};
    cb_instr partner;
    if (!cb_instr_partner(w->schedule, stage, instr, &g.stage, &partner)) return no_gate;
    g.index = cb_position_of(w->positions, w->schedule, g.stage, partner);
    return g;
}

/* A send waits for the receive of the send `window` before it, of the same direction (kind and peer); with window 0
 * that is its own. */
static cb_gate gate_of_send(const walk *w, int stage, int index) {
    const cb_schedule *s = w->schedule;
    if (w->window >= s->micro_batches * s->chunks) return no_gate;
    const cb_instr *at = s->list[stage].at;
    int back = w->window, earlier = index;
    while (back > 0 && --earlier >= 0) back -= at[earlier].kind == at[index].kind && at[earlier].peer == at[index].peer;
    return earlier < 0 ? no_gate : gate_of_partner(w, stage, at[earlier], false);
}

static cb_gate gate_of(const walk *w, int stage, int index) {
    cb_instr instr = w->schedule->list[stage].at[index];
    switch (instr.kind) {
    case CB_RECV_F:
    case CB_RECV_B:
        return gate_of_partner(w, stage, instr, w->window == 0); /* rendezvous: the sender stands in its send */
    case CB_SEND_F:
    case CB_SEND_B:
        return gate_of_send(w, stage, index);
    case CB_REDUCE_TIED:
        return gate_of_partner(w, stage, instr, true);
    default:
        return no_gate;
    }
}

static bool is_open(const walk *w, cb_gate g) {
    if (g.stage < 0) return true;
    if (g.index < 0) return false;
    return w->next[g.stage] > g.index || (g.opens_when_reached && w->next[g.stage] == g.index);
}

static bool is_done(const walk *w, int stage) {
    return w->next[stage] >= w->schedule->list[stage].count;
}

/* Executes what a stage can. Returns whether that was anything. */
static bool advance(walk *w, int stage, cb_visit *visit, void *context) {
    int first = w->next[stage];
    for (; !is_done(w, stage); w->next[stage]++) {
        int index = w->next[stage];
        cb_gate g = gate_of(w, stage, index);
        if (!is_open(w, g)) break;
        cb_instr_kind kind = w->schedule->list[stage].at[index].kind;
        bool is_send = kind == CB_SEND_F || kind == CB_SEND_B;
        if (visit) visit(context, stage, index, is_send ? -1 : g.stage, is_send ? -1 : g.index);
    }
    return w->next[stage] > first;
}

static int wait_of(const walk *w, int stage, char text[24], cb_gate *g) {
    int index = w->next[stage];
    *g = gate_of(w, stage, index);
    cb_instr_text(w->schedule, w->schedule->list[stage].at[index], text);
    return g->stage;
}

/* Every stuck stage waits for one stage, which is stuck too: following the waits leads into a cycle. */
static cb_err deadlock(const walk *w, int stuck) {
    char text[24], cycle[1536];
    cb_gate g;
    int lowest = w->schedule->stages, stage = stuck;
    for (int hops = 0; hops < 2 * w->schedule->stages; hops++) {
        int to = wait_of(w, stage, text, &g);
        if (g.index < 0) {
            return cb_fail(CB_EINVAL, "stage %d waits in %s for what stage %d never does", stage, text, to);
        }
        stage = to;
        if (hops >= w->schedule->stages && stage < lowest) lowest = stage;
    }
    int used = 0;
    stage = lowest;
    do {
        int to = wait_of(w, stage, text, &g);
        used += snprintf(cycle + used, sizeof cycle - (size_t)used, "%sstage %d waits in %s for stage %d",
                         used ? ", " : "", stage, text, to);
        stage = to;
    } while (stage != lowest && used < (int)sizeof cycle);
    if (w->window >= w->schedule->micro_batches * w->schedule->chunks)
        return cb_fail(CB_EINVAL, "deadlock, though sends wait for nobody: %s", cycle);
    return cb_fail(CB_EINVAL, "deadlock with a send window of %d: %s", w->window, cycle);
}

static cb_err run(walk *w, cb_visit *visit, void *context) {
    bool moved = true;
    while (moved) {
        moved = false;
        for (int stage = 0; stage < w->schedule->stages; stage++) moved |= advance(w, stage, visit, context);
    }
    for (int stage = 0; stage < w->schedule->stages; stage++) {
        if (!is_done(w, stage)) return deadlock(w, stage);
    }
    return CB_OK;
}

cb_err cb_schedule_walk(const cb_schedule *schedule, const cb_positions *positions, int window, cb_visit *visit,
                        void *context) {
    walk w = {.schedule = schedule, .positions = positions, .window = window};
    w.next = calloc((size_t)schedule->stages, sizeof *w.next);
    if (!w.next) return cb_fail(CB_ENOMEM, "not enough memory for the positions of %d stages", schedule->stages);
    cb_err e = run(&w, visit, context);
    free(w.next);
    return e;
}

cb_err cb_schedule_gates(const cb_schedule *schedule, int window, cb_gate **gates) {
    cb_positions positions;
    size_t count = 0;
    gates[0] = NULL;
    TRY(cb_positions_make(&positions, schedule));
    const walk w = {.schedule = schedule, .positions = &positions, .window = window};
    for (int stage = 0; stage < schedule->stages; stage++) count += (size_t)schedule->list[stage].count;
    cb_gate *next = calloc(count + 1, sizeof *next);
    for (int stage = 0; next && stage < schedule->stages; stage++) {
        gates[stage] = next;
        for (int i = 0; i < schedule->list[stage].count; i++) *next++ = gate_of(&w, stage, i);
    }
    free(positions.at);
    return next ? CB_OK : cb_fail(CB_ENOMEM, "not enough memory for the waits of %zu instructions", count);
}
