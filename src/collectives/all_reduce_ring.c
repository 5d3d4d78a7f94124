/* All-reduce by a ring: a reduce-scatter in p-1 steps, in which the sum of each block goes once around and every member
 * adds its own, then an all-gather in p-1 steps.
 * Cost: 2*alpha*(p-1) + 2*beta*n*(p-1)/p + gamma*n*(p-1)/p, every step between neighbours. Any size, any count.
 * The sum of each block begins at another member: no fixed order.
 * Source: P. Patarasuk, X. Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return 2 * (s->size - 1);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int next = (s->me + 1) % s->size, before = cb_modulo(s->me - 1, s->size), p = s->size;
    const bool reduces = round < p - 1;
    const int lag = reduces ? round : round - (p - 1) - 1; /* the gathered block has come from one further */
    out[0] = (cb_step){next, before, cb_one_block(cb_modulo(s->me - lag, p)), cb_one_block(cb_modulo(s->me - lag - 1, p)),
                       reduces ? CB_ADD : CB_PUT};
    return 1;
}

const cb_pattern cb_all_reduce_ring = {"ring", CB_ALL_REDUCE, CB_ANY_ORDER, 0, cb_block_per_member, rounds, steps};
