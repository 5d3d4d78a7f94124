/* The checking wrapper finds every breach of the contract that one or two ranks can commit, and says it from both
 * views. */
#include "comm/comm.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "support/faulty.h"
#include "support/test.h"

static cb_err launch_checked(int ranks, cb_rank_fn fn, void *arg) {
    cb_launch launch = {.backend = "threads", .ranks = ranks, .checked = true};
    return cb_comm_launch(&launch, fn, arg);
}

/* Rank 0 sends one view of a message, rank 2 expects the other; rank 1 waits for the end. */
static cb_err two_views(cb_comm *comm, void *arg) {
    const cb_msg *views = arg;
    int me = cb_comm_rank(comm);
    cb_req *req;
    if (me == 1) {
        while (true) {
            TRY(cb_comm_alive(comm));
            faulty_sleep(1e-3);
        }
    }
    float data[4096] = {0};
    cb_msg msg = views[me == 0 ? 0 : 1];
    msg.peer = 2 - me;
    msg.data = data;
    if (me == 0) TRY(cb_comm_isend(comm, &msg, &req));
    if (me == 2) TRY(cb_comm_irecv(comm, &msg, &req));
    cb_err e = cb_comm_wait(comm, &req);
    if (me == 2) return e;
    cb_err_free(e); /* the sender may know of a wrong size; here the receiver's view is looked at */
    while (!(e = cb_comm_alive(comm))) faulty_sleep(1e-3);
    return e;
}

static void views_are_compared(void) {
    const cb_msg base = {
        .tag = 7, .purpose = CB_FOR_TP, .kind = CB_ALL_REDUCE, .type = CB_F32, .count = 1024, .note = 12};
    for (int field = 0; field < 6; field++) {
        cb_msg views[2] = {base, base};
        if (field == 0) views[0].purpose = CB_FOR_DP;
        if (field == 1) views[0].kind = CB_ALL_GATHER;
        if (field == 2) views[0].type = CB_I32; /* of the same size */
        if (field == 3) views[0].count = 512;
        if (field == 4) views[0].count = 2048;
        if (field == 5) views[0].note = 13;
        char want[160];
        snprintf(want, sizeof want,
                 "rank 2: rank 2 expects all-reduce #12 over tp of 1024 f32 from rank 0, which sent %s #%d over %s of "
                 "%lld %s",
                 cb_kind_name(views[0].kind), views[0].note, cb_purpose_name(views[0].purpose),
                 (long long)views[0].count, cb_type_name(views[0].type));
        CHECK_FAILS(launch_checked(3, two_views, views), CB_EMISMATCH, want);
    }
}

static cb_err breaks_own_buffer(cb_comm *comm, void *arg) {
    int index = *(int *)arg;
    uint8_t data[1000] = {0};
    cb_req *send, *receive;
    cb_msg msg = {.tag = 1, .purpose = CB_FOR_DP, .type = CB_U8, .count = 1000, .data = data};
    uint8_t in[1000];
    cb_msg in_msg = msg;
    in_msg.data = in;
    TRY(cb_comm_irecv(comm, &in_msg, &receive));
    TRY(cb_comm_isend(comm, &msg, &send));
    data[index] ^= 1;
    CHECK_FAILS(cb_comm_wait(comm, &send), CB_EMISMATCH,
                "rank 0 changed a buffer between isend to rank 0 and wait (dp send/recv");
    return cb_comm_wait(comm, &receive);
}

/* Sends before the receive is posted, so the receiver gets what the sender made of it meanwhile. */
static cb_err breaks_message(cb_comm *comm, void *arg) {
    (void)arg;
    int32_t data[4] = {1, 2, 3, 4}, in[4];
    cb_req *send, *receive;
    cb_msg msg = {.tag = 1, .purpose = CB_FOR_PP, .type = CB_I32, .count = 4, .data = data};
    cb_msg in_msg = msg;
    in_msg.data = in;
    TRY(cb_comm_isend(comm, &msg, &send));
    data[3] = 5;
    TRY(cb_comm_irecv(comm, &in_msg, &receive));
    data[3] = 4;
    CHECK_OK(cb_comm_wait(comm, &send));
    return cb_comm_wait(comm, &receive);
}

static void buffers_are_watched(void) {
    for (int index = 0; index < 1000; index += 333) CHECK_OK(launch_checked(1, breaks_own_buffer, &index));
    CHECK_FAILS(launch_checked(1, breaks_message, NULL), CB_EMISMATCH,
                "rank 0 got other bytes from rank 0 than were given to isend (pp send/recv, microbatch 0, 16 bytes)");
}

static cb_err reads_too_early(cb_comm *comm, void *arg) {
    (void)arg;
    float in[3] = {1, 2, 3}, out[2] = {4, 5};
    cb_req *send, *receive;
    cb_msg msg = {.tag = 1, .purpose = CB_FOR_PP, .type = CB_F32, .count = 2, .data = in};
    TRY(cb_comm_irecv(comm, &msg, &receive));
    CHECK(isnan(in[0]) && isnan(in[1]) && in[2] == 3);
    msg.data = out;
    TRY(cb_comm_isend(comm, &msg, &send));
    TRY(cb_comm_wait(comm, &receive));
    TRY(cb_comm_wait(comm, &send));
    CHECK(in[0] == 4 && in[1] == 5 && in[2] == 3);
    return CB_OK;
}

static void receives_are_poisoned(void) {
    CHECK_OK(launch_checked(1, reads_too_early, NULL));
}

static cb_err waits_twice(cb_comm *comm, void *arg) {
    bool by_test = *(bool *)arg, done;
    int32_t data = 1, in;
    cb_req *reqs[2], *copies[2];
    cb_msg msg = {
        .tag = 1, .purpose = CB_FOR_DP, .kind = CB_BROADCAST, .type = CB_I32, .count = 1, .data = &data, .note = 3};
    for (int i = 0; i < 2; i++) {
        TRY(i == 0 ? cb_comm_isend(comm, &msg, &reqs[i]) : cb_comm_irecv(comm, &msg, &reqs[i]));
        copies[i] = reqs[i];
        msg.data = &in;
    }
    for (int i = 0; i < 2; i++) TRY(cb_comm_wait(comm, &reqs[i]));
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(by_test ? cb_comm_test(comm, &copies[i], &done) : cb_comm_wait(comm, &copies[i]), CB_EMISMATCH,
                    "rank 0 used a request with rank 0 again after its end (last: dp broadcast, #3, 4 bytes)");
        CHECK(!copies[i]);
    }
    return CB_OK;
}

static void requests_end_once(void) {
    for (int by_test = 0; by_test < 2; by_test++) CHECK_OK(launch_checked(1, waits_twice, &(bool){by_test}));
}

/* The request is through, only never waited for: an error all the same. */
static cb_err forgets(cb_comm *comm, void *arg) {
    (void)arg;
    int32_t data = 1, in;
    cb_req *send, *receive;
    cb_msg msg = {.tag = 1, .purpose = CB_FOR_DP, .type = CB_I32, .count = 1, .data = &data};
    TRY(cb_comm_isend(comm, &msg, &send));
    msg.data = &in;
    TRY(cb_comm_irecv(comm, &msg, &receive));
    return cb_comm_wait(comm, &receive);
}

static void nothing_is_left(void) {
    CHECK_FAILS(launch_checked(1, forgets, NULL), CB_EMISMATCH,
                "rank 0: rank 0 ended with 1 message under way, the first to rank 0 (dp send/recv, #0, 4 bytes)");
}

/* Only one side is checked: its letters meet the other's data. */
static cb_err wrap_rank_0(cb_comm *inner, void *arg, cb_comm **outer) {
    if (inner->rank == 0) return cb_checked_wrap(inner, arg, outer);
    *outer = inner;
    return CB_OK;
}

static cb_err half_checked(cb_comm *comm, void *arg) {
    (void)arg;
    uint8_t data[64] = {0};
    cb_req *req;
    if (cb_comm_rank(comm) == 1) { /* of a letter's size, so only its content tells */
        cb_msg msg = {.peer = 0, .tag = 1, .type = CB_U8, .count = *(int *)arg, .data = data};
        TRY(cb_comm_isend(comm, &msg, &req));
        return cb_comm_wait(comm, &req);
    }
    cb_msg msg = {.peer = 1, .tag = 1, .type = CB_U8, .count = 4, .data = data};
    TRY(cb_comm_irecv(comm, &msg, &req));
    return cb_comm_wait(comm, &req);
}

static void unchecked_peers_are_found(void) {
    cb_launch launch = {.backend = "threads", .ranks = 2};
    int letter_bytes = 40;
    CHECK_FAILS(cb_comm_launch_wrapped(&launch, wrap_rank_0, NULL, half_checked, &letter_bytes), CB_EMISMATCH,
                "rank 0: rank 0 got from rank 1, tag 1, something that is not a checked message");
}

int main(void) {
    RUN(views_are_compared);
    RUN(buffers_are_watched);
    RUN(receives_are_poisoned);
    RUN(requests_end_once);
    RUN(nothing_is_left);
    RUN(unchecked_peers_are_found);
    return test_end();
}
