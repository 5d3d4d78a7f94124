/* comm: conformance of every backend, here on threads. */
#include "comm/comm.h"

#include "support/test.h"

static cb_err ring(cb_comm *comm, void *arg) {
    int rounds = *(int *)arg, me = cb_comm_rank(comm), size = cb_comm_size(comm);
    for (int i = 0; i < rounds; i++) {
        int out = me * 1000 + i, in = -1;
        cb_req *reqs[2];
        cb_msg msg = {
            .peer = (me + 1) % size, .tag = 7, .purpose = CB_FOR_WORLD, .type = CB_I32, .count = 1, .data = &out};
        TRY(cb_comm_isend(comm, &msg, &reqs[0]));
        msg.peer = (me + size - 1) % size;
        msg.data = &in;
        TRY(cb_comm_irecv(comm, &msg, &reqs[1]));
        TRY(cb_comm_wait(comm, &reqs[1]));
        TRY(cb_comm_wait(comm, &reqs[0]));
        CHECK_INT(in, msg.peer * 1000 + i);
    }
    return CB_OK;
}

static void rings(void) {
    for (int size = 1; size <= 8; size++) {
        cb_launch launch = {.backend = "threads", .ranks = size};
        int rounds = 50;
        CHECK_OK(cb_comm_launch(&launch, ring, &rounds));
    }
}

static cb_err failing(cb_comm *comm, void *arg) {
    int out = 0, me = cb_comm_rank(comm), size = cb_comm_size(comm);
    if (me == *(int *)arg) return cb_fail(CB_EIO, "disk on fire");
    cb_msg msg = {.peer = (me + 1) % size, .tag = 7, .type = CB_I32, .count = 1, .data = &out};
    cb_req *req;
    TRY(cb_comm_irecv(comm, &msg, &req));
    return cb_comm_wait(comm, &req);
}

static void fails(void) {
    for (int size = 1; size <= 8; size++)
        for (int culprit = 0; culprit < size; culprit++) {
            cb_launch launch = {.backend = "threads", .ranks = size};
            char want[64];
            snprintf(want, sizeof want, "rank %d: disk on fire", culprit);
            CHECK_FAILS(cb_comm_launch(&launch, failing, &culprit), CB_EIO, want);
        }
}

int main(void) {
    RUN(rings);
    RUN(fails);
    return test_end();
}
