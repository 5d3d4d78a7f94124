/* Binding of ranks to cores, by hwloc: rank i of this machine gets `threads` cores of its own, next to each other, if
 * there are enough for all ranks; otherwise nobody is bound and the operating system shares the cores out. */
#include <hwloc.h>

#include "base/os.h"
#include "train/rank.h"

/* The i-th processing unit of the allowed set, cores first. */
static void add_unit(hwloc_topology_t topology, hwloc_bitmap_t set, int i) {
    hwloc_obj_t unit = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, (unsigned)i);
    if (unit) hwloc_bitmap_or(set, set, unit->cpuset);
}

static void bind_units(hwloc_topology_t topology, int local_rank, int local_ranks, int threads) {
    int units = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    if (local_ranks * threads > units) return;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (!set) return;
    for (int i = 0; i < threads; i++) add_unit(topology, set, local_rank * threads + i);
    /* A refusal (a container that forbids it) costs speed only. */
    (void)hwloc_set_cpubind(topology, set, HWLOC_CPUBIND_THREAD);
    hwloc_bitmap_free(set);
}

void cb_rank_pin(int local_rank, int local_ranks, int threads) {
    hwloc_topology_t topology;
    if (local_ranks * threads > cb_os_cores()) return;
    if (hwloc_topology_init(&topology)) return;
    if (hwloc_topology_load(topology) == 0) bind_units(topology, local_rank, local_ranks, threads);
    hwloc_topology_destroy(topology);
}
