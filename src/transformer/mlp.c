/* The MLP half of a block: norm, column-parallel fc, GELU, row-parallel fc2, residual. One all-reduce forward, one backward. */
#include "transformer/block.h"

void cb_mlp_fill(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act_set wanted) {
    int64_t M = cb_transformer_rows(t), F = t->model->ffn / t->tp->shards;
    if (wanted & CB_ACT_BIT(CB_ACT_LN2)) cb_layer_norm(t, layer, act, CB_ACT_MID, CB_ACT_LN2, CB_LN2_W);
    if (!(wanted & CB_ACT_BIT(CB_ACT_FC))) return;
    cb_linear fc = cb_layer_linear(t, layer, CB_FC_W, CB_FC_B);
    const float *bias = fc.b;
    fc.b = NULL; /* added together with the GELU, in one pass */
    cb_column_forward(t->tp, &fc, act[CB_ACT_FC], act[CB_ACT_LN2], M);
    for (int s = 0; s < t->tp->owned; s++) {
        float *x = act[CB_ACT_FC] + s * M * F;
        t->compute->ops->bias_gelu(t->compute, act[CB_ACT_GELU] + s * M * F, x, bias + s * F, M, F);
    }
    cb_layer_watch(t, layer, CB_ACT_FC, act);
    cb_layer_watch(t, layer, CB_ACT_GELU, act);
}

cb_err cb_mlp_forward(cb_transformer *t, const cb_layer *layer, float *const *act, float *out) {
    int64_t M = cb_transformer_rows(t), C = t->model->channels;
    cb_linear fc2 = cb_layer_linear(t, layer, CB_FC2_W, CB_FC2_B);
    cb_mlp_fill(t, layer, act, CB_ALL_LAYER_ACTS);
    TRY(cb_row_forward(t->tp, &fc2, out, act[CB_ACT_GELU], M));
    t->compute->ops->residual(t->compute, out, act[CB_ACT_MID], out, fc2.b, M, C);
    cb_transformer_watch(t, layer->index, "output", out, M * C);
    return CB_OK;
}

cb_err cb_mlp_backward(cb_transformer *t, const cb_layer *layer, float *const *act, float *dx) {
    cb_compute *c = t->compute;
    int64_t M = cb_transformer_rows(t), F = t->model->ffn / t->tp->shards;
    cb_linear fc = cb_backward_linear(t, layer, act, CB_FC_W, CB_FC_B), fc2 = cb_backward_linear(t, layer, act, CB_FC2_W, CB_FC2_B);
    float *dfc = t->wide, *dln = t->stream;
    cb_put_aside(act, CB_ACT_DOUT, dx, M * t->model->channels);
    cb_row_backward(t->tp, &fc2, dfc, dx, act[CB_ACT_GELU], M);
    c->ops->gelu_backward(c, dfc, act[CB_ACT_FC], dfc, t->tp->owned * M * F);
    TRY(cb_column_backward(t->tp, &fc, dln, dfc, act[CB_ACT_LN2], M));
    cb_put_aside(act, CB_ACT_FC, dfc, t->tp->owned * M * F);
    cb_layer_norm_backward(t, layer, act, CB_ACT_MID, CB_ACT_LN2, CB_LN2_W, dx, dln);
    cb_transformer_watch(t, layer->index, "gradient of mlp", dx, M * t->model->channels);
    return CB_OK;
}

void cb_mlp_weight_gradients(cb_transformer *t, const cb_layer *layer, float *const *act) {
    int64_t M = cb_transformer_rows(t);
    cb_linear fc = cb_layer_linear(t, layer, CB_FC_W, CB_FC_B), fc2 = cb_layer_linear(t, layer, CB_FC2_W, CB_FC2_B);
    cb_row_weight_gradient(t->tp, &fc2, act[CB_ACT_DOUT], act[CB_ACT_GELU], M);
    cb_column_weight_gradient(t->tp, &fc, act[CB_ACT_FC], act[CB_ACT_LN2], M);
}
