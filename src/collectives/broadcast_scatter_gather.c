/* Broadcast as a scatter down a binomial tree, which leaves block v with member v, and a ring all-gather.
 * Cost: alpha*(ceil(log2 p) + p - 1) + 2*beta*n*(p-1)/p. Any size, any count, any root.
 * Source: Thakur, Rabenseifner, Gropp, 2005 (its long-message broadcast), after van de Geijn. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size) + s->size - 1;
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int levels = cb_rounds(s->size);
    if (round >= levels) return cb_all_gather_ring.steps(s, round - levels, out);
    const int d = 1 << (levels - 1 - round), v = s->me;
    const int first = v % (2 * d) ? v : v + d, n = s->size - first < d ? s->size - first : d;
    return cb_binomial_down(s->size, v, d, n > 0 ? cb_block_range(first, n) : cb_no_blocks(), out);
}

const cb_pattern cb_broadcast_scatter_gather = {
    "scatter-allgather", CB_BROADCAST, CB_ANY_ORDER, 0, cb_block_per_member, rounds, steps};
