/* All-gather, direct: every member sends its part to every other, in one round.
 * Cost: alpha*(p-1) + beta*(p-1)*n, n the part of one member. Any size, any count.
 * Source: the bytes are those of a ring (Chan et al. 2007), without its p-1 dependent steps. */
#include "collectives/algorithms.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    (void)round;
    for (int i = 1; i < s->size; i++) {
        int to = (s->me + i) % s->size, from = cb_modulo(s->me - i, s->size);
        out[i - 1] = (cb_step){to, from, cb_one_block(s->me), cb_one_block(from), CB_PUT};
    }
    return s->size - 1;
}

const cb_pattern cb_all_gather_direct = {
    "direct", CB_ALL_GATHER, CB_ANY_ORDER, CB_STRAIGHT, cb_block_per_member, cb_one, steps};
