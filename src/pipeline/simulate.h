/* When each instruction of a lowered schedule begins and ends if compute and messages take given times. Pure. */
#ifndef CB_PIPELINE_SIMULATE_H
#define CB_PIPELINE_SIMULATE_H

#include "pipeline/schedule.h"

typedef struct cb_span {
    double begin_s, end_s;
} cb_span;

typedef struct cb_durations {
    const double *f_s, *b_s, *w_s; /* (stages): one microbatch through the stage; w_s may be NULL */
    double message_s;              /* from the end of a send to the receiver's start */
    double step_s;                 /* reductions and optimizer, once per stage; 0 to leave out */
} cb_durations;

/* spans[stage][index] for every instruction. *total_s: end of the last. bubble_s (stages), if not NULL: total minus the time
 * the stage computes F, B, W. Asynchronous sends. Error CB_EINVAL: the schedule deadlocks. */
CB_MUST_USE cb_err cb_schedule_simulate(const cb_schedule *schedule, const cb_durations *durations, cb_span **spans,
                                        double *total_s, double *bubble_s);

#endif
