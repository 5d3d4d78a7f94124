/* The planner held against a table of measurements: each row predicted, errors by source file and in all. Pure. */
#ifndef CB_PLANNER_VALIDATE_H
#define CB_PLANNER_VALIDATE_H

#include "planner/published.h"

typedef struct cb_checked_row {
    const char *file;  /* of the row, "(no file)" where it names none; points into the table */
    const char *group; /* model; rows of the same model and device count are ranked against each other */
    char why[256];     /* "", or why it was not predicted */
    int line;          /* of the text, from 1 */
    int devices;
    double measured_s, predicted_s;
    double measured_memory_gb, predicted_memory_gb; /* 0: not there */
    bool guessed;                                   /* network or program not known by name */
} cb_checked_row;

typedef struct cb_check {
    cb_checked_row *row; /* owned */
    int rows;
} cb_check;

/* Predicts every row of a table whose columns were checked (cb_columns_check). Errors: CB_EFORMAT where there is
 * none; those of cb_published_read; CB_ENOMEM. */
CB_MUST_USE cb_err cb_check_table(cb_check *check, const cb_csv *csv, const char *name, const cb_hardware *hardware,
                                  const cb_constants *constants);
void cb_check_free(cb_check *check);

typedef struct cb_score {
    int rows, predicted, skipped, guessed;
    double mean_abs_error_pct, median_abs_error_pct, max_abs_error_pct, bias_pct;
    double rank_correlation; /* Spearman's, mean over groups of three rows or more, weighted by rows; NaN: no group */
    int ranked;              /* rows in such groups */
    int memory_rows;
    double memory_mean_abs_error_pct;
} cb_score;

/* Of the rows of one file, or of all where file is NULL. Error CB_ENOMEM. */
CB_MUST_USE cb_err cb_check_score(const cb_check *check, const char *file, cb_score *score);

#endif
