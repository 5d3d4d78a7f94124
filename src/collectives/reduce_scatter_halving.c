/* Reduce-scatter by recursive halving: in each round members whose indices differ in one bit, the highest first, exchange
 * the half of what is left that the other keeps.
 * Cost: alpha*log2(p) + (beta + gamma)*(p-1)*n, n the block of one member. Sizes that are powers of two, any count; no
 * fixed order (the tree it makes pairs members far apart first). Source: Thakur, Rabenseifner, Gropp, 2005. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int d = s->size >> (round + 1), partner = s->me ^ d;
    out[0] = (cb_step){partner, partner, cb_block_range(partner & -d, d), cb_block_range(s->me & -d, d), CB_ADD};
    return 1;
}

const cb_pattern cb_reduce_scatter_halving = {
    "halving", CB_REDUCE_SCATTER, CB_ANY_ORDER, CB_POWERS_OF_TWO, cb_block_per_member, rounds, steps};
