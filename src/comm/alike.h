/* Inside comm/: before ranks that are processes run anything, they agree that all of them can, and want the same. */
#ifndef CB_COMM_ALIKE_H
#define CB_COMM_ALIKE_H

#include "comm/comm.h"

/* alike: lines "name<TAB>value", the same names in the same order as far as the programs are the same; NULL: this rank
 * has none to compare. refusal: why this rank has nothing to run, or CB_OK; not taken. *outcome becomes, the same on
 * all ranks, the refusal of the first rank that has one, or CB_EINVAL with the values that differ and the ranks that
 * have them, or CB_OK. The error returned is another, of this rank alone. *Collective over the world*, messages only;
 * `comm` is the backend's own endpoint, as wrappers may differ too. Cost: a message to rank 0 and one back. */
CB_MUST_USE cb_err cb_comm_agree(cb_comm *comm, const char *alike, cb_err refusal, cb_err *outcome);

#endif
