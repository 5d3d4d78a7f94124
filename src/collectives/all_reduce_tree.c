/* All-reduce by a binomial tree: sums go up to member 0 and the result comes down the same edges. In round r members with
 * bit r the lowest that is set send what they hold to the one 2^r below; where nobody sends, what is held moves up
 * unchanged: the balanced tree for any size.
 * Cost: (2*alpha + 2*beta*n + gamma*n)*ceil(log2 p) on the longest path; a member sends 1 message up (but 0) and 1 per
 * child down; scratch n. For small counts in groups whose size is not a power of two. Any size, any count.
 * Source: binomial trees as in Thakur, Rabenseifner, Gropp, 2005. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return 2 * cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int up = cb_rounds(s->size);
    return round < up ? cb_binomial_up(s->size, s->me, 1 << round, cb_one_block(0), out)
                      : cb_binomial_down(s->size, s->me, 1 << (2 * up - 1 - round), cb_one_block(0), out);
}

const cb_pattern cb_all_reduce_tree = {"tree", CB_ALL_REDUCE, CB_TREE_ORDER, 0, cb_one, rounds, steps};
