/* The table of constants and its file form. */
#include "planner/constants.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/json.h"

#define AT(field) offsetof(cb_constants, field)

enum { MIB = 1 << 20, MOST_FILE_BYTES = 1 << 20 };

static const struct row {
    cb_constant constant;
    size_t offset;
} table[] = {
#define ROW(field_, name_, unit_, value_, min_, max_, meaning_, source_) \
    { {name_, unit_, meaning_, value_, min_, max_, source_}, AT(field_) }
    ROW(gemm[CB_VOLTA], "gemm_volta", "of peak", 0.7059, 0.3, 0.95, "large matrix products", "fit"),
    ROW(gemm[CB_AMPERE], "gemm_ampere", "of peak", 0.7828, 0.3, 0.95, "large matrix products", "fit"),
    ROW(gemm[CB_HOPPER], "gemm_hopper", "of peak", 0.6812, 0.3, 0.95, "large matrix products", "fit"),
    ROW(gemm[CB_BLACKWELL], "gemm_blackwell", "of peak", 0.5749, 0.3, 0.95, "large matrix products", "fit"),
    ROW(gemm[CB_BLACKWELL_ULTRA], "gemm_blackwell_ultra", "of peak", 0.7523, 0.3, 0.95, "large matrix products", "fit"),
    ROW(gemm[CB_CDNA], "gemm_cdna", "of peak", 0.47, 0.3, 0.95, "large matrix products", "MAMF"),
    ROW(gemm[CB_PROCESSOR], "gemm_processor", "of peak", 0.8, 0.3, 1, "large matrix products", "by hand"),
    ROW(gemm_fp8, "gemm_fp8", "1", 1.027, 0.6, 1.1, "share of the peak in 8 bits over that in 16", "fit"),
    ROW(gemm_fp8_rows, "gemm_fp8_rows", "1", 0.3738, 0.3, 1, "the same with a scale per row over a scale per tensor",
        "fit"),
    ROW(gemm_fp4, "gemm_fp4", "1", 0.838, 0.4, 1.1, "share of the peak in 4 bits over that in 16", "fit"),
    ROW(tile_half, "tile_half", "elements", 1.963, 0, 64, "side of a tile at which half of the rate is left", "fit"),
    ROW(depth_half, "depth_half", "elements", 81.52, 0, 400, "inner dimension at which half of the rate is left",
        "fit"),
    ROW(misaligned, "misaligned", "1", 0.5234, 0.2, 1, "rate of a product with a size that no more than 8 divides",
        "fit"),
    ROW(memory_share, "memory_share", "of peak", 0.6435, 0.4, 0.95, "bandwidth of memory that kernels reach", "fit"),
    ROW(kernel_s, "kernel_s", "s", 2.623e-06, 1e-6, 15e-6, "start and end of a kernel on the device", "fit"),
    ROW(elementwise, "elementwise", "1", 0.8138, 0.4, 2, "bytes moved over bytes counted, kernel by kernel", "fit"),
    ROW(elementwise_compiled, "elementwise_compiled", "1", 0.5922, 0.2, 1, "the same where operations are fused",
        "fit"),
    ROW(cast_fp8, "cast_fp8", "1", 0.9493, 0.3, 3, "bytes moved over bytes counted, casts to 8 bits", "fit"),
    ROW(loss_bytes, "loss_bytes", "B/logit", 26.87, 4, 40, "what the loss moves, forward and backward", "fit"),
    ROW(loss_bytes_split, "loss_bytes_split", "B/logit", 8.188, 4, 120,
        "the same, operation by operation over a cut vocabulary", "fit"),
    ROW(flash[CB_AMPERE], "flash_ampere", "of peak", 0.4663, 0.2, 0.8, "attention in blocks, forward", "fit"),
    ROW(flash[CB_HOPPER], "flash_hopper", "of peak", 0.2545, 0.15, 0.8, "attention in blocks, forward", "fit"),
    ROW(flash[CB_BLACKWELL], "flash_blackwell", "of peak", 0.3294, 0.1, 0.8, "attention in blocks, forward", "fit"),
    ROW(flash_vendor, "flash_vendor", "1", 2.059, 1, 3, "the vendor's attention kernels over common ones", "fit"),
    ROW(flash_backward, "flash_backward", "1", 1.711, 1, 2.5, "backward's time per FLOP over forward's", "fit"),
    ROW(flash_rows_half, "flash_rows_half", "blocks", 82.05, 0, 400, "blocks of rows at which half the rate is left",
        "fit"),
    ROW(scores_gemm, "scores_gemm", "of peak", 0.7214, 0.1, 1, "batched products of unfused attention", "fit"),
    ROW(scores_bytes, "scores_bytes", "1", 0.6442, 0.2, 2, "bytes moved over bytes counted, probabilities", "fit"),
    ROW(launch_forward_s, "launch_forward_s", "s/layer", 0.001192, 2e-4, 3e-3, "host's time to launch a layer", "fit"),
    ROW(launch_backward_s, "launch_backward_s", "s/layer", 0.0009662, 2e-4, 4e-3, "the same backward", "fit"),
    ROW(launch_unfused_softmax_s, "launch_unfused_softmax_s", "s/layer", 0.0004979, 0, 2e-3,
        "more, where no fused softmax fits the shape", "fit"),
    ROW(launch_crowded_s, "launch_crowded_s", "s/pass", 0.0001794, 0, 1e-3, "more, where eight ranks share a host",
        "fit"),
    ROW(launch_compiled_s, "launch_compiled_s", "s/layer", 0.0001337, 2e-5, 1e-3,
        "host's time, few or graphed launches", "fit"),
    ROW(host_norm, "host_norm", "1", 3.588, 1, 12, "p of the p-norm that joins host and device", "fit"),
    ROW(micro_batch_s, "micro_batch_s", "s", 0.001768, 0, 10e-3, "fixed cost of a microbatch", "fit"),
    ROW(engine_micro_batch_s, "engine_micro_batch_s", "s", 0.01804, 0, 40e-3, "the same, DeepSpeed's pipeline engine",
        "fit"),
    ROW(step_s, "step_s", "s", 0.001727, 0, 0.1, "fixed cost of a step, Megatron of 2021", "fit"),
    ROW(step_other_s, "step_other_s", "s", 0.01616, 0, 0.1, "fixed cost of a step, other stacks", "fit"),
    ROW(link_share, "link_share", "of peak", 0.6792, 0.4, 1, "bandwidth of links inside a node in collectives", "fit"),
    ROW(link_latency_s, "link_latency_s", "s", 4.975e-05, 5e-6, 100e-6, "start of a collective", "fit"),
    ROW(link_hop_s, "link_hop_s", "s", 1.335e-05, 1e-6, 30e-6, "each step of its ring", "fit"),
    ROW(network_hop_s, "network_hop_s", "s", 6.898e-05, 2e-6, 80e-6, "each node of its ring", "fit"),
    ROW(network[CB_INFINIBAND], "network_infiniband", "of peak", 0.6915, 0.1, 1, "bandwidth of adapters", "fit"),
    ROW(network[CB_ETHERNET], "network_ethernet", "of peak", 0.7148, 0.1, 1, "bandwidth of adapters", "fit"),
    ROW(network[CB_EFA], "network_efa", "of peak", 0.4963, 0.1, 1, "bandwidth of adapters", "fit"),
    ROW(network[CB_OMNI_PATH], "network_omni_path", "of peak", 0.1713, 0.05, 1, "bandwidth of adapters", "fit"),
    ROW(tp_overlap_gradient, "tp_overlap_gradient", "1", 0.1204, 0, 1,
        "share of backward's all-reduces hidden behind weight gradients", "fit"),
    ROW(tp_overlap_all, "tp_overlap_all", "1", 0.6427, 0, 1, "share hidden where products are cut for it", "fit"),
    ROW(dp_overlap, "dp_overlap", "1", 0.3075, 0, 1, "share of the gradient reduction hidden behind backward", "fit"),
    ROW(fsdp_interference, "fsdp_interference", "1", 0.5941, 0, 1.3,
        "share of the shorter of computation and gathering that is not hidden", "fit"),
    ROW(fsdp_prefetched, "fsdp_prefetched", "1", 0.2893, 0, 1.3, "the same where weights are fetched ahead", "fit"),
    ROW(pp_exposed, "pp_exposed", "1", 0.3226, 0, 1, "share of messages between stages that is waited for", "fit"),
    ROW(pp_latency_s, "pp_latency_s", "s", 4.518e-05, 5e-6, 1e-3, "start of a message between stages", "fit"),
    ROW(optimizer_bytes, "optimizer_bytes", "B/parameter", 12.34, 8, 80, "moved by an optimizer step", "fit"),
    ROW(unused, "unused", "of dynamic", 0.2, 0.05, 0.45,
        "of what comes and goes in a step, kept by the allocator in pieces that fit nothing", "B200"),
    ROW(unused_full, "unused_full", "of dynamic", 0.07, 0, 0.2, "the same where the device is full", "B200"),
    ROW(tp_waiting, "tp_waiting", "streams", 50, 0, 100,
        "whole residual streams that tensor parallelism gave back and a host far ahead does not see free", "nanotron"),
    ROW(context_volta, "context_volta", "B", 1113.0 * MIB, 3e8, 3e9, "a process's context on a V100", "BigScience"),
    ROW(context_other, "context_other", "B", 1573.0 * MIB, 3e8, 3e9, "the same on later devices", "BigScience"),
    ROW(communicator, "communicator", "B", 544.0 * MIB, 1e8, 1.5e9, "an NCCL communicator with an A100's links",
        "NCCL"),
#undef ROW
};
enum { ROWS = sizeof table / sizeof table[0] };

static double *field(cb_constants *constants, int index) {
    return (double *)((char *)constants + table[index].offset);
}

int cb_constants_count(void) {
    return ROWS;
}

const cb_constant *cb_constant_at(int index) {
    return &table[index].constant;
}

double cb_constants_value(const cb_constants *constants, int index) {
    return *(const double *)((const char *)constants + table[index].offset);
}

cb_constants cb_constants_default(void) {
    cb_constants constants = {.gemm_fp8 = 0};
    for (int i = 0; i < ROWS; i++) *field(&constants, i) = table[i].constant.value;
    return constants;
}

static cb_err unknown(const cb_json *json, int64_t at, const char *name) {
    const char *names[ROWS + 1] = {NULL};
    for (int i = 0; i < ROWS; i++) names[i] = table[i].constant.name;
    char near[256];
    return cb_json_wrong(json, at, "'%s' is no constant of the planner%s `cuboid plan --show-constants` lists them",
                         name, cb_args_suggest(name, names, near));
}

/* at: of the name, for messages. */
static cb_err set(cb_constants *constants, const cb_json *json, int64_t at, const char *name, const json_t *value) {
    int i = 0;
    while (i < ROWS && strcmp(table[i].constant.name, name) != 0) i++;
    if (i == ROWS) return unknown(json, at, name);
    const cb_constant *row = &table[i].constant;
    if (!json_is_number(value)) return cb_json_wrong(json, at, "%s is no number", name);
    double number = json_number_value(value);
    if (!(number >= row->min && number <= row->max)) {
        return cb_json_wrong(json, at, "%s is %g %s; physical are %g to %g (%s)", name, number, row->unit, row->min,
                             row->max, row->meaning);
    }
    *field(constants, i) = number;
    return CB_OK;
}

/* {"name": value, ...} */
static cb_err read_object(cb_constants *constants, const cb_json *json) {
    const char *name;
    json_t *value;
    int64_t top = cb_json_top(json);
    json_object_foreach(json->root, name, value) TRY(set(constants, json, cb_json_key(json, top, name), name, value));
    return CB_OK;
}

/* [{"name": ..., "value": ..., ...}, ...], as `cuboid plan --show-constants --json` prints them. */
static cb_err read_list(cb_constants *constants, const cb_json *json) {
    size_t i;
    json_t *row;
    json_array_foreach(json->root, i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        int64_t at = cb_json_element(json, cb_json_top(json), (int)i);
        if (!name) return cb_json_wrong(json, at, "expected {\"name\": ..., \"value\": ...}, which has a name");
        TRY(set(constants, json, at, name, json_object_get(row, "value")));
    }
    return CB_OK;
}

static cb_err read_all(cb_constants *constants, const cb_json *json) {
    if (json_is_object(json->root)) return read_object(constants, json);
    if (json_is_array(json->root)) return read_list(constants, json);
    return cb_json_wrong(json, cb_json_top(json),
                         "expected {\"NAME\": NUMBER, ...}, or what --show-constants --json prints");
}

cb_err cb_constants_read(cb_constants *constants, const char *path) {
    char *text;
    cb_json json;
    TRY(cb_file_read_text(path, "constants", MOST_FILE_BYTES, &text));
    cb_err e = cb_json_parse(&json, path, text, (int64_t)strlen(text), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY);
    if (!e) {
        e = read_all(constants, &json);
        json_decref(json.root);
    }
    free(text);
    return e;
}

void cb_constants_print(const cb_constants *constants, FILE *to) {
    char range[32], meaning[192];
    fprintf(to, "%-24s %-9s %-11s %-16s %s\n", "constant", "value", "unit", "physical", "meaning (source)");
    for (int i = 0; i < ROWS; i++) {
        const cb_constant *row = &table[i].constant;
        snprintf(range, sizeof range, "%.3g .. %.3g", row->min, row->max);
        snprintf(meaning, sizeof meaning, "%s (%s)", row->meaning, row->source);
        int left =
            fprintf(to, "%-24s %-9.4g %-11s %-16s ", row->name, cb_constants_value(constants, i), row->unit, range);
        cb_args_wrap(meaning, left, to);
    }
}
