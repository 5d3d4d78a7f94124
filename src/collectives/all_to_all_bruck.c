/* All-to-all of Bruck and others: the block for the member i after its source goes there in steps of the powers of two in
 * i. In round r a member sends, packed, all blocks at a distance i with bit r to the member 2^r after it; what it gets
 * stands in their place. In the end the block at distance i is the one that came from i before (operation.c puts it to
 * its place).
 * Cost: alpha*ceil(log2 p) + beta*n*p/2*log2(p), n the block for one member. Any size, any count.
 * Source: Bruck, Ho, Kipnis, Upfal, Weathersby, 1997. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int p = s->size, d = 1 << round;
    cb_blocks moved = {.first = s->me + d, .span = p - d, .run = d, .stride = 2 * d};
    out[0] = (cb_step){(s->me + d) % p, cb_modulo(s->me - d, p), moved, moved, CB_SWAP};
    return 1;
}

const cb_pattern cb_all_to_all_bruck = {
    "bruck", CB_ALL_TO_ALL, CB_ANY_ORDER, 0, cb_block_per_member, rounds, steps};
