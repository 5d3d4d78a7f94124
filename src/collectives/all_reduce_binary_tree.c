/* All-reduce by one binary tree, in chunks that follow one another up to the root and down again (trees.h).
 * Cost, n in K chunks, h = floor(log2 p): a member's busiest round has 3 messages of n/K in and 3 out, so about
 * 2*alpha*(2h + K) + 3*beta*n for many chunks, + gamma*2n. Any size, any count.
 * Source: as NCCL's tree algorithm before it had two trees; J. L. Traeff, "A note on (parallel) reduction", 2018. */
#include "collectives/algorithms.h"

#include "collectives/trees.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    cb_tree tree = {.size = s->size, .chunks = cb_tree_chunks(s), .up = true, .down = true};
    return cb_tree_steps(&tree, s->me, round, out);
}

static int rounds(const cb_shape *s) {
    return cb_tree_rounds(s->size, cb_tree_chunks(s), 2);
}

const cb_pattern cb_all_reduce_binary_tree = {
    "binary-tree", CB_ALL_REDUCE, CB_ANY_ORDER, 0, cb_tree_chunks, rounds, steps};
