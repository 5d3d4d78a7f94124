/* All that `cuboid trace` says of one step, worked out: where the time went, the critical path, the same step simulated
 * with the measured costs. */
#ifndef CB_CLI_TRACE_REPORT_H
#define CB_CLI_TRACE_REPORT_H

#include <jansson.h>

#include "trace/analysis.h"

typedef struct cb_trace_report {
    const cb_traced *traced;
    int step; /* index into traced->step */
    double begin_s, step_s;
    double *use_s;              /* (ranks, CB_USES) */
    cb_critical_part *critical; /* (criticals) */
    int64_t criticals;
    cb_durations costs;
    double *cost;                    /* (3, stages, chunks), of costs */
    double simulated_s;              /* the step, with those costs */
    cb_timeline simulated, measured; /* to be drawn */
    cb_event *simulated_event, *measured_event;
    cb_path_part *path;
    char title[2][160], (*name)[48], (*stage_name)[16];
    const char **names, **stage_names;
} cb_trace_report;

/* step: its number, or 0: the last of the trace. traced has to outlive the report. Errors: CB_EINVAL naming the steps
 * that there are; CB_ENOMEM. */
CB_MUST_USE cb_err cb_trace_report_make(cb_trace_report *report, const cb_traced *traced, int64_t step);
void cb_trace_report_free(cb_trace_report *report);

/* Time of a use on the critical path; of ranks of a stage, or of all (-1). */
double cb_trace_report_critical_s(const cb_trace_report *report, cb_use use, int stage);
/* Mean over the ranks. */
double cb_trace_report_mean_s(const cb_trace_report *report, cb_use use);

/* trace_print.c */
void cb_trace_report_print(const cb_trace_report *report, FILE *to);
json_t *cb_trace_report_json(const cb_trace_report *report); /* NULL without memory */

#endif
