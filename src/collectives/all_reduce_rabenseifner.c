/* All-reduce by recursive halving and doubling: a reduce-scatter in which each round sends half of what is left to the
 * member whose place differs in one bit, the highest first, and an all-gather the same way back. Sizes that are no power
 * of two are folded as in all_reduce_doubling.c.
 * Cost: 2*alpha*log2(p) + 2*beta*n*(p-1)/p + gamma*n*(p-1)/p; for other p two more alpha + beta*n and gamma*n. Any size,
 * any count. Source: Rabenseifner, "Optimization of collective reduction operations", ICCS 2004. */
#include "collectives/algorithms.h"

static int blocks(const cb_shape *s) {
    return 1 << cb_fold_rounds(s->size);
}

static int rounds(const cb_shape *s) {
    return 2 * cb_fold_rounds(s->size) + 2 * cb_fold_is_needed(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int q = blocks(s), halvings = cb_fold_rounds(s->size);
    int folded = cb_fold_steps(s, &round, rounds(s), cb_block_range(0, q), out);
    if (folded >= 0) return folded;
    const int place = cb_fold_place(s->size, s->me);
    const bool halves = round < halvings;
    const int distance = halves ? q >> (round + 1) : 1 << (round - halvings);
    const int partner = cb_fold_member(s->size, place ^ distance);
    const cb_blocks mine = cb_block_range(place & -distance, distance), theirs = cb_block_range((place ^ distance) & -distance, distance);
    out[0] = halves ? (cb_step){partner, partner, theirs, mine, CB_ADD}
                    : (cb_step){partner, partner, mine, theirs, CB_PUT};
    return 1;
}

const cb_pattern cb_all_reduce_rabenseifner = {
    "rabenseifner", CB_ALL_REDUCE, CB_ANY_ORDER, 0, blocks, rounds, steps};
