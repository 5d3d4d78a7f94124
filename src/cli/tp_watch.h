/* What a rank of the tensor-parallel layer does and when: its products and elementwise work, seen by a compute backend
 * that stands before the real one, and its collective operations, as the endpoint records them. */
#ifndef CB_CLI_TP_WATCH_H
#define CB_CLI_TP_WATCH_H

#include "comm/record.h"
#include "compute/around.h"
#include "timeline/timeline.h"

typedef enum cb_tp_work {
    CB_TP_FORWARD, /* products */
    CB_TP_DATA_GRADIENT,
    CB_TP_WEIGHT_GRADIENT,
    CB_TP_ELEMENTWISE,
    CB_TP_COLLECTIVE
} cb_tp_work;

typedef struct cb_tp_span {
    cb_tp_work work;
    double begin_s, end_s;
} cb_tp_span;

enum { CB_TP_MOST_SPANS = 128, CB_TP_MOST_EVENTS = 16 };

typedef struct cb_tp_watch {
    cb_around around; /* its compute is to be used in place of the real one */
    double begin_s;   /* of the operation under way */
    double turn_s;    /* when the backward pass begins */
    cb_tp_span span[CB_TP_MOST_SPANS]; /* in order */
    int spans;
    cb_comm_event event[CB_TP_MOST_EVENTS];
    cb_comm_recorder recorder;
} cb_tp_watch;

/* Watches `real` and, until cb_comm_record says otherwise, comm; till then watch does not move. */
void cb_tp_watch_begin(cb_tp_watch *watch, cb_compute *real, cb_comm *comm);

/* A step of a pass on one rank: neighbouring spans of the same work joined, operations among them. */
typedef struct cb_tp_step {
    cb_tp_work work;
    int32_t kind;  /* of an operation: cb_kind */
    int64_t bytes; /* sent */
    double begin_s, end_s, beside_s; /* beside_s: of an operation, while the rank computed */
} cb_tp_step;
enum { CB_TP_MOST_STEPS = 32 };
/* In order of begin; returns how many. */
int cb_tp_watch_steps(const cb_tp_watch *watch, cb_tp_step steps[CB_TP_MOST_STEPS]);
const char *cb_tp_step_name(const cb_tp_step *step); /* "product", "all-reduce", ... */

/* Two rows for each rank: what it computes, numbered by step, and the operations under way; rank 0's steps in words below.
 * Does not move. */
typedef struct cb_tp_picture {
    cb_timeline timeline;
    cb_timeline_words words;
    cb_timeline_kind kind[CB_TP_COLLECTIVE + CB_KINDS];
    char title[128], note[2048];
    cb_event *events;
    char (*name)[24];
    const char **rows;
} cb_tp_picture;
/* watch: (ranks). title is copied. Error CB_ENOMEM. */
CB_MUST_USE cb_err cb_tp_picture_make(cb_tp_picture *picture, const char *title, const cb_tp_watch *watch, int ranks);
void cb_tp_picture_free(cb_tp_picture *picture);

#endif
