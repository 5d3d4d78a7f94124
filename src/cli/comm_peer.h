/* MPI's own collectives beside ours: `cuboid bench comm --comm mpi --algo native` under an mpiexec, in turns with ours.
 */
#ifndef CB_CLI_COMM_PEER_H
#define CB_CLI_COMM_PEER_H

#include "cli/comm_report.h"

/* "mpiexec -n", "mpiexec.mpich -n @ build/mpich/cuboid": how ranks are started, and another build of this program where
 * they are not of the MPI of this one. */
typedef struct cb_comm_peer {
    char start[256], program[1024];
} cb_comm_peer;

/* Several, separated by ';'. Errors: CB_EUSAGE. */
CB_MUST_USE cb_err cb_comm_peers_parse(const char *text, cb_comm_peer *peers, int most, int *count);
/* One round of all kinds: adds to the rows of the report's peer, and says its name. */
CB_MUST_USE cb_err cb_comm_peer_measure(const cb_comm_peer *peer, cb_comm_report *report, int index);

#endif
