/* Inside comm/: MPI's own collectives, for cb_comm_native. */
#ifndef CB_COMM_MPI_NATIVE_H
#define CB_COMM_MPI_NATIVE_H

#include <mpi.h>

#include "comm/meeting.h"

CB_MUST_USE cb_err cb_mpi_native(MPI_Comm comm, const cb_call *call);
void cb_mpi_native_name(char out[64]); /* "MPICH 4.0.2" */

#endif
