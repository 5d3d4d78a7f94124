/* Inside collectives/: the ways of an all-reduce as rows of functions, and the arithmetic that they share. */
#ifndef CB_COLLECTIVES_ALGORITHMS_H
#define CB_COLLECTIVES_ALGORITHMS_H

#include "collectives/collectives.h"

/* A way runs in phases: post its messages, wait or test until all are through, settle (sum what came), next phase. A
 * phase may be empty for a member. post never waits. */
typedef struct cb_all_reduce_algorithm {
    int (*phases)(int size);
    cb_err (*post)(cb_pending *pending);
    void (*settle)(cb_pending *pending);
} cb_all_reduce_algorithm;

extern const cb_all_reduce_algorithm cb_all_reduce_direct, cb_all_reduce_blocks, cb_all_reduce_doubling,
    cb_all_reduce_tree, cb_all_reduce_shared;

/* As cb_all_reduce_start, by a way of the caller's choice. CB_BY_DOUBLING needs a power of two of members, CB_BY_MEETING
 * a group with a board. For tests.
 */
CB_MUST_USE cb_err cb_all_reduce_start_by(cb_all_reduce_way way, cb_pending *pending, cb_group *group, void *data,
                                          int64_t count, cb_type type, cb_reduce_op op, void *scratch);

/* Piece i of an all-reduce's scratch, in which `each` elements lie per piece. */
void *cb_pending_piece(const cb_pending *pending, int i, int64_t each);

/* to (count) = the tree reduction of size operands: own is operand me, the others lie in pieces one after the other in
 * order of members. to may be own. pieces are overwritten where there are more than 64 members. */
typedef struct cb_pieces {
    void *to;
    const void *own;
    char *pieces;
    int me, size;
    int64_t count;
} cb_pieces;
void cb_pieces_reduce(const cb_pieces *pieces, cb_type type, cb_reduce_op op);

/* Block i of `total` elements over n members: sizes differ by at most one, the larger first. i == n gives the end. */
static inline int64_t cb_block_begin(int64_t total, int n, int i) {
    return i * (total / n) + (i < total % n ? i : total % n);
}
static inline int64_t cb_block_count(int64_t total, int n, int i) {
    return total / n + (i < total % n);
}

/* Rounds until 2^rounds >= size. */
static inline int cb_rounds(int size) {
    int rounds = 0;
    while (((int64_t)1 << rounds) < size) rounds++;
    return rounds;
}

/* The binomial tree over members 0..size-1, with root 0: member v's parent is v minus its lowest set bit, its children
 * are v + d for the powers of two d below that bit. The subtree of v is v .. v+bit-1, so sums up the tree are balanced.
 */
static inline int cb_binomial_bit(int size, int v) {
    return v ? v & -v : 1 << cb_rounds(size);
}

/* The other member in this operation's exchange number i: sends go to me+i, receives come from me-i. */
static inline int cb_member_after(const cb_group *group, int i) {
    return (group->me + i) % group->size;
}
static inline int cb_member_before(const cb_group *group, int i) {
    return (group->me - i + group->size) % group->size;
}

#endif
