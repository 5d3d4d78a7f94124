/* A compute backend that counts the time of another's operations, by what they are for. For measurements: each
 * operation reads the clock twice. */
#ifndef CB_COMPUTE_TIMED_H
#define CB_COMPUTE_TIMED_H

#include "compute/around.h"

typedef struct cb_timed {
    cb_around around;      /* give &around.compute to those who compute */
    double (*now_s)(void);
    double begin_s;        /* of the operation under way */
    double s[CB_OP_KINDS]; /* so far */
    double product_flops;  /* of all products so far */
} cb_timed;

/* A backend with the operations and threads of `inner`, which has to live as long. now_s: the clock, cb_now_s or
 * cb_thread_cpu_s. */
cb_timed cb_compute_timed(cb_compute *inner, double (*now_s)(void));

#endif
