/* When each instruction of a lowered schedule begins and ends if compute and messages take given times. Pure. */
#ifndef CB_PIPELINE_SIMULATE_H
#define CB_PIPELINE_SIMULATE_H

#include "pipeline/schedule.h"

typedef struct cb_span {
    double begin_s, end_s;
} cb_span;

typedef struct cb_durations {
    /* (stages), seconds for one microbatch through all chunks of the stage. Backward is b_s + w_s, the input gradient
     * and the weight gradient; a schedule that does not split them does both in B. w_s may be NULL (0) where nothing is
     * split, b_s too where the schedule is forward_only. */
    const double *f_s, *b_s, *w_s;
    bool
        per_chunk; /* they are (stages, chunks) instead, for one microbatch through that chunk; else chunks are alike */
    double message_s; /* from the end of a send to the receiver's start */
    double step_s;    /* reductions and optimizer, once per stage; 0 to leave out */
} cb_durations;

/* What F, B or W of one microbatch take in all chunks of a stage together. */
double cb_durations_of_stage(const cb_schedule *schedule, const cb_durations *durations, cb_instr_kind kind, int stage);

/* spans (stages): filled with pointers into one block, spans[stage][index] for every instruction; the caller frees
 * spans[0]. *total_s: end of the last. bubble_s (stages), if not NULL: total minus the time the stage computes F, B, W.
 * Sends are asynchronous and take no time of their stage; a receive lasts until its message is there.
 * Error CB_EINVAL: the schedule deadlocks, or a duration is missing, negative or not finite; CB_ENOMEM. Then spans[0]
 * is NULL. */
CB_MUST_USE cb_err cb_schedule_simulate(const cb_schedule *schedule, const cb_durations *durations, cb_span **spans,
                                        double *total_s, double *bubble_s);

/* The same where every instruction has a time of its own: work_s (stages), each (instructions of the stage), seconds;
 * of a receive before it waits, of a tied embedding's reduction after. The optimizer's step begins on no stage before
 * all have come to it, as the gradient's norm is agreed between them. Errors: those of cb_schedule_simulate. */
CB_MUST_USE cb_err cb_schedule_simulate_each(const cb_schedule *schedule, double *const *work_s, double message_s,
                                             cb_span **spans, double *total_s);

/* spans (stages): pointers into one block of zeros, a span for every instruction; the caller frees spans[0]. Error
 * CB_ENOMEM. */
CB_MUST_USE cb_err cb_spans_make(const cb_schedule *schedule, cb_span **spans);

#endif
