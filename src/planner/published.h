/* Tables of published measurements: a CSV whose first line names the columns, one measured training run a line. A row
 * is read as a job and a layout, with what the table leaves out filled in by rules that look at no measured value.
 * Pure: works on text. */
#ifndef CB_PLANNER_PUBLISHED_H
#define CB_PLANNER_PUBLISHED_H

#include "planner/planner.h"

typedef struct cb_csv {
    char *text;   /* owned copy, cut into fields */
    char **field; /* owned: (rows + 1, columns), row 0 the names */
    int *line;    /* owned: (rows + 1), of the text, from 1 */
    int rows, columns;
} cb_csv;

/* Fields may be quoted. Errors: CB_EFORMAT with `name`, line and column: a line with fewer or more fields than the
 * first, a quote that is not closed, no line at all; CB_ENOMEM. */
CB_MUST_USE cb_err cb_csv_parse(cb_csv *csv, const char *name, const char *text, int64_t length);
void cb_csv_free(cb_csv *csv);
int cb_csv_column(const cb_csv *csv, const char *name);           /* -1: there is none */
const char *cb_csv_field(const cb_csv *csv, int row, int column); /* row from 0; "" where column is -1 */

typedef struct cb_published {
    cb_model model;
    cb_cluster cluster;
    cb_job job; /* without model and cluster: see cb_published_job */
    cb_split split;
    double measured_s, memory_gb;                        /* memory_gb: 0 where the row has none */
    bool device_guessed, network_guessed, stack_guessed; /* by the nearest, not by name */
} cb_published;

/* The row's job, which points to its model and cluster. */
cb_job cb_published_job(const cb_published *published);

/* Reads row `row`. *why: NULL, or in a few words why it cannot be predicted ("no tp"). Error CB_EFORMAT with `name`,
 * line and column: a field that should be a number and is none. */
CB_MUST_USE cb_err cb_published_read(cb_published *published, const cb_csv *csv, const char *name, int row,
                                     const cb_hardware *hardware, const char **why);

#endif
