/* All-reduce by a binomial tree: sums go up to member 0, a child's after its parent's, and the result comes down the
 * same edges. In round r members r-th bit 0 (and no lower bit set) take from the member 2^r above, if there is one;
 * otherwise what they hold moves up unchanged: the balanced tree for any size. Cost: (2*alpha + 2*beta*n +
 * gamma*n)*ceil(log2 p) on the longest path; a member sends 1 message up (but 0) and 1 per child down; scratch n. For
 * small counts in groups whose size is not a power of two. Any count. Source: binomial trees as in Thakur,
 * Rabenseifner, Gropp, 2005. */
#include "collectives/algorithms.h"

/* Phases 0..rounds-1 go up, then one receives the result and one passes it on. */
static int phases(int size) {
    return cb_rounds(size) + 2;
}

static int own_bit(const cb_pending *p) {
    return cb_binomial_bit(p->exchange.group->size, p->exchange.group->me);
}

/* The child from which this member takes in the round of distance d, or -1. */
static int child_at(const cb_pending *p, int d) {
    int child = p->exchange.group->me + d;
    return d < own_bit(p) && child < p->exchange.group->size ? child : -1;
}

static cb_err post_up(cb_pending *p, int d) {
    int child = child_at(p, d), me = p->exchange.group->me;
    if (child >= 0) return cb_exchange_recv(&p->exchange, child, cb_pending_piece(p, 0, p->count), p->count);
    return d == own_bit(p) ? cb_exchange_send(&p->exchange, me - d, p->data, p->count) : CB_OK;
}

static cb_err post_down(cb_pending *p) {
    for (int d = own_bit(p) / 2; d > 0; d /= 2) {
        int child = child_at(p, d);
        if (child >= 0) TRY(cb_exchange_send(&p->exchange, child, p->data, p->count));
    }
    return CB_OK;
}

static cb_err post(cb_pending *p) {
    const cb_group *group = p->exchange.group;
    int rounds = cb_rounds(group->size);
    if (p->phase < rounds) return post_up(p, 1 << p->phase);
    p->exchange.phase = 1;
    if (p->phase > rounds) return post_down(p);
    return group->me ? cb_exchange_recv(&p->exchange, group->me - own_bit(p), p->data, p->count) : CB_OK;
}

static void settle(cb_pending *p) {
    if (p->phase >= cb_rounds(p->exchange.group->size) || child_at(p, 1 << p->phase) < 0) return;
    const void *operands[2] = {p->data, p->scratch};
    cb_device_host()->reduce(p->data, operands, 2, p->count, p->exchange.type, p->op);
}

const cb_all_reduce_algorithm cb_all_reduce_tree = {phases, post, settle};
