/* All-reduce, direct: every member sends its whole data to every other, and each reduces all of it in tree order.
 * Cost: alpha*(p-1) + beta*(p-1)*n + gamma*(p-1)*n, in one round; scratch (p-1)*n.
 * For small counts in small groups, where a second round would cost more than the bytes. Any size, any count.
 * Source: all-to-all broadcast with local reduction, e.g. Chan, Heimlich, Purkayastha, van de Geijn, "Collective
 * communication: theory, practice, and experience", 2007. */
#include "collectives/algorithms.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    (void)round;
    for (int i = 1; i < s->size; i++)
        out[i - 1] = (cb_step){(s->me + i) % s->size, cb_modulo(s->me - i, s->size), cb_one_block(0), cb_one_block(0),
                               CB_TREE};
    return s->size - 1;
}

const cb_pattern cb_all_reduce_direct = {"direct", CB_ALL_REDUCE, CB_TREE_ORDER, 0, cb_one, cb_one, steps};
