/* Layers onto stages. All layers cost the same, so a placement is fixed by how many the last stage holds beside the
 * head: the others share the rest evenly. "auto" tries every such number, which is exact. */
#include "model/placement.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "model/params.h"

/* Stages 0..stages-2 share the layers that the last does not hold, larger first. */
static void place(cb_placement *placement, const cb_model *model, int last_layers) {
    int others = placement->stages - 1;
    for (int s = 0; s < others; s++) {
        cb_range block = cb_shard_block(model->layers - last_layers, others, s);
        placement->first[s] = (int)block.begin;
    }
    placement->first[others] = model->layers - last_layers;
    placement->first[others + 1] = model->layers;
}

static void place_auto(cb_placement *placement, const cb_model *model, int64_t seq_length) {
    double layer = cb_model_layer_flops_per_token(model, seq_length), head = cb_model_head_flops_per_token(model);
    int others = placement->stages - 1, best_last = model->layers;
    double best = 0;
    for (int last = 1; others && last <= model->layers - others; last++) {
        double largest = last * layer + head, other = (double)((model->layers - last + others - 1) / others) * layer;
        if (other > largest) largest = other;
        if (last == 1 || largest < best) best = largest, best_last = last;
    }
    place(placement, model, best_last);
}

static void place_even(cb_placement *placement, const cb_model *model) {
    for (int s = 0; s < placement->stages; s++)
        placement->first[s] = (int)cb_shard_block(model->layers, placement->stages, s).begin;
    placement->first[placement->stages] = model->layers;
}

static cb_err place_list(cb_placement *placement, const cb_model *model, const char *spec) {
    int64_t sum = 0;
    int count = 0;
    for (const char *at = spec;; at++) {
        char *end;
        long layers = strtol(at, &end, 10);
        if (*at < '0' || *at > '9' || (*end && *end != ','))
            return cb_fail(CB_EINVAL, "placement '%.80s' is neither auto, nor even, nor a list of numbers of layers",
                           spec);
        if (layers < 1) return cb_fail(CB_EINVAL, "placement '%.80s': stage %d holds no layer", spec, count);
        if (layers > model->layers) layers = model->layers + 1L; /* no sum overflows; refused below */
        if (count < placement->stages) placement->first[count] = (int)sum;
        sum += layers, count++;
        at = end;
        if (!*end) break;
        if (sum > model->layers) break;
    }
    if (sum > model->layers)
        return cb_fail(CB_EINVAL, "placement '%.80s' holds more than the %d layers of %s", spec, model->layers,
                       model->name);
    if (count != placement->stages)
        return cb_fail(CB_EINVAL, "placement '%.80s' is for pp=%d, not for pp=%d", spec, count, placement->stages);
    if (sum < model->layers)
        return cb_fail(CB_EINVAL, "placement '%.80s' holds %d layers, %s has %d", spec, (int)sum, model->name,
                       model->layers);
    placement->first[count] = model->layers;
    return CB_OK;
}

cb_err cb_placement_make(cb_placement *placement, const cb_model *model, int stages, int64_t seq_length,
                         const char *spec) {
    int most = model->layers < CB_MAX_STAGES ? model->layers : CB_MAX_STAGES;
    if (stages < 1) return cb_fail(CB_EINVAL, "pp=%d: a size is at least 1", stages);
    if (stages > most)
        return cb_fail(CB_EINVAL, "pp=%d stages for the %d layers of %s: pp can be at most %d", stages, model->layers,
                       model->name, most);
    *placement = (cb_placement){.stages = stages};
    if (!strcmp(spec, "auto"))
        place_auto(placement, model, seq_length);
    else if (!strcmp(spec, "even"))
        place_even(placement, model);
    else
        TRY(place_list(placement, model, spec));
    return CB_OK;
}

int cb_placement_layers(const cb_placement *placement, int stage) {
    assert(stage >= 0 && stage < placement->stages);
    return placement->first[stage + 1] - placement->first[stage];
}

int cb_placement_stage_of(const cb_placement *placement, int layer) {
    assert(layer >= 0 && layer < placement->first[placement->stages]);
    int low = 0, high = placement->stages - 1; /* the stage is in low..high */
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (placement->first[middle] <= layer)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

double cb_placement_flops_per_token(const cb_placement *placement, const cb_model *model, int stage,
                                    int64_t seq_length) {
    double flops = cb_placement_layers(placement, stage) * cb_model_layer_flops_per_token(model, seq_length);
    return stage == placement->stages - 1 ? flops + cb_model_head_flops_per_token(model) : flops;
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

void cb_placement_print(const cb_placement *placement, const cb_model *model, int64_t seq_length, FILE *to) {
    double total = cb_model_flops_per_token(model, seq_length);
    fprintf(to, "stage  layers         held beside      parameters   FLOPs\n");
    for (int s = 0; s < placement->stages; s++) {
        bool is_first = s == 0, is_last = s == placement->stages - 1;
        const char *beside = is_first && is_last ? "embedding, head" : is_first ? "embedding" : is_last ? "head" : "";
        char layers[32];
        snprintf(layers, sizeof layers, "%d (%d-%d)", cb_placement_layers(placement, s), placement->first[s],
                 placement->first[s + 1] - 1);
        fprintf(to, "%5d  %-13s  %-15s  %12lld  %5.1f%%\n", s, layers, beside,
                (long long)stage_parameters(placement, model, s),
                100 * cb_placement_flops_per_token(placement, model, s, seq_length) / total);
    }
}
