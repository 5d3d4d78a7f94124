/* Recording on a rank; see tracer.h. */
#include "train/tracer.h"

#include <stdlib.h>

#include "train/rank.h"

static cb_err make_room(void **items, int64_t count, int64_t *room, int64_t more, size_t bytes) {
    if (count + more <= *room) return CB_OK;
    int64_t enough = 2 * count + more; /* doubled, so that many traced steps are not copied each time */
    void *larger = realloc(*items, (size_t)enough * bytes);
    if (!larger) return cb_fail(CB_ENOMEM, "no memory to record %lld events", (long long)enough);
    *items = larger;
    *room = enough;
    return CB_OK;
}

/* The most messages and operations that a step of this rank can have: a message for each instruction, for each
 * computation those of all layers, embedding and head over tp, the buckets over dp, and the end of the step. */
static int64_t most_comms(const cb_rank *rank) {
    const cb_instr_list *list = &rank->schedule.list[rank->p];
    int64_t layers = rank->run->model.layers, most = 2 * list->count + 64;
    if (rank->tp_group.size > 1) most += list->count * (6 * layers + 16);
    if (rank->dp_group.size > 1) most += rank->grad_count / rank->run->bucket_elements + 16 * layers + 64;
    return most;
}

static cb_err begin_whole(cb_rank *rank) {
    cb_tracer *t = &rank->tracer;
    const cb_run *run = rank->run;
    int64_t instrs = rank->schedule.list[rank->p].count;
    if (!t->own.step) t->own.step = calloc((size_t)(run->trace_end - run->trace_first), sizeof *t->own.step);
    if (!t->own.step)
        return cb_fail(CB_ENOMEM, "no memory to trace steps %lld to %lld", (long long)run->trace_first + 1,
                       (long long)run->trace_end);
    TRY(make_room((void **)&t->own.span, t->own.spans, &t->span_room, instrs + 1, sizeof *t->own.span));
    TRY(make_room((void **)&t->comm.event, t->comm.count, &t->comm.capacity, most_comms(rank), sizeof *t->comm.event));
    t->own.step[t->steps] = (cb_traced_step){.instr = t->own.instrs, .span = t->own.spans, .comm = t->comm.count};
    cb_comm_record(rank->comm, &t->comm);
    return CB_OK;
}

cb_err cb_tracer_begin(cb_rank *rank) {
    cb_tracer *t = &rank->tracer;
    const cb_run *run = rank->run;
    t->whole = rank->step >= run->trace_first && rank->step < run->trace_end;
    t->on = run->record || t->whole;
    if (!t->on) return CB_OK;
    if (t->steps == 0) t->own.instrs = 0; /* the step before was not to be kept */
    int64_t instrs = rank->schedule.list[rank->p].count;
    TRY(make_room((void **)&t->own.instr, t->own.instrs, &t->instr_room, instrs, sizeof *t->own.instr));
    t->first = t->own.instrs;
    if (t->whole) TRY(begin_whole(rank));
    t->begin_s = cb_now_s();
    return CB_OK;
}

void cb_tracer_end(cb_rank *rank) {
    cb_tracer *t = &rank->tracer;
    t->on = false;
    if (!t->whole) return;
    cb_traced_step *step = &t->own.step[t->steps++];
    step->begin_s = t->begin_s;
    step->end_s = cb_now_s();
    step->instrs = t->own.instrs - step->instr;
    step->spans = t->own.spans - step->span;
    step->comms = t->comm.count - step->comm;
    t->whole = false;
    cb_comm_record(rank->comm, NULL);
}

void cb_tracer_instr(cb_rank *rank, cb_instr in, double begin_s) {
    cb_tracer *t = &rank->tracer;
    if (!t->on) return;
    t->own.instr[t->own.instrs++] = (cb_event){.row = cb_comm_rank(rank->comm),
                                               .kind = (int32_t)in.kind,
                                               .micro_batch = in.micro_batch,
                                               .chunk = in.chunk,
                                               .begin_s = begin_s,
                                               .end_s = cb_now_s()};
}

void cb_tracer_span(cb_rank *rank, cb_traced_part part, double begin_s) {
    cb_tracer *t = &rank->tracer;
    if (!t->whole) return;
    t->own.span[t->own.spans++] = (cb_traced_span){.part = (int32_t)part, .begin_s = begin_s, .end_s = cb_now_s()};
}

void cb_tracer_forget(cb_tracer *t) {
    free(t->own.step);
    free(t->own.span);
    free(t->comm.event);
    t->own = (cb_traced_rank){.instr = t->own.instr, .instrs = t->own.instrs};
    t->comm = (cb_comm_recorder){0};
    t->span_room = 0;
    t->steps = 0;
}

void cb_tracer_free(cb_tracer *t) {
    cb_tracer_forget(t);
    free(t->own.instr);
    *t = (cb_tracer){0};
}
