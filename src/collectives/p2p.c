/* Blocking send and receive between two members. They take no number of the group's operations, as the others do not
 * take part; a tag of their own and the order per pair keep them apart. Cost: alpha + beta*n. The send lasts until the
 * receiver has taken the data. */
#include "collectives/algorithms.h"

static cb_exchange exchange_of(cb_group *group, cb_type type, cb_req **req) {
    return (cb_exchange){
        .group = group, .kind = CB_SENDRECV, .type = type, .phase = CB_PHASE_P2P, .reqs = req, .room = 1};
}

cb_err cb_send(cb_group *group, const void *data, int64_t count, cb_type type, int to) {
    cb_req *req;
    cb_exchange x = exchange_of(group, type, &req);
    cb_err e = cb_exchange_send(&x, to, data, count);
    return cb_exchange_end(&x, e ? e : cb_exchange_wait(&x));
}

cb_err cb_recv(cb_group *group, void *data, int64_t count, cb_type type, int from) {
    cb_req *req;
    cb_exchange x = exchange_of(group, type, &req);
    cb_err e = cb_exchange_recv(&x, from, data, count);
    return cb_exchange_end(&x, e ? e : cb_exchange_wait(&x));
}
