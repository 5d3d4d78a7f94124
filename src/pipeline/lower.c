/* Lowering: from the order of compute instructions to all that a stage executes. Every receive stands right before the
 * instruction that needs it and every send right after the one that makes it, so the compute order alone decides the
 * order of messages. Where an asynchronous receive should be posted earlier is the executor's business. */
#include <assert.h>
#include <stdlib.h>

#include "pipeline/lists.h"

/* Appends a message of compute instruction `of`, unless `of` is at the end of the pipeline. */
static cb_err push_message(const cb_schedule *schedule, int stage, cb_instr_list *to, cb_instr_kind kind, cb_instr of) {
    cb_instr message = {.kind = kind, .micro_batch = of.micro_batch, .chunk = of.chunk};
    if (!cb_instr_partner(schedule, stage, message, &message.peer, NULL)) return CB_OK;
    return cb_instr_push(to, message);
}

static cb_err push_lowered(const cb_schedule *schedule, int stage, cb_instr_list *to, cb_instr instr) {
    assert(instr.kind <= CB_W && "a schedule is lowered once");
    if (instr.kind == CB_W) return cb_instr_push(to, instr);
    bool is_forward = instr.kind == CB_F;
    TRY(push_message(schedule, stage, to, is_forward ? CB_RECV_F : CB_RECV_B, instr));
    TRY(cb_instr_push(to, instr));
    return push_message(schedule, stage, to, is_forward ? CB_SEND_F : CB_SEND_B, instr);
}

static cb_err push_end_of_step(const cb_schedule *schedule, int stage, cb_instr_list *to) {
    cb_instr tied = {.kind = CB_REDUCE_TIED, .peer = -1};
    TRY(cb_instr_push(to, (cb_instr){.kind = CB_REDUCE_GRADS, .peer = -1}));
    if (cb_instr_partner(schedule, stage, tied, &tied.peer, NULL)) TRY(cb_instr_push(to, tied));
    return cb_instr_push(to, (cb_instr){.kind = CB_STEP, .peer = -1});
}

static cb_err lower_stage(const cb_schedule *schedule, int stage, cb_instr_list *to) {
    const cb_instr_list *from = &schedule->list[stage];
    for (int i = 0; i < from->count; i++) TRY(push_lowered(schedule, stage, to, from->at[i]));
    return schedule->forward_only ? CB_OK : push_end_of_step(schedule, stage, to);
}

cb_err cb_schedule_lower(cb_schedule *schedule) {
    for (int stage = 0; stage < schedule->stages; stage++) {
        cb_instr_list lowered = {0};
        cb_err e = lower_stage(schedule, stage, &lowered);
        cb_instr_list *old = e ? &lowered : &schedule->list[stage];
        free(old->at);
        if (e) return e;
        schedule->list[stage] = lowered;
    }
    schedule->is_lowered = true;
    return CB_OK;
}
