/* Pipelines of chunks over binary trees, for all-reduce, reduce and broadcast: the tree's member v has children 2v+1 and
 * 2v+2. A chunk goes up (reduced on its way) and comes down (the result), one level a round; the next follows a round
 * later. h levels lie below the root, K chunks need h + K - 1 rounds one way, 2h + K - 1 both ways. */
#ifndef CB_COLLECTIVES_TREES_H
#define CB_COLLECTIVES_TREES_H

#include "collectives/pattern.h"

typedef struct cb_tree {
    int size, chunks, first_chunk;
    bool up, down;
    bool mirrored; /* members counted from the end */
} cb_tree;

int cb_tree_rounds(int size, int chunks, int ways);
int cb_tree_steps(const cb_tree *tree, int me, int round, cb_step *out);
/* Chunks of 64 Ki elements, 1 to 32 of them; for two trees an even number. */
int cb_tree_chunks(const cb_shape *shape);
int cb_two_trees_chunks(const cb_shape *shape);
/* The first half of the chunks over a tree, the second over its mirror. Rooted operations (not both ways) end or begin at
 * place 0: what the mirror has at its root, the last place, crosses to place 0 in a round of its own. */
int cb_two_trees_steps(const cb_shape *shape, bool up, bool down, int round, cb_step *out);

#endif
