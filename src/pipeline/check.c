/* The proof that a lowered schedule can be executed: every list is complete and in an order that makes sense, messages
 * pair up in order, and no deadlock (walk.c). A list that passes runs to its end on every stage. See schedule.h. */
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

#include "pipeline/lists.h"

typedef struct check {
    const cb_schedule *schedule;
    cb_positions positions;
} check;

static int find(const check *c, int stage, cb_instr instr) {
    return cb_position_of(&c->positions, c->schedule, stage, instr);
}

static bool is_expected(const cb_schedule *schedule, int stage, cb_instr instr) {
    int peer;
    if (schedule->forward_only && instr.kind != CB_F && instr.kind != CB_RECV_F && instr.kind != CB_SEND_F)
        return false;
    if (instr.kind == CB_W) return schedule->split_backward;
    if ((instr.kind >= CB_RECV_F && instr.kind < CB_REDUCE_GRADS) || instr.kind == CB_REDUCE_TIED) {
        return cb_instr_partner(schedule, stage, instr, &peer, NULL);
    }
    return true;
}

static cb_err missing(const check *c, int stage, cb_instr instr) {
    char text[24], other_text[24];
    cb_instr_text(c->schedule, instr, text);
    cb_instr partner;
    int peer;
    if (!cb_instr_partner(c->schedule, stage, instr, &peer, &partner)) {
        bool splits = c->schedule->split_backward && instr.kind <= CB_W;
        return cb_fail(CB_EINVAL, "stage %d has no %s%s", stage, text,
                       splits ? "; each microbatch has F, B and W, unless there is no W in any list" : "");
    }
    return cb_fail(CB_EINVAL, "stage %d has no %s to go with the %s of stage %d", stage, text,
                   cb_instr_text(c->schedule, partner, other_text), peer);
}

static cb_err check_presence(const check *c, int stage, cb_instr instr) {
    char text[24];
    int index = find(c, stage, instr), peer = -1;
    bool expected = is_expected(c->schedule, stage, instr);
    if (index < 0) return expected ? missing(c, stage, instr) : CB_OK;
    if (!expected) {
        return cb_fail(CB_EINVAL, "stage %d: %s (instruction %d) has no place in this schedule", stage,
                       cb_instr_text(c->schedule, instr, text), index);
    }
    if (!cb_instr_partner(c->schedule, stage, instr, &peer, NULL)) return CB_OK;
    if (c->schedule->list[stage].at[index].peer == peer) return CB_OK;
    return cb_fail(CB_EINVAL, "stage %d: %s (instruction %d) names stage %d as its peer; it belongs with stage %d",
                   stage, cb_instr_text(c->schedule, instr, text), index, c->schedule->list[stage].at[index].peer,
                   peer);
}

static cb_err check_complete(const check *c, int stage) {
    for (int kind = 0; kind < CB_INSTR_KINDS; kind++) {
        bool once = kind >= CB_REDUCE_GRADS;
        for (int chunk = 0; chunk < (once ? 1 : c->schedule->chunks); chunk++) {
            for (int i = 0; i < (once ? 1 : c->schedule->micro_batches); i++) {
                TRY(check_presence(c, stage,
                                   (cb_instr){.kind = (cb_instr_kind)kind, .micro_batch = i, .chunk = chunk}));
            }
        }
    }
    return CB_OK;
}

/* Both in the list: then `first` stands before `then`. */
static cb_err check_before(const check *c, int stage, cb_instr first, cb_instr then) {
    int a = find(c, stage, first), b = find(c, stage, then);
    if (a < 0 || b < 0 || a < b) return CB_OK;
    char text[24], other_text[24];
    return cb_fail(CB_EINVAL, "stage %d: %s (instruction %d) comes before %s (instruction %d)", stage,
                   cb_instr_text(c->schedule, then, text), b, cb_instr_text(c->schedule, first, other_text), a);
}

static cb_err check_order_of(const check *c, int stage, int micro_batch, int chunk) {
    static const cb_instr_kind rule[][2] = {{CB_RECV_F, CB_F}, {CB_F, CB_SEND_F}, {CB_F, CB_B},
                                            {CB_RECV_B, CB_B}, {CB_B, CB_SEND_B}, {CB_B, CB_W}};
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++) {
        cb_instr first = {.kind = rule[i][0], .micro_batch = micro_batch, .chunk = chunk};
        cb_instr then = {.kind = rule[i][1], .micro_batch = micro_batch, .chunk = chunk};
        TRY(check_before(c, stage, first, then));
    }
    int next = cb_virtual_stage(c->schedule, stage, chunk) + 1, next_stage, next_chunk;
    if (next == c->schedule->stages * c->schedule->chunks) return CB_OK;
    cb_virtual_stage_place(c->schedule, next, &next_stage, &next_chunk);
    if (next_stage != stage) return CB_OK;
    /* Neighbours on one stage hand over without a message. */
    cb_instr here = {.micro_batch = micro_batch, .chunk = chunk},
             there = {.micro_batch = micro_batch, .chunk = next_chunk};
    here.kind = there.kind = CB_F;
    TRY(check_before(c, stage, here, there));
    here.kind = there.kind = CB_B;
    return check_before(c, stage, there, here);
}

/* Nothing of a microbatch after the reductions, and the optimizer last. */
static cb_err check_end(const check *c, int stage) {
    const cb_instr_list *list = &c->schedule->list[stage];
    for (int i = 1; i < list->count; i++) {
        cb_instr before = list->at[i - 1], it = list->at[i];
        if (before.kind < CB_REDUCE_GRADS || it.kind > before.kind) continue;
        char text[24], before_text[24];
        return cb_fail(CB_EINVAL, "stage %d: %s (instruction %d) comes after %s", stage,
                       cb_instr_text(c->schedule, it, text), i, cb_instr_text(c->schedule, before, before_text));
    }
    return CB_OK;
}

static cb_err check_order(const check *c, int stage) {
    for (int chunk = 0; chunk < c->schedule->chunks; chunk++) {
        for (int i = 0; i < c->schedule->micro_batches; i++) TRY(check_order_of(c, stage, i, chunk));
    }
    return check_end(c, stage);
}

/* Receives of one direction from one stage are in the order of their sends, so that messages need no number.
 * latest (stages): scratch, the last receive from each stage. */
static cb_err check_receives(const check *c, int stage, cb_instr_kind kind, int *latest) {
    const cb_instr_list *list = &c->schedule->list[stage];
    for (int i = 0; i < c->schedule->stages; i++) latest[i] = -1;
    for (int i = 0; i < list->count; i++) {
        if (list->at[i].kind != kind) continue;
        cb_instr send, earlier_send;
        int sender = -1;
        cb_instr_partner(c->schedule, stage, list->at[i], &sender, &send);
        int earlier = latest[sender];
        latest[sender] = i;
        if (earlier < 0) continue;
        cb_instr_partner(c->schedule, stage, list->at[earlier], &sender, &earlier_send);
        if (find(c, sender, earlier_send) < find(c, sender, send)) continue;
        char text[24], earlier_text[24];
        return cb_fail(CB_EINVAL,
                       "stage %d: %s (instruction %d) comes before %s (instruction %d), but stage %d sends them in "
                       "the other order",
                       stage, cb_instr_text(c->schedule, list->at[earlier], earlier_text), earlier,
                       cb_instr_text(c->schedule, list->at[i], text), i, sender);
    }
    return CB_OK;
}

static cb_err check_messages(const check *c) {
    int *latest = malloc((size_t)c->schedule->stages * sizeof *latest);
    if (!latest) return cb_fail(CB_ENOMEM, "not enough memory to check %d stages", c->schedule->stages);
    cb_err e = CB_OK;
    for (int stage = 0; !e && stage < c->schedule->stages; stage++) {
        e = check_receives(c, stage, CB_RECV_F, latest);
        if (!e) e = check_receives(c, stage, CB_RECV_B, latest);
    }
    free(latest);
    return e;
}

static cb_err check_all(const check *c, int window) {
    for (int stage = 0; stage < c->schedule->stages; stage++) {
        TRY(check_complete(c, stage));
        TRY(check_order(c, stage));
    }
    TRY(check_messages(c));
    return cb_schedule_walk(c->schedule, &c->positions, window, NULL, NULL);
}

cb_err cb_schedule_check(const cb_schedule *schedule, int window, int *peak) {
    assert(window >= 0);
    check c = {.schedule = schedule};
    cb_err e = cb_positions_make(&c.positions, schedule);
    if (!e) e = check_all(&c, window);
    free(c.positions.at);
    if (e) {
        return cb_err_context(e, "schedule %s (%d stages, %d microbatches)", schedule->name, schedule->stages,
                              schedule->micro_batches);
    }
    for (int stage = 0; peak && stage < schedule->stages; stage++) peak[stage] = cb_schedule_peak(schedule, stage);
    return CB_OK;
}

cb_err cb_schedule_least_window(const cb_schedule *schedule, int *window) {
    cb_positions positions;
    *window = 0;
    TRY(cb_schedule_check(schedule, INT_MAX, NULL));
    TRY(cb_positions_make(&positions, schedule));
    cb_err e = cb_schedule_walk(schedule, &positions, 0, NULL, NULL);
    for (; e && cb_err_code(e) == CB_EINVAL; e = cb_schedule_walk(schedule, &positions, ++*window, NULL, NULL)) {
        cb_err_free(e); /* a deadlock: asynchronously there was none, so one of the next windows is large enough */
    }
    free(positions.at);
    return e;
}
