/* One microbatch through this rank's stage, forward and backward. After the last microbatch's backward of a layer its
 * gradients are handed to the reduction, which runs while the layers before are still computed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "train/rank.h"

float **cb_slot_layer(const cb_slot *slot, int layer) { return slot->layer + (int64_t)layer * CB_LAYER_ACTS; }

/* Fills the token ids (first stage) and targets (last stage) of a microbatch: B consecutive samples. */
cb_err cb_stage_load_tokens(cb_rank *rank, cb_slot *slot, int micro_batch) {
    const cb_run *run = rank->run;
    if (!rank->first && !rank->last) return CB_OK;
    int32_t *tokens = (int32_t *)(void *)slot->own[CB_ACT_TOKENS], *targets = (int32_t *)(void *)slot->own[CB_ACT_TARGETS];
    for (int b = 0; b < run->B; b++) {
        int64_t k = rank->sample + (int64_t)micro_batch * run->B + b, at = (int64_t)b * run->T;
        TRY(cb_sampler_get(rank->sampler, k, tokens ? tokens + at : NULL, targets ? targets + at : NULL));
    }
    return CB_OK;
}

/* Writes this rank's columns of the logits of a microbatch into the file: (samples, T, V) f32, V the true vocabulary. */
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
    rank->loss_sum += loss;
    return CB_OK;
}

cb_err cb_stage_forward(cb_rank *rank, cb_slot *slot, float *out) {
    cb_transformer *t = &rank->transformer;
    TRY(cb_stage_load_tokens(rank, slot, slot->micro_batch));
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

/* The gradients of held parameters from the first to the last one of `layer` (as table order has them) are final. */
static cb_err hand_over(cb_rank *rank, cb_role from, cb_role to, int layer) {
    cb_held *a = cb_rank_held(rank, from, layer), *b = cb_rank_held(rank, to, layer);
    return cb_buckets_ready(&rank->buckets, a->g, b->g + b->count - a->g);
}

cb_err cb_stage_backward(cb_rank *rank, cb_slot *slot, float *dx, bool last) {
    cb_transformer *t = &rank->transformer;
    if (rank->last) {
        float scale = (float)(1.0 / ((double)rank->run->global_batch * rank->run->T));
        TRY(cb_head_backward(t, &rank->head, slot->own, dx, scale));
        if (last) TRY(hand_over(rank, CB_LNF_W, CB_LNF_B, -1));
    }
    for (int l = rank->layers - 1; l >= 0; l--) {
        TRY(cb_block_backward(t, &rank->layer[l], cb_slot_layer(slot, l), dx));
        if (last) TRY(hand_over(rank, CB_LN1_W, CB_FC2_B, rank->first_layer + l));
        else TRY(cb_buckets_progress(&rank->buckets));
    }
    if (!rank->first) return CB_OK;
    cb_embedding_backward(t, &rank->embedding, (const int32_t *)(const void *)slot->own[CB_ACT_TOKENS], dx);
    return last ? hand_over(rank, CB_WPE, CB_WPE, -1) : CB_OK;
}
