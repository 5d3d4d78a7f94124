/* What the ranks of a layout send in one step, by dimension: kind, times, bytes. Bytes are those that one rank of the
 * stage sends, by the cost rows of collectives/cost.h for blocks (reduce-scatter, then all-gather; a ring's bytes).
 * Pure. Sources: Shoeybi et al., arXiv:1909.08053; Korthikanti et al., arXiv:2205.05198; Narayanan et al.,
 * arXiv:2104.04473; Rajbhandari et al., arXiv:1910.02054. */
#ifndef CB_PLANNER_FLOWS_H
#define CB_PLANNER_FLOWS_H

#include "planner/device_memory.h"

typedef struct cb_flow {
    const char *dimension; /* "tp" */
    const char *kind;      /* "all-reduce" */
    const char *what;      /* "outputs of attention and MLP" */
    int size;              /* ranks that take part */
    double times;          /* per step */
    double payload_bytes;  /* of one: of the whole tensor */
    double sent_bytes;     /* by this rank in a step */
} cb_flow;

enum { CB_MOST_FLOWS = 16 };
/* Of a rank on stage `stage`. Returns the number of rows, all of which send something. */
int cb_flows_of(const cb_job *job, const cb_split *split, const cb_param_sums *sums, int stage,
                cb_flow out[CB_MOST_FLOWS]);
/* Their sent bytes, of one dimension (NULL: of all). */
double cb_flows_bytes(const cb_flow *rows, int count, const char *dimension);

#endif
