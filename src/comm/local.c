/* Which ranks share a machine: all threads of a process; under mpiexec what the launcher says in its environment. */
#include <stdlib.h>
#include <string.h>

#include "comm/comm.h"

static int first_number(const char *const *names, int otherwise) {
    for (int i = 0; names[i]; i++) {
        const char *text = getenv(names[i]);
        if (text) return atoi(text);
    }
    return otherwise;
}

static const char *const size_names[] = {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", NULL};
static const char *const rank_names[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID", NULL};

int cb_comm_local_rank(const cb_comm *comm) {
    return cb_comm_in_process(comm) ? cb_comm_rank(comm) : first_number(rank_names, cb_comm_rank(comm));
}

int cb_comm_local_size(const cb_comm *comm) {
    return cb_comm_in_process(comm) ? cb_comm_size(comm) : first_number(size_names, cb_comm_size(comm));
}

bool cb_comm_launch_shares(const cb_launch *launch) {
    return strcmp(launch->backend, "threads") == 0 && !launch->checked;
}

int cb_comm_launch_local_ranks(const cb_launch *launch) {
    if (strcmp(launch->backend, "mpi") != 0) return launch->ranks;
    return first_number(size_names, cb_comm_mpiexec_ranks());
}
