/* Collective operations over a group: on messages (isend, irecv), or, where the ranks share one memory, on each other's
 * data (shared.c); every backend gives the same bits, as sums have one
 * order, whatever the algorithm: the balanced binary tree over the group's ranks (cb_device.reduce). All members call
 * the same operations in the same order with the same count and type; a member that fails in one ends the world. */
#ifndef CB_COLLECTIVES_COLLECTIVES_H
#define CB_COLLECTIVES_COLLECTIVES_H

#include "collectives/cost.h"
#include "collectives/course.h"
#include "comm/group.h"

/* An all-reduce under way. Several may be under way on a group at once. Does not move until it is finished. Opaque in
 * spirit: only collectives/ touches it. */
typedef struct cb_pending {
    cb_exchange exchange;
    cb_course course;
    void *data, *scratch;
    cb_req *visit; /* the one request of a meeting */
    void *owned;   /* what to free at the end: requests, steps, and the scratch if none was given */
    int64_t count;
    cb_reduce_op op;
    cb_all_reduce_way way;
    int phase, phases; /* phase == phases: done; -1: failed */
} cb_pending;

/* In place: data (count) becomes the sum (or maximum) over the group, the same bits on every member. *Collective over
 * group.* As messages small counts travel whole, large ones as blocks: each member receives the pieces of its own block
 * from all, reduces them in tree order and sends the result to all: 2(p-1)/p * bytes sent per rank, 2(p-1) messages.
 * cb_all_reduce_choose says which. scratch: cb_all_reduce_scratch_bytes, or NULL: allocated for the call. */
CB_MUST_USE cb_err cb_all_reduce(cb_group *group, void *data, int64_t count, cb_type type, cb_reduce_op op,
                                 void *scratch);
/* The same, split, so that work goes on meanwhile. start posts the first messages and never waits; progress moves on
 * what has arrived without waiting (done may be NULL) and may be called in any order on any member; finish waits. data
 * and scratch belong to the operation until finish. Members finish their operations in one order, as a member that
 * waits in one does not move the others on. After an error, finish the other operations too: each returns at once and
 * is released. */
CB_MUST_USE cb_err cb_all_reduce_start(cb_pending *pending, cb_group *group, void *data, int64_t count, cb_type type,
                                       cb_reduce_op op, void *scratch);
CB_MUST_USE cb_err cb_all_reduce_progress(cb_pending *pending, bool *done);
CB_MUST_USE cb_err cb_all_reduce_finish(cb_pending *pending);

/* to (size*count), from (count): block i of to is member i's from. to's own block may be from. *Collective over group.*
 */
CB_MUST_USE cb_err cb_all_gather(cb_group *group, void *to, const void *from, int64_t count, cb_type type);
/* from (size*count), to (count): to is the reduction over members of their block `me`, which may be to. *Collective
 * over group.* Takes size-1 pieces of count, which the group keeps for the next operation. */
CB_MUST_USE cb_err cb_reduce_scatter(cb_group *group, void *to, const void *from, int64_t count, cb_type type,
                                     cb_reduce_op op);
/* to (count) of member root = the reduction of all members' from (count), in tree order of the members counted from the
 * root; to may be from, others' to is not looked at. *Collective over group.* Takes count elements, which the group
 * keeps. */
CB_MUST_USE cb_err cb_reduce(cb_group *group, void *to, const void *from, int64_t count, cb_type type, cb_reduce_op op,
                             int root);
/* from, to (size*count): block i of member j's to is block j of member i's from. *Collective over group.* */
CB_MUST_USE cb_err cb_all_to_all(cb_group *group, void *to, const void *from, int64_t count, cb_type type);
/* data (count) of member root reaches all. *Collective over group.* */
CB_MUST_USE cb_err cb_broadcast(cb_group *group, void *data, int64_t count, cb_type type, int root);
/* No member leaves before all have come (dissemination). *Collective over group.* */
CB_MUST_USE cb_err cb_barrier(cb_group *group);
/* Blocking point-to-point, for small things outside of the schedule (gathering reports). Several to one member arrive
 * in the order sent. Not collective. */
CB_MUST_USE cb_err cb_send(cb_group *group, const void *data, int64_t count, cb_type type, int to);
CB_MUST_USE cb_err cb_recv(cb_group *group, void *data, int64_t count, cb_type type, int from);

#endif
