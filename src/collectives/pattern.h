/* A collective algorithm as data: who sends which blocks to whom in round k. A pattern is a row of pure functions of the
 * shape; course.c runs any of them by one loop, cost.c counts their messages and bytes.
 *
 * The data of an operation (all-reduce, reduce, broadcast: count elements; the others: size blocks of count) are cut into
 * blocks that differ by one element at most. In a round a member starts all its steps together, and the round is over
 * when all of them are: what is received counts from the next round on. */
#ifndef CB_COLLECTIVES_PATTERN_H
#define CB_COLLECTIVES_PATTERN_H

#include "comm/comm.h"

typedef struct cb_shape {
    int size, me; /* members; me is counted from the root in a rooted operation */
    int node;     /* neighbours on one machine, for hierarchical algorithms; 0: unknown */
    int64_t count;
} cb_shape;

/* Blocks first+i for i below span, all of them modulo the number of blocks, but only i with i % stride < run. */
typedef struct cb_blocks {
    int first, span, run, stride;
} cb_blocks;

typedef enum cb_combine {
    CB_PUT, /* what is received stands in the place of what was there, */
    CB_SWAP, /* which is sent in the same step */
    CB_ADD, /* the two are reduced, the lower member's on the left */
    CB_TREE /* all that the round receives and the own are one balanced tree in order of members */
} cb_combine;

/* One message out and one in; either may be missing (-1). */
typedef struct cb_step {
    int to, from;
    cb_blocks send, recv;
    cb_combine combine;
} cb_step;

/* Whether sums are the balanced tree over the members, as the trainer needs them. */
typedef enum cb_order { CB_ANY_ORDER, CB_TREE_ORDER, CB_TREE_ORDER_OF_POWERS /* of two members */ } cb_order;

/* What else is to know of a pattern. */
enum {
    CB_POWERS_OF_TWO = 1, /* of members only */
    CB_STRAIGHT = 2,      /* each part goes once, from who has it to who wants it: nothing is changed before it is sent */
    CB_OWN_APART = 4      /* a member that receives adds to its own operand first, which so may lie where it is */
};

enum { CB_MOST_TREE_STEPS = 12 }; /* a round has at most this many steps, or size */

typedef struct cb_pattern {
    const char *name;
    cb_kind kind;
    cb_order order;
    unsigned traits;
    int (*blocks)(const cb_shape *shape);
    int (*rounds)(const cb_shape *shape);
    /* Writes the member's steps of a round, returns how many. */
    int (*steps)(const cb_shape *shape, int round, cb_step *out);
} cb_pattern;

extern const cb_pattern cb_all_reduce_direct, cb_all_reduce_blocks, cb_all_reduce_doubling, cb_all_reduce_tree,
    cb_all_reduce_ring, cb_all_reduce_rabenseifner, cb_all_reduce_binary_tree, cb_all_reduce_double_tree,
    cb_all_reduce_hierarchical;
extern const cb_pattern cb_all_gather_direct, cb_all_gather_ring, cb_all_gather_bruck, cb_all_gather_doubling;
extern const cb_pattern cb_reduce_scatter_direct, cb_reduce_scatter_ring, cb_reduce_scatter_bruck,
    cb_reduce_scatter_halving;
extern const cb_pattern cb_broadcast_binomial, cb_broadcast_double_tree, cb_broadcast_scatter_gather;
extern const cb_pattern cb_reduce_binomial, cb_reduce_double_tree;
extern const cb_pattern cb_all_to_all_pairwise, cb_all_to_all_bruck;

/* Elements of the whole data of an operation with this shape. */
int64_t cb_pattern_elements(const cb_pattern *pattern, const cb_shape *shape);
/* Elements in blocks, of data of `total` elements in n blocks. */
int64_t cb_blocks_count(const cb_blocks *blocks, int64_t total, int n);
/* true where they lie one after the other in memory. */
bool cb_blocks_are_one_run(const cb_blocks *blocks, int n);
/* What the step receives cannot go straight to its place. */
bool cb_step_receives_apart(const cb_step *step, int n);
/* Elements of scratch that the member needs, the most of all rounds; steps: room for those of a round. */
int64_t cb_pattern_scratch(const cb_pattern *pattern, const cb_shape *shape, cb_step *steps);
int cb_pattern_most_steps(const cb_pattern *pattern, int size);

/* For patterns: single blocks and ranges of them. */
static inline cb_blocks cb_one_block(int first) {
    return (cb_blocks){first, 1, 1, 1};
}
static inline cb_blocks cb_block_range(int first, int span) {
    return (cb_blocks){first, span, span, span};
}
static inline cb_blocks cb_no_blocks(void) {
    return (cb_blocks){0, 0, 1, 1};
}
static inline int cb_modulo(int a, int n) {
    return (a % n + n) % n;
}

#endif
