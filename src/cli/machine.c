/* The peak that MFU is measured against: oneDNN's own rate on this machine. See machine.h. */
#include "cli/machine.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "compute/compute.h"

enum { SIDE = 1536, REPEATS = 4 };

cb_err cb_machine_rate(const char *compute, int threads, cb_type type, double *flops_per_s) {
    cb_compute *c;
    int side = strcmp(compute, "ref") == 0 ? 256 : SIDE;
    TRY(cb_compute_create_for(&c, compute, threads, type));
    *flops_per_s = cb_compute_measure_rate(c, side, REPEATS);
    cb_compute_destroy(c);
    return CB_OK;
}

/* Where mpiexec binds each process to cores of its own, this one sees only those, but mpiexec, its parent, sees all. */
int cb_machine_cores(int here) {
    int mine = cb_os_cores();
    cpu_set_t all;
    if (cb_comm_mpiexec_ranks() == 1 || sched_getaffinity(getppid(), sizeof all, &all) != 0) return mine;
    int parents = CPU_COUNT(&all), together = mine * here;
    if (parents <= mine) return mine;
    return together < parents ? together : parents;
}

cb_err cb_machine_peak_flops(const cb_run *run, double *flops_per_s) {
    int here = cb_comm_launch_local_ranks(&run->launch), all = cb_machine_cores(here), mine = cb_os_cores();
    int busy = here * run->threads_per_rank < all ? here * run->threads_per_rank : all,
        measured = busy < mine ? busy : mine;
    TRY(cb_machine_rate(run->compute, measured, CB_F32, flops_per_s));
    *flops_per_s *= (double)busy / measured * run->launch.ranks / here;
    return CB_OK;
}
