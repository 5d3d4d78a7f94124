/* All-reduce by two binary trees, each for half of the data: the second is the first with the members counted from the
 * end, so that who is a leaf in one is inside of the other and all send about as much.
 * Cost, n in K chunks, h = floor(log2 p): 2h + K/2 - 1 rounds, in all of which a member sends about 2n: 2*beta*n + gamma*n.
 * Any size, any count. Source: P. Sanders, J. Speck, J. L. Traeff, "Two-tree algorithms for full
 * bandwidth broadcast, reduction and scan", 2009. */
#include "collectives/algorithms.h"

#include "collectives/trees.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    return cb_two_trees_steps(s, true, true, round, out);
}

static int rounds(const cb_shape *s) {
    return cb_tree_rounds(s->size, cb_two_trees_chunks(s) / 2, 2);
}

const cb_pattern cb_all_reduce_double_tree = {
    "double-tree", CB_ALL_REDUCE, CB_ANY_ORDER, 0, cb_two_trees_chunks, rounds, steps};
