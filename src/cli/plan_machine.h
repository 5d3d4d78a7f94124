/* cuboid plan --this-machine: what its files share. A layout of a run of `cuboid train`, with what it will hold, send
 * and take on this machine. */
#ifndef CB_CLI_PLAN_MACHINE_H
#define CB_CLI_PLAN_MACHINE_H

#include "base/args.h"
#include "cli/measure.h"
#include "cli/plan_machine_parts.h"
#include "cli/verify.h"
#include "train/plan.h"

enum { CB_MACHINE_MOST_PASSES = 7, CB_MACHINE_MOST_STEPS = 64 };

typedef struct cb_machine_layout {
    cb_layout layout;
    cb_options options; /* of the layout, resolved into */
    cb_resolved resolved;
    cb_plan plan;                                   /* memory */
    cb_step_costs measured[CB_MACHINE_MOST_PASSES]; /* (passes) */
    cb_step_estimate predicted[CB_MACHINE_MOST_PASSES];
    int passes;
    cb_step_estimate estimate;  /* the mean of the middle half of the passes; all zero where it does not fit */
    double product_flops_per_s; /* the mean of the passes, for people */
    bool fits;
    /* by --check: */
    double step_s[CB_MACHINE_MOST_STEPS]; /* (steps) measured, without those that warm up */
    int steps;
    int64_t memory_off_bytes; /* of all ranks and kinds: allocated against predicted */
    /* of all ranks, purposes and kinds: counted against predicted */
    int64_t traffic_off_bytes, traffic_off_messages, traffic_off_operations;
} cb_machine_layout;

typedef struct cb_machine_plan {
    int cores;
    cb_machine_layout **at; /* (count), in the end the best first */
    int count;
    cb_machine_parts parts; /* with the shapes of the best */
    cb_err why;             /* owned: why the first layout of a search that cannot be cannot be; NULL: none */
} cb_machine_plan;

/* Its own options; it takes those of `cuboid train` besides. */
const cb_arg *cb_plan_machine_options(int *rows);
/* cuboid plan --this-machine ... */
CB_MUST_USE cb_err cb_plan_this_machine(int argc, char **argv);

/* Measures what the layouts that fit need, trains each for `steps` steps or more (0: none), and predicts their steps;
 * in several passes unless measuring takes long. With progress. */
CB_MUST_USE cb_err cb_machine_measure(const cb_machine_plan *plan, int steps);
/* Trains the layout on made-up tokens for `steps` steps after one that warms up, and adds to what --check fills. Errors
 * of the run. */
CB_MUST_USE cb_err cb_machine_check(cb_machine_layout *layout, int steps);

/* A table of all, then the first one explained, or one JSON object. */
CB_MUST_USE cb_err cb_machine_print(const cb_machine_plan *plan, bool json, FILE *to);
/* Something that was predicted to the byte is not so. */
bool cb_machine_is_off(const cb_machine_layout *layout);
/* The mean of the middle half of the measured steps; how far the predicted one is from it: predicted over measured,
 * less one. */
double cb_machine_step_s(const cb_machine_layout *layout);
double cb_machine_error(const cb_machine_layout *layout);

#endif
