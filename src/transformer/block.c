/* A pre-norm block, and what its halves share. Source: Radford et al. 2019 (GPT-2); Shoeybi et al. 2019 for the cuts. */
#include "transformer/block.h"

cb_linear cb_layer_linear(const cb_transformer *t, const cb_layer *layer, cb_role weight, cb_role bias) {
    cb_param param = cb_param_of(t->model, weight, layer->index);
    return (cb_linear){.in = param.cols, .out = param.rows, .w = layer->w[weight], .b = layer->w[bias],
                       .dw = layer->dw[weight], .db = layer->dw[bias]};
}

cb_linear cb_backward_linear(const cb_transformer *t, const cb_layer *layer, float *const *act, cb_role weight, cb_role bias) {
    cb_linear linear = cb_layer_linear(t, layer, weight, bias);
    if (act[CB_ACT_DOUT]) linear.dw = NULL;
    return linear;
}

void cb_put_aside(float *const *act, cb_act a, const float *gradient, int64_t count) {
    if (act[CB_ACT_DOUT]) cb_device_host()->copy(act[a], gradient, 4 * count);
}

int64_t cb_transformer_rows(const cb_transformer *t) { return (int64_t)t->B * t->T; }

void cb_transformer_watch(const cb_transformer *t, int layer, const char *tensor, const float *data, int64_t count) {
    if (t->watch) t->watch(t->watch_arg, layer, tensor, data, count, 0);
}

void cb_layer_watch(const cb_transformer *t, const cb_layer *layer, cb_act act, float *const *acts) {
    if (!t->watch) return;
    cb_act_sizes sizes = {t->model, t->B, t->T, t->tp->shards, t->tp->owned};
    t->watch(t->watch_arg, layer->index, cb_act_name(act), acts[act], cb_act_bytes(&sizes, act) / 4,
             cb_act_is_cut(act) ? t->tp->owned : 0);
}

void cb_layer_norm(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act x, cb_act y, cb_role w) {
    cb_compute *c = t->compute;
    c->ops->layernorm(c, act[y], act[y + 1], act[y + 2], act[x], layer->w[w], layer->w[w + 1], cb_transformer_rows(t),
                      t->model->channels, (float)t->model->norm_eps);
    cb_layer_watch(t, layer, y, act);
}

void cb_layer_norm_backward(cb_transformer *t, const cb_layer *layer, float *const *act, cb_act x, cb_act y, cb_role w,
                            float *dx, const float *dy) {
    cb_compute *c = t->compute;
    c->ops->layernorm_backward(c, dx, layer->dw[w], layer->dw[w + 1], dy, act[x], layer->w[w], act[y + 1], act[y + 2],
                               cb_transformer_rows(t), t->model->channels);
}

cb_err cb_block_forward(cb_transformer *t, const cb_layer *layer, float *const *act, float *out) {
    TRY(cb_attention_forward(t, layer, act));
    return cb_mlp_forward(t, layer, act, out);
}

cb_err cb_block_recompute(cb_transformer *t, const cb_layer *layer, float *const *act) {
    cb_act_set wanted = CB_ALL_LAYER_ACTS & ~layer->kept;
    if (!wanted) return CB_OK;
    cb_watch_fn watch = t->watch; /* saw these tensors in the forward pass */
    t->watch = NULL;
    cb_err e = cb_attention_fill(t, layer, act, wanted);
    if (!e) cb_mlp_fill(t, layer, act, wanted);
    t->watch = watch;
    return e;
}

cb_err cb_block_backward(cb_transformer *t, const cb_layer *layer, float *const *act, float *dx) {
    TRY(cb_mlp_backward(t, layer, act, dx));
    return cb_attention_backward(t, layer, act, dx);
}

void cb_block_weight_gradients(cb_transformer *t, const cb_layer *layer, float *const *act) {
    cb_mlp_weight_gradients(t, layer, act);
    cb_attention_weight_gradients(t, layer, act);
}
