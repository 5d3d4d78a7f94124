/* Messages of a collective operation, as requests in order of posting; see exchange.h. */
#include "collectives/exchange.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

#include "base/clock.h"

void cb_exchange_open(cb_exchange *x) {
    cb_group *group = x->group;
    if (group->size == 1) return;
    x->counted = true;
    cb_comm_enter(group->comm);
    cb_comm_begin_operation(group->comm, group->purpose, x->kind);
    x->event = cb_comm_event_begin(group->comm, group->purpose, x->kind, -1, (int)(x->sequence & 0x7fffffff));
}

cb_exchange cb_exchange_begin(cb_group *group, cb_kind kind, cb_type type, bool meets, cb_req **reqs, int room) {
    cb_exchange x = {
        .group = group, .kind = kind, .type = type, .sequence = group->sequence++, .reqs = reqs, .room = room};
    if (!meets) cb_exchange_open(&x);
    return x;
}

/* The first pause is when the first messages are posted; after the others the operation was moved on and is not
 * through. */
void cb_exchange_pause(cb_exchange *x) {
    cb_comm_event *event = x->event;
    if (event && event->wait_s == event->begin_s)
        event->posted_s = cb_now_s();
    else if (event)
        event->beside_s += cb_now_s() - event->wait_s;
    if (event) event->wait_s = INFINITY;
    if (x->counted) cb_comm_leave(x->group->comm, x->group->purpose, x->kind);
}

void cb_exchange_resume(cb_exchange *x) {
    if (x->counted) cb_comm_enter(x->group->comm);
    if (x->event) x->event->wait_s = cb_now_s();
}

static cb_msg message(const cb_exchange *x, int member, void *data, int64_t count) {
    assert(member >= 0 && member < x->group->size && member != x->group->me);
    assert(count >= 0 && x->posted < x->room);
    return (cb_msg){.peer = x->group->ranks[member],
                    .tag = cb_tag_collective(x->group->purpose, x->sequence, x->phase),
                    .purpose = x->group->purpose,
                    .kind = x->kind,
                    .type = x->type,
                    .count = count,
                    .data = data,
                    .note = (int)(x->sequence & 0x7fffffff)};
}

cb_err cb_exchange_recv(cb_exchange *x, int from, void *data, int64_t count) {
    cb_msg msg = message(x, from, data, count);
    TRY(cb_comm_irecv(x->group->comm, &msg, &x->reqs[x->posted]));
    x->posted++;
    return CB_OK;
}

cb_err cb_exchange_send(cb_exchange *x, int to, const void *data, int64_t count) {
    cb_msg msg = message(x, to, (void *)data, count); /* a send only reads */
    TRY(cb_comm_isend(x->group->comm, &msg, &x->reqs[x->posted]));
    if (x->event) x->event->bytes += count * cb_type_bytes(x->type);
    x->posted++;
    return CB_OK;
}

cb_err cb_exchange_wait(cb_exchange *x) {
    for (int i = 0; i < x->posted; i++) TRY(cb_comm_wait(x->group->comm, &x->reqs[i]));
    x->posted = 0;
    return CB_OK;
}

cb_err cb_exchange_test(cb_exchange *x, bool *done) {
    *done = true;
    for (int i = 0; i < x->posted; i++) {
        bool through = true;
        if (x->reqs[i]) TRY(cb_comm_test(x->group->comm, &x->reqs[i], &through));
        *done = *done && through;
    }
    if (*done) x->posted = 0;
    return CB_OK;
}

cb_err cb_exchange_end(cb_exchange *x, cb_err e) {
    cb_comm *comm = x->group->comm;
    assert(e || x->posted == 0);
    if (x->event) cb_comm_event_end(x->event);
    if (e) cb_comm_abort(comm);
    for (int i = 0; i < x->posted; i++)
        if (x->reqs[i]) cb_err_free(cb_comm_wait(comm, &x->reqs[i]));
    if (x->counted) {
        cb_comm_end_operation(comm, x->group->purpose, x->kind);
        cb_comm_leave(comm, x->group->purpose, x->kind);
    }
    x->event = NULL;
    x->counted = false;
    x->posted = 0;
    return e;
}
