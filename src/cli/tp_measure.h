/* Measuring the tensor-parallel layer: every way to cut it, at a number of ranks, which are threads of this process. */
#ifndef CB_CLI_TP_MEASURE_H
#define CB_CLI_TP_MEASURE_H

#include "cli/tp_layer.h"
#include "cli/tp_watch.h"

enum { CB_TP_MOST_RANKS = 64, CB_TP_MOST_REPEATS = 64 };

/* A pass: what a rank computes and sends (the most of any), and medians of the time from the first rank's begin to the
 * last one's end. */
typedef struct cb_tp_time {
    int64_t flops, bytes, messages;
    double compute_s;  /* the products and elementwise work alone, on all ranks at once */
    double comm_s;     /* the operations alone */
    double together_s; /* the pass */
} cb_tp_time;

typedef struct cb_tp_result {
    double error; /* see cb_tp_layer_error; the most of any rank */
    cb_tp_time pass[2];
} cb_tp_result;

typedef struct cb_tp_setup {
    cb_tp_sizes size;
    const char *compute;
    int threads; /* per rank */
    int repeats; /* timed, after a pass that warms up */
} cb_tp_setup;

/* The layer at tp = 1, S = 1, after one forward and backward pass; to be freed. It serves as `uncut` below. */
CB_MUST_USE cb_err cb_tp_measure_uncut(const cb_tp_setup *setup, const cb_tp_variant *variant, cb_tp_layer *uncut);
/* watch, if not NULL: (tp) what each rank did in one more forward and backward pass, the fastest of as many as are timed.
 * Errors: of cb_tp_sizes_check, of any rank. */
CB_MUST_USE cb_err cb_tp_measure(const cb_tp_setup *setup, const cb_tp_variant *variant, const cb_tp_layer *uncut,
                                 cb_tp_result *result, cb_tp_watch *watch);
/* The share of the operations' time that the pass's computation hides, 0 to 1; NaN where it can hide none. */
double cb_tp_time_hidden(const cb_tp_pass *pass, const cb_tp_time *time);

#endif
