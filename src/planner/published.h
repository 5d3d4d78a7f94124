/* Tables of published measurements: a CSV whose first line names the columns, one measured training run a line. A row
 * is read as a job and a layout, with what the table leaves out filled in by rules that look at no measured value.
 * Pure: works on text. */
#ifndef CB_PLANNER_PUBLISHED_H
#define CB_PLANNER_PUBLISHED_H

#include "planner/csv.h"
#include "planner/device_memory.h"

typedef struct cb_published {
    cb_model model;
    cb_cluster cluster;
    cb_job job; /* without model and cluster: see cb_published_job */
    cb_split split;
    double measured_s, memory_gb;        /* memory_gb: 0 where the row has none */
    cb_memory_report report;             /* what memory_gb is */
    bool network_guessed, stack_guessed; /* by the nearest, not by name */
    char why[256];                       /* "", or why it cannot be predicted */
} cb_published;

/* The row's job, which points to its model and cluster. */
cb_job cb_published_job(const cb_published *published);

/* Reads row `row`. Where it cannot be predicted, why says so and the rest is not whole. Error CB_EFORMAT with `name`,
 * line and column: a field that should be a number and is none. */
CB_MUST_USE cb_err cb_published_read(cb_published *published, const cb_csv *csv, const char *name, int row,
                                     const cb_hardware *hardware);

#endif
