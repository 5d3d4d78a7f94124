/* All-gather of Bruck and others: in round r a member sends the 2^r blocks from its own on, which it has, to the member
 * 2^r before it, and gets the 2^r after those; the last round only what is missing. A range that goes over the last block
 * is packed into one message, which takes the place of the original's rotation.
 * Cost: alpha*ceil(log2 p) + beta*(p-1)*n, n the part of one member. Any size, any count.
 * Source: J. Bruck, C.-T. Ho, S. Kipnis, E. Upfal, D. Weathersby, "Efficient algorithms for all-to-all communications in
 * multiport message-passing systems", 1997. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int p = s->size, d = 1 << round, n = p - d < d ? p - d : d;
    out[0] = (cb_step){cb_modulo(s->me - d, p), (s->me + d) % p, cb_block_range(s->me, n), cb_block_range((s->me + d) % p, n), CB_PUT};
    return 1;
}

const cb_pattern cb_all_gather_bruck = {
    "bruck", CB_ALL_GATHER, CB_ANY_ORDER, 0, cb_block_per_member, rounds, steps};
