/* Comma-separated text: a first line that names the columns, then rows. Pure: works on text. */
#ifndef CB_PLANNER_CSV_H
#define CB_PLANNER_CSV_H

#include <stdint.h>

#include "base/err.h"

typedef struct cb_csv {
    char *text;   /* owned copy, cut into fields */
    char **field; /* owned: (rows + 1, columns), row 0 the names */
    int *line;    /* owned: (rows + 1), of the text, from 1 */
    int rows, columns;
} cb_csv;

/* Fields may be quoted. A byte order mark is skipped. Errors: CB_EFORMAT with `name`, line and column: a line with
 * fewer or more fields than the first, a quote that is not closed, no line at all; CB_ENOMEM. */
CB_MUST_USE cb_err cb_csv_parse(cb_csv *csv, const char *name, const char *text, int64_t length);
void cb_csv_free(cb_csv *csv);
int cb_csv_column(const cb_csv *csv, const char *name);           /* -1: there is none; of two the first */
const char *cb_csv_field(const cb_csv *csv, int row, int column); /* row from 0; "" where column is -1 */

#endif
