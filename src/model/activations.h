/* The activation table: what a microbatch leaves behind for its backward pass, per layer, per head, per stage, as functions of
 * the sizes. Which of a layer's it keeps until then is in recompute.h. The trainer allocates from these rows and the memory
 * model adds the same rows up. All are f32 but the ids. Pure.
 * M = B*T rows; a rank owns `owned` of `shards` shards of every cut dimension. */
#ifndef CB_MODEL_ACTIVATIONS_H
#define CB_MODEL_ACTIVATIONS_H

#include <stdbool.h>

#include "model/model.h"

typedef enum cb_act {
    /* of one layer, in forward order */
    CB_ACT_X,        /* (M, C) input of the layer: the residual stream */
    CB_ACT_LN1, CB_ACT_LN1_MEAN, CB_ACT_LN1_RSTD, /* (M, C), (M), (M) */
    CB_ACT_QKV,      /* (owned, M, 3C/S), less with grouped keys and values */
    CB_ACT_PROBS,    /* (owned, B, H/S, T, T) */
    CB_ACT_ATT,      /* (owned, M, C/S) heads' outputs */
    CB_ACT_MID,      /* (M, C) residual stream after attention */
    CB_ACT_LN2, CB_ACT_LN2_MEAN, CB_ACT_LN2_RSTD,
    CB_ACT_FC,       /* (owned, M, F/S) before GELU; (owned, M, 2F/S) if gated */
    CB_ACT_GELU,     /* (owned, M, F/S) */
    /* of one layer, only where the weight gradient is split off, from B until W */
    CB_ACT_DMID,     /* (M, C) gradient of CB_ACT_MID */
    CB_ACT_DOUT,     /* (M, C) gradient of the layer's output */
    CB_LAYER_ACTS,
    /* of the last block */
    CB_ACT_HEAD_X = CB_LAYER_ACTS, /* (M, C) input of the final norm */
    CB_ACT_LNF, CB_ACT_LNF_MEAN, CB_ACT_LNF_RSTD,
    CB_ACT_EXPS,     /* (owned, M, V/S) logits, then their exponentials, then their gradient */
    CB_ACT_EXP_SUM,  /* (M) sum over the whole vocabulary */
    CB_ACT_TARGETS,  /* (M) ids */
    /* of the first block */
    CB_ACT_TOKENS,   /* (M) ids */
    CB_ACTS
} cb_act;

typedef uint32_t cb_act_set; /* a bit per activation */
#define CB_ACT_BIT(act) ((cb_act_set)1 << (act))
#define CB_ALL_LAYER_ACTS (CB_ACT_BIT(CB_ACT_DMID) - 1) /* of the forward pass */
/* What the weight gradients of a layer's four products need: their inputs and the gradients of their outputs. Those of QKV and
 * FC are written over QKV and FC, which B is the last to read. */
#define CB_SPLIT_ACTS (CB_ACT_BIT(CB_ACT_LN1) | CB_ACT_BIT(CB_ACT_QKV) | CB_ACT_BIT(CB_ACT_ATT) | CB_ACT_BIT(CB_ACT_DMID) | \
                       CB_ACT_BIT(CB_ACT_LN2) | CB_ACT_BIT(CB_ACT_FC) | CB_ACT_BIT(CB_ACT_GELU) | CB_ACT_BIT(CB_ACT_DOUT))

typedef struct cb_act_sizes {
    const cb_model *model;
    int B, T;
    int shards, owned;
} cb_act_sizes;

const char *cb_act_name(cb_act act); /* "h.attn.probs" */
bool cb_act_is_cut(cb_act act); /* (owned, ...): shards one after the other */
int64_t cb_act_bytes(const cb_act_sizes *sizes, cb_act act);
/* Those of head and entrance that the first and the last block of the model have beside their layers'. */
cb_act_set cb_act_own(bool first_block, bool last_block);

#endif
