/* One microbatch through a chunk of this rank's stage: forward, backward, and the weight gradients where they are split off.
 * What a layer did not keep is computed again right before its backward. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "train/rank.h"

/* Fills the token ids (first block) and targets (last block) of a microbatch: B consecutive samples. */
static cb_err load_tokens(cb_rank *rank, const cb_chunk *chunk, cb_slot *slot) {
    const cb_run *run = rank->run;
    if (!chunk->first && !chunk->last) return CB_OK;
    double begin_s = cb_tracer_now(&rank->tracer);
    int32_t *tokens = (int32_t *)(void *)slot->own[CB_ACT_TOKENS],
            *targets = (int32_t *)(void *)slot->own[CB_ACT_TARGETS];
    for (int b = 0; b < run->B; b++) {
        int64_t k = rank->sample + (int64_t)slot->micro_batch * run->B + b, at = (int64_t)b * run->T;
        TRY(cb_sampler_get(rank->sampler, k, tokens ? tokens + at : NULL, targets ? targets + at : NULL));
    }
    cb_tracer_span(rank, CB_TRACED_DATA, begin_s);
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

cb_err cb_stage_forward(cb_rank *rank, const cb_chunk *chunk, cb_slot *slot, float *out) {
    cb_transformer *t = &rank->transformer;
    TRY(load_tokens(rank, chunk, slot));
    if (chunk->first) {
        const int32_t *tokens = (const int32_t *)(const void *)slot->own[CB_ACT_TOKENS];
        TRY(cb_embedding_forward(t, &rank->embedding, cb_slot_layer(slot, 0)[CB_ACT_X], tokens));
    }
    for (int l = 0; l < chunk->layers; l++) {
        float *end = chunk->last ? slot->own[CB_ACT_HEAD_X] : out;
        float *y = l + 1 < chunk->layers ? cb_slot_layer(slot, l + 1)[CB_ACT_X] : end;
        TRY(cb_block_forward(t, &rank->layer[chunk->begin + l], cb_slot_layer(slot, l), y));
        TRY(cb_buckets_progress(&rank->buckets));
    }
    return chunk->last ? forward_head(rank, slot) : CB_OK;
}

/* A layer's activations as its backward sees them: the slot's, and what is held until W. */
static void layer_acts(const cb_slot *slot, const cb_hold *hold, int layer, float *acts[CB_LAYER_ACTS]) {
    memcpy(acts, cb_slot_layer(slot, layer), CB_LAYER_ACTS * sizeof *acts);
    for (int a = 0; hold && a < CB_LAYER_ACTS; a++) {
        float *held = hold->layer[layer * CB_LAYER_ACTS + a];
        if (held) acts[a] = held;
    }
}

static cb_err hand_over_head(cb_rank *rank, int micro_batch) {
    return cb_hand_over(rank, rank->head.vocab.dtable, cb_rank_held(rank, CB_WTE, -1)->count, micro_batch);
}

static cb_err backward_head(cb_rank *rank, cb_slot *slot, bool split, float *dx) {
    float scale = (float)(1.0 / ((double)rank->run->global_batch * rank->run->T));
    TRY(cb_head_backward(&rank->transformer, &rank->head, slot->own, dx, scale, split));
    if (!split) TRY(hand_over_head(rank, slot->micro_batch));
    return cb_hand_over_roles(rank, CB_LNF_W, CB_LNF_B, -1, slot->micro_batch);
}

cb_err cb_stage_backward(cb_rank *rank, const cb_chunk *chunk, cb_slot *slot, const cb_hold *hold, float *dx) {
    cb_transformer *t = &rank->transformer;
    if (chunk->last) TRY(backward_head(rank, slot, hold != NULL, dx));
    for (int l = chunk->layers - 1; l >= 0; l--) {
        const cb_layer *layer = &rank->layer[chunk->begin + l];
        float *acts[CB_LAYER_ACTS];
        layer_acts(slot, hold, l, acts);
        TRY(cb_block_recompute(t, layer, acts));
        TRY(cb_block_backward(t, layer, acts, dx));
        TRY(cb_hand_over_layer(rank, layer->index, slot->micro_batch, hold ? CB_SHARE_WITH_B : CB_SHARE_ALL));
    }
    if (!chunk->first) return CB_OK;
    cb_embedding_backward(t, &rank->embedding, (const int32_t *)(const void *)slot->own[CB_ACT_TOKENS], dx);
    return cb_hand_over_roles(rank, CB_WTE, CB_WPE, -1, slot->micro_batch);
}

cb_err cb_stage_weight_gradients(cb_rank *rank, const cb_chunk *chunk, cb_slot *slot, const cb_hold *hold) {
    if (chunk->last) {
        cb_head_weight_gradient(&rank->transformer, &rank->head, slot->own);
        TRY(hand_over_head(rank, slot->micro_batch));
    }
    for (int l = chunk->layers - 1; l >= 0; l--) {
        const cb_layer *layer = &rank->layer[chunk->begin + l];
        float *acts[CB_LAYER_ACTS];
        layer_acts(slot, hold, l, acts);
        cb_block_weight_gradients(&rank->transformer, layer, acts);
        TRY(cb_hand_over_layer(rank, layer->index, slot->micro_batch, CB_SHARE_WITH_W));
    }
    return CB_OK;
}
