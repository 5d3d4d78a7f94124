/* The messages of one collective operation: posted in phases, and each phase ended by a wait or by tests. Receives are
 * posted before sends and waited on first, so nothing depends on sends being eager. */
#ifndef CB_COLLECTIVES_EXCHANGE_H
#define CB_COLLECTIVES_EXCHANGE_H

#include "comm/account.h"
#include "comm/group.h"
#include "comm/record.h"

/* Phases 0..13 are for collectives; blocking point-to-point has a tag of its own. */
enum { CB_PHASE_P2P = 14 };

typedef struct cb_exchange {
    cb_group *group;
    cb_kind kind;
    cb_type type;
    unsigned sequence; /* of the operation in the group: part of the tag */
    int phase;         /* part of the tag */
    int posted, room;
    cb_req **reqs; /* (room), the caller's */
    bool counted;  /* in the rank's account, until its end */
    cb_comm_event *event; /* NULL where it is not recorded, and after its end */
} cb_exchange;

/* Begins the group's next operation. reqs (room): memory for the requests of a phase. meets: cb_exchange_meet follows,
 * and opens it when the call stands where the others look for it: they do not wait for a look at the clock. */
cb_exchange cb_exchange_begin(cb_group *group, cb_kind kind, cb_type type, bool meets, cb_req **reqs, int room);
/* From now on the rank stays in the operation (comm/account.h), until the end or a pause. */
void cb_exchange_open(cb_exchange *exchange);
/* Post a message of count elements from or to a member of the group; neither waits. */
CB_MUST_USE cb_err cb_exchange_recv(cb_exchange *exchange, int from, void *data, int64_t count);
CB_MUST_USE cb_err cb_exchange_send(cb_exchange *exchange, int to, const void *data, int64_t count);
/* Come to a meeting (comm/meeting.h) that does the whole operation: shared.c. The group has a board. */
CB_MUST_USE cb_err cb_exchange_meet(cb_exchange *exchange, const cb_call *call);
/* The same as a whole operation of the group, waited for. */
CB_MUST_USE cb_err cb_exchange_meet_and_part(cb_group *group, const cb_call *call);
/* Wait for all that was posted, or see whether all is through. */
CB_MUST_USE cb_err cb_exchange_wait(cb_exchange *exchange);
CB_MUST_USE cb_err cb_exchange_test(cb_exchange *exchange, bool *done);
/* The rank goes on with other work, and comes back to the operation. */
void cb_exchange_pause(cb_exchange *exchange);
void cb_exchange_resume(cb_exchange *exchange);
/* Ends the operation with result e, which it returns. A failed one ends the world, as its members are out of step for
 * good; then what is still posted ends at once, and nobody reads or writes the operation's memory any more. */
CB_MUST_USE cb_err cb_exchange_end(cb_exchange *exchange, cb_err e);

#endif
