/* Bytes of a rank by kind; see memory.h. */
#include "model/memory.h"

#include "base/arena.h"

const char *cb_memory_kind_name(cb_memory_kind kind) {
    static const char *const names[] = {"parameters", "gradients", "optimizer", "activations", "workspace", "communication"};
    return names[kind];
}

bool cb_memory_first(const cb_memory_spec *spec) { return cb_placement_is_first(spec->placement, spec->stage); }
bool cb_memory_last(const cb_memory_spec *spec) { return cb_placement_is_last(spec->placement, spec->stage); }

static int owned(const cb_memory_spec *spec) { return spec->shards / spec->tp; }
static int64_t rows(const cb_memory_spec *spec) { return (int64_t)spec->B * spec->T; }
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

cb_act_sizes cb_memory_act_sizes(const cb_memory_spec *spec) {
    return (cb_act_sizes){spec->model, spec->B, spec->T, spec->shards, owned(spec)};
}

static int layers(const cb_memory_spec *spec) { return cb_placement_layers(spec->placement, spec->stage); }

static int64_t param_bytes(const cb_memory_spec *spec) {
    int64_t sum = 0;
    for (int id = 0; id < cb_params_count(spec->model); id++) {
        cb_param param = cb_param_at(spec->model, id);
        if (!cb_param_on_stage(&param, spec->placement, spec->stage)) continue;
        sum += cb_aligned(4 * cb_param_local_elements(&param, spec->shards, owned(spec)));
    }
    return sum;
}

/* The tied embedding has two gradients where one stage is both first and last: as table and as head. */
static int64_t second_tied_bytes(const cb_memory_spec *spec) {
    if (!cb_memory_first(spec) || !cb_memory_last(spec)) return 0;
    cb_param wte = cb_param_of(spec->model, CB_WTE, -1);
    return cb_aligned(4 * cb_param_local_elements(&wte, spec->shards, owned(spec)));
}

int64_t cb_workspace_stream_bytes(const cb_memory_spec *spec) { return 4 * rows(spec) * spec->model->channels; }

int64_t cb_workspace_wide_bytes(const cb_memory_spec *spec) {
    int64_t wide = max64(3 * spec->model->channels, spec->model->ffn);
    return 4 * rows(spec) * wide / spec->shards * owned(spec);
}

int64_t cb_workspace_heads_bytes(const cb_memory_spec *spec) {
    return 4 * rows(spec) * spec->model->channels / spec->shards * owned(spec);
}

int64_t cb_workspace_rows_bytes(const cb_memory_spec *spec) { return 4 * 2 * rows(spec) * (owned(spec) + 1); }

static int64_t workspace_bytes(const cb_memory_spec *spec) {
    int64_t sum = cb_aligned(cb_workspace_stream_bytes(spec)); /* gradient of a norm's output */
    sum += cb_aligned(cb_workspace_wide_bytes(spec));
    sum += cb_aligned(cb_workspace_heads_bytes(spec));
    sum += cb_aligned(spec->sum_scratch_bytes);
    sum += cb_aligned(spec->attention_scratch_bytes);
    if (cb_memory_last(spec)) sum += cb_aligned(cb_workspace_rows_bytes(spec));
    cb_act_sizes sizes = cb_memory_act_sizes(spec);
    return sum + cb_recompute_shared_bytes(&spec->recompute, &sizes, layers(spec));
}

int cb_ring_of(const cb_placement *placement, int chunk) { return placement->placing == CB_CHUNKS_V ? chunk % 2 : 0; }

/* The chunk has a block before it (step -1) or after it (+1) on another stage. */
static bool crosses(const cb_memory_spec *spec, int chunk, int step) {
    int other, stage = cb_placement_neighbour(spec->placement, spec->stage, chunk, step, &other);
    return stage >= 0 && stage != spec->stage;
}

int cb_ring_out(const cb_memory_spec *spec, int ring) {
    for (int c = 0; c < spec->placement->chunks; c++) {
        if (cb_ring_of(spec->placement, c) == ring && crosses(spec, c, 1)) return spec->window + 1;
    }
    return 0;
}

int cb_ring_grad(const cb_memory_spec *spec, int ring) {
    int size = 0;
    for (int c = 0; c < spec->placement->chunks; c++) {
        if (cb_ring_of(spec->placement, c) != ring) continue;
        if (crosses(spec, c, -1)) return spec->window + 1;
        int needed = crosses(spec, c, 1) ? 2 : 1;
        if (needed > size) size = needed;
    }
    return size;
}

static int64_t comm_bytes(const cb_memory_spec *spec) {
    int streams = 0;
    for (int r = 0; r < CB_RINGS; r++) streams += cb_ring_out(spec, r) + cb_ring_grad(spec, r);
    for (int c = 0; c < spec->placement->chunks; c++) streams += spec->live[c].turns;
    int64_t sum = streams * cb_aligned(cb_workspace_stream_bytes(spec));
    sum += cb_aligned(spec->tp_scratch_bytes);
    sum += CB_BUCKETS_UNDER_WAY * cb_aligned(spec->bucket_scratch_bytes);
    return sum;
}

static int64_t activation_bytes(const cb_memory_spec *spec) {
    const cb_placement *placement = spec->placement;
    cb_act_sizes sizes = cb_memory_act_sizes(spec);
    int64_t sum = 0;
    for (int c = 0, first = 0; c < placement->chunks; c++) {
        int count = cb_placement_chunk(placement, spec->stage, c).layers, block = cb_placement_block(placement, spec->stage, c);
        sum += spec->live[c].slots * cb_recompute_slot_bytes(&spec->recompute, &sizes, first, count, block == 0,
                                                             block == cb_placement_blocks(placement) - 1);
        sum += spec->live[c].holds * cb_recompute_hold_bytes(&spec->recompute, &sizes, first, count);
        first += count;
    }
    return sum;
}

int cb_memory_part_levels(const cb_memory_spec *spec) {
    int levels = 0;
    while (2 << levels <= spec->data_parts) levels++;
    return levels;
}

cb_memory cb_memory_predict(const cb_memory_spec *spec) {
    cb_memory memory = {.total = 0};
    int64_t params = param_bytes(spec);
    memory.bytes[CB_MEM_PARAMS] = params;
    memory.bytes[CB_MEM_GRADS] = (1 + cb_memory_part_levels(spec)) * (params + second_tied_bytes(spec));
    memory.bytes[CB_MEM_OPTIMIZER] = 2 * params;
    memory.bytes[CB_MEM_ACTIVATIONS] = activation_bytes(spec);
    memory.bytes[CB_MEM_WORKSPACE] = workspace_bytes(spec);
    memory.bytes[CB_MEM_COMM] = comm_bytes(spec);
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) memory.total += memory.bytes[kind];
    return memory;
}
