/* What collectives cost and need, as pure functions of sizes: which way an all-reduce goes, the scratch it uses, the
 * messages and bytes that one rank sends. The trainer allocates by them and the tests hold counted runs against them.
 */
#ifndef CB_COLLECTIVES_COST_H
#define CB_COLLECTIVES_COST_H

#include "collectives/table.h"

/* The ways of an all-reduce; those that may be chosen give the same bits. */
typedef enum cb_all_reduce_way {
    CB_BY_DIRECT,   /* every member sends all to all: one round */
    CB_BY_BLOCKS,   /* reduce-scatter, then all-gather: the least bytes */
    CB_BY_DOUBLING, /* recursive doubling, the fewest rounds; chosen for powers of two only */
    CB_BY_TREE,     /* binomial tree to member 0 and back */
    CB_BY_MEETING,  /* on each other's memory, where ranks share one */
    /* never chosen, as their sums have another order */
    CB_BY_RING,
    CB_BY_RABENSEIFNER,
    CB_BY_BINARY_TREE,
    CB_BY_DOUBLE_TREE,
    CB_BY_HIERARCHY,
    CB_ALL_REDUCE_WAYS
} cb_all_reduce_way;

enum {
    CB_SMALL_COUNT = 4096, /* an all-reduce below this many elements travels whole, */
    CB_SMALL_BLOCK = 256,  /* and so does one whose blocks would be below this many */
    CB_DIRECT_SIZE = 8,    /* small counts go directly in groups up to this size, by doubling or tree above */
};

cb_all_reduce_way cb_all_reduce_choose(cb_means means, int size, int64_t count);
const char *cb_all_reduce_way_name(cb_all_reduce_way way); /* "direct" "blocks" "doubling" "tree" "shared" ... */

/* Bytes of scratch that an all-reduce of count elements over size ranks uses: size-1 pieces of ceil(count/size) for
 * blocks, size-1 of count for direct, one of count for doubling and tree; a meeting needs none. */
int64_t cb_all_reduce_scratch_bytes(cb_means means, int size, int64_t count, cb_type type);
/* The most that all-reduces of up to count elements use: for memory that serves operations of several sizes. A small
 * one that travels whole may use more than a larger one in blocks. */
int64_t cb_all_reduce_scratch_most(cb_means means, int size, int64_t count, cb_type type);
int64_t cb_all_reduce_scratch_by(cb_all_reduce_way way, int size, int64_t count, cb_type type);

/* Messages and bytes that one rank sends in an operation with the operation's count. */
typedef struct cb_cost {
    int64_t messages, bytes;
} cb_cost;
/* index: the rank's place in the group; for a broadcast counted from the root, for send/recv that of the sender (any).
 */
/* By a pattern, of member shape->me. steps: room for those of a round (cb_pattern_most_steps). */
cb_cost cb_pattern_cost(const cb_pattern *pattern, const cb_shape *shape, cb_type type, cb_step *steps);
cb_cost cb_collective_cost(cb_means means, cb_kind kind, int size, int index, int64_t count, cb_type type);
cb_cost cb_all_reduce_cost_by(cb_all_reduce_way way, int size, int index, int64_t count, cb_type type);

#endif
