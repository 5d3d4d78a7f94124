/* Broadcast by two binary trees, each for half of the data, in chunks (trees.h). The root first gives the second half to
 * the last member, which is the root of the second tree.
 * Cost: h + K/2 rounds of chunks n/K; a member sends about n in all. Any size, any count, any root.
 * Source: Sanders, Speck, Traeff, 2009; here the root of the second tree is not the same as that of the first. */
#include "collectives/algorithms.h"

#include "collectives/trees.h"

static int rounds(const cb_shape *s) {
    return s->size < 2 ? 0 : 1 + cb_tree_rounds(s->size, cb_two_trees_chunks(s) / 2, 1);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    return cb_two_trees_steps(s, false, true, round, out);
}

const cb_pattern cb_broadcast_double_tree = {
    "double-tree", CB_BROADCAST, CB_ANY_ORDER, 0, cb_two_trees_chunks, rounds, steps};
