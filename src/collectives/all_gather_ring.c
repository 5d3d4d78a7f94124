/* All-gather by a ring: in p-1 steps every member hands on to the next what it got last.
 * Cost: alpha*(p-1) + beta*(p-1)*n, n the part of one member; messages between neighbours only. Any size, any count.
 * Source: Chan, Heimlich, Purkayastha, van de Geijn, 2007. */
#include "collectives/algorithms.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int p = s->size;
    out[0] = (cb_step){(s->me + 1) % p, cb_modulo(s->me - 1, p), cb_one_block(cb_modulo(s->me - round, p)),
                       cb_one_block(cb_modulo(s->me - round - 1, p)), CB_PUT};
    return 1;
}

const cb_pattern cb_all_gather_ring = {
    "ring", CB_ALL_GATHER, CB_ANY_ORDER, 0, cb_block_per_member, cb_all_but_one, steps};
