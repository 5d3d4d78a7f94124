/* Monotonic wall-clock time. */
#ifndef CB_BASE_CLOCK_H
#define CB_BASE_CLOCK_H

double cb_now_s(void); /* seconds since an arbitrary start, monotonic */

#endif
