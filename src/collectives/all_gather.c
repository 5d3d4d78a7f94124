/* All-gather, direct: every member sends its part to every other, in one round.
 * Cost: alpha*(p-1) + beta*(p-1)*n, n the part of one member. Any size, any count.
 * Source: the bytes are those of a ring (Chan et al. 2007), without its p-1 dependent steps. */
#include <stdlib.h>

#include "collectives/algorithms.h"

static cb_err exchange(cb_exchange *x, char *to, const void *from, int64_t count) {
    const cb_group *group = x->group;
    int64_t bytes = count * cb_type_bytes(x->type);
    for (int i = 1; i < group->size; i++) {
        int member = cb_member_before(group, i);
        TRY(cb_exchange_recv(x, member, to + member * bytes, count));
    }
    for (int i = 1; i < group->size; i++) TRY(cb_exchange_send(x, cb_member_after(group, i), from, count));
    cb_device_host()->copy(to + group->me * bytes, from, bytes);
    return cb_exchange_wait(x);
}

cb_err cb_all_gather(cb_group *group, void *to, const void *from, int64_t count, cb_type type) {
    if (group->board) {
        cb_call call = {.kind = CB_ALL_GATHER, .type = type, .count = count, .from = from, .to = to};
        return cb_exchange_meet_and_part(group, &call);
    }
    cb_req **reqs = malloc((size_t)(2 * group->size) * sizeof *reqs);
    if (!reqs) return cb_fail(CB_ENOMEM, "all-gather over %d ranks: no memory for the requests", group->size);
    cb_exchange x = cb_exchange_begin(group, CB_ALL_GATHER, type, reqs, 2 * group->size);
    cb_err e = cb_exchange_end(&x, exchange(&x, to, from, count));
    free(reqs);
    return e;
}
