/* From a resolved run to running ranks: memory checked before anything is allocated, ranks launched, each one's life.
 * Processes may find different things wrong, such as a file that is missing on one machine: none trains unless all do,
 * so every process comes to the launch, also one that has nothing to run, and there they agree on one outcome. */
#include <stdlib.h>

#include "train/rank.h"

/* What a process brings to the launch, and what its ranks return alike. */
typedef struct attempt {
    const cb_run *run;
    cb_err refusal; /* written by the first rank of the process */
} attempt;

/* After a failure: the world ends, and no peer touches this rank's memory any more once its messages have been waited
 * for, which after an abort takes no time. */
static void abandon(cb_rank *rank) {
    cb_comm_abort(rank->comm);
    cb_rings_abandon(rank);
    cb_buckets_abandon(&rank->buckets);
}

/* An error that all ranks return alike is the run's and not a rank's: the world ends as after a run that went well. */
static cb_err settle(cb_rank *rank, cb_err e, cb_err *refusal) {
    if (!e) return CB_OK;
    if (!rank->agreed) {
        abandon(rank);
        return cb_err_context(e, "%s", rank->name);
    }
    bool told = cb_comm_in_process(rank->comm) && cb_comm_rank(rank->comm) > 0; /* by rank 0 of this process */
    if (told)
        cb_err_free(e);
    else
        *refusal = e;
    return CB_OK;
}

cb_err cb_rank_live(cb_comm *comm, const cb_run *run, cb_err *refusal) {
    cb_rank *rank = calloc(1, sizeof *rank);
    if (!rank) return cb_fail(CB_ENOMEM, "no memory for a rank's state");
    cb_err e = cb_rank_create(rank, run, comm);
    if (!e) e = cb_rank_train(rank);
    e = settle(rank, e, refusal);
    cb_rank_destroy(rank);
    free(rank);
    return e;
}

static cb_err live(cb_comm *comm, void *arg) {
    attempt *a = arg;
    return cb_rank_live(comm, a->run, &a->refusal);
}

cb_err cb_run_refuse(cb_err why) {
    if (cb_comm_mpiexec_ranks() == 1) return why;
    cb_launch launch = {.backend = "mpi", .refusal = &why};
    cb_err_free(cb_comm_launch(&launch, NULL, NULL)); /* without MPI each process is on its own */
    return why;
}

cb_err cb_run_train(const cb_run *run) {
    attempt a = {.run = run};
    cb_err e = cb_run_check_memory(run, NULL);
    if (e) return cb_run_refuse(e);
    e = cb_comm_launch(&run->launch, live, &a);
    if (!e) return a.refusal;
    cb_err_free(a.refusal);
    return e;
}
