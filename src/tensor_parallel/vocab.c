/* Vocabulary-parallel embedding and cross-entropy: the table's rows are cut, and with them the logits. The loss needs the
 * maximum and the sum over the whole vocabulary: two small all-reduces of a few numbers per row; no rank holds all logits.
 * Padding rows beyond the true vocabulary take no part. Source: Shoeybi et al. 2019, section 3; Megatron-LM cross_entropy. */
#include <math.h>
#include <string.h>

#include "tensor_parallel/regions.h"

static int64_t shard_rows(const cb_tp *tp, const cb_vocab *v) { return v->vocab_padded / tp->shards; }

int64_t cb_vocab_shard_begin(const cb_tp *tp, const cb_vocab *v, int s) { return (tp->first + s) * shard_rows(tp, v); }

int64_t cb_vocab_shard_valid(const cb_tp *tp, const cb_vocab *v, int s) {
    int64_t rest = v->vocab - cb_vocab_shard_begin(tp, v, s), all = shard_rows(tp, v);
    return rest < 0 ? 0 : rest > all ? all : rest;
}

cb_err cb_vocab_embed(cb_tp *tp, const cb_vocab *v, float *x, const int32_t *tokens, int64_t M) {
    cb_compute *c = tp->compute;
    /* The owned shards' rows are consecutive: one look-up serves them all. A token is in one shard, the others add zero. */
    c->ops->embedding(c, x, tokens, v->table, cb_vocab_shard_begin(tp, v, 0), tp->owned * shard_rows(tp, v), M, v->channels);
    if (tp->group->size == 1) return CB_OK;
    return cb_all_reduce(tp->group, x, M * v->channels, CB_F32, CB_SUM, tp->scratch);
}

void cb_vocab_embed_backward(cb_tp *tp, const cb_vocab *v, const int32_t *tokens, const float *dx, int64_t M) {
    cb_compute *c = tp->compute;
    c->ops->embedding_backward(c, v->dtable, tokens, dx, cb_vocab_shard_begin(tp, v, 0), tp->owned * shard_rows(tp, v), M,
                               v->channels);
}

static cb_linear as_linear(const cb_vocab *v) {
    return (cb_linear){.in = v->channels, .out = v->vocab_padded, .w = v->table, .dw = v->dtable};
}

void cb_vocab_logits(cb_tp *tp, const cb_vocab *v, float *logits, const float *h, int64_t M) {
    cb_linear head = as_linear(v);
    cb_column_forward(tp, &head, logits, h, M);
}

/* max (M) = maximum of every row over all shards; each (owned, M) is room for the shards' own. */
static cb_err row_max(cb_tp *tp, const cb_vocab *v, const float *logits, float *max, float *each, int64_t M) {
    cb_compute *c = tp->compute;
    int64_t N = shard_rows(tp, v);
    for (int s = 0; s < tp->owned; s++) {
        c->ops->ce_max(c, each + s * M, logits + s * M * N, M, N, cb_vocab_shard_valid(tp, v, s));
    }
    memcpy(max, each, (size_t)M * sizeof *max);
    for (int s = 1; s < tp->owned; s++) {
        for (int64_t i = 0; i < M; i++) max[i] = fmaxf(max[i], each[s * M + i]);
    }
    if (tp->group->size == 1) return CB_OK;
    return cb_all_reduce(tp->group, max, M, CB_F32, CB_MAX, tp->scratch);
}

static double rows_loss(const float *sum, const float *target_logit, int64_t M) {
    double loss = 0;
    for (int64_t i = 0; i < M; i++) loss += log((double)sum[i]) - (double)target_logit[i];
    return loss;
}

cb_err cb_vocab_cross_entropy(cb_tp *tp, const cb_vocab *v, float *logits, float *sum, const int32_t *targets, int64_t M,
                              float *rows, double *loss) {
    cb_compute *c = tp->compute;
    int64_t N = shard_rows(tp, v);
    float *max = rows, *each = rows + 2 * M; /* each (owned, 2, M): a shard's sums, then its target logits */
    TRY(row_max(tp, v, logits, max, each, M));
    float *from[CB_MOST_OWNED_SHARDS];
    for (int s = 0; s < tp->owned; s++) {
        from[s] = each + s * 2 * M;
        c->ops->ce_exp(c, logits + s * M * N, from[s], from[s] + M, max, targets, cb_vocab_shard_begin(tp, v, s), M, N,
                       cb_vocab_shard_valid(tp, v, s));
    }
    if (tp->owned > 1) c->ops->tree_sum(c, each, from, tp->owned, 2 * M);
    if (tp->group->size > 1) TRY(cb_all_reduce(tp->group, each, 2 * M, CB_F32, CB_SUM, tp->scratch));
    memcpy(sum, each, (size_t)M * sizeof *sum);
    *loss = rows_loss(sum, each + M, M);
    return CB_OK;
}

cb_err cb_vocab_backward(cb_tp *tp, const cb_vocab *v, float *dh, float *exps, const float *sum, const int32_t *targets,
                         const float *h, int64_t M, float scale) {
    cb_compute *c = tp->compute;
    int64_t N = shard_rows(tp, v);
    for (int s = 0; s < tp->owned; s++) {
        c->ops->ce_backward(c, exps + s * M * N, sum, targets, cb_vocab_shard_begin(tp, v, s), M, N,
                            cb_vocab_shard_valid(tp, v, s), scale);
    }
    cb_linear head = as_linear(v);
    return cb_column_backward(tp, &head, dh, exps, h, M);
}

void cb_vocab_weight_gradient(cb_tp *tp, const cb_vocab *v, const float *dlogits, const float *h, int64_t M) {
    cb_linear head = as_linear(v);
    cb_column_weight_gradient(tp, &head, dlogits, h, M);
}
