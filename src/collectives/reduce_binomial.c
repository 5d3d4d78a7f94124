/* Reduce by a binomial tree to the root: the way up of all_reduce_tree.c, over the members counted from the root.
 * Cost: (alpha + beta*n + gamma*n)*ceil(log2 p) on the longest path; a member but the root sends one message of n. Any
 * size, any count, any root; the balanced tree over members counted from the root. Source: Thakur et al. 2005. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    return cb_binomial_up(s->size, s->me, 1 << round, cb_one_block(0), out);
}

const cb_pattern cb_reduce_binomial = {"binomial", CB_REDUCE, CB_TREE_ORDER, CB_OWN_APART, cb_one, rounds, steps};
