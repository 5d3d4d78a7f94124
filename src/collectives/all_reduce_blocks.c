/* All-reduce by blocks: a direct reduce-scatter, then a direct all-gather. Member j owns block j of the data: all send
 * it their piece of that block, it reduces the p pieces in tree order, and sends the result to all. Cost: 2*alpha*(p-1)
 * + 2*beta*n*(p-1)/p + gamma*n*(p-1)/p, in two rounds; scratch (p-1)*ceil(n/p). The bytes and sums are the least
 * possible, as in a ring; unlike a ring's, the order of sums is the same for every element. Any size, any count.
 * Source: Rabenseifner, "Optimization of collective reduction operations", ICCS 2004 (reduce-scatter + all-gather);
 * direct exchange instead of halving, because every block needs its pieces in one tree. */
#include "collectives/algorithms.h"

static int steps(const cb_shape *s, int round, cb_step *out) {
    for (int i = 1; i < s->size; i++) {
        int to = (s->me + i) % s->size, from = cb_modulo(s->me - i, s->size);
        out[i - 1] = round == 0 ? (cb_step){to, from, cb_one_block(to), cb_one_block(s->me), CB_TREE}
                                : (cb_step){to, from, cb_one_block(s->me), cb_one_block(from), CB_PUT};
    }
    return s->size - 1;
}

const cb_pattern cb_all_reduce_blocks = {"blocks", CB_ALL_REDUCE, CB_TREE_ORDER, 0, cb_block_per_member, cb_two, steps};
