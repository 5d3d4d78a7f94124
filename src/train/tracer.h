/* What a rank records of its steps: instructions of every step while cb_run.record is set, and in the steps that
 * cb_run names for it also zeroing, data, messages and collective operations. Memory is made before a step begins;
 * while it runs a record is a branch, or a look at the clock and a store. */
#ifndef CB_TRAIN_TRACER_H
#define CB_TRAIN_TRACER_H

#include "base/clock.h"
#include "trace/trace.h"

typedef struct cb_rank cb_rank;

typedef struct cb_tracer {
    bool on;            /* instructions are recorded now */
    bool whole;         /* and all the rest: a step to be traced is under way */
    cb_traced_rank own; /* times of this rank's clock; own.comm is comm.event */
    int steps;          /* traced so far, all in own */
    int64_t instr_room, span_room;
    int64_t first;  /* own.instr from here on is the last step's, */
    double begin_s; /* which began at */
    cb_comm_recorder comm;
} cb_tracer;

/* Around a training step. begin makes room: CB_ENOMEM. Not collective. */
CB_MUST_USE cb_err cb_tracer_begin(cb_rank *rank);
void cb_tracer_end(cb_rank *rank);
/* Now, or 0 where nothing is recorded: for the begin of what the next two note. */
static inline double cb_tracer_now(const cb_tracer *tracer) {
    return tracer->on ? cb_now_s() : 0;
}
/* An instruction, or a part of the step, has ended that began at begin_s. */
void cb_tracer_instr(cb_rank *rank, cb_instr instr, double begin_s);
void cb_tracer_span(cb_rank *rank, cb_traced_part part, double begin_s);

/* After a step: if it was the last to be traced, brings the events of all ranks together on world rank 0, on its clock,
 * and gives them to the observer. *Collective over world.* */
CB_MUST_USE cb_err cb_tracer_deliver(cb_rank *rank);
void cb_tracer_forget(cb_tracer *tracer); /* the traced steps; the last step's instructions stay */
void cb_tracer_free(cb_tracer *tracer);

#endif
