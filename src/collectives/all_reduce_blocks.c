/* All-reduce by blocks: a direct reduce-scatter, then a direct all-gather. Member j owns block j of the data: all send
 * it their piece of that block, it reduces the p pieces in tree order, and sends the result to all. Cost: 2*alpha*(p-1)
 * + 2*beta*n*(p-1)/p + gamma*n*(p-1)/p, in two rounds; scratch (p-1)*ceil(n/p). The bytes and sums are the least
 * possible, as in a ring; unlike a ring's, the order of sums is the same for every element. Any size, any count.
 * Source: Rabenseifner, "Optimization of collective reduction operations", ICCS 2004 (reduce-scatter + all-gather);
 * direct exchange instead of halving, because every block needs its pieces in one tree. */
#include "collectives/algorithms.h"

enum { SCATTER, GATHER, PHASES };

static int phases(int size) {
    (void)size;
    return PHASES;
}

static void *block(const cb_pending *p, int member) {
    int64_t begin = cb_block_begin(p->count, p->exchange.group->size, member);
    return (char *)p->data + begin * cb_type_bytes(p->exchange.type);
}

static int64_t block_count(const cb_pending *p, int member) {
    return cb_block_count(p->count, p->exchange.group->size, member);
}

static cb_err post(cb_pending *p) {
    cb_exchange *x = &p->exchange;
    const cb_group *group = x->group;
    const int64_t own = block_count(p, group->me);
    x->phase = p->phase;
    for (int i = 1; i < group->size; i++) {
        int from = cb_member_before(group, i);
        if (p->phase == SCATTER)
            TRY(cb_exchange_recv(x, from, cb_pending_piece(p, from - (from > group->me), own), own));
        else
            TRY(cb_exchange_recv(x, from, block(p, from), block_count(p, from)));
    }
    for (int i = 1; i < group->size; i++) {
        int to = cb_member_after(group, i), which = p->phase == SCATTER ? to : group->me;
        TRY(cb_exchange_send(x, to, block(p, which), block_count(p, which)));
    }
    return CB_OK;
}

static void settle(cb_pending *p) {
    if (p->phase != SCATTER) return;
    const cb_group *group = p->exchange.group;
    void *own = block(p, group->me);
    cb_pieces pieces = {.to = own,
                        .own = own,
                        .pieces = p->scratch,
                        .me = group->me,
                        .size = group->size,
                        .count = block_count(p, group->me)};
    cb_pieces_reduce(&pieces, p->exchange.type, p->op);
}

const cb_all_reduce_algorithm cb_all_reduce_blocks = {phases, post, settle};
