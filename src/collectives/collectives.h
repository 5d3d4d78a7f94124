/* Collective operations over a group, written on isend/irecv only, so every backend gives the same bits. Sums have one
 * order, whatever the algorithm: the balanced binary tree over the group's ranks (cb_device.reduce). All members call the
 * same operations in the same order with the same count and type. */
#ifndef CB_COLLECTIVES_COLLECTIVES_H
#define CB_COLLECTIVES_COLLECTIVES_H

#include "comm/group.h"

/* An all-reduce under way. Several may be under way on a group at once. Opaque in spirit: only collectives/ touches it. */
typedef struct cb_pending {
    cb_group *group;
    void *data, *scratch;
    int64_t count;
    cb_type type;
    cb_reduce_op op;
    unsigned sequence;
    int phase; /* 0 not started, 1 pieces are travelling, 2 results are travelling, 3 done */
    int open;  /* requests not yet through in this phase */
    cb_req **reqs; /* 2 * size, owned */
} cb_pending;

/* Bytes of scratch that an all-reduce of count elements over size ranks needs ((size-1) pieces of ceil(count/size)). */
int64_t cb_all_reduce_scratch_bytes(int size, int64_t count, cb_type type);

/* In place: data (count) becomes the sum (or maximum) over the group, the same bits on every member. *Collective over group.*
 * Each member receives the pieces of its own block from all, reduces them in tree order, sends the result to all:
 * 2(p-1)/p * bytes sent per rank, 2(p-1) messages. Small counts (below 4096 elements) travel whole: (p-1) messages of count.
 * scratch: cb_all_reduce_scratch_bytes, or NULL: allocated for the call. */
CB_MUST_USE cb_err cb_all_reduce(cb_group *group, void *data, int64_t count, cb_type type, cb_reduce_op op, void *scratch);
/* The same, split, so that work goes on meanwhile. start posts the first messages and never waits; progress moves on what
 * has arrived without waiting (done may be NULL); finish waits. data and scratch belong to the operation until finish. */
CB_MUST_USE cb_err cb_all_reduce_start(cb_pending *pending, cb_group *group, void *data, int64_t count, cb_type type,
                                       cb_reduce_op op, void *scratch);
CB_MUST_USE cb_err cb_all_reduce_progress(cb_pending *pending, bool *done);
CB_MUST_USE cb_err cb_all_reduce_finish(cb_pending *pending);

/* to (size*count), from (count): block i of to is member i's from. to's own block may be from. *Collective over group.* */
CB_MUST_USE cb_err cb_all_gather(cb_group *group, void *to, const void *from, int64_t count, cb_type type);
/* from (size*count), to (count): to is the reduction over members of their block `me`. *Collective over group.* */
CB_MUST_USE cb_err cb_reduce_scatter(cb_group *group, void *to, const void *from, int64_t count, cb_type type,
                                     cb_reduce_op op);
/* data (count) of member root reaches all (binomial tree). *Collective over group.* */
CB_MUST_USE cb_err cb_broadcast(cb_group *group, void *data, int64_t count, cb_type type, int root);
/* No member leaves before all have come (dissemination). *Collective over group.* */
CB_MUST_USE cb_err cb_barrier(cb_group *group);
/* Blocking point-to-point, for small things outside of the schedule (gathering reports). */
CB_MUST_USE cb_err cb_send(cb_group *group, const void *data, int64_t count, cb_type type, int to);
CB_MUST_USE cb_err cb_recv(cb_group *group, void *data, int64_t count, cb_type type, int from);

/* Messages and bytes that one rank sends in an operation, by the formula on top of its file (cost.c; the tests hold the
 * counters of real runs against it). index: the rank's place in the group. */
typedef struct cb_cost { int64_t messages, bytes; } cb_cost;
cb_cost cb_collective_cost(cb_kind kind, int size, int index, int64_t count, cb_type type);

#endif
