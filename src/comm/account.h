/* What communication costs a rank, by purpose and kind: operations, messages and bytes, the time the rank stood in
 * them, and the time they were under way while it did other work. Of the rank's own thread.
 *
 * A rank stands in communication from enter to leave; of calls within calls the outermost counts. An operation is under
 * way from begin_operation to end_operation, which may lie in different calls: what of that time the rank stood in no
 * communication at all is overlapped. Several under way at once count once. */
#ifndef CB_COMM_ACCOUNT_H
#define CB_COMM_ACCOUNT_H

#include "comm/comm.h"

typedef struct cb_account {
    int inside;                                  /* depth of calls */
    double entered_s, left_s;                    /* the outermost call; of cb_now_s */
    double free_s;                               /* not in communication, in all, until entered_s */
    int under_way[CB_PURPOSES][CB_KINDS];        /* operations */
    double free_before_s[CB_PURPOSES][CB_KINDS]; /* free_s when the first of them began */
} cb_account;

/* For who starts operations (comm.c, collectives/). A look at the clock each, but within another call. */
void cb_comm_enter(cb_comm *comm);
void cb_comm_leave(cb_comm *comm, cb_purpose purpose, cb_kind kind);
/* Counts an operation. Within a call. */
void cb_comm_begin_operation(cb_comm *comm, cb_purpose purpose, cb_kind kind);
void cb_comm_end_operation(cb_comm *comm, cb_purpose purpose, cb_kind kind);

#endif
