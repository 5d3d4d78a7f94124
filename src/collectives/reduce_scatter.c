/* Reduce-scatter, direct: every member sends block j to member j, which reduces the p pieces in tree order.
 * Cost: alpha*(p-1) + beta*(p-1)*n + gamma*(p-1)*n, n the block of one member, in one round; allocates (p-1)*n.
 * Any size, any count.
 * Source: the pairwise exchange of Thakur, Rabenseifner, Gropp, 2005, with the sums put off until all pieces are there.
 */
#include <stdlib.h>

#include "collectives/algorithms.h"

static cb_err exchange(cb_exchange *x, char *pieces, const char *from, int64_t count) {
    const cb_group *group = x->group;
    int64_t bytes = count * cb_type_bytes(x->type);
    for (int i = 1; i < group->size; i++) {
        int member = cb_member_before(group, i);
        TRY(cb_exchange_recv(x, member, pieces + (member - (member > group->me)) * bytes, count));
    }
    for (int i = 1; i < group->size; i++) {
        int member = cb_member_after(group, i);
        TRY(cb_exchange_send(x, member, from + member * bytes, count));
    }
    return cb_exchange_wait(x);
}

cb_err cb_reduce_scatter(cb_group *group, void *to, const void *from, int64_t count, cb_type type, cb_reduce_op op) {
    if (group->board) {
        cb_call call = {.kind = CB_REDUCE_SCATTER, .type = type, .op = op, .count = count, .from = from, .to = to};
        return cb_exchange_meet_and_part(group, &call);
    }
    const int size = group->size;
    const int64_t bytes = count * cb_type_bytes(type);
    cb_req **reqs = malloc((size_t)(2 * size) * sizeof *reqs);
    char *pieces = malloc((size_t)((size - 1) * bytes) + 1);
    cb_err e = CB_OK;
    if (reqs && pieces) {
        cb_exchange x = cb_exchange_begin(group, CB_REDUCE_SCATTER, type, reqs, 2 * size);
        e = cb_exchange_end(&x, exchange(&x, pieces, from, count));
        cb_pieces all = {.to = to,
                         .own = (const char *)from + group->me * bytes,
                         .pieces = pieces,
                         .me = group->me,
                         .size = size,
                         .count = count};
        if (!e) cb_pieces_reduce(&all, type, op);
    } else {
        e = cb_fail(CB_ENOMEM, "reduce-scatter over %d ranks: no %lld bytes for the pieces", size,
                    (long long)((size - 1) * bytes));
    }
    free(pieces);
    free(reqs);
    return e;
}
