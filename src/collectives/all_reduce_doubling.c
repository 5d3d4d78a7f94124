/* All-reduce by recursive doubling: in round r the members whose indices differ in bit r exchange all they have and
 * both reduce it, the lower index first. After round r a member holds the reduction of its aligned group of 2^(r+1),
 * which is exactly a node of the balanced tree. Cost: (alpha + beta*n + gamma*n)*log2(p), in log2(p) rounds; scratch n.
 * For small counts in groups whose size is a power of two. Any count. Source: Thakur, Rabenseifner, Gropp,
 * "Optimization of collective communication operations in MPICH", 2005. */
#include <assert.h>

#include "collectives/algorithms.h"

static int phases(int size) {
    assert((size & (size - 1)) == 0);
    return cb_rounds(size);
}

static cb_err post(cb_pending *p) {
    int partner = p->exchange.group->me ^ 1 << p->phase;
    TRY(cb_exchange_recv(&p->exchange, partner, cb_pending_piece(p, 0, p->count), p->count));
    return cb_exchange_send(&p->exchange, partner, p->data, p->count);
}

static void settle(cb_pending *p) {
    bool lower = !(p->exchange.group->me & 1 << p->phase);
    const void *operands[2] = {lower ? p->data : p->scratch, lower ? p->scratch : p->data};
    cb_device_host()->reduce(p->data, operands, 2, p->count, p->exchange.type, p->op);
}

const cb_all_reduce_algorithm cb_all_reduce_doubling = {phases, post, settle};
