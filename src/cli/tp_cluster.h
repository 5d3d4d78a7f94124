/* The MLP pair of a tensor-parallel layer on a cluster of accelerators, by the planner's model: at which tp do its
 * collectives take longer than its products. Pure. */
#ifndef CB_CLI_TP_CLUSTER_H
#define CB_CLI_TP_CLUSTER_H

#include <stdint.h>

#include "base/err.h"

enum { CB_TP_MOST_ROWS = 16 };

typedef struct cb_tp_cluster_row {
    int tp, nodes;
    double compute_s, comm_s; /* of a forward and backward pass in 16 bits; comm_s with nothing hidden */
} cb_tp_cluster_row;

typedef struct cb_tp_cluster {
    char name[64]; /* of the device */
    int node_devices, devices;
    int count;
    cb_tp_cluster_row row[CB_TP_MOST_ROWS]; /* tp = 1, 2, 4, ... up to the devices that divide the sizes */
} cb_tp_cluster;

/* text: "DEVICE:GxN[:NETWORK]" as cb_cluster_parse reads it. Errors: its own. */
CB_MUST_USE cb_err cb_tp_cluster_make(cb_tp_cluster *cluster, const char *text, int64_t tokens, int64_t in, int64_t out);
/* The first tp whose collectives take longer than the products; 0: none of those in the table. */
int cb_tp_cluster_crossing(const cb_tp_cluster *cluster);

#endif
