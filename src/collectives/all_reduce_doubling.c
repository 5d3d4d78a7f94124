/* All-reduce by recursive doubling: in round r the members whose places differ in bit r exchange all they have and both
 * reduce it, the lower place first. With q the largest power of two up to p, the first 2(p-q) members first bring their
 * data together in pairs, whose upper member takes part for both, and hands the result back at the end. In a power of two
 * what a member holds after a round is a node of the balanced tree.
 * Cost: (alpha + beta*n + gamma*n)*log2(p), two more alpha + beta*n for other p; scratch n. Any size, any count.
 * Source: Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", 2005. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_fold_rounds(s->size) + 2 * cb_fold_is_needed(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    int folded = cb_fold_steps(s, &round, rounds(s), cb_one_block(0), out);
    if (folded >= 0) return folded;
    int partner = cb_fold_member(s->size, cb_fold_place(s->size, s->me) ^ 1 << round);
    out[0] = (cb_step){partner, partner, cb_one_block(0), cb_one_block(0), CB_ADD};
    return 1;
}

const cb_pattern cb_all_reduce_doubling = {
    "doubling", CB_ALL_REDUCE, CB_TREE_ORDER_OF_POWERS, 0, cb_one, rounds, steps};
