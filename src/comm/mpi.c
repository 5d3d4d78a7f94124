/* Ranks as MPI processes (to come): answers that it is not in this build. */
#include "comm/comm_backend.h"

const cb_backend cb_backend_mpi = {.name = "mpi", .if_missing = "-DCB_MPI=ON"};
