/* Broadcast by a binomial tree over the members counted from the root.
 * Cost: (alpha + beta*n)*ceil(log2 p) on the longest path; a member sends one message of n per child. Any size, any
 * count, any root. Source: Thakur, Rabenseifner, Gropp, 2005 (its short-message broadcast). */
#include <assert.h>

#include "collectives/algorithms.h"

/* v: this member's place counted from the root */
static cb_err exchange(cb_exchange *x, void *data, int64_t count, int root, int v) {
    const int size = x->group->size, bit = cb_binomial_bit(size, v);
    if (v > 0) {
        TRY(cb_exchange_recv(x, (v - bit + root) % size, data, count));
        TRY(cb_exchange_wait(x));
    }
    for (int d = bit / 2; d > 0; d /= 2)
        if (v + d < size) TRY(cb_exchange_send(x, (v + d + root) % size, data, count));
    return cb_exchange_wait(x);
}

cb_err cb_broadcast(cb_group *group, void *data, int64_t count, cb_type type, int root) {
    assert(root >= 0 && root < group->size);
    if (group->board) {
        cb_call call = {.kind = CB_BROADCAST, .type = type, .root = root, .count = count, .from = data, .to = data};
        return cb_exchange_meet_and_part(group, &call);
    }
    cb_req *reqs[32];
    cb_exchange x = cb_exchange_begin(group, CB_BROADCAST, type, reqs, 32);
    int v = (group->me - root + group->size) % group->size;
    return cb_exchange_end(&x, exchange(&x, data, count, root, v));
}
