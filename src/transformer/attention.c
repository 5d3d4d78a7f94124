/* The attention half of a block: norm, column-parallel q, k, v (a shard holds whole heads), causal attention of the shard's
 * heads, row-parallel projection, residual. One all-reduce forward, one backward. */
#include "transformer/block.h"

/* Attention of owned shard s; backward pointers are set by the caller. */
static cb_attention shard_attention(const cb_transformer *t, float *const *act, int s) {
    const cb_model *m = t->model;
    int64_t M = cb_transformer_rows(t), C = m->channels / t->tp->shards;
    int H = m->heads / t->tp->shards;
    return (cb_attention){.B = t->B,
                          .T = t->T,
                          .H = H,
                          .D = (int)(m->channels / m->heads),
                          .qkv = act[CB_ACT_QKV] + s * M * 3 * C,
                          .out = act[CB_ACT_ATT] + s * M * C,
                          .probs = act[CB_ACT_PROBS] + s * M * H * t->T,
                          .scratch = t->attention_scratch};
}

/* Probabilities and heads' outputs, or the probabilities alone. */
static void attend(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act_set wanted) {
    for (int s = 0; s < t->tp->owned; s++) {
        cb_attention a = shard_attention(t, act, s);
        if (!(wanted & CB_ACT_BIT(CB_ACT_ATT))) a.out = NULL;
        t->compute->ops->attention(t->compute, &a);
    }
    cb_layer_watch(t, layer, CB_ACT_ATT, act);
}

cb_err cb_attention_fill(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act_set wanted) {
    int64_t M = cb_transformer_rows(t), C = t->model->channels;
    cb_linear qkv = cb_layer_linear(t, layer, CB_QKV_W, CB_QKV_B), proj = cb_layer_linear(t, layer, CB_PROJ_W, CB_PROJ_B);
    if (wanted & CB_ACT_BIT(CB_ACT_LN1)) cb_layer_norm(t, layer, act, CB_ACT_X, CB_ACT_LN1, CB_LN1_W);
    if (wanted & CB_ACT_BIT(CB_ACT_QKV)) {
        cb_column_forward(t->tp, &qkv, act[CB_ACT_QKV], act[CB_ACT_LN1], M);
        cb_layer_watch(t, layer, CB_ACT_QKV, act);
    }
    if (wanted & (CB_ACT_BIT(CB_ACT_PROBS) | CB_ACT_BIT(CB_ACT_ATT))) attend(t, layer, act, wanted);
    if (!(wanted & CB_ACT_BIT(CB_ACT_MID))) return CB_OK;
    TRY(cb_row_forward(t->tp, &proj, act[CB_ACT_MID], act[CB_ACT_ATT], M));
    t->compute->ops->residual(t->compute, act[CB_ACT_MID], act[CB_ACT_X], act[CB_ACT_MID], proj.b, M, C);
    cb_layer_watch(t, layer, CB_ACT_MID, act);
    return CB_OK;
}

cb_err cb_attention_forward(cb_transformer *t, const cb_layer *layer, float *const *act) {
    return cb_attention_fill(t, layer, act, CB_ALL_LAYER_ACTS);
}

cb_err cb_attention_backward(cb_transformer *t, const cb_layer *layer, float *const *act, float *dx) {
    cb_compute *c = t->compute;
    int64_t M = cb_transformer_rows(t), C = t->model->channels / t->tp->shards;
    cb_linear qkv = cb_backward_linear(t, layer, act, CB_QKV_W, CB_QKV_B);
    cb_linear proj = cb_backward_linear(t, layer, act, CB_PROJ_W, CB_PROJ_B);
    float *dheads = t->heads, *dqkv = t->wide, *dln = t->stream;
    cb_put_aside(act, CB_ACT_DMID, dx, M * t->model->channels);
    cb_row_backward(t->tp, &proj, dheads, dx, act[CB_ACT_ATT], M);
    for (int s = 0; s < t->tp->owned; s++) {
        cb_attention a = shard_attention(t, act, s);
        a.dout = dheads + s * M * C;
        a.dqkv = dqkv + s * M * 3 * C;
        c->ops->attention_backward(c, &a);
    }
    TRY(cb_column_backward(t->tp, &qkv, dln, dqkv, act[CB_ACT_LN1], M));
    cb_put_aside(act, CB_ACT_QKV, dqkv, t->tp->owned * M * 3 * C);
    cb_layer_norm_backward(t, layer, act, CB_ACT_X, CB_ACT_LN1, CB_LN1_W, dx, dln);
    cb_transformer_watch(t, layer->index, "gradient of attn", dx, M * t->model->channels);
    return CB_OK;
}

void cb_attention_weight_gradients(cb_transformer *t, const cb_layer *layer, float *const *act) {
    int64_t M = cb_transformer_rows(t);
    cb_linear qkv = cb_layer_linear(t, layer, CB_QKV_W, CB_QKV_B), proj = cb_layer_linear(t, layer, CB_PROJ_W, CB_PROJ_B);
    cb_row_weight_gradient(t->tp, &proj, act[CB_ACT_DMID], act[CB_ACT_ATT], M);
    cb_column_weight_gradient(t->tp, &qkv, act[CB_ACT_QKV], act[CB_ACT_LN1], M);
}
