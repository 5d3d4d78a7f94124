/* Activation recomputation: which activations of a layer a microbatch keeps from its forward to its backward pass; the
 * others are computed again, by the same functions from the same numbers, right before the layer's backward. Trainer,
 * memory model and FLOPs model read the same function, cb_recompute_kept. Sources: Chen et al. 2016, "Training Deep
 * Nets with Sublinear Memory Cost", arXiv:1604.06174 (full); Korthikanti et al. 2022, "Reducing Activation
 * Recomputation in Large Transformer Models", arXiv:2205.05198 (selective). Pure. */
#ifndef CB_MODEL_RECOMPUTE_H
#define CB_MODEL_RECOMPUTE_H

#include "model/activations.h"
#include "model/placement.h"

typedef enum cb_recompute_kind {
    CB_RECOMPUTE_NONE,
    CB_RECOMPUTE_SELECTIVE, /* attention's probabilities, T numbers per row and head, from q and k */
    CB_RECOMPUTE_FULL,      /* all but a layer's input */
} cb_recompute_kind;

typedef struct cb_recompute {
    cb_recompute_kind kind;
    int layers; /* full: of this many first layers of a stage (all, where it has no more); 0: of all */
} cb_recompute;

/* "none", "selective", "full" or "full:N", N >= 1. Error CB_EUSAGE. */
CB_MUST_USE cb_err cb_recompute_parse(cb_recompute *recompute, const char *text);
char *cb_recompute_text(const cb_recompute *recompute, char out[24]);
/* full:N with N more than the layers of the largest stage: CB_EINVAL with the numbers. */
CB_MUST_USE cb_err cb_recompute_check(const cb_recompute *recompute, const cb_placement *placement);

/* What layer `layer` of a stage, counted from 0 on the stage, keeps. */
cb_act_set cb_recompute_kept(const cb_recompute *recompute, int layer);
/* What some of a stage's `layers` layers do not keep: the stage has one working copy of each, used in turn. */
cb_act_set cb_recompute_shared(const cb_recompute *recompute, int layers);

/* What layer `layer` of a stage holds from B until W, where the weight gradient is split off, beside what it keeps. */
cb_act_set cb_recompute_held(const cb_recompute *recompute, int layer);

/* Bytes, each rounded as an arena takes them: what one live microbatch keeps in a chunk, layers first .. first+layers-1
 * of the stage; what it holds there from B until W; and the working copies of a stage of `layers` layers. */
int64_t cb_recompute_slot_bytes(const cb_recompute *recompute, const cb_act_sizes *sizes, int first, int layers,
                                bool first_block, bool last_block);
int64_t cb_recompute_hold_bytes(const cb_recompute *recompute, const cb_act_sizes *sizes, int first, int layers);
int64_t cb_recompute_shared_bytes(const cb_recompute *recompute, const cb_act_sizes *sizes, int layers);

/* FLOPs of one token of a training step that are computed a second time, in the whole model: what a step's hardware
 * FLOPs have more than its model FLOPs. */
double cb_recompute_flops_per_token(const cb_recompute *recompute, const cb_model *model, const cb_placement *placement,
                                    int64_t seq_length);
/* The same of layer `layer` of a stage. */
double cb_recompute_layer_flops_per_token(const cb_recompute *recompute, const cb_model *model, int layer,
                                          int64_t seq_length);

#endif
