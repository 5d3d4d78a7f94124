/* The memory of a device, stage by stage: what a layout keeps alive at the worst moment of a step, by kind. Parameters
 * and activations are the rows of model/params.h and model/activations.h; how many bytes a number takes in them, and
 * what else a training program holds, is a regime, which follows from software stack and precision. Pure; no
 * allocation: the filter of a search. Sources: Korthikanti et al., arXiv:2205.05198 (activations); Rajbhandari et al.,
 * arXiv:1910.02054 (ZeRO); Megatron-LM, docs on the distributed optimizer (bytes of a parameter). What was left open by
 * them is in docs/planner.md. */
#ifndef CB_PLANNER_DEVICE_MEMORY_H
#define CB_PLANNER_DEVICE_MEMORY_H

#include "model/activations.h"
#include "planner/planner.h"

typedef enum cb_device_kind {
    CB_HOLD_WEIGHTS,
    CB_HOLD_GRADS,
    CB_HOLD_OPTIMIZER,
    CB_HOLD_ACTIVATIONS, /* of all live microbatches */
    CB_HOLD_LOGITS,
    CB_HOLD_BUFFERS,   /* the layer at work, gathered weights, messages, buckets, the optimizer's copies */
    CB_HOLD_FRAMEWORK, /* context of the device and communicators; what the allocator keeps unused */
    CB_DEVICE_KINDS
} cb_device_kind;
const char *cb_device_kind_name(cb_device_kind kind); /* "weights" */

/* Bytes of one number of each kind. */
typedef struct cb_regime {
    double weight, grad, optimizer; /* of a parameter; ZeRO cuts the three from the right */
    double loose_grad;              /* of a parameter that autograd makes before it is added to a sum of its own */
    double step;                    /* of a parameter that an optimizer's step takes and gives back */
    double activation;              /* of an activation's element */
    double logit, logit_cut;        /* all that is held of a logit at the loss; of a vocabulary cut over tp */
    bool scores;                    /* attention's probabilities are kept (no attention in blocks) */
    bool dropout;                   /* masks of a byte, and what dropout made of the probabilities */
    bool copies;                    /* eager kernels keep the rotated q and k, and the gate's activation, too */
    bool engine;                    /* a pipeline engine keeps a part of each live microbatch's input, and buckets */
    bool outputs;                   /* a stage's output is kept with each live microbatch */
    bool planned;                   /* a graph planned beforehand: phases share memory, nothing is unused */
    bool waits;                     /* what a collective used is free when the host has seen it end */
} cb_regime;
cb_regime cb_regime_of(const cb_job *job);

/* Numbers of parameters by who holds them; of the cut ones a tensor-parallel rank holds 1/tp. */
typedef struct cb_param_sums {
    double layer_cut, layer_whole, first_cut, first_whole, last_cut, last_whole;
    double tied_cut;   /* part of first_cut and of last_cut that one stage alone holds once */
    double widest_cut; /* of the largest matrix of a layer */
} cb_param_sums;
cb_param_sums cb_param_sums_of(const cb_model *model);
/* Parameters on one rank of a stage. */
double cb_stage_params(const cb_job *job, const cb_split *split, const cb_param_sums *sums, int stage);

typedef struct cb_device_memory {
    double bytes[CB_DEVICE_KINDS];
    double total_bytes;     /* of all kinds: what has to fit */
    double least_bytes;     /* a program that has no more than this still runs: its allocator gives back what it can */
    double allocated_bytes; /* by tensors, at the worst moment */
    double outside_bytes;   /* part of the framework's that no allocator sees: context and communicators */
    double live; /* microbatches of the whole stage whose activations are held at once; not whole with chunks */
    int stage;
} cb_device_memory;

/* Activation bytes that one microbatch leaves in one layer on one rank. */
double cb_layer_activation_bytes(const cb_job *job, const cb_split *split, const cb_regime *regime);
/* The most chunks (1 / split->chunks of a stage each) live on a stage at once: the closed form of the checker's peak.
 */
int64_t cb_split_live_chunks(const cb_job *job, const cb_split *split, int stage);

/* sums: of the job's model. */
cb_device_memory cb_device_memory_of(const cb_job *job, const cb_split *split, const cb_param_sums *sums, int stage);
/* Of the stage that holds most. Looks at three stages, of which one is it; a test looks at all. */
cb_device_memory cb_device_memory_worst(const cb_job *job, const cb_split *split, const cb_param_sums *sums);

/* What tools call a device's memory in use. */
typedef enum cb_memory_meaning {
    CB_ALLOCATED, /* by tensors: torch's max_memory_allocated */
    CB_RESERVED,  /* by the allocator: max_memory_reserved */
    CB_IN_USE,    /* all: nvidia-smi; what has to fit */
} cb_memory_meaning;
typedef struct cb_memory_report {
    cb_memory_meaning meaning;
    double unit_bytes; /* of a "GB" */
    bool first_stage;  /* of a rank of the first stage, not of the fullest device */
} cb_memory_report;
/* On a device of device_bytes: what would be more than that is given back as far as it can be. */
double cb_device_memory_as(const cb_device_memory *memory, cb_memory_meaning meaning, double device_bytes);

#endif
