/* Broadcast by a binomial tree over the members counted from the root.
 * Cost: (alpha + beta*n)*ceil(log2 p) on the longest path; a member sends one message of n per child. Any size, any
 * count, any root. Source: Thakur, Rabenseifner, Gropp, 2005 (its short-message broadcast). */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    return cb_binomial_down(s->size, s->me, 1 << (rounds(s) - 1 - round), cb_one_block(0), out);
}

const cb_pattern cb_broadcast_binomial = {"binomial", CB_BROADCAST, CB_ANY_ORDER, 0, cb_one, rounds, steps};
