/* Reduce-scatter the way back of Bruck's all-gather: rounds in the opposite order, and what a member got there it sends
 * here, to be added. In round r, from the last to 0, a member sends the sums of the blocks from 2^r after its own on to
 * the member 2^r after it.
 * Cost: alpha*ceil(log2 p) + (beta + gamma)*(p-1)*n, n the block of one member. Any size, any count; no fixed order.
 * Source: Bruck et al. 1997; J. L. Traeff, "Optimal, non-pipelined reduce-scatter and allreduce algorithms", 2024. */
#include "collectives/algorithms.h"

static int rounds(const cb_shape *s) {
    return cb_rounds(s->size);
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int p = s->size, d = 1 << (rounds(s) - 1 - round), n = p - d < d ? p - d : d;
    out[0] = (cb_step){(s->me + d) % p, cb_modulo(s->me - d, p), cb_block_range((s->me + d) % p, n), cb_block_range(s->me, n), CB_ADD};
    return 1;
}

const cb_pattern cb_reduce_scatter_bruck = {
    "bruck", CB_REDUCE_SCATTER, CB_ANY_ORDER, 0, cb_block_per_member, rounds, steps};
