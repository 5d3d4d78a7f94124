/* What this machine has, and what its arithmetic reaches, measured now. */
#ifndef CB_CLI_MACHINE_H
#define CB_CLI_MACHINE_H

#include "train/run.h"

/* Cores that the `here` ranks on this machine have together. */
int cb_machine_cores(int here);
/* The rate of a large product of such operands with `threads` threads, FLOP/s. */
CB_MUST_USE cb_err cb_machine_rate(const char *compute, int threads, cb_type type, double *flops_per_s);
/* The rate of all ranks of a run together: measured with the cores they use here, times the machines. */
CB_MUST_USE cb_err cb_machine_peak_flops(const cb_run *run, double *flops_per_s);

#endif
