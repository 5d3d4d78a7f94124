/* Policies of recomputation as sets of activations; see recompute.h. */
#include "model/recompute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

cb_err cb_recompute_parse(cb_recompute *recompute, const char *text) {
    static const char *const words[] = {"none", "selective", "full"};
    *recompute = (cb_recompute){0};
    for (int kind = 0; kind < 3; kind++) {
        if (strcmp(text, words[kind]) != 0) continue;
        recompute->kind = (cb_recompute_kind)kind;
        return CB_OK;
    }
    char *end;
    bool counted = strncmp(text, "full:", 5) == 0 && text[5] >= '0' && text[5] <= '9';
    long layers = counted ? strtol(text + 5, &end, 10) : 0;
    if (!counted || *end || layers < 1 || layers > 1000000) {
        return cb_fail(CB_EUSAGE,
                       "recompute '%.40s' is not none, selective, full, or full:N with a number N of layers, such as "
                       "full:2",
                       text);
    }
    *recompute = (cb_recompute){CB_RECOMPUTE_FULL, (int)layers};
    return CB_OK;
}

char *cb_recompute_text(const cb_recompute *recompute, char out[24]) {
    static const char *const words[] = {"none", "selective", "full"};
    if (recompute->layers)
        snprintf(out, 24, "full:%d", recompute->layers);
    else
        snprintf(out, 24, "%s", words[recompute->kind]);
    return out;
}

cb_err cb_recompute_check(const cb_recompute *recompute, const cb_placement *placement) {
    int most = 0;
    for (int stage = 0; stage < placement->stages; stage++) {
        int layers = cb_placement_layers(placement, stage);
        if (layers > most) most = layers;
    }
    if (recompute->layers <= most) return CB_OK;
    return cb_fail(
        CB_EINVAL, "recompute full:%d: the largest of %d stage%s has %d layer%s; full:%d or less would work, or full",
        recompute->layers, placement->stages, placement->stages == 1 ? "" : "s", most, most == 1 ? "" : "s", most);
}

cb_act_set cb_recompute_kept(const cb_recompute *recompute, int layer) {
    switch (recompute->kind) {
    case CB_RECOMPUTE_SELECTIVE:
        return CB_ALL_LAYER_ACTS & ~CB_ACT_BIT(CB_ACT_PROBS);
    case CB_RECOMPUTE_FULL:
        return !recompute->layers || layer < recompute->layers ? CB_ACT_BIT(CB_ACT_X) : CB_ALL_LAYER_ACTS;
    default:
        return CB_ALL_LAYER_ACTS;
    }
}

cb_act_set cb_recompute_shared(const cb_recompute *recompute, int layers) {
    cb_act_set set = 0;
    for (int l = 0; l < layers; l++) set |= CB_ALL_LAYER_ACTS & ~cb_recompute_kept(recompute, l);
    return set;
}

cb_act_set cb_recompute_held(const cb_recompute *recompute, int layer) {
    return CB_SPLIT_ACTS & ~cb_recompute_kept(recompute, layer);
}

static int64_t set_bytes(const cb_act_sizes *sizes, cb_act_set set) {
    int64_t sum = 0;
    for (int a = 0; a < CB_ACTS; a++) {
        if (set & CB_ACT_BIT(a)) sum += cb_aligned(cb_act_bytes(sizes, (cb_act)a));
    }
    return sum;
}

int64_t cb_recompute_slot_bytes(const cb_recompute *recompute, const cb_act_sizes *sizes, int first, int layers,
                                bool first_block, bool last_block) {
    int64_t sum = set_bytes(sizes, cb_act_own(first_block, last_block));
    for (int l = first; l < first + layers; l++) sum += set_bytes(sizes, cb_recompute_kept(recompute, l));
    return sum;
}

int64_t cb_recompute_hold_bytes(const cb_recompute *recompute, const cb_act_sizes *sizes, int first, int layers) {
    int64_t sum = 0;
    for (int l = first; l < first + layers; l++) sum += set_bytes(sizes, cb_recompute_held(recompute, l));
    return sum;
}

int64_t cb_recompute_shared_bytes(const cb_recompute *recompute, const cb_act_sizes *sizes, int layers) {
    return set_bytes(sizes, cb_recompute_shared(recompute, layers));
}

/* Per token: a multiply and an add for every weight of a product; attention's two products over the causal half. Norms,
 * softmax and GELU are not counted, as in flops.c. */
static double act_flops(const cb_model *model, cb_act act, int64_t seq_length) {
    double C = (double)model->channels;
    switch (act) {
    case CB_ACT_QKV:
        return 2 * 3 * C * C;
    case CB_ACT_PROBS:
    case CB_ACT_ATT:
        return C * (double)seq_length;
    case CB_ACT_MID:
        return 2 * C * C;
    case CB_ACT_FC:
        return 2 * C * (double)model->ffn;
    default:
        return 0;
    }
}

double cb_recompute_layer_flops_per_token(const cb_recompute *recompute, const cb_model *model, int layer,
                                          int64_t seq_length) {
    double sum = 0;
    for (int a = 0; a < CB_LAYER_ACTS; a++)
        if (!(cb_recompute_kept(recompute, layer) & CB_ACT_BIT(a))) sum += act_flops(model, (cb_act)a, seq_length);
    return sum;
}

double cb_recompute_flops_per_token(const cb_recompute *recompute, const cb_model *model, const cb_placement *placement,
                                    int64_t seq_length) {
    double sum = 0;
    for (int stage = 0; stage < placement->stages; stage++) {
        for (int l = 0; l < cb_placement_layers(placement, stage); l++)
            sum += cb_recompute_layer_flops_per_token(recompute, model, l, seq_length);
    }
    return sum;
}
