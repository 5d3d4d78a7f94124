/* What a run will hold and send, known before anything of the model is allocated: the functions here are those that the
 * trainer sizes its arenas by. Pure but for the machine's memory. */
#ifndef CB_TRAIN_PLAN_H
#define CB_TRAIN_PLAN_H

#include "collectives/cost.h"
#include "train/run.h"

typedef struct cb_stage_plan {
    int live;         /* microbatches whose activations a rank holds at once, counted in each of its chunks */
    cb_memory memory; /* of each rank of the stage */
} cb_stage_plan;

typedef struct cb_plan {
    int stages;
    int window; /* sends of a direction that may be on their way at once */
    cb_stage_plan stage[CB_MAX_STAGES];
    int ranks_here;                    /* that share this machine */
    int64_t here_bytes, largest_bytes; /* of all of them, spread evenly over the stages; of the largest rank */
    int64_t available_bytes;           /* on this machine now */
} cb_plan;

/* Errors: those of the schedule (see cb_schedule_make, cb_schedule_check); CB_ENOMEM for the lists themselves. That the
 * plan does not fit the machine is no error. */
CB_MUST_USE cb_err cb_run_plan(const cb_run *run, cb_plan *plan);
bool cb_plan_fits(const cb_plan *plan);

/* By purpose and kind; of cb_traffic all but the times. */
typedef struct cb_sent {
    cb_traffic of[CB_PURPOSES][CB_KINDS];
} cb_sent;

/* What world rank `rank` begins and sends in one training step. schedule: the run's, lowered. */
cb_sent cb_run_sent(const cb_run *run, const cb_schedule *schedule, int rank);

#endif
