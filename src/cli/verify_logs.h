/* Runs compared by the digests in their logs. */
#ifndef CB_CLI_VERIFY_LOGS_H
#define CB_CLI_VERIFY_LOGS_H

#include "cli/verify.h"

/* Compares with the log at path: the log options->log, or, without it, a run of these options trained now. Errors:
 * CB_EINVAL where the runs cannot agree, naming what differs; CB_EMISMATCH naming the first step; CB_EFORMAT. */
CB_MUST_USE cb_err cb_verify_against(cb_options *options, const char *path);
/* Whether this program starts at all under mpiexec, before anything is trained: once, to print its version. */
CB_MUST_USE cb_err cb_verify_mpi_check(const char *mpiexec);
/* Starts the layout under mpiexec (the words of `mpiexec`, then the number of ranks, then this program with the words
 * argv that are train's) and compares every step's digest with the reference. */
CB_MUST_USE cb_err cb_verify_mpi(const cb_options *options, const cb_trace *reference, const cb_layout *layout,
                                 const char *mpiexec, int argc, char **argv);

#endif
