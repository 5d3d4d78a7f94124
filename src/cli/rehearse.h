/* A step rehearsed: the instruction lists of a run, carried out by as many ranks as it has, as threads, which wait for
 * each other and sum over tp as in the run, but keep their cores busy where they would compute. So how the system
 * shares its cores out among more ranks than it has cores for is measured on the machine that the run is planned for:
 * how long a core stays free while ranks wait for another one differs from system to system, and from a virtual machine
 * to a real one. */
#ifndef CB_CLI_REHEARSE_H
#define CB_CLI_REHEARSE_H

#include "pipeline/simulate.h"
#include "train/run.h"

typedef struct cb_rehearsal {
    const cb_run *run;           /* whose ranks */
    const cb_schedule *schedule; /* the run's, lowered; without deadlock */
    int cores;                   /* of the machine */
    /* (stages), each (instructions of the stage): seconds for which each thread of a rank keeps a core busy. Of a
     * receive before it waits, of reductions and the optimizer's step after. Without its all-reduces over tp: */
    double *const *busy_s;
    /* The same: how many it does meanwhile; how many of them, the last, are not of the residual stream but of two
     * values a token (the loss's). */
    int *const *all_reduces, *const *small;
    int stage; /* whose steps count: the one that has most to do */
} cb_rehearsal;

/* spans: those of the step with the median time, of the first rank of each stage; *total_s: from first to last of the
 * stage that counts. See cb_schedule_simulate. Lasts for some tenths of a second, or a step if that is longer. Errors:
 * CB_ENOMEM; those of cb_schedule_gates, cb_comm_launch, cb_group_make and cb_all_reduce; then spans[0] is NULL. */
CB_MUST_USE cb_err cb_rehearse(const cb_rehearsal *rehearsal, cb_span **spans, double *total_s);

#endif
