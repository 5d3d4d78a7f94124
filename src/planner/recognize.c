/* Words of published tables. */
#include "planner/recognize.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/args.h"

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

/* A network by the name that it has in --cluster: "opa-4x100", "a100-80g:8x48:ib-200". */
static bool read_name(const char *text, int node_devices, cb_network *network) {
    static const char *const between = " :;,()/";
    char word[48];
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        const size_t length = strcspn(text, between);
        cb_network named;
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        text += length;
        if (length >= sizeof word || !strchr(word, '-')) continue;
        cb_err e = cb_network_parse(word, node_devices, &named);
        if (!e) *network = named;
        if (!e) return true;
        cb_err_free(e);
    }
    return false;
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
    if (read_name(text, cluster->node_devices, network)) return true;
    network->kind = kind_of(text, network->kind);
    if (network->kind == CB_OMNI_PATH) network->nic_bytes_per_s = 12.5e9;
    return read_rate(text, network);
}

/* Is text[at..] a word that begins there? "GB200" has no "B200" in it, but "8xA100" has "A100". */
static bool begins_word(const char *text, const char *at) {
    if (at == text || !isalnum((unsigned char)at[-1])) return true;
    return (at[-1] == 'x' || at[-1] == 'X') && at > text + 1 && isdigit((unsigned char)at[-2]);
}

/* The text names it: "A100SXM" the A100, "A1000" not. */
static bool has_name(const char *text, const char *word) {
    for (const char *at = text; (at = strcasestr(at, word)); at++)
        if (begins_word(text, at) && !isdigit((unsigned char)at[strlen(word)])) return true;
    return false;
}

/* Gigabytes that the text states: 80 of "A100 80 GB", "a100-80g"; 0: none. */
static double stated_gib(const char *text) {
    for (const char *at = text; *at;) {
        char *end;
        if (!isdigit((unsigned char)*at) || !begins_word(text, at)) {
            at++;
            continue;
        }
        double value = strtod(at, &end);
        at = end;
        while (*end == ' ') end++;
        if ((*end == 'g' || *end == 'G') && strncasecmp(end, "gb/s", 4) != 0) return value;
    }
    return 0;
}

/* "A100" of "A100-80GB-SXM" */
static void first_word(const char *name, char out[16]) {
    snprintf(out, 16, "%.*s", (int)strcspn(name, "-_ "), name);
}

/* How well the text fits the row: 0: another device. Longer names first, then memory, then the variant, then that which
 * the bare name means. */
static int fit(const cb_device_row *row, const char *text) {
    static const char *const variants[] = {"pcie", "nvl"};
    const char *name = row->device.name;
    char word[16];
    first_word(name, word);
    if (!has_name(text, word)) return 0;
    double gib = row->device.memory_bytes / (1 << 30), stated = stated_gib(text);
    int points = 32 * (int)strlen(word) + 8 * (stated > gib - 1 && stated < gib + 1);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        points += 2 * (has(name, variants[i]) == has(text, variants[i]));
    return points + (strcasecmp(name, word) == 0 || cb_device_has_alias(row, word));
}

const cb_device_row *cb_recognize_device(const cb_hardware *hardware, const char *text) {
    const cb_device_row *row = NULL;
    cb_err e = cb_device_find(hardware, text, &row);
    if (!e) return row;
    cb_err_free(e);
    row = NULL;
    for (int i = 0, most = 0; i < hardware->count; i++) {
        int points = fit(&hardware->device[i], text);
        if (points > most) most = points, row = &hardware->device[i];
    }
    return row;
}

/* Full names and, of the other ones, those that are short for a device ("h100"). */
char *cb_recognize_near(const cb_hardware *hardware, const char *text, char out[256]) {
    const char *names[2 * CB_MOST_DEVICES + 1];
    char brief[CB_MOST_DEVICES][16];
    int words = 0;
    for (int i = 0; i < hardware->count; i++) {
        const cb_device_row *row = &hardware->device[i];
        size_t length = strcspn(row->aliases, ",-");
        snprintf(brief[i], sizeof brief[i], "%.*s", (int)length, row->aliases);
        if (length > 0 && row->aliases[length] != '-' && length < sizeof brief[i]) names[words++] = brief[i];
        names[words++] = row->device.name;
    }
    names[words] = NULL;
    return cb_args_suggest(text, names, out);
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
    else if (has(text, "DeepSpeed") || has(text, "ZeRO-3") || cb_recognize_zero(text))
        *stack = CB_DEEPSPEED_2021;
    else if (has_any(text, fsdp) && !pipelined)
        *stack = CB_FSDP;
    else if (has(text, "FSDP") && pipelined) /* the second FSDP's alone */
        *stack = CB_TITAN;
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

/* nvidia-smi counts MiB, PyTorch's programs divide by 2^30; zero-bubble's prints the most allocated in 10^6 bytes, and
 * BigScience's notes are nvidia-smi's. nanotron's table of benchmarks is written by rank 0, with what that one reserved
 * (helpers.py, log_throughput). */
cb_memory_report cb_recognize_memory(const char *text) {
    const double gib = 1 << 30;
    bool first = has(text, "nanotron");
    if (has(text, "nvidia-smi")) return (cb_memory_report){CB_IN_USE, gib, first};
    if (has(text, "allocated")) return (cb_memory_report){CB_ALLOCATED, gib, first};
    if (has(text, "reserved")) return (cb_memory_report){CB_RESERVED, gib, first};
    if (has(text, "zero bubble") || has(text, "zero-bubble")) return (cb_memory_report){CB_ALLOCATED, 1e9, first};
    return (cb_memory_report){has(text, "bigscience") ? CB_IN_USE : CB_RESERVED, gib, first};
}

/* BigScience's numbered trainings, tr1 to tr13: Megatron-DeepSpeed, whose scripts set ZERO_STAGE to 1. */
bool cb_recognize_zero(const char *text) {
    return has(text, "bigscience experiments/tr");
}
