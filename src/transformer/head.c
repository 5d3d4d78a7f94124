/* The last stage's exit: final norm, logits by the tied embedding's table, cross-entropy. */
#include "transformer/block.h"

void cb_head_logits(cb_transformer *t, const cb_head *head, float *const *act) {
    cb_compute *c = t->compute;
    int64_t M = cb_transformer_rows(t), C = t->model->channels;
    c->ops->layernorm(c, act[CB_ACT_LNF], act[CB_ACT_LNF_MEAN], act[CB_ACT_LNF_RSTD], act[CB_ACT_HEAD_X], head->lnf_w,
                      head->lnf_b, M, C, (float)t->model->norm_eps);
    cb_transformer_watch(t, t->model->layers, "ln_f", act[CB_ACT_LNF], M * C);
    cb_vocab_logits(t->tp, &head->vocab, act[CB_ACT_EXPS], act[CB_ACT_LNF], M);
    if (!t->watch) return;
    t->watch(t->watch_arg, t->model->layers, "logits", act[CB_ACT_EXPS],
             M * (t->model->vocab_padded / t->tp->shards) * t->tp->owned, t->tp->owned);
}

cb_err cb_head_loss(cb_transformer *t, const cb_head *head, float *const *act, double *loss) {
    const int32_t *targets = (const int32_t *)(const void *)act[CB_ACT_TARGETS];
    return cb_vocab_cross_entropy(t->tp, &head->vocab, act[CB_ACT_EXPS], act[CB_ACT_EXP_SUM], targets, cb_transformer_rows(t),
                                  t->rows, loss);
}

cb_err cb_head_backward(cb_transformer *t, const cb_head *head, float *const *act, float *dx, float scale, bool split) {
    cb_compute *c = t->compute;
    int64_t M = cb_transformer_rows(t), C = t->model->channels;
    const int32_t *targets = (const int32_t *)(const void *)act[CB_ACT_TARGETS];
    float *dln = t->stream;
    cb_vocab vocab = head->vocab;
    if (split) vocab.dtable = NULL;
    TRY(cb_vocab_backward(t->tp, &vocab, dln, act[CB_ACT_EXPS], act[CB_ACT_EXP_SUM], targets, act[CB_ACT_LNF], M, scale));
    c->ops->zero(c, dx, M * C);
    c->ops->layernorm_backward(c, dx, head->dlnf_w, head->dlnf_b, dln, act[CB_ACT_HEAD_X], head->lnf_w, act[CB_ACT_LNF_MEAN],
                               act[CB_ACT_LNF_RSTD], M, C);
    cb_transformer_watch(t, t->model->layers, "gradient of ln_f", dx, M * C);
    return CB_OK;
}

void cb_head_weight_gradient(cb_transformer *t, const cb_head *head, float *const *act) {
    cb_vocab_weight_gradient(t->tp, &head->vocab, act[CB_ACT_EXPS], act[CB_ACT_LNF], cb_transformer_rows(t));
}
