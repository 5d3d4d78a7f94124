/* cuboid plan --this-machine: what its files share. A layout of a run of `cuboid train`, with what it will hold, send
 * and take on this machine. */
#ifndef CB_CLI_PLAN_MACHINE_H
#define CB_CLI_PLAN_MACHINE_H

#include "cli/measure.h"
#include "cli/verify.h"
#include "train/plan.h"

typedef struct cb_machine_layout {
    cb_layout layout;
    cb_options options; /* of the layout, resolved into */
    cb_resolved resolved;
    cb_plan plan; /* memory */
    cb_step_costs costs;
    cb_step_estimate estimate; /* all zero where it does not fit */
    bool fits;
    /* by --check: */
    bool checked;
    double step_s;            /* measured: the median step after the first */
    int64_t memory_off_bytes; /* of all ranks and kinds: allocated against predicted */
    /* of all ranks, purposes and kinds: counted against predicted */
    int64_t traffic_off_bytes, traffic_off_messages, traffic_off_operations;
} cb_machine_layout;

typedef struct cb_machine_plan {
    int cores;
    cb_machine_layout **at; /* (count), the best first */
    int count;
    int tried, layouts; /* while layouts are added: the number of this one, of how many */
    cb_err why;         /* owned: why the first layout of a search that cannot be cannot be; NULL: none */
} cb_machine_plan;

/* cuboid plan --this-machine ... */
CB_MUST_USE cb_err cb_plan_this_machine(int argc, char **argv);

/* Trains the layout on made-up tokens for `steps` steps after one that warms up, and fills what --check does. Errors of
 * the run. */
CB_MUST_USE cb_err cb_machine_check(cb_machine_layout *layout, int steps);

/* A table of all, then the first one explained, or one JSON object. */
CB_MUST_USE cb_err cb_machine_print(const cb_machine_plan *plan, bool json, FILE *to);
/* Something that was predicted to the byte is not so. */
bool cb_machine_is_off(const cb_machine_layout *layout);
/* How far the measured step is from the predicted one: predicted over measured, less one. */
double cb_machine_error(const cb_machine_layout *layout);

#endif
