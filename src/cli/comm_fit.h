/* Fitting the alpha-beta-gamma model to measured times of one algorithm, operation and number of ranks:
 *
 *   time = alpha * messages + beta * sent bytes + gamma * reduced bytes
 *          + handed * the time that cores need to hand over the sent bytes
 *          + factor * the time that memory needs for what is moved
 *
 * with the terms read off the algorithm (collectives/terms.h) and both times measured by the size of the working set.
 * gamma is measured, the rest is fitted, never negative: alpha, beta, handed and factor; where that does not do, one
 * alpha for messages up to a size and one above it (eager and rendezvous), or one factor for working sets up to a size
 * and one beyond (caches). Pure. */
#ifndef CB_CLI_COMM_FIT_H
#define CB_CLI_COMM_FIT_H

#include "collectives/terms.h"

typedef struct cb_fit_point {
    cb_terms terms;
    double handed_s; /* that cores need to hand over terms.sent_bytes; 0: not measured */
    double memory_s; /* that memory needs for terms.moved_bytes */
    bool counts;     /* in what is said of the fit: from 4 KB up */
    double time_s;   /* measured */
} cb_fit_point;

enum { CB_FIT_LEAST_POINTS = 4, CB_FIT_MOST_POINTS = 128 };
#define CB_FIT_BOUND 0.25 /* a prediction shall be this near */

typedef struct cb_fit {
    bool fitted;            /* false: too few points */
    double alpha_s[2];      /* of messages up to split_bytes, and above */
    double split_bytes;     /* 0: one alpha */
    double beta_s, gamma_s; /* a byte */
    double handed;          /* of the time to hand over */
    double factor[2];       /* of memory's time: of working sets below cache_bytes, and of larger ones */
    double cache_bytes;     /* 0: one factor */
    int points, within;     /* of those that count; within CB_FIT_BOUND of their time */
    double worst;           /* of those, |predicted / measured - 1| */
} cb_fit;

/* As many points as possible within CB_FIT_BOUND of their time, and the worst as near as possible. */
cb_fit cb_fit_make(const cb_fit_point *points, int n, double gamma_s);
double cb_fit_time(const cb_fit *fit, const cb_fit_point *point); /* seconds; 0 if not fitted */

#endif
