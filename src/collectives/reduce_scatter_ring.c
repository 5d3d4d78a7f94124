/* Reduce-scatter by a ring: the sum of block j sets out at member j+1 and comes to member j after p-1 steps.
 * Cost: (alpha + beta*n + gamma*n)*(p-1), n the block of one member. Any size, any count; no fixed order.
 * Source: Chan, Heimlich, Purkayastha, van de Geijn, 2007. */
#include "collectives/algorithms.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int p = s->size;
    out[0] = (cb_step){(s->me + 1) % p, cb_modulo(s->me - 1, p), cb_one_block(cb_modulo(s->me - round - 1, p)),
                       cb_one_block(cb_modulo(s->me - round - 2, p)), CB_ADD};
    return 1;
}

const cb_pattern cb_reduce_scatter_ring = {
    "ring", CB_REDUCE_SCATTER, CB_ANY_ORDER, 0, cb_block_per_member, cb_all_but_one, steps};
