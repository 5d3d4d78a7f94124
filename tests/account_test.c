/* The time that communication costs a rank: a peer that is late is exposed, work between start and finish is
 * overlapped, nothing counts twice. Times are only held against each other: clocks are read before and after what is
 * counted. Two ranks, threads, or processes under mpiexec with CB_TEST_BACKEND=mpi. */
#include <stdlib.h>

#include "base/clock.h"
#include "collectives/collectives.h"
#include "support/test.h"

enum { COUNT = 10000 };
static const double slack_s = 1e-9; /* sums of doubles */

static void work(double seconds) {
    for (double start_s = cb_now_s(); cb_now_s() < start_s + seconds;) continue;
}

static cb_traffic traffic_of(const cb_group *group, cb_kind kind) {
    return *cb_comm_traffic(group->comm, group->purpose, kind);
}

static cb_err make(cb_group *group, cb_comm *comm, cb_purpose purpose) {
    int ranks[] = {0, 1};
    return cb_group_make(group, comm, purpose, ranks, 2);
}

/* Rank 0 waits for rank 1 from when it is in the operation, which its recorder knows, at least until rank 1 calls it.
 * Where rank 0 was not there first, as other things run on the machine, they try again. */
static cb_err late_peer(cb_group *dp, cb_group *world, float *data) {
    double late_s = 0;
    while (late_s <= 0) {
        double times_s[2], come_s[4];
        cb_comm_event event;
        cb_comm_recorder recorder = {.event = &event, .capacity = 1};
        TRY(cb_barrier(world));
        cb_comm_traffic_reset(dp->comm);
        cb_comm_record(dp->comm, &recorder);
        if (dp->me == 1) work(2e-3);
        times_s[0] = cb_now_s();
        TRY(cb_all_reduce(dp, data, COUNT, CB_F32, CB_SUM, NULL));
        double all_s = cb_now_s() - times_s[0];
        cb_comm_record(dp->comm, NULL);
        times_s[1] = event.begin_s;
        cb_traffic t = traffic_of(dp, CB_ALL_REDUCE);
        TRY(cb_all_gather(world, come_s, times_s, 2, CB_F64));
        late_s = come_s[2] - come_s[1]; /* rank 1's call after rank 0's begin */
        CHECK_INT(t.operations, 1);
        CHECK(t.exposed_s > 0 && t.exposed_s <= all_s + slack_s);
        CHECK(t.exposed_s >= event.end_s - event.begin_s);
        CHECK(t.overlapped_s == 0);
        if (dp->me == 0) CHECK(t.exposed_s >= late_s);
    }
    return CB_OK;
}

static cb_err overlap(cb_group *dp, cb_group *tp, float *data) {
    cb_pending pending[2];
    cb_comm_traffic_reset(dp->comm);
    double begin_s = cb_now_s();
    for (int i = 0; i < 2; i++) {
        TRY(cb_all_reduce_start(&pending[i], dp, data + i * COUNT, COUNT, CB_F32, CB_SUM, NULL));
    }
    double started_s = cb_now_s();
    work(1e-3);
    double worked_s = cb_now_s() - started_s;
    TRY(cb_barrier(tp)); /* is no work */
    for (int i = 0; i < 2; i++) TRY(cb_all_reduce_finish(&pending[i]));
    double all_s = cb_now_s() - begin_s;
    cb_traffic t = traffic_of(dp, CB_ALL_REDUCE), other = traffic_of(tp, CB_BARRIER);
    CHECK_INT(t.operations, 2);
    CHECK_INT(other.operations, 1);
    CHECK(t.overlapped_s >= worked_s - slack_s);
    CHECK(other.overlapped_s == 0 && other.exposed_s > 0);
    CHECK(t.overlapped_s + t.exposed_s + other.exposed_s <= all_s + slack_s);
    return CB_OK;
}

/* Moved on between pieces of work until it is through. */
static cb_err progress(cb_group *dp, float *data) {
    cb_pending pending;
    bool done = false;
    double worked_s = 0;
    cb_comm_traffic_reset(dp->comm);
    double begin_s = cb_now_s();
    TRY(cb_all_reduce_start(&pending, dp, data, COUNT, CB_F32, CB_SUM, NULL));
    while (!done) {
        double from_s = cb_now_s();
        work(1e-4);
        worked_s += cb_now_s() - from_s;
        TRY(cb_all_reduce_progress(&pending, &done));
    }
    cb_traffic t = traffic_of(dp, CB_ALL_REDUCE);
    work(1e-4);
    TRY(cb_all_reduce_finish(&pending));
    CHECK(t.overlapped_s >= worked_s - slack_s);
    CHECK(t.overlapped_s + t.exposed_s <= cb_now_s() - begin_s + slack_s);
    cb_traffic after = traffic_of(dp, CB_ALL_REDUCE); /* it had ended before */
    CHECK(after.overlapped_s == t.overlapped_s && after.exposed_s == t.exposed_s);
    return CB_OK;
}

/* Of messages the sender's are operations; they are under way until it notices that they were taken. */
static cb_err messages(cb_group *dp, float *data) {
    cb_req *req;
    cb_msg msg = {
        .peer = dp->ranks[1 - dp->me], .tag = 5, .purpose = CB_FOR_PP, .type = CB_F32, .count = COUNT, .data = data};
    cb_comm_traffic_reset(dp->comm);
    double begin_s = cb_now_s();
    TRY((dp->me == 0 ? cb_comm_isend : cb_comm_irecv)(dp->comm, &msg, &req));
    double posted_s = cb_now_s();
    work(1e-3);
    double worked_s = cb_now_s() - posted_s;
    TRY(cb_comm_wait(dp->comm, &req));
    double all_s = cb_now_s() - begin_s;
    cb_traffic t = *cb_comm_traffic(dp->comm, CB_FOR_PP, CB_SENDRECV);
    CHECK_INT(t.operations, dp->me == 0);
    CHECK(t.exposed_s > 0);
    if (dp->me == 0) CHECK(t.overlapped_s >= worked_s - slack_s);
    if (dp->me == 1) CHECK(t.overlapped_s == 0);
    CHECK(t.exposed_s + t.overlapped_s <= all_s + slack_s);
    return CB_OK;
}

/* Nothing is under way at the end of each, and a group of one costs nothing. */
static cb_err alone(cb_comm *comm, float *data) {
    int me = cb_comm_rank(comm);
    cb_group group;
    TRY(cb_group_make(&group, comm, CB_FOR_EMB, &me, 1));
    TRY(cb_all_reduce(&group, data, COUNT, CB_F32, CB_SUM, NULL));
    TRY(cb_barrier(&group));
    for (int kind = 0; kind < CB_KINDS; kind++) {
        cb_traffic t = traffic_of(&group, (cb_kind)kind);
        CHECK(t.operations == 0 && t.messages == 0 && t.exposed_s == 0 && t.overlapped_s == 0);
    }
    cb_group_free(&group);
    return CB_OK;
}

static cb_err all(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group dp, tp, world;
    float *data = calloc(2 * COUNT, sizeof *data);
    TRY(make(&dp, comm, CB_FOR_DP));
    TRY(make(&tp, comm, CB_FOR_TP));
    TRY(make(&world, comm, CB_FOR_WORLD));
    for (int i = 0; i < 20; i++) {
        TRY(late_peer(&dp, &world, data));
        TRY(overlap(&dp, &tp, data));
        TRY(progress(&dp, data));
        TRY(messages(&dp, data));
        TRY(alone(comm, data));
    }
    cb_group_free(&world);
    cb_group_free(&tp);
    cb_group_free(&dp);
    free(data);
    return CB_OK;
}

static void on_threads(void) {
    cb_launch launch = {.backend = "threads", .ranks = 2};
    CHECK_OK(cb_comm_launch(&launch, all, NULL));
    launch.checked = true;
    CHECK_OK(cb_comm_launch(&launch, all, NULL));
}

int main(void) {
    const char *backend = getenv("CB_TEST_BACKEND");
    if (backend && strcmp(backend, "mpi") == 0) {
        cb_launch launch = {.backend = "mpi"};
        CHECK_OK(cb_comm_launch(&launch, all, NULL));
        if (cb_comm_mpiexec_rank() == 0) return test_end();
        return atomic_load(&test_failed_) ? 1 : 0;
    }
    RUN(on_threads);
    return test_end();
}
