/* Layers into blocks, blocks onto stages. All layers cost the same, so a placement is fixed by how many the last block holds
 * beside the head: the others share the rest evenly. "auto" tries every such number, which is exact. */
#include "model/placement.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/shard.h"
#include "model/params.h"

static cb_chunk_grid grid_of(const cb_placement *placement) {
    return (cb_chunk_grid){placement->stages, placement->chunks, placement->placing};
}

int cb_placement_blocks(const cb_placement *placement) {
    return placement->stages * placement->chunks;
}

/* All blocks but the last share the layers that it does not hold, larger first. */
static void place(cb_placement *placement, const cb_model *model, int last_layers) {
    int others = cb_placement_blocks(placement) - 1;
    for (int b = 0; b < others; b++) {
        cb_range block = cb_shard_block(model->layers - last_layers, others, b);
        placement->first[b] = (int)block.begin;
    }
    placement->first[others] = model->layers - last_layers;
    placement->first[others + 1] = model->layers;
}

static void place_auto(cb_placement *placement, const cb_model *model, int64_t seq_length) {
    double layer = cb_model_layer_flops_per_token(model, seq_length), head = cb_model_head_flops_per_token(model);
    int others = cb_placement_blocks(placement) - 1, best_last = model->layers;
    double best = 0;
    for (int last = 1; others && last <= model->layers - others; last++) {
        double largest = last * layer + head, other = (double)((model->layers - last + others - 1) / others) * layer;
        if (other > largest) largest = other;
        if (last == 1 || largest < best) best = largest, best_last = last;
    }
    place(placement, model, best_last);
}

static void place_even(cb_placement *placement, const cb_model *model) {
    int blocks = cb_placement_blocks(placement);
    for (int b = 0; b < blocks; b++) placement->first[b] = (int)cb_shard_block(model->layers, blocks, b).begin;
    placement->first[blocks] = model->layers;
}

static cb_err wrong_count(const cb_placement *placement, const char *spec, int count) {
    if (placement->chunks == 1)
        return cb_fail(CB_EINVAL, "placement '%.80s' is for pp=%d, not for pp=%d", spec, count, placement->stages);
    return cb_fail(CB_EINVAL, "placement '%.80s' has %d blocks; pp=%d with %d chunks has %d, in the model's order", spec, count,
                   placement->stages, placement->chunks, cb_placement_blocks(placement));
}

static cb_err place_list(cb_placement *placement, const cb_model *model, const char *spec) {
    int64_t sum = 0;
    int count = 0, blocks = cb_placement_blocks(placement);
    for (const char *at = spec;; at++) {
        char *end;
        long layers = strtol(at, &end, 10);
        if (*at < '0' || *at > '9' || (*end && *end != ','))
            return cb_fail(CB_EINVAL, "placement '%.80s' is neither auto, nor even, nor a list of numbers of layers",
                           spec);
        if (layers < 1) return cb_fail(CB_EINVAL, "placement '%.80s': %s %d holds no layer", spec,
                           placement->chunks == 1 ? "stage" : "block", count);
        if (layers > model->layers) layers = model->layers + 1L; /* no sum overflows; refused below */
        if (count < blocks) placement->first[count] = (int)sum;
        sum += layers, count++;
        at = end;
        if (!*end) break;
        if (sum > model->layers) break;
    }
    if (sum > model->layers)
        return cb_fail(CB_EINVAL, "placement '%.80s' holds more than the %d layers of %s", spec, model->layers,
                       model->name);
    if (count != blocks) return wrong_count(placement, spec, count);
    if (sum < model->layers)
        return cb_fail(CB_EINVAL, "placement '%.80s' holds %d layers, %s has %d", spec, (int)sum, model->name,
                       model->layers);
    placement->first[count] = model->layers;
    return CB_OK;
}

static cb_err check_blocks(const cb_model *model, const cb_chunk_grid *grid) {
    int most = model->layers < CB_MAX_STAGES ? model->layers : CB_MAX_STAGES;
    if (grid->stages < 1) return cb_fail(CB_EINVAL, "pp=%d: a size is at least 1", grid->stages);
    if (grid->stages > most)
        return cb_fail(CB_EINVAL, "pp=%d stages for the %d layers of %s: pp can be at most %d", grid->stages, model->layers,
                       model->name, most);
    int chunks = most / grid->stages < CB_MAX_CHUNKS ? most / grid->stages : CB_MAX_CHUNKS;
    if (grid->chunks <= chunks) return CB_OK;
    return cb_fail(CB_EINVAL,
                   "pp=%d stages of %d chunks for the %d layers of %s: a chunk has at least one layer, so there can be at most "
                   "%d chunk%s with this pp, and pp at most %d with these chunks",
                   grid->stages, grid->chunks, model->layers, model->name, chunks, chunks == 1 ? "" : "s",
                   most / grid->chunks);
}

cb_err cb_placement_make_chunks(cb_placement *placement, const cb_model *model, const cb_chunk_grid *grid, int64_t seq_length,
                                const char *spec) {
    TRY(check_blocks(model, grid));
    *placement = (cb_placement){.stages = grid->stages, .chunks = grid->chunks, .placing = grid->placing};
    if (!strcmp(spec, "auto"))
        place_auto(placement, model, seq_length);
    else if (!strcmp(spec, "even"))
        place_even(placement, model);
    else
        TRY(place_list(placement, model, spec));
    return CB_OK;
}

cb_err cb_placement_make(cb_placement *placement, const cb_model *model, int stages, int64_t seq_length,
                         const char *spec) {
    cb_chunk_grid grid = {stages, 1, CB_CHUNKS_LOOP};
    return cb_placement_make_chunks(placement, model, &grid, seq_length, spec);
}

int cb_placement_block(const cb_placement *placement, int stage, int chunk) {
    cb_chunk_grid grid = grid_of(placement);
    assert(stage >= 0 && stage < placement->stages && chunk >= 0 && chunk < placement->chunks);
    return cb_chunk_block(&grid, stage, chunk);
}

void cb_placement_of_block(const cb_placement *placement, int block, int *stage, int *chunk) {
    cb_chunk_grid grid = grid_of(placement);
    cb_chunk_of_block(&grid, block, stage, chunk);
}

int cb_placement_neighbour(const cb_placement *placement, int stage, int chunk, int step, int *chunk_out) {
    int block = cb_placement_block(placement, stage, chunk) + step, at;
    if (block < 0 || block >= cb_placement_blocks(placement)) return -1;
    cb_placement_of_block(placement, block, &at, chunk_out);
    return at;
}

cb_chunk_layers cb_placement_chunk(const cb_placement *placement, int stage, int chunk) {
    const int *first = &placement->first[cb_placement_block(placement, stage, chunk)];
    return (cb_chunk_layers){first[0], first[1] - first[0]};
}

int cb_placement_layers(const cb_placement *placement, int stage) {
    int layers = 0;
    for (int c = 0; c < placement->chunks; c++) layers += cb_placement_chunk(placement, stage, c).layers;
    return layers;
}

static int block_of(const cb_placement *placement, int layer) {
    int low = 0, high = cb_placement_blocks(placement) - 1; /* the block is in low..high */
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (placement->first[middle] <= layer)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int cb_placement_stage_of(const cb_placement *placement, int layer) {
    int stage, chunk;
    assert(layer >= 0 && layer < placement->first[cb_placement_blocks(placement)]);
    cb_placement_of_block(placement, block_of(placement, layer), &stage, &chunk);
    return stage;
}

static bool holds_block(const cb_placement *placement, int stage, int block) {
    int at, chunk;
    cb_placement_of_block(placement, block, &at, &chunk);
    return at == stage;
}

bool cb_placement_is_first(const cb_placement *placement, int stage) {
    return holds_block(placement, stage, 0);
}

bool cb_placement_is_last(const cb_placement *placement, int stage) {
    return holds_block(placement, stage, cb_placement_blocks(placement) - 1);
}

double cb_placement_flops_per_token(const cb_placement *placement, const cb_model *model, int stage,
                                    int64_t seq_length) {
    double flops = cb_placement_layers(placement, stage) * cb_model_layer_flops_per_token(model, seq_length);
    return cb_placement_is_last(placement, stage) ? flops + cb_model_head_flops_per_token(model) : flops;
}

/* Parameters that the stage holds, without padding. */
static int64_t stage_parameters(const cb_placement *placement, const cb_model *model, int stage) {
    int64_t count = 0;
    for (int role = 0; role < CB_ROLES; role++) {
        cb_param param = cb_param_of(model, (cb_role)role, 0);
        int64_t elements = param.file_rows * param.cols;
        if (role < CB_LAYER_ROLES)
            count += elements * cb_placement_layers(placement, stage);
        else if (cb_param_on_stage(&param, placement, stage))
            count += elements;
    }
    return count;
}

/* "12 (0-11)", with chunks "4 (0-1 4-5)". */
static char *layers_text(const cb_placement *placement, int stage, char out[64]) {
    int used = snprintf(out, 64, "%d (", cb_placement_layers(placement, stage));
    for (int c = 0; c < placement->chunks && used < 64; c++) {
        cb_chunk_layers l = cb_placement_chunk(placement, stage, c);
        used += snprintf(out + used, 64 - (size_t)used, "%s%d-%d", c ? " " : "", l.first, l.first + l.layers - 1);
    }
    if (used < 63) strcat(out, ")");
    return out;
}

void cb_placement_print(const cb_placement *placement, const cb_model *model, int64_t seq_length, FILE *to) {
    double total = cb_model_flops_per_token(model, seq_length);
    int width = placement->chunks == 1 ? 13 : 24;
    fprintf(to, "stage  %-*s  held beside      parameters   FLOPs\n", width, "layers");
    for (int s = 0; s < placement->stages; s++) {
        bool is_first = cb_placement_is_first(placement, s), is_last = cb_placement_is_last(placement, s);
        const char *beside = is_first && is_last ? "embedding, head" : is_first ? "embedding" : is_last ? "head" : "";
        char layers[64];
        fprintf(to, "%5d  %-*s  %-15s  %12lld  %5.1f%%\n", s, width, layers_text(placement, s, layers), beside,
                (long long)stage_parameters(placement, model, s),
                100 * cb_placement_flops_per_token(placement, model, s, seq_length) / total);
    }
}
