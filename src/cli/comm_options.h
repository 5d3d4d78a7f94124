/* The options of `cuboid bench comm`, and what they come to. */
#ifndef CB_CLI_COMM_OPTIONS_H
#define CB_CLI_COMM_OPTIONS_H

#include "cli/comm_report.h"

enum { CB_COMM_LARGEST_BYTES = 1 << 30 };

typedef struct cb_comm_options {
    const char *op, *algo, *sizes, *comm, *mpiexec, *algorithms, *plot, *draw, *svg;
    int64_t from, to, factor, ranks, repeats, warmup, rounds;
    int dtype, redop;
    bool native, pin, table, json, help;
} cb_comm_options;

/* Fills the report's plan: ranks, operations, sizes, algorithms. Errors: CB_EUSAGE, CB_EINVAL with what would do. */
CB_MUST_USE cb_err cb_comm_resolve(cb_comm_report *report, cb_comm_options *options);

#endif
