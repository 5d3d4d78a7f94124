/* Reduce-scatter, direct: every member sends block j to member j, which reduces the p pieces in tree order.
 * Cost: alpha*(p-1) + beta*(p-1)*n + gamma*(p-1)*n, n the block of one member, in one round; scratch (p-1)*n.
 * Any size, any count.
 * Source: the pairwise exchange of Thakur, Rabenseifner, Gropp, 2005, with the sums put off until all pieces are there.
 */
#include "collectives/algorithms.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    (void)round;
    for (int i = 1; i < s->size; i++) {
        int to = (s->me + i) % s->size, from = cb_modulo(s->me - i, s->size);
        out[i - 1] = (cb_step){to, from, cb_one_block(to), cb_one_block(s->me), CB_TREE};
    }
    return s->size - 1;
}

const cb_pattern cb_reduce_scatter_direct = {
    "direct", CB_REDUCE_SCATTER, CB_TREE_ORDER, CB_STRAIGHT, cb_block_per_member, cb_one, steps};
