/* The workers of stages on the cores of a machine, as Linux places threads: who wakes goes to the core with fewest; of
 * a core's workers the one that came first runs until it waits or until a tick of the timer, when it lets the others go
 * first, and a core that has nothing to do takes over a worker of the fullest. Pure. */
#ifndef CB_PIPELINE_CORES_H
#define CB_PIPELINE_CORES_H

#include <stdbool.h>

#include "base/err.h"

/* A stage, with a worker for each core that it needs. */
typedef struct cb_placed {
    bool works;  /* set by the caller: it has something to compute, */
    double busy; /* in this share of the time, 0 to 1 */
    double rate; /* at which its work progresses: 1 where it has its cores for itself; that of its slowest worker */
    bool placed; /* its workers are on cores */
    int *core;   /* (need) where they are, or were */
    int turn;    /* lower ones first */
    bool leaves; /* at this tick */
} cb_placed;

typedef struct cb_cores {
    int stages, cores;
    const int *need;  /* (stages) */
    cb_placed *stage; /* (stages) */
    struct cb_core *core;
    int *workers;           /* room of the stages' cores */
    int turns;              /* given so far */
    double every_s, next_s; /* ticks: between two, the next */
} cb_cores;

/* longest_s: of all instructions; where that is many ticks fewer are looked at. Errors: CB_ENOMEM. Freed in any case.
 */
CB_MUST_USE cb_err cb_cores_make(cb_cores *cores, int stages, int count, const int *need, double longest_s);
void cb_cores_free(cb_cores *cores);
/* Nobody works yet; the workers of a stage were on cores next to each other, those of the next stage after them, and
 * round again. phase: when the first tick comes, 0 to 1 of the time between two. */
void cb_cores_begin(cb_cores *cores, double phase);
/* Brings places and rates to what works and busy say now: those that wait leave their cores before those that begin
 * take theirs, who goes on without a wait stays. Returns when the next tick comes, INFINITY where it would change
 * nothing. */
double cb_cores_place(cb_cores *cores, double now_s);

#endif
