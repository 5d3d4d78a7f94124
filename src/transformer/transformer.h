/* Forward and backward of a GPT-2 block, of the embedding and of the head, for one microbatch, on the layers of
 * tensor_parallel/. Activations come from the table model/activations.h: act[a] points to what cb_act_bytes(a) sized.
 * Shapes: M = B*T rows; the residual stream is (M, C), whole on every tp rank. */
#ifndef CB_TRANSFORMER_TRANSFORMER_H
#define CB_TRANSFORMER_TRANSFORMER_H

#include "model/activations.h"
#include "model/params.h"
#include "tensor_parallel/tensor_parallel.h"

/* Sees every tensor right after it is computed, where set: to find the first value that is not finite, or to compare. layer: -1
 * embedding, L head; pieces: the rank's shards that data holds one after the other, 0 if it is whole on every tp rank. */
typedef void (*cb_watch_fn)(void *arg, int layer, const char *tensor, const float *data, int64_t count, int pieces);

typedef struct cb_transformer {
    const cb_model *model;
    cb_tp *tp;
    cb_compute *compute;
    int B, T;
    /* workspace, see model/memory.h */
    float *stream; /* (M, C) */
    float *wide;   /* (owned, M, max(3C, F)/S) */
    float *heads;  /* (owned, M, C/S) */
    float *rows;   /* ((owned + 1) * 2 * M), last stage */
    float *attention_scratch;
    cb_watch_fn watch; /* may be NULL */
    void *watch_arg;
} cb_transformer;

/* The parameters of one layer, local, and their gradients, by role. */
typedef struct cb_layer {
    int index;
    cb_act_set kept; /* activations that a microbatch keeps until its backward */
    const float *w[CB_LAYER_ROLES];
    float *dw[CB_LAYER_ROLES];
} cb_layer;

/* out (M, C) = block(act[CB_ACT_X]); fills the other activations of the layer. *Collective over tp: two all-reduces.* */
CB_MUST_USE cb_err cb_block_forward(cb_transformer *t, const cb_layer *layer, float *const *act, float *out);
/* Computes again what forward did not keep, by the same functions, so with the same bits; not what backward does not need:
 * the output, its product and all-reduce. Nothing is watched. *Collective over tp: one all-reduce where CB_ACT_MID is not
 * kept.* */
CB_MUST_USE cb_err cb_block_recompute(cb_transformer *t, const cb_layer *layer, float *const *act);
/* dx (M, C): on entry the gradient of the output, on return that of the input; weight gradients are added to. Where
 * act[CB_ACT_DOUT] and [CB_ACT_DMID] are there, those of the four matrices are left to cb_block_weight_gradients, which reads
 * CB_SPLIT_ACTS; biases and norms are done here. *Collective over tp: two all-reduces.* */
CB_MUST_USE cb_err cb_block_backward(cb_transformer *t, const cb_layer *layer, float *const *act, float *dx);
void cb_block_weight_gradients(cb_transformer *t, const cb_layer *layer, float *const *act); /* not collective */

/* The halves of a block: attention (mid = x + proj(heads(qkv(ln_1(x))))) and MLP (out = mid + fc2(gelu(fc(ln_2(mid))))). */
CB_MUST_USE cb_err cb_attention_forward(cb_transformer *t, const cb_layer *layer, float *const *act);
CB_MUST_USE cb_err cb_attention_backward(cb_transformer *t, const cb_layer *layer, float *const *act, float *dx);
CB_MUST_USE cb_err cb_mlp_forward(cb_transformer *t, const cb_layer *layer, float *const *act, float *out);
CB_MUST_USE cb_err cb_mlp_backward(cb_transformer *t, const cb_layer *layer, float *const *act, float *dx);

/* The token and position tables of the first stage. */
typedef struct cb_embedding {
    cb_vocab tokens;
    const float *positions;
    float *dpositions;
} cb_embedding;

/* x (M, C) = token row + position row. *Collective over tp.* */
CB_MUST_USE cb_err cb_embedding_forward(cb_transformer *t, const cb_embedding *e, float *x, const int32_t *tokens);
void cb_embedding_backward(cb_transformer *t, const cb_embedding *e, const int32_t *tokens, const float *dx);

/* The final norm and the tied head of the last stage. */
typedef struct cb_head {
    const float *lnf_w, *lnf_b;
    float *dlnf_w, *dlnf_b;
    cb_vocab vocab;
} cb_head;

/* act[CB_ACT_HEAD_X] to logits in act[CB_ACT_EXPS]. Not collective. */
void cb_head_logits(cb_transformer *t, const cb_head *head, float *const *act);
/* Logits to exponentials and *loss, the sum over the M rows of -log p(target), f64. *Collective over tp.* */
CB_MUST_USE cb_err cb_head_loss(cb_transformer *t, const cb_head *head, float *const *act, double *loss);
/* dx (M, C) = gradient of scale * loss with respect to act[CB_ACT_HEAD_X]. split: the table's gradient is left to
 * cb_head_weight_gradient. *Collective over tp.* */
CB_MUST_USE cb_err cb_head_backward(cb_transformer *t, const cb_head *head, float *const *act, float *dx, float scale,
                                    bool split);
void cb_head_weight_gradient(cb_transformer *t, const cb_head *head, float *const *act); /* not collective */

void cb_transformer_watch(const cb_transformer *t, int layer, const char *tensor, const float *data, int64_t count);

#endif
