/* The time of collectives and messages: latency and hops, and bytes over the narrowest part of the way. Inside a node
 * that is the links, between nodes the adapters, which all groups that cross at the same time share. Ring formulas:
 * NVIDIA nccl-tests, PERFORMANCE.md. */
#include "planner/terms.h"

static double least(double a, double b) {
    return a < b ? a : b;
}

static double link_rate(const cb_terms *t, int members) {
    double rate = t->device->link_bytes_per_s * t->constants->link_share;
    /* Without a switch a device has only so many links to each neighbour. */
    if (t->job->cluster->links_in_mesh && members <= 4) rate *= members <= 2 ? 1.0 / 3 : 2.0 / 3;
    return rate;
}

static double nics_rate(const cb_terms *t) {
    const cb_network *network = &t->job->cluster->network;
    return network->nics * network->nic_bytes_per_s * t->constants->network[network->kind];
}

/* Members of the group that share a node. */
static int local_members(const cb_terms *t, cb_group group) {
    int local = t->job->cluster->node_devices / group.stride;
    return local < 1 ? 1 : local < group.size ? local : group.size;
}

static double ring_s(const cb_terms *t, cb_group group, double bytes, double rounds) {
    if (group.size <= 1) return 0;
    int local = local_members(t, group);
    double rate = link_rate(t, local == 1 ? 8 : local), hops_s = (local - 1) * t->constants->link_hop_s;
    if (local < group.size) {
        int node = t->job->cluster->node_devices;
        int active = node < t->job->cluster->devices ? node : t->job->cluster->devices;
        rate = least(rate, nics_rate(t) * local / active);
        hops_s += (double)group.size / local * t->constants->network_hop_s;
    }
    return t->constants->link_latency_s + hops_s + rounds * (group.size - 1) / group.size * bytes / rate;
}

double cb_all_reduce_s(const cb_terms *t, cb_group group, double bytes) {
    return ring_s(t, group, bytes, 2);
}

double cb_all_gather_s(const cb_terms *t, cb_group group, double bytes) {
    return ring_s(t, group, bytes, 1);
}

cb_border cb_stage_border(const cb_terms *t) {
    const cb_split *split = t->split;
    if (split->pp == 1) return (cb_border){0, 0};
    const cb_cluster *cluster = t->job->cluster;
    int stride = split->tp * split->cp * split->dp, per_node = cluster->node_devices / stride;
    double bytes = t->volume.message_bytes;
    double latency_s = t->constants->pp_latency_s, inside_s = latency_s + bytes / link_rate(t, 8);
    if (per_node >= split->pp) return (cb_border){inside_s, inside_s};
    int flows = stride < cluster->node_devices ? stride : cluster->node_devices;
    double across_s = latency_s + bytes / least(link_rate(t, 8), t->job->cluster->network.nics *
                                                                     t->job->cluster->network.nic_bytes_per_s / flows);
    double share = per_node > 1 ? 1.0 / per_node : 1; /* of borders that cross */
    return (cb_border){across_s, share * across_s + (1 - share) * inside_s};
}
