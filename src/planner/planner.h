/* The planner: what a training step of a model takes in a layout on a cluster, without running it. A job is what does
 * not change while layouts are searched, a split is one layout, an estimate is what it costs. Pure: no clock, no file,
 * no MPI; the same numbers on every machine.
 * Units are in the names; B is bytes, FLOPs are counted as multiply-adds times two. */
#ifndef CB_PLANNER_PLANNER_H
#define CB_PLANNER_PLANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"
#include "model/recompute.h"
#include "planner/constants.h"
#include "planner/hardware.h"
#include "planner/stack.h"

typedef struct cb_job {
    const cb_model *model;
    const cb_cluster *cluster;
    cb_stack stack;
    cb_precision precision;
    bool eager, sync_tp,
        rowwise8; /* departures from the stack: not compiled, tp's collectives not hidden, 8-bit scales by row */
    int64_t seq_length, global_batch; /* tokens of a sequence, sequences of a step */
    bool grads_32;                    /* gradients are summed, and sent, in 32 bits where the stack would in 16 */
    bool moments_8;                   /* Adam's two moments are kept in 8 bits: for memory */
    const cb_constants *constants;    /* for memory; NULL: those of the table */
} cb_job;

typedef enum cb_split_schedule {
    CB_SPLIT_GPIPE,
    CB_SPLIT_1F1B,
    CB_SPLIT_INTERLEAVED,
    CB_SPLIT_ZB_H1,
    CB_SPLIT_ZB_H2,
    CB_SPLIT_SCHEDULES
} cb_split_schedule;

typedef enum cb_split_recompute {
    CB_KEEP_ALL,
    CB_AGAIN_ATTENTION, /* selective: scores and probabilities; nothing where the stack computes attention in blocks */
    CB_AGAIN_CHEAP,     /* selective by operation: all but every second matrix product */
    CB_AGAIN_LAYER,     /* full */
    CB_SPLIT_RECOMPUTES
} cb_split_recompute;

/* Layers over stages. */
typedef enum cb_split_placement {
    CB_PLACE_EVEN,      /* layers only, what does not divide goes to the first stages; or as the stack does by itself */
    CB_PLACE_WITH_ENDS, /* embedding and head count as a layer each: L + 2 over the stages */
} cb_split_placement;

typedef struct cb_split {
    int dp, tp, pp, cp;
    int chunks;      /* virtual stages of a stage; 1 unless interleaved */
    int micro_batch; /* sequences */
    cb_split_schedule schedule;
    cb_split_recompute recompute;
    cb_split_placement placement;
    bool sequence_parallel;
    int zero; /* 0 .. 3: 1 optimizer states, 2 gradients too, 3 weights too (FSDP) are cut over dp */
} cb_split;

typedef enum cb_cause {
    CB_CAUSE_GEMM, /* matrix products of the layers */
    CB_CAUSE_ATTENTION,
    CB_CAUSE_ELEMENTWISE, /* norms, activations, residuals */
    CB_CAUSE_HEAD,        /* embedding, logits, loss */
    CB_CAUSE_RECOMPUTE,
    CB_CAUSE_LAUNCH, /* the host is slower than the device; fixed costs of microbatches and steps */
    CB_CAUSE_TP,     /* what collectives are not hidden */
    CB_CAUSE_CP,
    CB_CAUSE_DP,
    CB_CAUSE_PP,     /* messages between stages */
    CB_CAUSE_BUBBLE, /* fill and drain of the pipeline, and stages of unequal length */
    CB_CAUSE_OPTIMIZER,
    CB_CAUSES
} cb_cause;
const char *cb_cause_name(cb_cause cause); /* "gemm" */

typedef struct cb_estimate {
    double step_s;
    double by_cause_s[CB_CAUSES]; /* of the slowest stage; their sum is step_s */
    double forward_s, backward_s; /* of one microbatch through the slowest stage; backward with recomputation */
    double bubble_share;          /* of step_s */
    double exposed_s;             /* tp + cp + dp + pp */
    double tokens_per_s;
    double model_flops, hardware_flops; /* of a step, all devices; see docs/notation.md */
    double mfu, hfu;                    /* shares of the peak in the job's precision */
} cb_estimate;

/* One microbatch through a stage: forward, gradient of the input with what is computed again for it, gradient of the
 * weights. */
typedef struct cb_stage_times {
    double forward_s, input_s, weight_s;
} cb_stage_times;

/* Number of microbatches of a pipeline and step; 0 where dp * micro_batch does not divide the global batch. */
int64_t cb_split_micro_batches(const cb_job *job, const cb_split *split);
/* Layers that stage `stage` holds. */
int cb_split_layers(const cb_job *job, const cb_split *split, int stage);
/* A split that cannot be: CB_EINVAL with the rule, the numbers and what would work. Memory is not looked at. */
CB_MUST_USE cb_err cb_split_check(const cb_job *job, const cb_split *split);
/* The time of a step; of the estimate the rates (from tokens_per_s on) stay 0. Errors: those of cb_split_check. The hot
 * path of a search: no allocation. */
CB_MUST_USE cb_err cb_estimate_time(const cb_job *job, const cb_split *split, const cb_constants *constants,
                                    cb_estimate *estimate);
/* FLOPs of a token that MFU and HFU count, in the letters of docs/notation.md; W: weights in products, the head's among
 * them, Wl: those of the layers. HFU's has words for what is computed again. */
const char *cb_mfu_formula(void);
const char *cb_hfu_formula(const cb_job *job, const cb_split *split);
/* Fills in the rates. */
void cb_estimate_rates(const cb_job *job, const cb_split *split, cb_estimate *estimate);

/* What each stage takes and one message between stages, for pictures: stages (pp), *message_s of one way. Errors: those
 * of cb_split_check. */
CB_MUST_USE cb_err cb_estimate_stages(const cb_job *job, const cb_split *split, const cb_constants *constants,
                                      cb_stage_times *stages, double *message_s);

#endif
