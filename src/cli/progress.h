/* What a person sees while a run trains, and what a program reads afterwards: progress lines, the JSON log, the
 * summary. */
#ifndef CB_CLI_PROGRESS_H
#define CB_CLI_PROGRESS_H

#include <jansson.h>
#include <stdio.h>

#include "train/run.h"

typedef struct cb_progress {
    json_t *identity; /* the log's first line, owned; NULL: none */
    const cb_run *run;
    double peak_flops; /* of all ranks together */
    bool peak_measured; /* at the start, not given */
    double begin_s;
    double tokens_per_step, flops_per_step;
    double hardware_flops_per_step; /* with what is computed again in the backward pass */
    int64_t log_interval;           /* lines, where stderr is no terminal */
    bool terminal, line_open;       /* line_open: the cursor stands behind a line that is still to be rewritten */
    FILE *log;                      /* JSON lines; NULL before the first */
    const char *log_path, *timeline_path, *trace_path;
    double *loss, *step_s; /* (losses) of the steps so far, for curve and median; room for `capacity` */
    int64_t losses, capacity;
    cb_err failed; /* first failure of the log or a file; reported at the end */
} cb_progress;

/* The paths may be NULL. The log is made when its first line comes, so that a run that fails before
 * leaves an older one alone. */
void cb_progress_open(cb_progress *progress, const cb_run *run, double peak_flops, int64_t log_interval,
                      const char *log_path, const char *timeline_path, const char *trace_path);
/* Ends the progress line and the log; returns the first failure to write anything. */
CB_MUST_USE cb_err cb_progress_close(cb_progress *progress);
/* Observers of the run; arg is the progress. */
void cb_progress_step(void *arg, const cb_step_report *report);
void cb_progress_trace(void *arg, const cb_traced *traced);
void cb_progress_summary(void *arg, const cb_run_summary *summary);

/* Model FLOPs, hardware FLOPs per second over the peak. */
double cb_progress_mfu(const cb_progress *progress, double step_s);
double cb_progress_hfu(const cb_progress *progress, double step_s);
/* summary.c: tables for people on stdout; the summary as JSON. */
void cb_summary_print(const cb_progress *progress, const cb_run_summary *summary, FILE *to);
json_t *cb_summary_json(const cb_progress *progress, const cb_run_summary *summary);
/* chart.c: y[0..n) as a curve of `columns` x `rows` characters with a labelled axis. */
void cb_chart_print(const double *y, int64_t n, int columns, int rows, const char *title, FILE *to);

#endif
