/* What the planner's cost model takes from measurements: one table, read by name from a JSON file where a user has
 * better ones. Everything else in the model is counted (FLOPs, bytes, messages) or stands on a data sheet (hardware.h).
 * No constant belongs to a row, a table or a model; there is one set for each family of devices, kind of network and
 * kind of software. tools/fit_planner.py fits them; docs/planner.md says how near they come. */
#ifndef CB_PLANNER_CONSTANTS_H
#define CB_PLANNER_CONSTANTS_H

#include <stdio.h>

#include "base/err.h"
#include "planner/hardware.h"

typedef struct cb_constants {
    /* matrix products: shares of the peak */
    double gemm[CB_ACCELERATOR_FAMILIES], gemm_fp8, gemm_fp8_rows, gemm_fp4;
    double tile_half, depth_half, misaligned;
    /* memory and kernels */
    double memory_share, kernel_s, elementwise, elementwise_compiled, cast_fp8, loss_bytes, loss_bytes_split;
    /* attention */
    double flash[CB_ACCELERATOR_FAMILIES], flash_vendor, flash_backward, flash_rows_half;
    double scores_gemm, scores_bytes;
    /* host */
    double launch_forward_s, launch_backward_s, launch_unfused_softmax_s, launch_crowded_s, launch_compiled_s,
        host_norm;
    double micro_batch_s, engine_micro_batch_s, step_s, step_other_s;
    /* collectives */
    double link_share, link_latency_s, link_hop_s, network_hop_s, network[CB_NETWORK_KINDS];
    /* overlap: shares that are hidden */
    double tp_overlap_gradient, tp_overlap_all, dp_overlap, fsdp_interference, fsdp_prefetched;
    double pp_exposed, pp_latency_s;
    /* optimizer */
    double optimizer_bytes;
    /* what memory holds beside tensors: shares of what comes and goes in a step, residual streams, bytes */
    double unused, unused_full, tp_waiting, context_volta, context_other, communicator;
} cb_constants;

typedef struct cb_constant {
    const char *name, *unit, *meaning;
    double value, min, max; /* min .. max: where it is physical */
    const char *source;
} cb_constant;

int cb_constants_count(void);
const cb_constant *cb_constant_at(int index);
cb_constants cb_constants_default(void);
double cb_constants_value(const cb_constants *constants, int index);
/* Reads {"name": value, ...}, or the list that --show-constants --json prints; what is not named keeps its value.
 * Errors: CB_EIO; CB_EFORMAT with line and column: broken JSON, an unknown name, with the nearest, a value out of
 * range, with the range. */
CB_MUST_USE cb_err cb_constants_read(cb_constants *constants, const char *path);
/* A table: name, value, unit, range, meaning, source. */
void cb_constants_print(const cb_constants *constants, FILE *to);

#endif
