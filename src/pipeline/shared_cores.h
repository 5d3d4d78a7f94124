/* When each instruction begins and ends where the stages' ranks share a machine's cores: ranks as threads or processes
 * of one machine, which may be more than it has cores for. Every instruction has a time of its own. Pure. */
#ifndef CB_PIPELINE_SHARED_CORES_H
#define CB_PIPELINE_SHARED_CORES_H

#include "pipeline/simulate.h"

typedef struct cb_shared_cores {
    int cores;       /* of the machine */
    const int *need; /* (stages) cores that all ranks of a stage keep busy while it computes */
    /* (stages), each (instructions of the stage): seconds that an instruction takes with as many cores as it needs. Of
     * a receive: before it waits. */
    double *const *work_s;
    /* (stages), each (instructions): the share of that time in which it keeps them busy, 0 to 1; else its ranks wait
     * for each other, and their cores are free for other stages. NULL: all of it. */
    double *const *busy;
    double message_s; /* from the end of a send to the receiver's start; takes no core */
} cb_shared_cores;

/* A stage's workers, one for each core that it needs, are placed as Linux places threads that wake: when it begins to
 * compute after a wait on the cores with the fewest workers, if possible those where they were. Of a core's workers the
 * one that came first runs until its stage waits, or until a tick of the timer; then too a core that has nothing to do
 * takes over a worker of the fullest. A stage is as slow as its slowest worker. Of some phases of the ticks the median
 * step counts. So a step takes no less than all work over all cores; and with cores for every stage all times are those
 * of cb_schedule_simulate, but that the optimizer's step begins on no stage before all have come to it, as the
 * gradient's norm is agreed between them. spans, *total_s: as of cb_schedule_simulate. Errors: CB_EINVAL for a deadlock,
 * a time that is negative or not finite, a share above 1, a number of cores below 1; CB_ENOMEM. Then spans[0] is NULL.
 */
CB_MUST_USE cb_err cb_schedule_simulate_shared(const cb_schedule *schedule, const cb_shared_cores *shared,
                                               cb_span **spans, double *total_s);

#endif
