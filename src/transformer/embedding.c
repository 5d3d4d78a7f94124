/* Token plus position embedding, the first stage's entrance. */
#include "transformer/block.h"

cb_err cb_embedding_forward(cb_transformer *t, const cb_embedding *e, float *x, const int32_t *tokens) {
    cb_compute *c = t->compute;
    int64_t M = cb_transformer_rows(t);
    TRY(cb_vocab_embed(t->tp, &e->tokens, x, tokens, M));
    c->ops->positions(c, x, e->positions, t->B, t->T, t->model->channels);
    cb_transformer_watch(t, -1, "embedding", x, M * t->model->channels);
    return CB_OK;
}

void cb_embedding_backward(cb_transformer *t, const cb_embedding *e, const int32_t *tokens, const float *dx) {
    cb_compute *c = t->compute;
    cb_vocab_embed_backward(t->tp, &e->tokens, tokens, dx, cb_transformer_rows(t));
    c->ops->positions_backward(c, e->dpositions, dx, t->B, t->T, t->model->channels);
}
