/* Where a traced step's time went. Pure.
 *
 * Exact: the parts of a rank add up to the step's time, from the first begin of any rank to the last end, and so do the
 * parts of the critical path. */
#ifndef CB_TRACE_ANALYSIS_H
#define CB_TRACE_ANALYSIS_H

#include <jansson.h>

#include "pipeline/simulate.h"
#include "trace/trace.h"

typedef enum cb_use {
    CB_USE_COMPUTE, /* forward and backward */
    CB_USE_TP,      /* held up by communication over tp, also by ranks that came late to it, */
    CB_USE_DP,      /* over dp, likewise, */
    CB_USE_PP,      /* by messages between stages, from when they were sent; by the tied embedding and what is agreed
                       over pp, from when the last stage had come */
    CB_USE_BUBBLE, /* waiting for another stage to send or to come; before a rank's first instruction, after its last */
    CB_USE_OPTIMIZER, /* zeroing, norms, clipping, update */
    CB_USE_DATA,      /* reading tokens */
    CB_USES
} cb_use;
const char *cb_use_name(cb_use use); /* "compute", "tp", ... */

/* time_s (ranks, CB_USES) of step `step`, an index into traced->step. Error CB_ENOMEM. */
CB_MUST_USE cb_err cb_traced_breakdown(const cb_traced *traced, int step, double *time_s);

/* What held the step up: the way back from the last event on all ranks to the first, each time through what ended last
 * of what it waited for: the instruction before on the same rank, the send of another stage, the last rank to come to a
 * collective operation. */
typedef struct cb_critical_part {
    int rank;
    cb_use use;
    double begin_s, end_s; /* of the trace's clock; the parts follow each other without a gap */
} cb_critical_part;

/* *parts (*count), to be freed, in order of time. Error CB_ENOMEM. */
CB_MUST_USE cb_err cb_traced_critical(const cb_traced *traced, int step, cb_critical_part **parts, int64_t *count);

/* Measured costs, for the simulator: medians over the step's microbatches and the ranks of a stage. Durations include
 * communication over tp and dp, not what messages between stages held up. message_s: of those that were waited for,
 * from the send to the receive's end; step_s: what a rank spends at the end of the step, and zeroing, without waiting
 * for other stages. cost is the caller's room for (3, stages, chunks) seconds, to which *durations points. Error
 * CB_ENOMEM. */
CB_MUST_USE cb_err cb_traced_costs(const cb_traced *traced, int step, double *cost, cb_durations *durations);
/* {"F_s": [by stage], "B_s": [...], "W_s": [...] where split, "message_s": ..., "end_of_step_s": ...} */
json_t *cb_durations_json(const cb_schedule *schedule, const cb_durations *durations);

#endif
