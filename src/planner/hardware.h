/* Devices, networks and clusters, as the planner sees them: rates from data sheets, not what is reached of them (that
 * is in constants.h). Pure. */
#ifndef CB_PLANNER_HARDWARE_H
#define CB_PLANNER_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* The generation decides what share of a device's peak is reached. */
typedef enum cb_accelerator_family {
    CB_VOLTA,
    CB_AMPERE,
    CB_HOPPER,
    CB_BLACKWELL,
    CB_BLACKWELL_ULTRA,
    CB_CDNA,
    CB_PROCESSOR, /* a CPU: what `cuboid train` runs on */
    CB_ACCELERATOR_FAMILIES
} cb_accelerator_family;

/* Of the matrix products; the rest of a model is computed in 16 or 32 bits. */
typedef enum cb_precision {
    CB_MATH_32,
    CB_MATH_16,
    CB_MATH_8,
    CB_MATH_4,
    CB_PRECISIONS
} cb_precision; /* 16: half and bfloat16 */

typedef struct cb_accelerator {
    char name[48]; /* "a100-80g" */
    cb_accelerator_family family;
    double peak_flops[CB_PRECISIONS]; /* dense, 1/s; 0: the device does not compute in it */
    double memory_bytes, memory_bytes_per_s;
    double link_bytes_per_s; /* NVLink or the like: per device and direction */
    int multiprocessors;
} cb_accelerator;

/* What an efficiency of the network is known by. */
typedef enum cb_network_kind {
    CB_INFINIBAND,
    CB_ETHERNET, /* RoCE, and what nothing is known of */
    CB_EFA,
    CB_OMNI_PATH,
    CB_NETWORK_KINDS
} cb_network_kind;

typedef struct cb_network {
    char name[48]; /* "ib-hdr" */
    cb_network_kind kind;
    int nics;               /* of a node */
    double nic_bytes_per_s; /* each, per direction */
} cb_network;

typedef struct cb_cluster {
    cb_accelerator device;
    cb_network network;
    int node_devices;   /* that are joined by the links: a node, or the NVLink domain */
    int devices;        /* altogether */
    bool links_in_mesh; /* between pairs of devices, without a switch: DGX-1 */
} cb_cluster;

/* A known device and the system that it usually comes in. */
typedef struct cb_device_row {
    cb_accelerator device;
    char aliases[128]; /* other names, comma-separated; case does not count in any name */
    int node_devices; /* a usual node */
    char network[24]; /* a usual network, as cb_network_parse reads it */
    char source[96];  /* of the numbers */
} cb_device_row;

enum { CB_MOST_DEVICES = 64 };
/* The devices that names can mean: the table's and a user's. */
typedef struct cb_hardware {
    cb_device_row device[CB_MOST_DEVICES];
    int count;
} cb_hardware;

void cb_hardware_default(cb_hardware *hardware);
/* hardware_json.c: adds the devices of a JSON file, or replaces those of the same name, whose aliases they keep:
 * {"devices": [{"name": "x100", "family": "hopper", "peak_tflops": {"16": 500, "8": 1000}, "memory_gib": 96,
 *   "memory_gb_per_s": 2400, "link_gb_per_s": 450, "multiprocessors": 132, "node_devices": 8, "network": "ib-400"}],
 *  "cluster": "x100:8x16"}
 * cluster: the string of that name (size 128), "" if the file has none. Errors: CB_EIO; CB_EFORMAT with path, line and
 * column. */
CB_MUST_USE cb_err cb_hardware_read(cb_hardware *hardware, const char *path, char cluster[128]);
CB_MUST_USE cb_err cb_hardware_parse(cb_hardware *hardware, const char *path, const char *text, int64_t length,
                                     char cluster[128]);

/* By name, else by alias, in any case; an added device's alias before those of the table. Errors: CB_EUSAGE with the
 * nearest names. The row is valid as long as `hardware`. */
CB_MUST_USE cb_err cb_device_find(const cb_hardware *hardware, const char *name, const cb_device_row **row);
bool cb_device_has_alias(const cb_device_row *row, const char *name);
/* "KIND-GBITS" (a NIC of so many Gbit/s for each device of a node) or "KIND-NICSxGBITS" (NICS a node), KIND one of ib,
 * roce, ethernet, efa, opa: "ib-200", "opa-4x100"; or ib-edr, ib-hdr, ib-ndr, ib-xdr. Error CB_EUSAGE. */
CB_MUST_USE cb_err cb_network_parse(const char *text, int node_devices, cb_network *network);
/* "DEVICE:GxN[:NETWORK]": N nodes of G devices; "DEVICE:G" is one node. Error CB_EUSAGE naming the part. */
CB_MUST_USE cb_err cb_cluster_parse(const cb_hardware *hardware, const char *text, cb_cluster *cluster);
/* A table for people. */
void cb_hardware_print(const cb_hardware *hardware, FILE *to);
const char *cb_accelerator_family_name(cb_accelerator_family family);

#endif
