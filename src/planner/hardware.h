/* Devices, networks and clusters, as the planner sees them: rates from data sheets, not what is reached of them (that
 * is in constants.h). Pure. */
#ifndef CB_PLANNER_HARDWARE_H
#define CB_PLANNER_HARDWARE_H

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
    int node_devices; /* that are joined by the links: a node, or the NVLink domain */
    int devices;      /* altogether */
} cb_cluster;

#endif
