/* What this machine does, measured beside a plan for it: matrix products by shape, memory by how much of it is used, an
 * all-reduce by size. For people: predictions come from the trainer's own functions (measure.h). */
#ifndef CB_CLI_PLAN_MACHINE_PARTS_H
#define CB_CLI_PLAN_MACHINE_PARTS_H

#include <jansson.h>
#include <stdio.h>

#include "cli/comm_measure.h"
#include "cli/gemm_rates.h"
#include "train/run.h"

enum { CB_MACHINE_SIZES = 5 };

typedef struct cb_machine_parts {
    int threads; /* of a product */
    cb_gemm_layer layer[CB_GEMM_LAYERS];
    cb_gemm_rate rate[CB_GEMM_LAYERS][CB_GEMM_PASSES];
    int ranks; /* of the all-reduce: one for each core, at least 2 */
    cb_comm_row reduce[CB_MACHINE_SIZES];
    cb_comm_found found;
} cb_machine_parts;

/* run: whose products are measured, on one of its ranks. Takes some seconds. Errors of cb_gemm_rates and
 * cb_comm_measure. */
CB_MUST_USE cb_err cb_machine_parts_measure(const cb_run *run, int cores, cb_machine_parts *parts);
void cb_machine_parts_print(const cb_machine_parts *parts, FILE *to);
json_t *cb_machine_parts_json(const cb_machine_parts *parts);

#endif
