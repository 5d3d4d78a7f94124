/* What the parts of a training step take on this machine: the functions that train/ executes, on a rank of the run's
 * shapes with few layers, beside as many others as the run keeps cores busy with; and the messages between its ranks.
 */
#ifndef CB_CLI_MEASURE_H
#define CB_CLI_MEASURE_H

#include "cli/step_costs.h"

/* Fills costs for the run on `cores` cores; what is measured depends on model, B, T, S, recomputation, tp, threads, and
 * on how many ranks compute at once, so costs serve all runs for which cb_measure_same says so. split: with what
 * schedules that split the backward need. Takes about as long as a few microbatches through three layers and a part of
 * the head. Errors: CB_ENOMEM; those of the run's own functions. */
CB_MUST_USE cb_err cb_measure_compute(const cb_run *run, int cores, bool split, cb_step_costs *costs);
bool cb_measure_same(const cb_run *a, const cb_run *b, int cores);
/* The messages of exactly this run, by ranks as many as it has. */
CB_MUST_USE cb_err cb_measure_messages(const cb_run *run, int cores, cb_step_costs *costs);

#endif
