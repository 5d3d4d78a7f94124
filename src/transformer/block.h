/* Inside transformer/: what the two halves of a block share. */
#ifndef CB_TRANSFORMER_BLOCK_H
#define CB_TRANSFORMER_BLOCK_H

#include "transformer/transformer.h"

int64_t cb_transformer_rows(const cb_transformer *t); /* M */
/* The linear layer whose weight and bias have these roles. */
cb_linear cb_layer_linear(const cb_transformer *t, const cb_layer *layer, cb_role weight, cb_role bias);
/* The same for a backward pass: where the weight gradient is split off (act[CB_ACT_DOUT] is there) it is left out. */
cb_linear cb_backward_linear(const cb_transformer *t, const cb_layer *layer, float *const *act, cb_role weight, cb_role bias);
/* Where the weight gradient is split off: puts act[a]'s (count) gradient aside for it. Else nothing. */
void cb_put_aside(float *const *act, cb_act a, const float *gradient, int64_t count);
void cb_attention_weight_gradients(cb_transformer *t, const cb_layer *layer, float *const *act);
void cb_mlp_weight_gradients(cb_transformer *t, const cb_layer *layer, float *const *act);
/* Norm of act[x] into act[y], its mean and rstd into the two rows after y; the weight has role w, the bias the one after. */
void cb_layer_norm(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act x, cb_act y, cb_role w);
/* dx (M, C) += gradient through that norm of dy (M, C). */
void cb_layer_norm_backward(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act x, cb_act y, cb_role w,
                            float *dx, const float *dy);
/* Computes those of a half's activations that are in `wanted` from those before them. A norm comes with its two rows, FC with
 * GELU. *attention: collective over tp where CB_ACT_MID is wanted.* */
CB_MUST_USE cb_err cb_attention_fill(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act_set wanted);
void cb_mlp_fill(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act_set wanted);
void cb_layer_watch(const cb_transformer *t, const cb_layer *layer, cb_act act, float *const *acts);

#endif
