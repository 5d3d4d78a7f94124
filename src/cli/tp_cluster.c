/* The planner's terms for one MLP; see tp_cluster.h. */
#include "cli/tp_cluster.h"

#include <stdio.h>

#include "planner/terms.h"

/* Forward (m, k) x (k, n), backward the gradients of both operands; `wide` is what tp cuts. */
static double product_s(const cb_terms *t, double m, double n, double k, double wide) {
    return cb_gemm_s(t, m, n, k, wide, CB_MATH_16) + cb_gemm_s(t, m, k, n, wide, CB_MATH_16) +
           cb_gemm_s(t, n, k, m, wide, CB_MATH_16);
}

static cb_tp_cluster_row row_of(const cb_terms *t, int tp, double M, double C, double F) {
    int node = t->job->cluster->node_devices;
    return (cb_tp_cluster_row){.tp = tp,
                               .nodes = (tp + node - 1) / node,
                               .compute_s = product_s(t, M, F / tp, C, F / tp) + product_s(t, M, C, F / tp, F / tp),
                               .comm_s = 2 * cb_all_reduce_s(t, (cb_group){tp, 1}, 2 * M * C)};
}

cb_err cb_tp_cluster_make(cb_tp_cluster *c, const char *text, int64_t tokens, int64_t in, int64_t out) {
    cb_hardware hardware;
    cb_cluster cluster;
    cb_hardware_default(&hardware);
    TRY(cb_err_context(cb_cluster_parse(&hardware, text, &cluster), "--cluster %s", text));
    cb_constants constants = cb_constants_default();
    cb_job job = {.cluster = &cluster, .precision = CB_MATH_16};
    cb_terms terms = {.job = &job, .constants = &constants, .device = &cluster.device};
    *c = (cb_tp_cluster){.node_devices = cluster.node_devices, .devices = cluster.devices};
    snprintf(c->name, sizeof c->name, "%s", cluster.device.name);
    if (cluster.device.peak_flops[CB_MATH_16] <= 0) {
        return cb_fail(CB_EINVAL, "--cluster %s: the device has no rate for 16 bits; an accelerator would do", text);
    }
    for (int tp = 1; tp <= cluster.devices && out % tp == 0 && c->count < CB_TP_MOST_ROWS; tp *= 2) {
        c->row[c->count++] = row_of(&terms, tp, (double)tokens, (double)in, (double)out);
    }
    return CB_OK;
}

int cb_tp_cluster_crossing(const cb_tp_cluster *c) {
    for (int i = 0; i < c->count; i++) {
        if (c->row[i].comm_s > c->row[i].compute_s) return c->row[i].tp;
    }
    return 0;
}
