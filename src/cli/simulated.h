/* A schedule with all that can be said of it beforehand: proved, simulated, its timeline ready to be drawn. */
#ifndef CB_CLI_SIMULATED_H
#define CB_CLI_SIMULATED_H

#include "timeline/timeline.h"

/* Milliseconds: of one microbatch through all of a stage's chunks, every stage alike; of a message; of the optimizer.
 */
typedef struct cb_costs {
    double forward, backward, weight, message, step;
} cb_costs;

/* "F=1,B=1,W=1,comm=0.1,step=0", in any order; what is left out keeps 1, 1, 1, 0, 0. Error CB_EUSAGE. */
CB_MUST_USE cb_err cb_costs_parse(const char *text, cb_costs *costs);

typedef struct cb_simulated {
    cb_schedule schedule;
    cb_timeline timeline;
    double total_s, work_s;      /* of the step; of a stage's instructions F, B, W in it */
    double own_s;                /* the longest that a stage waits between its own first and last of them */
    int *peak, most;             /* (stages): chunks of microbatches held at once; of all stages */
    int64_t messages;            /* of a step, between stages */
    int window;                  /* the smallest send window without deadlock */
    cb_event *events;            /* of the timeline, as */
    char title[96], (*name)[16]; /* these */
    const char **names;
} cb_simulated;

/* Lowers (where that is not done), proves and simulates the schedule, which *simulated owns from now on, also after an
 * error. Errors of the checker; CB_ENOMEM. */
CB_MUST_USE cb_err cb_simulated_make(cb_simulated *simulated, cb_schedule schedule, const cb_costs *costs);
/* The same with times of each stage. */
CB_MUST_USE cb_err cb_simulated_make_uneven(cb_simulated *simulated, cb_schedule schedule,
                                            const cb_durations *durations);
void cb_simulated_free(cb_simulated *simulated);

#endif
