/* The time of what memory's bandwidth bounds: norms, activations, residuals, casts, embedding, loss, optimizer. Bytes
 * are counted from what each operation reads and writes. */
#include "planner/terms.h"

double cb_stream_s(const cb_terms *t, double bytes) {
    return bytes / (t->device->memory_bytes_per_s * t->constants->memory_share);
}

/* Two norms, two residual sums with dropout and bias, 11 passes over a row of C, cut over tp only where the sequence
 * is; the activation, 2 passes over the first product's outputs and 6 over heads. */
cb_both cb_elementwise(const cb_terms *t) {
    const cb_constants *c = t->constants;
    double cut = t->split->sequence_parallel ? t->split->tp : 1, tp = t->split->tp;
    double bytes = t->regime.activation * t->rows * (11 * t->channels / cut + 2 * t->fc + 6 * t->channels / tp);
    bool compiled = t->stack->compiled && !t->job->eager;
    double passes = compiled ? c->elementwise_compiled : c->elementwise;
    double kernel_s = t->stack->compiled || t->stack->vendor ? c->kernel_s / 2 : c->kernel_s;
    cb_both both = {cb_stream_s(t, passes * bytes) + 14 * kernel_s, cb_stream_s(t, 2 * passes * bytes) + 20 * kernel_s};
    if (t->job->precision == CB_MATH_8 || t->job->precision == CB_MATH_4) {
        double cast_s = cb_stream_s(t, c->cast_fp8 * 3 * t->rows * (3 * t->channels + t->fc + t->ffn));
        both.forward_s += cast_s;
        both.backward_s += 2 * cast_s;
    }
    return both;
}

cb_both cb_embedding(const cb_terms *t) {
    double s = cb_stream_s(t, 3 * t->volume.stream_bytes);
    return (cb_both){s, s};
}

cb_both cb_head(const cb_terms *t) {
    double vocab = (double)t->model->vocab_padded / t->split->tp, rows = t->rows, channels = t->channels;
    double fitted = t->stack->split_loss ? t->constants->loss_bytes_split : t->constants->loss_bytes;
    double loss_s = cb_stream_s(t, (t->stack->loss_bytes ? t->stack->loss_bytes : fitted) * rows * vocab);
    double forward_s = cb_gemm_s(t, rows, vocab, channels, vocab, t->other);
    double backward_s =
        cb_gemm_s(t, rows, channels, vocab, vocab, t->other) + cb_gemm_s(t, vocab, channels, rows, vocab, t->other);
    return (cb_both){forward_s + loss_s / 2, backward_s + loss_s / 2};
}

double cb_optimizer_s(const cb_terms *t, double params) {
    int shards = t->split->zero > 0 ? t->split->dp * t->split->cp : 1;
    return cb_stream_s(t, t->constants->optimizer_bytes * params / shards);
}
