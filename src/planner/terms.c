/* Sizes of a rank's share of a layer, from the model and the layout. */
#include "planner/terms.h"

static int kv_heads(const cb_model *model) {
    return model->kv_heads ? model->kv_heads : model->heads;
}

/* Parameters of matrix products only: vectors are a thousandth of them. */
cb_terms cb_terms_of(const cb_job *job, const cb_split *split, const cb_constants *constants) {
    const cb_model *model = job->model;
    double tp = split->tp, kv = kv_heads(model) < split->tp ? tp : kv_heads(model); /* fewer than tp: copies */
    cb_terms t = {
        .job = job,
        .split = split,
        .constants = constants,
        .model = model,
        .device = &job->cluster->device,
        .stack = cb_stack_traits_of(job->stack),
        .rows = (double)split->micro_batch * (double)job->seq_length / split->cp,
        .channels = (double)model->channels,
        .heads = model->heads / tp,
        .head_width = (double)model->channels / model->heads,
        .ffn = (double)model->ffn / tp,
    };
    t.regime = cb_regime_of(job);
    t.volume = cb_volume_of(job, split, &t.regime);
    t.other = job->precision == CB_MATH_32 ? CB_MATH_32 : CB_MATH_16;
    t.qkv = (model->heads + 2 * kv) * t.head_width / tp;
    t.fc = t.ffn * (model->gated ? 2 : 1);
    t.layer_params = t.channels * (t.qkv + t.channels / tp + t.fc + t.ffn);
    t.embedding_params = t.channels * (double)model->vocab_padded / tp;
    t.head_params = t.embedding_params;
    return t;
}
