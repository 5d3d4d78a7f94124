/* Inside collectives/: running operations by patterns, and the arithmetic that patterns share. */
#ifndef CB_COLLECTIVES_ALGORITHMS_H
#define CB_COLLECTIVES_ALGORITHMS_H

#include "collectives/collectives.h"
#include "collectives/course.h"

/* As cb_all_reduce_start, by a way of the caller's choice. CB_BY_MEETING needs a group with a board. scratch: at least
 * cb_all_reduce_scratch_by, or NULL. For tests and measurements. */
CB_MUST_USE cb_err cb_all_reduce_start_by(cb_all_reduce_way way, cb_pending *pending, cb_group *group, void *data,
                                          int64_t count, cb_type type, cb_reduce_op op, void *scratch);
/* The same, waited for. */
CB_MUST_USE cb_err cb_all_reduce_by(cb_all_reduce_way way, cb_group *group, void *data, int64_t count, cb_type type,
                                    cb_reduce_op op, void *scratch);
/* NULL: CB_BY_MEETING, which is none. */
const cb_pattern *cb_all_reduce_pattern(cb_all_reduce_way way);
cb_all_reduce_way cb_all_reduce_way_of(const cb_pattern *pattern);

/* Pieces of a meeting's work on each block of count elements (all-reduce, broadcast, reduce: of all). */
int64_t cb_meeting_pieces(int size, int64_t count, cb_type type);

/* A whole operation by a row of the table of its kind. scratch: of an all-reduce, as in cb_all_reduce_start_by; else
 * NULL. *Collective over group.* */
CB_MUST_USE cb_err cb_algorithm_run(const cb_algorithm *algorithm, cb_group *group, const cb_call *call, void *scratch);

/* Numbers of blocks and rounds that patterns share. */
int cb_one(const cb_shape *shape);
int cb_two(const cb_shape *shape);
int cb_block_per_member(const cb_shape *shape);
int cb_all_but_one(const cb_shape *shape);

/* One round of the binomial tree with root 0, in which distance is the lowest bit of those that send up (receive from
 * above): member v's parent is v minus its lowest set bit. Writes the step of member v, if it has one. */
int cb_binomial_up(int size, int v, int distance, cb_blocks all, cb_step *out);
int cb_binomial_down(int size, int v, int distance, cb_blocks all, cb_step *out);

/* Sizes that are no power of two, for algorithms that are made for powers: the largest below it has this many rounds;
 * members without a place bring their data to a neighbour in a first round and get the result in a last one. */
int cb_fold_rounds(int size);
bool cb_fold_is_needed(int size);
int cb_fold_place(int size, int member);
int cb_fold_member(int size, int place);
/* The steps of the first or last of `rounds` rounds, or of a member that has no place; -1: *round is then counted among
 * the rounds of the algorithm itself. all: all blocks. */
int cb_fold_steps(const cb_shape *shape, int *round, int rounds, cb_blocks all, cb_step *out);

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

#endif
