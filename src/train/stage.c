/* A stage's memory: one arena per kind, of the predicted size, cut into parameters, gradients, optimizer state, slots
 * of activations, workspace and message buffers by the same functions that predicted them. */
#include <stdlib.h>

#include "train/plan.h"
#include "train/rank.h"

static void *take(cb_rank *rank, cb_memory_kind kind, int64_t bytes) {
    return bytes > 0 ? cb_arena_take(&rank->arena[kind], bytes) : NULL; /* no scratch, not one of 0 bytes */
}

static cb_err create_arenas(cb_rank *rank, const cb_memory_spec *spec) {
    rank->predicted = cb_memory_predict(spec);
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
        TRY(cb_arena_create(&rank->arena[kind], cb_memory_kind_name((cb_memory_kind)kind),
                            rank->predicted.bytes[kind]));
    }
    return CB_OK;
}

static void hold(cb_rank *rank, cb_param param) {
    cb_held *h = &rank->held[rank->held_count++];
    h->param = param;
    h->count = cb_param_local_elements(&param, rank->tp.shards, rank->tp.owned);
    int64_t bytes = 4 * h->count;
    h->w = take(rank, CB_MEM_PARAMS, bytes);
    h->g = take(rank, CB_MEM_GRADS, bytes);
    h->m = take(rank, CB_MEM_OPTIMIZER, bytes);
    h->v = take(rank, CB_MEM_OPTIMIZER, bytes);
}

static cb_err hold_params(cb_rank *rank) {
    const cb_run *run = rank->run;
    int count = cb_params_count(&run->model);
    rank->held = calloc((size_t)count, sizeof *rank->held);
    if (!rank->held) return cb_fail(CB_ENOMEM, "no memory for a table of %d parameters", count);
    for (int id = 0; id < count; id++) {
        cb_param param = cb_param_at(&run->model, id);
        if (cb_param_on_stage(&param, &run->placement, rank->p)) hold(rank, param);
    }
    if (rank->first && rank->last)
        rank->second_tied = take(rank, CB_MEM_GRADS, 4 * cb_rank_held(rank, CB_WTE, -1)->count);
    rank->grad_count = rank->arena[CB_MEM_GRADS].used_bytes / 4;
    return CB_OK;
}

cb_held *cb_rank_held(cb_rank *rank, cb_role role, int layer) {
    for (int i = 0; i < rank->held_count; i++) {
        if (rank->held[i].param.role == role && rank->held[i].param.layer == layer) return &rank->held[i];
    }
    return NULL;
}

/* The layers of the stage, chunk by chunk. */
static void number_layers(cb_rank *rank) {
    const cb_placement *placement = &rank->run->placement;
    for (int c = 0, at = 0; c < placement->chunks; c++) {
        cb_chunk_layers chunk = cb_placement_chunk(placement, rank->p, c);
        for (int l = 0; l < chunk.layers; l++, at++) {
            rank->layer[at].index = chunk.first + l;
            rank->layer[at].kept = cb_recompute_kept(&rank->run->recompute, at);
        }
    }
}

static cb_layer *layer_of(cb_rank *rank, int index) {
    cb_layer *layer = rank->layer;
    while (layer->index != index) layer++;
    return layer;
}

static cb_err point_layers(cb_rank *rank) {
    rank->layers = cb_placement_layers(&rank->run->placement, rank->p);
    rank->layer = calloc((size_t)rank->layers, sizeof *rank->layer);
    if (!rank->layer) return cb_fail(CB_ENOMEM, "no memory for %d layers", rank->layers);
    number_layers(rank);
    for (int i = 0; i < rank->held_count; i++) {
        cb_held *h = &rank->held[i];
        if (h->param.layer < 0) continue;
        cb_layer *layer = layer_of(rank, h->param.layer);
        layer->w[h->param.role] = h->w;
        layer->dw[h->param.role] = h->g;
    }
    return CB_OK;
}

static cb_vocab tied_vocab(cb_rank *rank, float *gradient) {
    const cb_model *m = &rank->run->model;
    cb_held *wte = cb_rank_held(rank, CB_WTE, -1);
    return (cb_vocab){.vocab = m->vocab,
                      .vocab_padded = m->vocab_padded,
                      .channels = m->channels,
                      .table = wte->w,
                      .dtable = gradient ? gradient : wte->g};
}

static void point_ends(cb_rank *rank) {
    if (rank->first) {
        cb_held *wpe = cb_rank_held(rank, CB_WPE, -1);
        rank->embedding = (cb_embedding){tied_vocab(rank, NULL), wpe->w, wpe->g};
    }
    if (rank->last) {
        cb_held *w = cb_rank_held(rank, CB_LNF_W, -1), *b = cb_rank_held(rank, CB_LNF_B, -1);
        rank->head = (cb_head){w->w, b->w, w->g, b->g, tied_vocab(rank, rank->second_tied)};
    }
}

static void create_workspace(cb_rank *rank, const cb_memory_spec *spec) {
    cb_transformer *t = &rank->transformer;
    t->stream = take(rank, CB_MEM_WORKSPACE, cb_workspace_stream_bytes(spec));
    t->wide = take(rank, CB_MEM_WORKSPACE, cb_workspace_wide_bytes(spec));
    t->heads = take(rank, CB_MEM_WORKSPACE, cb_workspace_heads_bytes(spec));
    rank->tp.sum_scratch = take(rank, CB_MEM_WORKSPACE, spec->sum_scratch_bytes);
    t->attention_scratch = take(rank, CB_MEM_WORKSPACE, spec->attention_scratch_bytes);
    if (rank->last) t->rows = take(rank, CB_MEM_WORKSPACE, cb_workspace_rows_bytes(spec));
    cb_act_sizes sizes = cb_memory_act_sizes(spec);
    cb_act_set shared = cb_recompute_shared(&spec->recompute, rank->layers);
    for (int a = 0; a < CB_LAYER_ACTS; a++) {
        if (shared & CB_ACT_BIT(a)) rank->shared_act[a] = take(rank, CB_MEM_WORKSPACE, cb_act_bytes(&sizes, (cb_act)a));
    }
}

static cb_err create_ring(cb_rank *rank, cb_ring *ring, int size, int64_t bytes) {
    ring->buffer = calloc((size_t)size + 1, sizeof *ring->buffer);
    ring->sent = calloc((size_t)size + 1, sizeof *ring->sent);
    if (!ring->buffer || !ring->sent) return cb_fail(CB_ENOMEM, "no memory for a ring of %d buffers", size);
    ring->size = size;
    for (int i = 0; i < size; i++) ring->buffer[i] = take(rank, CB_MEM_COMM, bytes);
    return CB_OK;
}

static cb_err create_rings(cb_rank *rank, const cb_memory_spec *spec) {
    int64_t bytes = cb_workspace_stream_bytes(spec);
    for (int r = 0; r < CB_RINGS; r++) {
        TRY(create_ring(rank, &rank->out[r], cb_ring_out(spec, r), bytes));
        TRY(create_ring(rank, &rank->grad[r], cb_ring_grad(spec, r), bytes));
    }
    return CB_OK;
}

static void create_buffers(cb_rank *rank, const cb_memory_spec *spec) {
    rank->tp.scratch = take(rank, CB_MEM_COMM, spec->tp_scratch_bytes);
    cb_buckets_init(&rank->buckets, &rank->dp_group, spec->bucket_elements);
    for (int i = 0; i < CB_BUCKETS_UNDER_WAY; i++) {
        rank->buckets.scratch[i] = take(rank, CB_MEM_COMM, spec->bucket_scratch_bytes);
    }
}

static cb_err create_parts(cb_rank *rank, const cb_memory_spec *spec) {
    for (int level = 0; level < cb_memory_part_levels(spec); level++) {
        rank->part_sum[level] = take(rank, CB_MEM_GRADS, 4 * rank->grad_count);
    }
    rank->part_loss = calloc((size_t)cb_rank_parts(rank), sizeof *rank->part_loss);
    return rank->part_loss ? CB_OK : cb_fail(CB_ENOMEM, "no memory for the losses of %d parts", cb_rank_parts(rank));
}

cb_err cb_stage_create(cb_rank *rank) {
    cb_memory_spec spec;
    TRY(cb_run_memory_spec(rank->run, rank->p, &spec));
    TRY(cb_run_schedule(rank->run, &rank->schedule));
    TRY(create_arenas(rank, &spec));
    TRY(hold_params(rank));
    TRY(point_layers(rank));
    point_ends(rank);
    TRY(create_parts(rank, &spec));
    create_workspace(rank, &spec);
    TRY(create_rings(rank, &spec));
    TRY(cb_chunks_create(rank, &spec));
    create_buffers(rank, &spec);
    int64_t slots = (int64_t)cb_params_count(&rank->run->model) * rank->tp.shards + 2;
    rank->norms = calloc((size_t)slots, sizeof *rank->norms);
    return rank->norms ? CB_OK : cb_fail(CB_ENOMEM, "no memory for %lld gradient norms", (long long)slots);
}

void cb_stage_destroy(cb_rank *rank) {
    cb_chunks_destroy(rank);
    for (int r = 0; r < CB_RINGS; r++) {
        cb_ring *rings[] = {&rank->out[r], &rank->grad[r]};
        for (int i = 0; i < 2; i++) {
            free(rings[i]->buffer);
            free(rings[i]->sent);
        }
    }
    free(rank->layer);
    free(rank->held);
    free(rank->digest_table);
    free(rank->part_loss);
    free(rank->norms);
    cb_tracer_free(&rank->tracer);
    cb_buckets_free(&rank->buckets);
    cb_schedule_free(&rank->schedule);
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) cb_arena_destroy(&rank->arena[kind]);
}
