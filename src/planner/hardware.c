/* The table of devices and the reading of names, networks and clusters. Rates are dense data-sheet peaks per device;
 * memory is what a sheet calls GB and a driver reports, within a percent, as GiB. */
#include "planner/hardware.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/args.h"
#include "planner/recognize.h"

enum { MOST_NODE = 1024, MOST_DEVICES = 1 << 20 };

typedef struct data_sheet {
    const char *name, *aliases;
    cb_accelerator_family family;
    double tflops_32, tflops_16, tflops_8, tflops_4; /* 1e12 / s */
    double memory_gib, memory_gb_per_s, link_gb_per_s;
    int multiprocessors, node_devices;
    const char *network, *source;
} data_sheet;

/* One device a row. link: NVLink, Infinity Fabric or PCIe, one direction. */
static const data_sheet sheets[] = {
    {"v100-16g", "v100-16gb-sxm", CB_VOLTA, 15.7, 125, 0, 0, 16, 900, 150, 80, 8, "ib-100", "NVIDIA V100 data sheet"},
    {"v100-32g", "v100,v100-32gb-sxm", CB_VOLTA, 15.7, 125, 0, 0, 32, 900, 150, 80, 8, "ib-100",
     "NVIDIA V100 data sheet"},
    {"v100-16g-pcie", "v100-16gb-pcie", CB_VOLTA, 14, 112, 0, 0, 16, 900, 16, 80, 8, "ib-2x100",
     "NVIDIA V100 data sheet; PCIe 3 x16"},
    {"v100-32g-pcie", "v100-32gb-pcie", CB_VOLTA, 14, 112, 0, 0, 32, 900, 16, 80, 8, "ib-2x100",
     "NVIDIA V100 data sheet; PCIe 3 x16"},
    {"a100-40g", "a100-40gb-sxm", CB_AMPERE, 19.5, 312, 0, 0, 40, 1555, 300, 108, 8, "ib-200",
     "NVIDIA A100 data sheet"},
    {"a100-80g", "a100,a100-80gb-sxm", CB_AMPERE, 19.5, 312, 0, 0, 80, 2039, 300, 108, 8, "ib-200",
     "NVIDIA A100 data sheet"},
    {"a100-40g-pcie", "a100-40gb-pcie", CB_AMPERE, 19.5, 312, 0, 0, 40, 1555, 32, 108, 8, "ib-2x200",
     "NVIDIA A100 data sheet; PCIe 4 x16"},
    {"a100-80g-pcie", "a100-80gb-pcie", CB_AMPERE, 19.5, 312, 0, 0, 80, 1935, 32, 108, 8, "ib-2x200",
     "NVIDIA A100 data sheet; PCIe 4 x16"},
    {"a800-80g", "a800,a800-80gb-sxm", CB_AMPERE, 19.5, 312, 0, 0, 80, 2039, 200, 108, 8, "ib-200",
     "NVIDIA A800 data sheet"},
    {"h100-80g", "h100,h100-80gb-sxm", CB_HOPPER, 67, 989.4, 1978.9, 0, 80, 3350, 450, 132, 8, "ib-400",
     "NVIDIA H100 data sheet"},
    {"h100-96g", "h100-96gb-sxm", CB_HOPPER, 67, 989.4, 1978.9, 0, 96, 2400, 450, 132, 8, "roce-400",
     "torchtitan benchmarks (HBM2e, 500 W)"},
    {"h100-pcie", "h100-80g-pcie", CB_HOPPER, 51, 756, 1513, 0, 80, 2000, 64, 114, 8, "ib-2x400",
     "NVIDIA H100 data sheet; PCIe 5 x16"},
    {"h100-94g-nvl", "h100-nvl,h100-94gb-nvl", CB_HOPPER, 60, 835.5, 1670.5, 0, 94, 3938, 300, 132, 8, "ib-2x400",
     "NVIDIA H100 NVL data sheet; links in pairs"},
    {"h20-96g", "h20,h20-96gb-sxm", CB_HOPPER, 44, 148, 296, 0, 96, 4000, 450, 78, 8, "ib-400",
     "NVIDIA H20 data sheet"},
    {"h800-80g", "h800,h800-80gb-sxm", CB_HOPPER, 67, 989.4, 1978.9, 0, 80, 3350, 200, 132, 8, "ib-400",
     "DeepSeek-V3 report, arXiv:2412.19437"},
    {"h200-141g", "h200,h200-141gb-sxm", CB_HOPPER, 67, 989.4, 1978.9, 0, 141, 4800, 450, 132, 8, "ib-400",
     "NVIDIA H200 data sheet"},
    {"gh200-96g", "gh200", CB_HOPPER, 67, 989.4, 1978.9, 0, 96, 4000, 450, 132, 4, "ib-400", "NVIDIA GH200 data sheet"},
    {"b200-180g", "b200,b200-sxm", CB_BLACKWELL, 75, 2250, 4500, 9000, 180, 8000, 900, 148, 8, "ib-400",
     "NVIDIA DGX B200 data sheet"},
    {"b300-288g", "b300,b300-sxm", CB_BLACKWELL_ULTRA, 75, 2250, 4500, 13500, 288, 8000, 900, 148, 8, "ib-800",
     "NVIDIA DGX B300 data sheet"},
    {"gb200-186g", "gb200", CB_BLACKWELL, 80, 2500, 5000, 10000, 186, 8000, 900, 148, 72, "ib-400",
     "NVIDIA GB200 NVL72 data sheet"},
    {"gb300-288g", "gb300", CB_BLACKWELL_ULTRA, 80, 2500, 5000, 15000, 288, 8000, 900, 148, 72, "ib-800",
     "NVIDIA GB300 NVL72 data sheet"},
    {"mi325x-256g", "mi325x", CB_CDNA, 163.4, 1307, 2614, 0, 256, 6000, 448, 304, 8, "roce-400",
     "AMD MI325X data sheet"},
    {"mi300x-192g", "mi300x", CB_CDNA, 163.4, 1307, 2614, 0, 192, 5300, 448, 304, 8, "roce-400",
     "AMD MI300X data sheet"},
};
enum { ROWS = sizeof sheets / sizeof *sheets };

const char *cb_accelerator_family_name(cb_accelerator_family family) {
    static const char *const names[CB_ACCELERATOR_FAMILIES] = {"volta",           "ampere", "hopper",   "blackwell",
                                                               "blackwell-ultra", "cdna",   "processor"};
    return names[family];
}

static cb_device_row device_of(const data_sheet *r) {
    cb_device_row d = {
        .device = {.family = r->family,
                   .peak_flops = {r->tflops_32 * 1e12, r->tflops_16 * 1e12, r->tflops_8 * 1e12, r->tflops_4 * 1e12},
                   .memory_bytes = r->memory_gib * (1 << 30),
                   .memory_bytes_per_s = r->memory_gb_per_s * 1e9,
                   .link_bytes_per_s = r->link_gb_per_s * 1e9,
                   .multiprocessors = r->multiprocessors},
        .node_devices = r->node_devices,
    };
    snprintf(d.device.name, sizeof d.device.name, "%s", r->name);
    snprintf(d.aliases, sizeof d.aliases, "%s", r->aliases);
    snprintf(d.network, sizeof d.network, "%s", r->network);
    snprintf(d.source, sizeof d.source, "%s", r->source);
    return d;
}

void cb_hardware_default(cb_hardware *hardware) {
    *hardware = (cb_hardware){.count = ROWS};
    for (int i = 0; i < ROWS; i++) hardware->device[i] = device_of(&sheets[i]);
}

/* `name` is an item of the comma-separated list. */
static bool in_list(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; *at;) {
        size_t item = strcspn(at, ",");
        if (item == length && strncasecmp(at, name, item) == 0) return true;
        at += item + (at[item] == ',');
    }
    return false;
}

bool cb_device_has_alias(const cb_device_row *row, const char *name) {
    return in_list(row->aliases, name);
}

cb_err cb_device_find(const cb_hardware *hardware, const char *name, const cb_device_row **found) {
    for (int i = 0; i < hardware->count; i++) {
        *found = &hardware->device[i];
        if (strcasecmp((*found)->device.name, name) == 0) return CB_OK;
    }
    for (int i = hardware->count - 1; i >= 0; i--) { /* a user's, which are the last, before the table's */
        *found = &hardware->device[i];
        if (cb_device_has_alias(*found, name)) return CB_OK;
    }
    char near[256];
    return cb_fail(CB_EUSAGE, "no device '%.63s'%s `cuboid plan --list-hardware` shows all", name,
                   cb_recognize_near(hardware, name, near));
}

/* A whole number from 1 to `most` at *at, which moves behind it. */
static bool read_count(const char **at, long most, int *to) {
    char *end;
    if (**at < '0' || **at > '9') return false;
    long value = strtol(*at, &end, 10);
    *at = end, *to = (int)value;
    return value >= 1 && value <= most;
}

static cb_err bad_network(const char *text) {
    static const char *const kinds[] = {"ib", "roce", "ethernet", "efa", "opa", NULL};
    char kind[64], near[256], what[384] = "no rate and number of adapters can be read in it.";
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(text, "-"), text);
    bool known = false;
    for (int i = 0; kinds[i]; i++) known = known || strcmp(kinds[i], kind) == 0;
    if (!known) snprintf(what, sizeof what, "there is no kind '%s'%s", kind, cb_args_suggest(kind, kinds, near));
    return cb_fail(
        CB_EUSAGE,
        "network '%.63s': %s Give KIND-GBITS or KIND-NICSxGBITS, KIND one of ib, roce, ethernet, efa, opa: ib-200 "
        "for a NIC of 200 Gbit/s a device, opa-4x100 for four of 100 Gbit/s a node; or ib-edr, ib-hdr, ib-ndr, "
        "ib-xdr",
        text, what);
}

cb_err cb_network_parse(const char *text, int node_devices, cb_network *network) {
    static const struct {
        const char *name, *means;
    } generations[] = {{"ib-edr", "ib-100"}, {"ib-hdr", "ib-200"}, {"ib-ndr", "ib-400"}, {"ib-xdr", "ib-800"}};
    static const struct {
        const char *name;
        cb_network_kind kind;
    } kinds[] = {{"ib-", CB_INFINIBAND},
                 {"roce-", CB_ETHERNET},
                 {"ethernet-", CB_ETHERNET},
                 {"efa-", CB_EFA},
                 {"opa-", CB_OMNI_PATH}};
    const char *name = text, *at = NULL;
    for (size_t i = 0; i < sizeof generations / sizeof *generations; i++)
        if (strcasecmp(text, generations[i].name) == 0) name = generations[i].means;
    *network = (cb_network){.nics = node_devices};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !at; i++) {
        if (strncasecmp(name, kinds[i].name, strlen(kinds[i].name)) != 0) continue;
        network->kind = kinds[i].kind;
        at = name + strlen(kinds[i].name);
    }
    int gbits = 0;
    if (!at || !read_count(&at, 1 << 16, &gbits)) return bad_network(text);
    if (*at == 'x' || *at == 'X') {
        at++, network->nics = gbits;
        if (!read_count(&at, 1 << 16, &gbits)) return bad_network(text);
    }
    if (*at) return bad_network(text);
    network->nic_bytes_per_s = gbits * 1e9 / 8;
    snprintf(network->name, sizeof network->name, "%s", text);
    return CB_OK;
}

static cb_err bad_cluster(const char *text, const char *what) {
    return cb_fail(CB_EUSAGE,
                   "cluster '%.100s': %s; give DEVICE:GxN[:NETWORK], N nodes of G devices, like a100-80g:8x48", text,
                   what);
}

/* "8x48" or "8". */
static cb_err read_sizes(const char *text, const char *sizes, cb_cluster *cluster) {
    int nodes = 1;
    if (!read_count(&sizes, MOST_NODE, &cluster->node_devices))
        return bad_cluster(text, "a node has 1 to 1024 devices");
    if (*sizes == 'x' || *sizes == 'X') {
        sizes++;
        if (!read_count(&sizes, MOST_DEVICES, &nodes)) return bad_cluster(text, "a cluster has 1 to 1048576 nodes");
    }
    if (*sizes && *sizes != ':') return bad_cluster(text, "its size is not GxN");
    if ((int64_t)nodes * cluster->node_devices > MOST_DEVICES) return bad_cluster(text, "more than 1048576 devices");
    cluster->devices = nodes * cluster->node_devices;
    return CB_OK;
}

cb_err cb_cluster_parse(const cb_hardware *hardware, const char *text, cb_cluster *cluster) {
    char name[64];
    const cb_device_row *row;
    const char *sizes = strchr(text, ':');
    if (!sizes) return bad_cluster(text, "it does not say how many devices");
    snprintf(name, sizeof name, "%.*s", (int)(sizes - text < 63 ? sizes - text : 63), text);
    *cluster = (cb_cluster){0};
    TRY(cb_device_find(hardware, name, &row));
    cluster->device = row->device;
    TRY(read_sizes(text, sizes + 1, cluster));
    const char *network = strchr(sizes + 1, ':');
    return cb_network_parse(network ? network + 1 : row->network, cluster->node_devices, &cluster->network);
}

static void print_rates(const cb_device_row *row, FILE *to) {
    const cb_accelerator *d = &row->device;
    fprintf(to, "%-14s %8.5g", d->name, d->peak_flops[CB_MATH_16] / 1e12);
    for (int p = CB_MATH_8; p <= CB_MATH_4; p++) {
        if (d->peak_flops[p] > 0)
            fprintf(to, " %8.5g", d->peak_flops[p] / 1e12);
        else
            fprintf(to, " %8s", "-");
    }
    fprintf(to, " %8.5g %8.5g %8.5g %5d %5d  %s\n", d->memory_bytes / (1 << 30), d->memory_bytes_per_s / 1e9,
            d->link_bytes_per_s / 1e9, d->multiprocessors, row->node_devices, row->network);
}

void cb_hardware_print(const cb_hardware *hardware, FILE *to) {
    fprintf(to, "%-14s %8s %8s %8s %8s %8s %8s %5s %5s  %s\n", "device", "16 bit", "8 bit", "4 bit", "memory", "GB/s",
            "link", "SMs", "node", "network");
    fprintf(to, "%-14s %8s %8s %8s %8s %8s %8s\n", "", "TFLOP/s", "TFLOP/s", "TFLOP/s", "GiB", "memory", "GB/s");
    for (int i = 0; i < hardware->count; i++) print_rates(&hardware->device[i], to);
    fprintf(to, "\n%-14s %-28s %s\n", "device", "also", "source");
    for (int i = 0; i < hardware->count; i++) {
        const cb_device_row *row = &hardware->device[i];
        fprintf(to, "%-14s %-28s %s\n", row->device.name, row->aliases, row->source);
    }
    fputs("\nnode: devices of a usual node; network: the usual one between nodes. Every name, in any case, goes\n"
          "into a cluster: h100:8 is one node of eight, h100:8x16 are sixteen, h100:8x16:ib-200 on a network of\n"
          "your choice.\n",
          to);
}
