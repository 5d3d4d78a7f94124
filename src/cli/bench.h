/* Measuring training steps: the same engine as `cuboid train`, on made-up tokens. */
#ifndef CB_CLI_BENCH_H
#define CB_CLI_BENCH_H

#include "train/run.h"

/* One configuration to time. */
typedef struct cb_bench_case {
    const cb_model *model;
    const cb_tokens *tokens;
    int dp, tp, pp, shards;
    int threads; /* per rank */
    int B, T;
    int micro_batches; /* of the global batch: global batch = micro_batches * B sequences */
    const char *schedule, *compute;
    cb_recompute recompute;
    int copies;  /* independent runs side by side, each of dp * tp * pp ranks */
    int repeats; /* timed steps, after one that warms up */
} cb_bench_case;

typedef struct cb_bench_time {
    double step_s; /* median over the timed steps, of the slowest copy */
    double best_s;
    double flops;         /* model FLOPs of a step of one copy */
    double rate;          /* FLOP/s of oneDNN with the threads of one copy, the better of before and after */
    double floor_s;       /* flops / rate */
    double bubble_closed; /* (pp - 1) / (m + pp - 1), m the microbatches of a pipeline */
} cb_bench_time;

/* Whether the case's sizes fit together. */
CB_MUST_USE cb_err cb_bench_check(const cb_bench_case *c);
/* Runs the case and times it. */
CB_MUST_USE cb_err cb_bench_measure(const cb_bench_case *c, cb_bench_time *time);
void cb_bench_sort(double *values, int n); /* the least first */
/* Median of n values, which it sorts. */
double cb_bench_median(double *values, int n);
/* An unnamed file of `count` pseudo-random token ids below vocab, as tokens. */
CB_MUST_USE cb_err cb_bench_tokens(cb_tokens **tokens, int64_t count, int64_t vocab);

#endif
