/* Words of published tables. */
#include "planner/recognize.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool has(const char *text, const char *word) {
    return strcasestr(text, word) != NULL;
}

static bool has_any(const char *text, const char *const *words) {
    for (; *words; words++) {
        if (has(text, *words)) return true;
    }
    return false;
}

/* The number right before `unit` ("400" of "400 Gb/s"), 0 if there is none. `at`: where it begins. */
static double number_before(const char *text, const char *unit, const char **at) {
    const char *found = strcasestr(text, unit), *begin = found;
    if (!found) return 0;
    while (begin > text && begin[-1] == ' ') begin--;
    while (begin > text && (isdigit((unsigned char)begin[-1]) || begin[-1] == '.')) begin--;
    if (at) *at = begin;
    return strtod(begin, NULL);
}

/* The count of "8x200Gb/s" or "4 x 100 Gb/s", 0 where the number at `at` has none before it. */
static double count_before(const char *text, const char *at) {
    while (at > text && at[-1] == ' ') at--;
    if (at == text || (at[-1] != 'x' && at[-1] != 'X')) return 0;
    at--;
    while (at > text && at[-1] == ' ') at--;
    const char *end = at;
    while (at > text && isdigit((unsigned char)at[-1])) at--;
    return at < end ? strtod(at, NULL) : 0;
}

static cb_network_kind kind_of(const char *text, cb_network_kind usual) {
    static const char *const omni[] = {"Omni-Path", "OmniPath", "OPA", NULL};
    static const char *const ethernet[] = {"RoCE", "Ethernet", "GbE", "TCP", "Slingshot", NULL};
    static const char *const infiniband[] = {"InfiniBand", " IB", "HDR", "NDR",     "EDR", "XDR",
                                             "Selene",     "DGX", "Eos", "Quantum", NULL};
    if (has_any(text, omni)) return CB_OMNI_PATH;
    if (has(text, "EFA") || has(text, "AWS") || has(text, "p4d") || has(text, "p5.")) return CB_EFA;
    if (has_any(text, ethernet)) return CB_ETHERNET;
    return has_any(text, infiniband) ? CB_INFINIBAND : usual;
}

/* Devices of a node, from "4 GPU/node", "8 GPUs per node". */
static int node_devices(const char *text, const cb_device_row *device) {
    static const char *const forms[] = {"GPU/node", "GPUs/node", "GPU per node", "GPUs per node"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        double count = number_before(text, forms[i], NULL);
        if (count >= 1 && count <= 1024) return (int)count;
    }
    if (has(text, "DGX-2")) return 16;
    const char *domain = strcasestr(text, "NVL");
    if (domain && isdigit((unsigned char)domain[3])) {
        int count = atoi(domain + 3);
        if (count >= 1 && count <= 1024) return count;
    }
    return device->node_devices;
}

/* Adapters of a node, from "8x200Gb/s", "400 Gb/s NIC per GPU", "1600 Gb/s per node"; false where it says nothing. */
static bool read_rate(const char *text, cb_network *network) {
    static const char *const units[] = {"Gb/s", "Gbps", "Gbit/s", "GbE"};
    const char *at = NULL;
    double rate = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units && rate == 0; i++) rate = number_before(text, units[i], &at);
    if (rate == 0) return false;
    double count = count_before(text, at);
    network->nic_bytes_per_s = rate * 0.125e9;
    if (count >= 1 && count <= 1024)
        network->nics = (int)count;
    else if (!has(at, "per GPU") && !has(at, "per device"))
        network->nics = 1;
    return true;
}

bool cb_recognize_network(const char *text, const cb_device_row *device, cb_cluster *cluster) {
    cb_network *network = &cluster->network;
    cluster->device = device->device;
    cluster->node_devices = node_devices(text, device);
    cluster->links_in_mesh = device->device.family == CB_VOLTA && !has(text, "DGX-2");
    cb_err e = cb_network_parse(device->network, cluster->node_devices, network);
    if (e) { /* a user's table may say nonsense; the table's own does not */
        cb_err_free(e);
        *network = (cb_network){.name = "", .nics = cluster->node_devices, .nic_bytes_per_s = 25e9};
    }
    network->kind = kind_of(text, network->kind);
    if (network->kind == CB_OMNI_PATH) network->nic_bytes_per_s = 12.5e9;
    return read_rate(text, network);
}

/* "A100" of "A100-80GB-SXM" */
static size_t first_word(const char *name) {
    return strcspn(name, "-_ ");
}

static bool has_memory(const char *text, const cb_device_row *row) {
    const char *memory = strchr(row->device.name, '-');
    return memory && isdigit((unsigned char)memory[1]) && has(text, memory + 1);
}

static const cb_device_row *by_word(const cb_hardware *hardware, const char *text) {
    const cb_device_row *found = NULL;
    size_t longest = 0;
    for (int i = 0; i < hardware->count; i++) {
        const cb_device_row *row = &hardware->device[i];
        char word[48];
        size_t length = first_word(row->device.name);
        snprintf(word, sizeof word, "%.*s", (int)length, row->device.name);
        bool pcie = has(row->device.name, "pcie") == has(text, "pcie");
        size_t fits = has(text, word) ? 4 * length + 2 * has_memory(text, row) + pcie : 0;
        if (fits > longest) {
            found = row;
            longest = fits;
        }
    }
    return found;
}

/* A device of no known name: the nearest by what its name begins with. */
static const char *by_family(const char *text) {
    static const struct {
        const char *begins, *device;
    } families[] = {{"MI", "mi300x"}, {"AMD", "mi300x"}, {"GB", "gb200"}, {"B", "b200"}, {"GH", "h200"},
                    {"H", "h100"},    {"A", "a100"},     {"L", "a100"},   {"V", "v100"}, {"P", "v100"}};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strncasecmp(text, families[i].begins, strlen(families[i].begins)) == 0) return families[i].device;
    }
    return "h100";
}

const cb_device_row *cb_recognize_device(const cb_hardware *hardware, const char *text, bool *guess) {
    const cb_device_row *row = NULL;
    cb_err e = cb_device_find(hardware, text, &row);
    *guess = false;
    if (!e) return row;
    cb_err_free(e);
    row = by_word(hardware, text);
    if (row) return row;
    *guess = true;
    e = cb_device_find(hardware, by_family(text), &row);
    cb_err_free(e);
    return e || !row ? &hardware->device[0] : row;
}

bool cb_recognize_stack(const char *text, const cb_accelerator *device, cb_precision precision, bool pipelined,
                        cb_stack *stack) {
    static const char *const core[] = {
        "NeMo", "Megatron-Bridge", "TransformerEngine", "Transformer Engine", "Megatron-Core", "MegaScale", "flash",
        NULL};
    static const char *const titan[] = {"torchtitan", "torch.compile", "AsyncTP", "FSDP2", NULL};
    static const char *const fsdp[] = {"FSDP", "llm-foundry", "mosaic", "composer", NULL};
    static const char *const old[] = {"Megatron", "bigscience", "vTrain", "SC21", "zero-bubble", "OneFlow", NULL};
    bool known = true;
    bool early = device->family == CB_VOLTA || device->family == CB_AMPERE;
    static const char *const vendor[] = {"NeMo", "Megatron-Bridge", "TransformerEngine", "Transformer Engine", NULL};
    if (has_any(text, vendor))
        *stack = CB_MEGATRON_CORE;
    else if (has(text, "OneFlow"))
        *stack = CB_STATIC_GRAPH;
    else if (has_any(text, titan))
        *stack = CB_TITAN;
    else if (has(text, "nanotron") || has(text, "picotron"))
        *stack = CB_NANOTRON;
    else if (has(text, "DeepSpeed") || has(text, "ZeRO-3"))
        *stack = CB_DEEPSPEED_2021;
    else if (has_any(text, fsdp) && !pipelined)
        *stack = CB_FSDP;
    else if (has_any(text, core))
        *stack = CB_MEGATRON_CORE;
    else if (has_any(text, old))
        *stack = early && precision == CB_MATH_16 ? CB_MEGATRON_2021 : CB_MEGATRON_CORE;
    else {
        *stack = early ? CB_MEGATRON_2021 : CB_MEGATRON_CORE;
        known = false;
    }
    return known;
}
