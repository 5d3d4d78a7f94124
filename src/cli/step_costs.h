/* The time of a training step on this machine, put together from the times of its parts, measured or made up: every
 * instruction of the run's own lists gets the parts that the executor does in it, and the lists are simulated, or
 * rehearsed where ranks share cores. */
#ifndef CB_CLI_STEP_COSTS_H
#define CB_CLI_STEP_COSTS_H

#include "planner/planner.h"
#include "train/run.h"

/* What instructions consist of, for one microbatch and, where it is a layer's, one layer. */
typedef enum cb_step_part {
    CB_PART_EMBEDDING_F,
    CB_PART_LAYER_F,
    CB_PART_HEAD_F,
    CB_PART_HEAD_B,
    CB_PART_LAYER_B,
    CB_PART_EMBEDDING_B,
    CB_PART_LAYER_AGAIN, /* what the run's recomputation does for a layer that it is for */
    /* where the backward is split */
    CB_PART_HEAD_B_ALONE,
    CB_PART_LAYER_B_ALONE,
    CB_PART_HEAD_W,
    CB_PART_LAYER_W,
    CB_STEP_PARTS
} cb_step_part;

/* Seconds on one rank with its threads, while the cores that the run keeps busy are busy; where ranks share cores, on
 * one, as long as it takes turns with others. */
typedef struct cb_step_costs {
    double part_s[CB_STEP_PARTS][CB_CAUSES];
    double idle_s[CB_STEP_PARTS]; /* of those: the rank waits for others of its tp group, its core is free */
    double slowest;               /* rank beside others of the kind: by this share it takes longer than the mean */
    /* of one element of parameters or gradients */
    double zero_s, accumulate_s, copy_s, squares_s, adamw_s;
    double reduce_s, tied_s;    /* its sum over dp; between first and last stage */
    double agree_s;             /* norms and loss between all ranks, once a step */
    double message_s;           /* between stages: from the end of the send to the receiver's start */
    double product_flops_per_s; /* of a layer's matrix products; for people */
} cb_step_costs;

typedef struct cb_step_estimate {
    double step_s, tokens_per_s;
    double by_cause_s[CB_CAUSES]; /* of the stage that works longest; their sum is step_s */
    double bubble_share;          /* of step_s, of that stage */
    double floor_s;               /* all work of all ranks over the machine's cores */
    int stage;                    /* which one */
} cb_step_estimate;

/* Elements of a stage's parameters on one rank; of its gradients, with both of the tied table's where it has both. */
typedef struct cb_stage_elements {
    int64_t params, grads, table; /* table: of the tied embedding, 0 where the stage has none */
} cb_stage_elements;
cb_stage_elements cb_run_stage_elements(const cb_run *run, int stage);

/* Its ranks have more threads than there are cores. */
bool cb_run_shares_cores(const cb_run *run, int cores);

typedef struct cb_instr_cost {
    double by_cause_s[CB_CAUSES], idle_s;
    int all_reduces, small; /* over tp, where that is more than one; those of the loss */
} cb_instr_cost;
/* Of one instruction. schedule: the run's, lowered. */
cb_instr_cost cb_instr_cost_of(const cb_run *run, const cb_schedule *schedule, const cb_step_costs *costs, int stage,
                               cb_instr instr);
double cb_instr_cost_s(const cb_instr_cost *cost); /* all causes */
/* The step on `cores` cores: simulated where the ranks' threads have a core each, else rehearsed on this machine
 * (rehearse.h). Errors of cb_run_schedule, cb_schedule_simulate_each and cb_rehearse. */
CB_MUST_USE cb_err cb_step_predict(const cb_run *run, const cb_step_costs *costs, int cores,
                                   cb_step_estimate *estimate);

#endif
