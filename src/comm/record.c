/* The events of a rank's messages and operations; see record.h. */
#include "comm/record.h"

#include "base/clock.h"
#include "comm/comm_backend.h"

void cb_comm_record(cb_comm *comm, cb_comm_recorder *recorder) {
    comm->recorder = recorder;
}

cb_comm_event *cb_comm_event_begin(cb_comm *comm, cb_purpose purpose, cb_kind kind, int peer, int note) {
    cb_comm_recorder *r = comm->recorder;
    if (!r) return NULL;
    if (r->count == r->capacity) {
        r->lost++;
        return NULL;
    }
    double now_s = cb_now_s();
    cb_comm_event *event = &r->event[r->count++];
    *event = (cb_comm_event){.begin_s = now_s,
                             .posted_s = now_s,
                             .wait_s = now_s,
                             .end_s = now_s,
                             .purpose = (int32_t)purpose,
                             .kind = (int32_t)kind,
                             .peer = peer,
                             .note = note};
    return event;
}

void cb_comm_event_end(cb_comm_event *event) {
    event->end_s = cb_now_s();
    if (event->wait_s > event->end_s) event->wait_s = event->end_s;
}
