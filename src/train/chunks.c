/* The chunks of a stage and what a microbatch has in each: a slot of activations, a hold from B until W, a gradient that waits
 * for B. As many of each as the schedule keeps alive at once, made before training. */
#include <stdlib.h>
#include <string.h>

#include "train/rank.h"

float **cb_slot_layer(const cb_slot *slot, int layer) {
    return slot->layer + (int64_t)layer * CB_LAYER_ACTS;
}

/* The activations of set that a kind of memory holds, into to by their number; the others stay as they are. */
static void take_acts(cb_rank *rank, const cb_act_sizes *sizes, cb_act_set set, float **to) {
    for (int a = 0; a < CB_ACTS; a++) {
        if (set & CB_ACT_BIT(a)) to[a] = cb_arena_take(&rank->arena[CB_MEM_ACTIVATIONS], cb_act_bytes(sizes, (cb_act)a));
    }
}

static cb_err make_table(float ***table, int layers) {
    *table = calloc((size_t)layers * CB_LAYER_ACTS, sizeof **table);
    return *table ? CB_OK : cb_fail(CB_ENOMEM, "no memory for the activations' table of %d layers", layers);
}

/* What a layer does not keep is in the working copies that all layers of the stage use in turn. */
static cb_err create_slot(cb_rank *rank, const cb_chunk *chunk, const cb_act_sizes *sizes, cb_slot *slot) {
    slot->micro_batch = -1;
    TRY(make_table(&slot->layer, chunk->layers));
    for (int l = 0; l < chunk->layers; l++) {
        float **acts = cb_slot_layer(slot, l);
        memcpy(acts, rank->shared_act, sizeof rank->shared_act);
        take_acts(rank, sizes, rank->layer[chunk->begin + l].kept, acts);
    }
    take_acts(rank, sizes, cb_act_own(chunk->first, chunk->last), slot->own);
    return CB_OK;
}

static cb_err create_hold(cb_rank *rank, const cb_chunk *chunk, const cb_act_sizes *sizes, cb_hold *hold) {
    hold->micro_batch = -1;
    TRY(make_table(&hold->layer, chunk->layers));
    for (int l = 0; l < chunk->layers; l++) {
        take_acts(rank, sizes, cb_recompute_held(&rank->run->recompute, chunk->begin + l),
                  hold->layer + (int64_t)l * CB_LAYER_ACTS);
    }
    return CB_OK;
}

static void place(cb_rank *rank, cb_chunk *chunk, int begin) {
    const cb_placement *placement = &rank->run->placement;
    int c = chunk->index, other, prev = cb_placement_neighbour(placement, rank->p, c, -1, &other),
        next = cb_placement_neighbour(placement, rank->p, c, 1, &other), ring = cb_ring_of(placement, c);
    chunk->block = cb_placement_block(placement, rank->p, c);
    chunk->begin = begin;
    chunk->layers = cb_placement_chunk(placement, rank->p, c).layers;
    chunk->first = prev < 0;
    chunk->last = next < 0;
    chunk->prev_here = prev == rank->p;
    chunk->next_here = next == rank->p;
    chunk->prev_rank = prev < 0 || chunk->prev_here ? -1 : rank->pp_group.ranks[prev];
    chunk->next_rank = next < 0 || chunk->next_here ? -1 : rank->pp_group.ranks[next];
    chunk->out = &rank->out[ring];
    chunk->grad = &rank->grad[ring];
}

static cb_err create_chunk(cb_rank *rank, cb_chunk *chunk, const cb_memory_spec *spec) {
    cb_act_sizes sizes = cb_memory_act_sizes(spec);
    const cb_live *live = &spec->live[chunk->index];
    chunk->slot = calloc((size_t)live->slots, sizeof *chunk->slot);
    chunk->hold = calloc((size_t)live->holds + 1, sizeof *chunk->hold); /* none too is memory */
    chunk->turn = calloc((size_t)live->turns + 1, sizeof *chunk->turn);
    if (!chunk->slot || !chunk->hold || !chunk->turn)
        return cb_fail(CB_ENOMEM, "no memory for %d microbatches' tables", live->slots);
    chunk->slots = live->slots;
    chunk->holds = live->holds;
    chunk->turns = live->turns;
    for (int i = 0; i < chunk->slots; i++) TRY(create_slot(rank, chunk, &sizes, &chunk->slot[i]));
    for (int i = 0; i < chunk->holds; i++) TRY(create_hold(rank, chunk, &sizes, &chunk->hold[i]));
    for (int i = 0; i < chunk->turns; i++) {
        float *gradient = cb_arena_take(&rank->arena[CB_MEM_COMM], cb_workspace_stream_bytes(spec));
        chunk->turn[i] = (cb_turn){-1, gradient};
    }
    return CB_OK;
}

cb_err cb_chunks_create(cb_rank *rank, const cb_memory_spec *spec) {
    int chunks = rank->run->placement.chunks, begin = 0;
    rank->chunk = calloc((size_t)chunks, sizeof *rank->chunk);
    if (!rank->chunk) return cb_fail(CB_ENOMEM, "no memory for %d chunks", chunks);
    rank->chunks = chunks;
    for (int c = 0; c < chunks; c++) {
        rank->chunk[c].index = c;
        place(rank, &rank->chunk[c], begin);
        begin += rank->chunk[c].layers;
        TRY(create_chunk(rank, &rank->chunk[c], spec));
    }
    return CB_OK;
}

void cb_chunks_destroy(cb_rank *rank) {
    for (int c = 0; c < rank->chunks; c++) {
        cb_chunk *chunk = &rank->chunk[c];
        for (int i = 0; i < chunk->slots; i++) free(chunk->slot[i].layer);
        for (int i = 0; i < chunk->holds; i++) free(chunk->hold[i].layer);
        free(chunk->slot);
        free(chunk->hold);
        free(chunk->turn);
    }
    free(rank->chunk);
}

cb_slot *cb_chunk_slot(cb_chunk *chunk, int micro_batch) {
    for (int i = 0; i < chunk->slots; i++) {
        if (chunk->slot[i].micro_batch == micro_batch) return &chunk->slot[i];
    }
    return NULL;
}

cb_hold *cb_chunk_hold(cb_chunk *chunk, int micro_batch) {
    for (int i = 0; i < chunk->holds; i++) {
        if (chunk->hold[i].micro_batch == micro_batch) return &chunk->hold[i];
    }
    return NULL;
}

cb_turn *cb_chunk_turn(cb_chunk *chunk, int micro_batch) {
    for (int i = 0; i < chunk->turns; i++) {
        if (chunk->turn[i].micro_batch == micro_batch) return &chunk->turn[i];
    }
    return NULL;
}

static cb_err none_free(const cb_chunk *chunk, const char *what, int micro_batch) {
    return cb_fail(CB_EINVAL, "no %s is free for microbatch %d in chunk %d: the schedule has more than its peak", what,
                   micro_batch, chunk->index);
}

cb_err cb_chunk_take_slot(cb_chunk *chunk, int micro_batch, cb_slot **slot) {
    *slot = cb_chunk_slot(chunk, -1);
    if (!*slot) return none_free(chunk, "slot", micro_batch);
    (*slot)->micro_batch = micro_batch;
    return CB_OK;
}

cb_err cb_chunk_take_hold(cb_chunk *chunk, int micro_batch, cb_hold **hold) {
    *hold = cb_chunk_hold(chunk, -1);
    if (!*hold) return none_free(chunk, "hold", micro_batch);
    (*hold)->micro_batch = micro_batch;
    return CB_OK;
}

cb_err cb_chunk_take_turn(cb_chunk *chunk, int micro_batch, cb_turn **turn) {
    *turn = cb_chunk_turn(chunk, -1);
    if (!*turn) return none_free(chunk, "gradient buffer", micro_batch);
    (*turn)->micro_batch = micro_batch;
    return CB_OK;
}

void cb_chunks_free_slots(cb_rank *rank) {
    for (int c = 0; c < rank->chunks; c++) {
        for (int i = 0; i < rank->chunk[c].slots; i++) rank->chunk[c].slot[i].micro_batch = -1;
    }
}
