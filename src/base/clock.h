/* Monotonic wall-clock time, and that on a core. */
#ifndef CB_BASE_CLOCK_H
#define CB_BASE_CLOCK_H

double cb_now_s(void);        /* seconds since an arbitrary start, monotonic */
double cb_thread_cpu_s(void); /* for which the calling thread has been on a core */

#endif
