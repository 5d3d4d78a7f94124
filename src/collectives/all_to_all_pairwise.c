/* All-to-all, pairwise: in step k a member sends to the one k after it and receives from the one k before it.
 * Cost: (alpha + beta*n)*(p-1), n the block for one member. Any size, any count.
 * Source: Thakur, Rabenseifner, Gropp, 2005 (its long-message all-to-all). */
#include "collectives/algorithms.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int to = (s->me + round + 1) % s->size, from = cb_modulo(s->me - round - 1, s->size);
    out[0] = (cb_step){to, from, cb_one_block(to), cb_one_block(from), CB_PUT};
    return 1;
}

const cb_pattern cb_all_to_all_pairwise = {
    "pairwise", CB_ALL_TO_ALL, CB_ANY_ORDER, CB_STRAIGHT, cb_block_per_member, cb_all_but_one, steps};
