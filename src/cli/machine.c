/* The peak that MFU is measured against: oneDNN's own rate on this machine. See machine.h. */
#include "cli/machine.h"

#include <string.h>

#include "base/os.h"
#include "compute/compute.h"

enum { SIDE = 1536, REPEATS = 4 };

cb_err cb_machine_rate(const char *compute, int threads, double *flops_per_s) {
    cb_compute *c;
    int side = strcmp(compute, "ref") == 0 ? 256 : SIDE;
    TRY(cb_compute_create(&c, compute, threads));
    *flops_per_s = cb_compute_measure_rate(c, side, REPEATS);
    cb_compute_destroy(c);
    return CB_OK;
}

cb_err cb_machine_peak_flops(const cb_run *run, double *flops_per_s) {
    int here = cb_comm_launch_local_ranks(&run->launch), cores = cb_os_cores(), threads = here * run->threads_per_rank;
    TRY(cb_machine_rate(run->compute, threads < cores ? threads : cores, flops_per_s));
    *flops_per_s *= (double)run->launch.ranks / here;
    return CB_OK;
}
