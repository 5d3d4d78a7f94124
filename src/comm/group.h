/* A group: an ordered set of ranks that call collectives together, and the tags that keep its messages apart. */
#ifndef CB_COMM_GROUP_H
#define CB_COMM_GROUP_H

#include "comm/meeting.h"

typedef struct cb_group {
    cb_comm *comm;
    cb_purpose purpose; /* two groups of one purpose share no pair of ranks */
    int size, me;       /* me: this rank's index */
    int *ranks;         /* world ranks, owned */
    unsigned sequence;  /* collectives started so far; equal on all members at equal points */
    cb_board *board;    /* where they meet; NULL: they send messages */
    void *room;         /* of collectives/: memory that is kept from one operation to the next */
    int64_t room_bytes;
    int node;           /* members on one machine, neighbours in the group, if it spans several such; else 0 */
    const struct cb_selection *selection; /* the user's choice of algorithms (collectives/table.h), set by who makes it */
} cb_group;

/* ranks: (size) world ranks, copied; this rank must be one of them. Not collective (but every member makes the same).
 */
CB_MUST_USE cb_err cb_group_make(cb_group *group, cb_comm *comm, cb_purpose purpose, const int *ranks, int size);
void cb_group_free(cb_group *group);

/* Operation `sequence` of the group, of more than one rank, is about to be begun by messages. Where the checking
 * wrapper is on, members that call different things learn of it in a wait of theirs: CB_EMISMATCH with who called what.
 * Never waits. */
CB_MUST_USE cb_err cb_group_announce(cb_group *group, unsigned sequence, const cb_call *call);
/* Comes to the group's next meeting, which the group must have (board); see meeting.h. Never waits; ended by
 * cb_comm_wait or cb_comm_test. Counts nothing as sent: cb_group_count does, which may wait until the others need not.
 * Errors as of cb_comm_isend; in the end also CB_EMISMATCH with who called what. */
CB_MUST_USE cb_err cb_group_meet(cb_group *group, const cb_call *call, const cb_work *work, int note, cb_req **req);
/* Adds these messages and bytes to what this rank has sent for the group. */
void cb_group_count(cb_group *group, cb_kind kind, const cb_traffic *sent);

/* Tags: purpose (3 bits) | sequence mod 2^14 | phase (4 bits): 21 bits, within MPICH's and Open MPI's limits. */
int cb_tag_collective(cb_purpose purpose, unsigned sequence, int phase); /* phase 0..14 */
/* Point-to-point between stages; backward: gradients. note = microbatch * chunks + chunk. */
int cb_tag_stage(int backward, int note);

#endif
