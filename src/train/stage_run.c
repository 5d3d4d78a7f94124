/* One microbatch through this rank's stage, forward and backward; what a layer did not keep is computed again right
 * before its backward. After the last microbatch's backward of a layer its
 * gradients are handed to the reduction, which runs while the layers before are still computed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "train/rank.h"

float **cb_slot_layer(const cb_slot *slot, int layer) {
    return slot->layer + (int64_t)layer * CB_LAYER_ACTS;
}

/* Fills the token ids (first stage) and targets (last stage) of a microbatch: B consecutive samples. */
cb_err cb_stage_load_tokens(cb_rank *rank, cb_slot *slot, int micro_batch) {
    const cb_run *run = rank->run;
    if (!rank->first && !rank->last) return CB_OK;
    int32_t *tokens = (int32_t *)(void *)slot->own[CB_ACT_TOKENS],
            *targets = (int32_t *)(void *)slot->own[CB_ACT_TARGETS];
    for (int b = 0; b < run->B; b++) {
        int64_t k = rank->sample + (int64_t)micro_batch * run->B + b, at = (int64_t)b * run->T;
        TRY(cb_sampler_get(rank->sampler, k, tokens ? tokens + at : NULL, targets ? targets + at : NULL));
    }
    return CB_OK;
}

/* Writes this rank's columns of the logits of a microbatch into the file: (samples, T, V) f32, V the true vocabulary.
 */
static cb_err write_logits(cb_rank *rank, const cb_slot *slot) {
    const cb_vocab *v = &rank->head.vocab;
    int64_t M = (int64_t)rank->run->B * rank->run->T, N = v->vocab_padded / rank->tp.shards;
    int64_t row0 = (rank->sample + (int64_t)slot->micro_batch * rank->run->B) * rank->run->T;
    for (int s = 0; s < rank->tp.owned; s++) {
        int64_t valid = cb_vocab_shard_valid(&rank->tp, v, s), begin = cb_vocab_shard_begin(&rank->tp, v, s);
        for (int64_t i = 0; i < M && valid > 0; i++) {
            const float *row = slot->own[CB_ACT_EXPS] + (s * M + i) * N;
            int64_t at = 4 * ((row0 + i) * v->vocab + begin);
            if (pwrite(rank->logits_fd, row, (size_t)(4 * valid), at) != 4 * valid) {
                return cb_fail(CB_EIO, "cannot write logits to %s: %s", rank->run->logits, strerror(errno));
            }
        }
    }
    return CB_OK;
}

static cb_err forward_head(cb_rank *rank, cb_slot *slot) {
    double loss;
    cb_head_logits(&rank->transformer, &rank->head, slot->own);
    if (rank->logits_fd >= 0) TRY(write_logits(rank, slot));
    TRY(cb_head_loss(&rank->transformer, &rank->head, slot->own, &loss));
    rank->part_loss[cb_part_of(rank, slot->micro_batch)] += loss;
    return CB_OK;
}

cb_err cb_stage_forward(cb_rank *rank, cb_slot *slot, float *out) {
    cb_transformer *t = &rank->transformer;
    double begin_s = cb_tracer_now(&rank->tracer);
    TRY(cb_stage_load_tokens(rank, slot, slot->micro_batch));
    if (rank->first || rank->last) cb_tracer_span(rank, CB_TRACED_DATA, begin_s);
    if (rank->first) {
        const int32_t *tokens = (const int32_t *)(const void *)slot->own[CB_ACT_TOKENS];
        TRY(cb_embedding_forward(t, &rank->embedding, cb_slot_layer(slot, 0)[CB_ACT_X], tokens));
    }
    for (int l = 0; l < rank->layers; l++) {
        float *end = rank->last ? slot->own[CB_ACT_HEAD_X] : out;
        float *y = l + 1 < rank->layers ? cb_slot_layer(slot, l + 1)[CB_ACT_X] : end;
        TRY(cb_block_forward(t, &rank->layer[l], cb_slot_layer(slot, l), y));
        TRY(cb_buckets_progress(&rank->buckets));
    }
    return rank->last ? forward_head(rank, slot) : CB_OK;
}

/* Gradients g (count) got a microbatch's share. At the end of a part of the batch they join the sum of parts; after the
 * last part they are final and travel. */
static cb_err hand_over(cb_rank *rank, float *g, int64_t count, int micro_batch) {
    if (!cb_part_ends(rank, micro_batch)) return cb_buckets_progress(&rank->buckets);
    bool final = cb_part_close(rank, g, count, cb_part_of(rank, micro_batch));
    return final ? cb_buckets_ready(&rank->buckets, g, count) : CB_OK;
}

/* The same for the parameters from role `from` to role `to` of a layer, which are neighbours in memory. */
static cb_err hand_over_roles(cb_rank *rank, cb_role from, cb_role to, int layer, int micro_batch) {
    cb_held *a = cb_rank_held(rank, from, layer), *b = cb_rank_held(rank, to, layer);
    return hand_over(rank, a->g, b->g + b->count - a->g, micro_batch);
}

static cb_err backward_head(cb_rank *rank, cb_slot *slot, float *dx) {
    float scale = (float)(1.0 / ((double)rank->run->global_batch * rank->run->T));
    int k = slot->micro_batch;
    TRY(cb_head_backward(&rank->transformer, &rank->head, slot->own, dx, scale));
    TRY(hand_over(rank, rank->head.vocab.dtable, cb_rank_held(rank, CB_WTE, -1)->count, k));
    return hand_over_roles(rank, CB_LNF_W, CB_LNF_B, -1, k);
}

cb_err cb_stage_backward(cb_rank *rank, cb_slot *slot, float *dx) {
    cb_transformer *t = &rank->transformer;
    if (rank->last) TRY(backward_head(rank, slot, dx));
    for (int l = rank->layers - 1; l >= 0; l--) {
        TRY(cb_block_recompute(t, &rank->layer[l], cb_slot_layer(slot, l)));
        TRY(cb_block_backward(t, &rank->layer[l], cb_slot_layer(slot, l), dx));
        TRY(hand_over_roles(rank, CB_LN1_W, CB_FC2_B, rank->first_layer + l, slot->micro_batch));
    }
    if (!rank->first) return CB_OK;
    cb_embedding_backward(t, &rank->embedding, (const int32_t *)(const void *)slot->own[CB_ACT_TOKENS], dx);
    return hand_over_roles(rank, CB_WTE, CB_WPE, -1, slot->micro_batch);
}
