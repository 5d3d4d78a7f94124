/* Counters of an endpoint; see account.h. */
#include "comm/account.h"

#include <string.h>

#include "base/clock.h"
#include "comm/comm_backend.h"

void cb_comm_enter(cb_comm *comm) {
    cb_account *a = &comm->account;
    if (a->inside++ > 0) return;
    a->entered_s = cb_now_s();
    a->free_s += a->entered_s - a->left_s;
}

void cb_comm_leave(cb_comm *comm, cb_purpose purpose, cb_kind kind) {
    cb_account *a = &comm->account;
    if (--a->inside > 0) return;
    a->left_s = cb_now_s();
    comm->traffic[purpose][kind].exposed_s += a->left_s - a->entered_s;
}

void cb_comm_begin_operation(cb_comm *comm, cb_purpose purpose, cb_kind kind) {
    cb_account *a = &comm->account;
    comm->traffic[purpose][kind].operations++;
    if (a->under_way[purpose][kind]++ == 0) a->free_before_s[purpose][kind] = a->free_s;
}

void cb_comm_end_operation(cb_comm *comm, cb_purpose purpose, cb_kind kind) {
    cb_account *a = &comm->account;
    if (--a->under_way[purpose][kind] > 0) return;
    if (a->inside == 0) { /* noticed in passing: the time until now was free */
        double now_s = cb_now_s();
        a->free_s += now_s - a->left_s;
        a->left_s = now_s;
    }
    comm->traffic[purpose][kind].overlapped_s += a->free_s - a->free_before_s[purpose][kind];
}

void cb_traffic_add(cb_traffic *to, const cb_traffic *more) {
    to->operations += more->operations;
    to->messages += more->messages;
    to->bytes += more->bytes;
    to->exposed_s += more->exposed_s;
    to->overlapped_s += more->overlapped_s;
}

const cb_traffic *cb_comm_traffic(const cb_comm *comm, cb_purpose purpose, cb_kind kind) {
    return &comm->traffic[purpose][kind];
}

void cb_comm_traffic_reset(cb_comm *comm) {
    memset(comm->traffic, 0, sizeof comm->traffic);
}
