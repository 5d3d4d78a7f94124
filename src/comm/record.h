/* What a rank keeps of its messages and collective operations while they are recorded. The recorder belongs to the
 * rank's thread: events go into memory prepared before, without lock or allocation. An endpoint without a recorder pays
 * one branch per call. */
#ifndef CB_COMM_RECORD_H
#define CB_COMM_RECORD_H

#include "comm/comm.h"

/* One message between two ranks (kind CB_SENDRECV) or one collective operation. Times are of cb_now_s. The rank itself
 * was held up from begin_s to posted_s, by the call that started it, and from wait_s to end_s, when it waited for it;
 * in between other work went on, but for beside_s, in which the operation was moved on. What is one call from begin to
 * end has posted_s = wait_s = begin_s. */
typedef struct cb_comm_event {
    double begin_s, posted_s, wait_s, end_s, beside_s;
    int64_t bytes;         /* sent by this rank; of a receive: received */
    int32_t purpose, kind; /* cb_purpose, cb_kind */
    int32_t peer;          /* world rank at the other end; -1: collective */
    int32_t note;          /* of a message: cb_msg's; of an operation: its number in the group */
    int32_t is_send, unused;
} cb_comm_event;

typedef struct cb_comm_recorder {
    cb_comm_event *event; /* (capacity); does not move while something recorded is under way */
    int64_t count, capacity;
    int64_t lost; /* events for which there was no room */
} cb_comm_recorder;

/* From now on; NULL: nothing any more. Not collective. */
void cb_comm_record(cb_comm *comm, cb_comm_recorder *recorder);

/* For who starts operations (comm.c, collectives/): a new event, begun and posted now; NULL where nothing is recorded.
 */
cb_comm_event *cb_comm_event_begin(cb_comm *comm, cb_purpose purpose, cb_kind kind, int peer, int note);
/* It is through now. One that nobody waited for ends without a wait. */
void cb_comm_event_end(cb_comm_event *event);

#endif
