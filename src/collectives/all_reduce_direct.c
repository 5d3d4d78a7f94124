/* All-reduce, direct: every member sends its whole data to every other, and each reduces all of it in tree order.
 * Cost: alpha*(p-1) + beta*(p-1)*n + gamma*(p-1)*n, in one round; scratch (p-1)*n.
 * For small counts in small groups, where a second round would cost more than the bytes. Any size, any count.
 * Source: all-to-all broadcast with local reduction, e.g. Chan, Heimlich, Purkayastha, van de Geijn, "Collective
 * communication: theory, practice, and experience", 2007. */
#include "collectives/algorithms.h"

static int phases(int size) {
    (void)size;
    return 1;
}

static cb_err post(cb_pending *p) {
    cb_exchange *x = &p->exchange;
    const cb_group *group = x->group;
    for (int i = 1; i < group->size; i++) {
        int from = cb_member_before(group, i);
        TRY(cb_exchange_recv(x, from, cb_pending_piece(p, from - (from > group->me), p->count), p->count));
    }
    for (int i = 1; i < group->size; i++) TRY(cb_exchange_send(x, cb_member_after(group, i), p->data, p->count));
    return CB_OK;
}

static void settle(cb_pending *p) {
    const cb_group *group = p->exchange.group;
    cb_pieces pieces = {
        .to = p->data, .own = p->data, .pieces = p->scratch, .me = group->me, .size = group->size, .count = p->count};
    cb_pieces_reduce(&pieces, p->exchange.type, p->op);
}

const cb_all_reduce_algorithm cb_all_reduce_direct = {phases, post, settle};
