/* Meetings: collective operations of ranks that share one memory. Every member of a group brings a call: what it wants
 * done, and where its data lie. When all have come the work is done, piece by piece, by whoever is there, on the
 * members' memory where it lies; when it is done all may go. What a piece does depends on its number only, so results
 * do not depend on who does it or when.
 *
 * Members that bring different calls are told who called what (CB_EMISMATCH). */
#ifndef CB_COMM_MEETING_H
#define CB_COMM_MEETING_H

#include "comm/comm.h"

typedef struct cb_meeting cb_meeting;
typedef struct cb_board cb_board; /* where the members of one group meet */

enum {
    CB_MOST_AT_A_MEETING = 1024, /* members; larger groups send messages */
    /* Data that a call can bring along, and all calls of a meeting together: each member reads them all. */
    CB_BROUGHT_BYTES = 512,
    CB_BROUGHT_TO_ALL = 4096
};

/* One member's part in a collective operation; from and to as the functions of collectives/collectives.h take them,
 * both the data where those work in place. */
typedef struct cb_call {
    cb_kind kind;
    cb_type type;
    cb_reduce_op op;
    int root; /* of a rooted operation, else 0 */
    int64_t count;
    const void *from; /* this and `to` are the member's own, the rest is the same for all */
    void *to;
} cb_call;

typedef struct cb_work {
    int64_t pieces;
    void (*run)(const cb_meeting *meeting, int64_t piece);
    /* Optional, for tiny data: from (brought bytes, within the limits above) travels in the call itself and every
     * member does all the work on its own, by `alone`. Taken where every rank has a core. */
    void (*alone)(const cb_meeting *meeting, const cb_call *own);
    int64_t brought_bytes;
} cb_work;

/* For cb_work's functions: valid while they run. */
int cb_meeting_size(const cb_meeting *meeting);
const cb_call *cb_meeting_call(const cb_meeting *meeting, int member);
const void *cb_meeting_brought(const cb_meeting *meeting, int member, int64_t bytes);

#endif
