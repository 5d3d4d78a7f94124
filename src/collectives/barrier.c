/* Barrier by dissemination: in round r a member tells the one 2^r after it and hears from the one 2^r before; after
 * ceil(log2 p) rounds it has heard, by others, from all.
 * Cost: alpha*ceil(log2 p), messages without data. Groups up to 16384 members (14 phases).
 * Source: Hensgen, Finkel, Manber, "Two algorithms for barrier synchronization", 1988. */
#include <stddef.h>

#include "collectives/algorithms.h"

static const cb_call call = {.kind = CB_BARRIER, .type = CB_U8};

static cb_err exchange(cb_exchange *x) {
    const int size = x->group->size;
    if (size > 1) TRY(cb_group_announce(x->group, x->sequence, &call));
    for (int r = 0; r < cb_rounds(size); r++) {
        int distance = (1 << r) % size;
        x->phase = r;
        TRY(cb_exchange_recv(x, cb_modulo(x->group->me - distance, size), NULL, 0));
        TRY(cb_exchange_send(x, (x->group->me + distance) % size, NULL, 0));
        TRY(cb_exchange_wait(x));
    }
    return CB_OK;
}

cb_err cb_barrier(cb_group *group) {
    if (group->board) return cb_exchange_meet_and_part(group, &call);
    cb_req *reqs[2];
    cb_exchange x = cb_exchange_begin(group, CB_BARRIER, CB_U8, false, reqs, 2);
    return cb_exchange_end(&x, exchange(&x));
}
