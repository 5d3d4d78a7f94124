/* One step of a trace, prepared for questions: who else took part in an operation, what held a rank up and when. Not
 * for other rooms. */
#ifndef CB_TRACE_VIEW_H
#define CB_TRACE_VIEW_H

#include "trace/analysis.h"

/* Time in which a rank was held up, or read data. */
typedef struct cb_hold {
    double begin_s, end_s;
    cb_use use;
    int32_t comm; /* of the rank's events in this step, that it waited for; -1: none (posting, data) */
} cb_hold;

typedef struct cb_view_rank {
    const cb_traced_step *step;
    const cb_event *instr;      /* (step->instrs) */
    const cb_traced_span *span; /* (step->spans) */
    const cb_comm_event *comm;  /* (step->comms) */
    cb_hold *hold;              /* (holds), by end; they do not overlap */
    int64_t holds;
    int32_t *op[CB_PURPOSES]; /* (ops) collective operations in order, as indices into comm */
    int64_t ops[CB_PURPOSES];
} cb_view_rank;

typedef struct cb_view {
    const cb_traced *traced;
    double begin_s, end_s;
    cb_view_rank *rank;
    int *members; /* room for a group's ranks */
} cb_view;

CB_MUST_USE cb_err cb_view_make(cb_view *view, const cb_traced *traced, int step);
void cb_view_free(cb_view *view);

/* The last instruction of a rank that begins before time_s (or at it, if or_at), or -1. */
int64_t cb_view_instr(const cb_view_rank *rank, double time_s, bool or_at);
/* The last hold of a rank that ends by time_s, or -1. */
int64_t cb_view_hold(const cb_view_rank *rank, double time_s);
/* When the last of the others came to the collective operation; *who it was. -INFINITY: nobody else took part. */
double cb_view_last(const cb_view *view, int rank, const cb_comm_event *event, int *who);
/* When what a receive waits for was sent, and by which rank; -INFINITY where no stage sends it. */
double cb_view_sent(const cb_view *view, int rank, int64_t instr, int *who);
/* Begin of the part of a hold in which everybody else of other stages had come: what lies before is bubble. */
double cb_view_all_there(const cb_view *view, int rank, const cb_hold *hold);

cb_use cb_use_of_purpose(int32_t purpose);

#endif
