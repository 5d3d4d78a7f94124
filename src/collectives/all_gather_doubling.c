/* All-gather by recursive doubling: in round r members whose indices differ in bit r exchange all that they have.
 * Cost: alpha*log2(p) + beta*(p-1)*n, n the part of one member. Sizes that are powers of two, any count.
 * Source: Thakur, Rabenseifner, Gropp, 2005. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int d = 1 << round, partner = s->me ^ d;
    out[0] = (cb_step){partner, partner, cb_block_range(s->me & -d, d), cb_block_range(partner & -d, d), CB_PUT};
    return 1;
}

const cb_pattern cb_all_gather_doubling = {
    "doubling", CB_ALL_GATHER, CB_ANY_ORDER, CB_POWERS_OF_TWO, cb_block_per_member, rounds, steps};
