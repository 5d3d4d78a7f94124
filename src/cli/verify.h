/* Are a run's bits the same in every layout? What `cuboid verify` and the tests of faults share. */
#ifndef CB_CLI_VERIFY_H
#define CB_CLI_VERIFY_H

#include <stdio.h>

#include "cli/options.h"

typedef struct cb_layout {
    int dp, tp, pp;
    const char *schedule;
    const char *recompute; /* NULL: as the options say */
} cb_layout;

/* The hashes of every step of a run. */
typedef struct cb_trace {
    int64_t steps;    /* done */
    int64_t per_step; /* hashes of a step: CB_DIGEST_KINDS * params * shards */
    int params, shards;
    double *loss, *norm; /* (steps) */
    uint64_t *hash;      /* (steps, per_step) */
    uint64_t *state;     /* (steps) */
    double run_s;
} cb_trace;

/* Trains options' run in the layout, on threads, and fills the trace. S and D are options' and must be numbers. */
CB_MUST_USE cb_err cb_trace_run(cb_trace *trace, const cb_options *options, const cb_layout *layout);
void cb_trace_free(cb_trace *trace);
/* First step after which the two are not the same, or -1. */
int64_t cb_trace_differ(const cb_trace *a, const cb_trace *b);

/* Finds where the runs of two layouts part at `step`, by running both again with that step watched: the first tensor,
 * in the order forward, backward, gradients (last parameter first), weights and optimizer state, and the element. text:
 * one line. */
CB_MUST_USE cb_err cb_trace_locate(const cb_options *options, const cb_layout *first, const cb_layout *second,
                                   const cb_trace *a, const cb_trace *b, int64_t step, char *text, int text_bytes);

/* What a list of all layouts is made of. */
typedef struct cb_layouts_spec {
    const cb_model *model;
    int shards, data_shards, most_ranks;
    int micro_batches;             /* of the global batch */
    const char *const *schedules;  /* NULL-ended */
} cb_layouts_spec;
/* All dp x tp x pp with at most most_ranks ranks that D, S and the layers allow, each with every one of the schedules that its
 * sizes allow where pp > 1. Returns their number; out holds most. */
int cb_layouts_all(const cb_layouts_spec *spec, cb_layout *out, int most);
/* "gpipe,1f1b" or "all": names, NULL-ended, in out (most). Error CB_EUSAGE. */
CB_MUST_USE cb_err cb_layouts_schedules(const char *text, const char **out, int most);
/* "2x2x2", "1x1x4:gpipe", comma-separated. One that names no schedule has `schedule`, or with spec every one of spec's that its
 * sizes allow. Error CB_EUSAGE. */
CB_MUST_USE cb_err cb_layouts_parse(const char *text, const char *schedule, const cb_layouts_spec *spec, cb_layout *out,
                                    int most, int *count);
/* Whether options' run can be in each of the layouts: its sizes, memory and data; named where one cannot. */
CB_MUST_USE cb_err cb_layouts_check(const cb_options *options, const cb_layout *layouts, int count);
char *cb_layout_text(const cb_layout *layout, char out[64]);

#endif
