/* Times; see clock.h. */
#include "base/clock.h"

#include <time.h>

static double read(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double cb_now_s(void) {
    return read(CLOCK_MONOTONIC);
}

double cb_thread_cpu_s(void) {
    return read(CLOCK_THREAD_CPUTIME_ID);
}
