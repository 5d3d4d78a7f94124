/* What happens to a world when a rank fails, hangs, leaves early or calls an abort: everybody ends soon, the cause is
 * told with its rank, and no peer touches the memory of one that has given up. On threads; "comm_faults_test NAME"
 * under mpiexec runs one such world for tests/mpi_faults.sh, which looks at what is printed and how it ends. */
#include <pthread.h>
#include <unistd.h>

#include "base/rng.h"
#include "comm/comm.h"
#include "support/faulty.h"
#include "support/test.h"

static cb_launch threads(int ranks, double deadline_s) {
    return (cb_launch){.backend = "threads", .ranks = ranks, .deadline_s = deadline_s};
}

static cb_msg pp_msg(int peer, void *data, int64_t count) {
    return (cb_msg){
        .peer = peer, .tag = 7, .purpose = CB_FOR_PP, .type = CB_F32, .count = count, .data = data, .note = 4};
}

static int next_of(cb_comm *comm) {
    return (cb_comm_rank(comm) + 1) % cb_comm_size(comm);
}

static cb_err recv_from(cb_comm *comm, int peer) {
    float in;
    cb_req *req;
    cb_msg msg = pp_msg(peer, &in, 1);
    TRY(cb_comm_irecv(comm, &msg, &req));
    return cb_comm_wait(comm, &req);
}

static cb_err send_to(cb_comm *comm, int peer) {
    float out = 1;
    cb_req *req;
    cb_msg msg = pp_msg(peer, &out, 1);
    TRY(cb_comm_isend(comm, &msg, &req));
    return cb_comm_wait(comm, &req);
}

static cb_err poll_from(cb_comm *comm, int peer) {
    float in;
    cb_req *req;
    cb_msg msg = pp_msg(peer, &in, 1);
    TRY(cb_comm_irecv(comm, &msg, &req));
    for (bool done = false; !done; faulty_sleep(1e-4)) TRY(cb_comm_test(comm, &req, &done));
    return CB_OK;
}

/* One rank fails */

typedef struct failure {
    int culprit;
    cb_err (*others)(cb_comm *comm, int peer); /* never succeeds */
    bool late_error;                           /* the others turn the echo into an error of their own */
} failure;

static cb_err one_fails(cb_comm *comm, void *arg) {
    const failure *f = arg;
    if (cb_comm_rank(comm) == f->culprit) return cb_fail(CB_EIO, "the disk is full");
    cb_err e = f->others(comm, next_of(comm) == f->culprit ? cb_comm_rank(comm) : next_of(comm));
    if (!CHECK(e && cb_err_code(e) == CB_EPEER)) return e;
    if (!f->late_error) return e;
    cb_err_free(e);
    return cb_fail(CB_EIO, "an error that comes of the first");
}

/* Sends to itself and the next, receives from itself and the next: none is ever answered. */
static void first_error_wins(void) {
    cb_err (*const blocked[])(cb_comm *, int) = {recv_from, send_to, poll_from};
    for (int size = 1; size <= 8; size++)
        for (int culprit = 0; culprit < size; culprit++)
            for (int variant = 0; variant < 12; variant++) {
                failure f = {culprit, blocked[variant % 3], variant / 6};
                cb_launch launch = threads(size, 0);
                launch.checked = variant / 3 % 2;
                char want[96];
                snprintf(want, sizeof want, "rank %d: the disk is full", culprit);
                CHECK_FAILS(cb_comm_launch(&launch, one_fails, &f), CB_EIO, want);
            }
}

static cb_err aborts_and_tries(cb_comm *comm, void *arg) {
    (void)arg;
    float data[2] = {0};
    cb_req *open[2], *req;
    cb_msg msg = pp_msg(next_of(comm), &data[0], 1), other = pp_msg(next_of(comm), &data[1], 1);
    other.tag = 8;
    TRY(cb_comm_irecv(comm, &msg, &open[0]));
    TRY(cb_comm_isend(comm, &other, &open[1]));
    TRY(cb_comm_alive(comm));
    cb_comm_abort(comm);
    cb_comm_abort(comm);
    bool done = false;
    CHECK_FAILS(cb_comm_alive(comm), CB_EPEER, "rank 0 ended the world");
    CHECK_FAILS(cb_comm_isend(comm, &msg, &req), CB_EPEER, "rank 0 ended the world");
    CHECK_FAILS(cb_comm_irecv(comm, &msg, &req), CB_EPEER, "rank 0 ended the world");
    CHECK_FAILS(cb_comm_wait(comm, &open[0]), CB_EPEER, "rank 0 ended the world");
    CHECK_FAILS(cb_comm_test(comm, &open[1], &done), CB_EPEER, "rank 0 ended the world");
    CHECK(done && !open[0] && !open[1]);
    return cb_comm_alive(comm);
}

static void every_call_fails_after_an_abort(void) {
    cb_launch launch = threads(1, 0);
    CHECK_FAILS(cb_comm_launch(&launch, aborts_and_tries, NULL), CB_EPEER, "rank 0: rank 0 ended the world");
    launch.checked = true;
    CHECK_FAILS(cb_comm_launch(&launch, aborts_and_tries, NULL), CB_EPEER, "rank 0: rank 0 ended the world");
}

static void *watchdog(void *comm) {
    faulty_sleep(0.02);
    cb_comm_abort(comm);
    return NULL;
}

static cb_err watched(cb_comm *comm, void *arg) {
    (void)arg;
    pthread_t thread;
    if (cb_comm_rank(comm) != 1) return recv_from(comm, next_of(comm));
    if (pthread_create(&thread, NULL, watchdog, comm)) return cb_fail(CB_ENOMEM, "no thread for the test");
    cb_err e = send_to(comm, next_of(comm)); /* is never taken: all others receive from their next */
    pthread_join(thread, NULL);
    return e;
}

static void abort_from_another_thread(void) {
    for (int size = 3; size <= 8; size++) {
        cb_launch launch = threads(size, 0);
        CHECK_FAILS(cb_comm_launch(&launch, watched, NULL), CB_EPEER, "rank 1 ended the world");
    }
}

/* Deadlines */

static cb_err one_hangs(cb_comm *comm, void *arg) {
    (void)arg;
    if (cb_comm_rank(comm) == 1) {
        while (true) { /* computes, and looks now and then whether the others are there */
            TRY(cb_comm_alive(comm));
            faulty_sleep(1e-3);
        }
    }
    static float data[786432];
    cb_req *reqs[2];
    cb_msg msg = pp_msg(1, data, 786432);
    TRY(cb_comm_irecv(comm, &msg, &reqs[0]));
    TRY(cb_comm_isend(comm, &msg, &reqs[1]));
    cb_err e = cb_comm_wait(comm, &reqs[0]);
    CHECK(!reqs[0]);
    CHECK_FAILS(cb_comm_wait(comm, &reqs[1]), CB_ETIMEOUT, "rank 0 has already given up at a deadline");
    CHECK_FAILS(cb_comm_isend(comm, &msg, &reqs[1]), CB_ETIMEOUT, "rank 0 has already given up at a deadline");
    return e;
}

static cb_err circle(cb_comm *comm, void *arg) {
    return (*(cb_err(**)(cb_comm *, int))arg)(comm, next_of(comm));
}

static void deadlines(void) {
    cb_launch launch = threads(2, 0.05);
    CHECK_FAILS(cb_comm_launch(&launch, one_hangs, NULL), CB_ETIMEOUT,
                "rank 0: rank 0 waited 0.05 s for a message from rank 1 (pp send/recv, microbatch 4, 3145728 bytes); "
                "rank 1 does not wait for anyone");
    cb_err (*blocked)(cb_comm *, int) = send_to;
    launch = threads(3, 0.05);
    CHECK_FAILS(cb_comm_launch(&launch, circle, &blocked), CB_ETIMEOUT,
                "waited 0.05 s for a message to be taken by rank");
    launch.checked = true;
    CHECK_FAILS(cb_comm_launch(&launch, circle, &blocked), CB_ETIMEOUT,
                "waited 0.05 s for a message to be taken by rank");
}

/* Whom the peer waits for is told too. On a busy machine the peer may not wait yet: then once more, with more time. */
static void chains_of_waits(void) {
    cb_err (*blocked)(cb_comm *, int) = recv_from;
    cb_err e = CB_OK;
    for (double deadline_s = 0.02; deadline_s < 10; deadline_s *= 2) {
        cb_launch launch = threads(3, deadline_s);
        cb_err_free(e);
        e = cb_comm_launch(&launch, circle, &blocked);
        if (e && strstr(cb_err_text(e), "waits for rank")) break;
    }
    CHECK_FAILS(e, CB_ETIMEOUT, "waits for rank");
}

/* Ranks that end too early. The deadline is a minute: that these end at once is seen by the test's own time limit. */

static cb_err one_ends(cb_comm *comm, void *arg) {
    int me = cb_comm_rank(comm);
    if (me == 0) return CB_OK;
    if (me == 1) return (*(cb_err(**)(cb_comm *, int))arg)(comm, 0);
    return recv_from(comm, 1);
}

static cb_err leaves_messages(cb_comm *comm, void *arg) {
    static float data[4];
    cb_req *req;
    cb_msg msg = pp_msg(0, data, 2);
    msg.tag = 9; /* nobody else's */
    if (cb_comm_rank(comm) == *(int *)arg) {
        TRY(cb_comm_irecv(comm, &msg, &req));
        msg.data = data + 2;
        return cb_comm_isend(comm, &msg, &req);
    }
    return recv_from(comm, next_of(comm));
}

static void early_ends(void) {
    cb_err (*const blocked[])(cb_comm *, int) = {recv_from, poll_from, send_to};
    for (int variant = 0; variant < 6; variant++) {
        cb_err (*way)(cb_comm *, int) = blocked[variant / 2];
        cb_launch launch = threads(3, 0);
        launch.checked = variant % 2;
        CHECK_FAILS(cb_comm_launch(&launch, one_ends, &way), CB_EMISMATCH,
                    way == send_to ? "rank 1: rank 1 has a message for rank 0"
                                   : "rank 1: rank 1 expects a message from rank 0");
        CHECK_FAILS(cb_comm_launch(&launch, one_ends, &way), CB_EMISMATCH, "but rank 0 has ended");
    }
    for (int culprit = 0; culprit < 3; culprit++) {
        cb_launch launch = threads(3, 0);
        char want[96];
        snprintf(want, sizeof want, "rank %d: rank %d ended with 2 messages under way, the first from", culprit,
                 culprit);
        CHECK_FAILS(cb_comm_launch(&launch, leaves_messages, &culprit), CB_EMISMATCH, want);
        launch.checked = true;
        CHECK_FAILS(cb_comm_launch(&launch, leaves_messages, &culprit), CB_EMISMATCH, want);
    }
}

/* Rank 0's buffers are overwritten and freed as soon as its wait fails, while rank 1 may be about to take them. */

static cb_err gives_up(cb_comm *comm, void *arg) {
    enum { COUNT = 1 << 18 };
    cb_rng_key key = {.seed = *(const uint32_t *)arg, .stream = (uint32_t)cb_comm_rank(comm)};
    if (cb_comm_rank(comm) > 0) faulty_sleep(3e-4 * cb_rng_uniform(key, 0));
    if (cb_comm_rank(comm) == 2) return cb_fail(CB_EIO, "the disk is full");
    int32_t *data = malloc(2 * sizeof *data * COUNT);
    if (!data) return cb_fail(CB_ENOMEM, "no memory for the test");
    for (int i = 0; i < 2 * COUNT; i++) data[i] = i;
    cb_req *reqs[2] = {NULL, NULL};
    cb_err e = CB_OK;
    for (int i = 0; i < 2 && !e; i++) {
        cb_msg msg = pp_msg(1 - cb_comm_rank(comm), data + i * COUNT, COUNT);
        e = cb_comm_rank(comm) == 0 ? cb_comm_isend(comm, &msg, &reqs[i]) : cb_comm_irecv(comm, &msg, &reqs[i]);
    }
    for (int i = 0; i < 2 && !e; i++) e = cb_comm_wait(comm, &reqs[i]);
    int wrong = 0;
    for (int i = 0; !e && i < 2 * COUNT; i++) wrong += data[i] != i;
    CHECK_INT(wrong, 0);
    memset(data, 0xEE, 2 * sizeof *data * COUNT);
    free(data);
    return e ? e : cb_comm_alive(comm);
}

static void memory_is_let_go(void) {
    cb_launch launch = threads(3, 0);
    for (uint32_t seed = 0; seed < 150; seed++)
        CHECK_FAILS(cb_comm_launch(&launch, gives_up, &seed), CB_EIO, "rank 2: the disk is full");
}

/* Injected faults: every message of a program is hit once. */

enum { ROUNDS = 3 };

static cb_err exchanges(cb_comm *comm, void *arg) {
    (void)arg;
    int me = cb_comm_rank(comm), size = cb_comm_size(comm), before = (me + size - 1) % size;
    for (int i = 0; i < ROUNDS; i++) {
        float out = (float)(10 * me + i), in = -1;
        cb_req *reqs[2];
        cb_msg send = pp_msg(next_of(comm), &out, 1), receive = pp_msg(before, &in, 1);
        TRY(cb_comm_isend(comm, &send, &reqs[0]));
        TRY(cb_comm_irecv(comm, &receive, &reqs[1]));
        TRY(cb_comm_wait(comm, &reqs[1]));
        TRY(cb_comm_wait(comm, &reqs[0]));
        CHECK_INT(in, 10 * before + i);
    }
    return CB_OK;
}

static void injected_faults(void) {
    for (int size = 2; size <= 4; size++)
        for (int rank = 0; rank < size; rank++)
            for (int call = 0; call < 2 * ROUNDS; call++)
                for (int checked = 0; checked < 2; checked++) {
                    cb_launch launch = threads(size, 0);
                    launch.checked = checked;
                    faulty_plan plan = {.kind = FAULTY_ERROR, .rank = rank, .call = call};
                    char want[96];
                    snprintf(want, sizeof want, "rank %d: injected at message %d", rank, call);
                    CHECK_FAILS(cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, exchanges, NULL), CB_EIO, want);
                    plan.kind = FAULTY_SLEEP;
                    plan.sleep_s = 1e-3;
                    CHECK_OK(cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, exchanges, NULL));
                    launch.deadline_s = 0.02;
                    plan.kind = FAULTY_LOST;
                    cb_err e = cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, exchanges, NULL);
                    if (checked && e &&
                        cb_err_code(e) == CB_EMISMATCH) /* the half that was not lost meets the next one */
                        CHECK_FAILS(e, CB_EMISMATCH, "rank ");
                    else
                        CHECK_FAILS(e, CB_ETIMEOUT, "rank ");
                }
}

static void bad_launches(void) {
    cb_launch launch = threads(0, 0);
    CHECK_FAILS(cb_comm_launch(&launch, exchanges, NULL), CB_EINVAL, "comm 'threads' with 0 ranks; it runs 1 to 65536");
    launch = (cb_launch){.backend = "pigeons", .ranks = 2};
    CHECK_FAILS(cb_comm_launch(&launch, exchanges, NULL), CB_EUSAGE,
                "comm 'pigeons' is not known; the nearest are 'mpi' and 'threads'. There are: threads, mpi");
    launch = threads(2, 0);
    launch.stack_bytes = 100;
    CHECK_FAILS(cb_comm_launch(&launch, exchanges, NULL), CB_EINVAL,
                "cannot start rank 0 of 2 with a stack of 100 bytes");
    launch.stack_bytes = (int64_t)1 << 62;
    CHECK_FAILS(cb_comm_launch(&launch, exchanges, NULL), CB_ENOMEM, "cannot start rank 0 of 2");
}

static void many_ranks(void) {
    cb_launch launch = threads(400, 0);
    CHECK_OK(cb_comm_launch(&launch, exchanges, NULL));
    failure f = {399, recv_from, false};
    CHECK_FAILS(cb_comm_launch(&launch, one_fails, &f), CB_EIO, "rank 399: the disk is full");
}

/* Under mpiexec */

static cb_err fails_1(cb_comm *comm, void *arg) {
    (void)arg;
    return cb_comm_rank(comm) == 1 ? cb_fail(CB_EIO, "the disk is full") : recv_from(comm, 1);
}

static cb_err usage_1(cb_comm *comm, void *arg) {
    (void)arg;
    return cb_comm_rank(comm) == 1 ? cb_fail(CB_EINVAL, "3 heads over 2 ranks") : recv_from(comm, 1);
}

static cb_err hangs_1(cb_comm *comm, void *arg) {
    (void)arg;
    if (cb_comm_rank(comm) == 1) faulty_sleep(60);
    return recv_from(comm, 1);
}

/* Rank 1 ends the world at once and says why a little later: the others must not print that they are echoes. */
static cb_err aborts_1(cb_comm *comm, void *arg) {
    (void)arg;
    if (cb_comm_rank(comm) != 1) return recv_from(comm, 1);
    cb_comm_abort(comm);
    faulty_sleep(0.5);
    return cb_fail(CB_ENONFINITE, "the loss is not finite");
}

static cb_err ends_1(cb_comm *comm, void *arg) {
    (void)arg;
    return cb_comm_rank(comm) == 1 ? CB_OK : recv_from(comm, 1);
}

static cb_err differs_1(cb_comm *comm, void *arg) {
    (void)arg;
    float data[8] = {0};
    int me = cb_comm_rank(comm);
    cb_req *req;
    if (me > 1) return recv_from(comm, 0);
    cb_msg msg = pp_msg(1 - me, data, me == 1 ? 2 : 8);
    TRY(me == 1 ? cb_comm_irecv(comm, &msg, &req) : cb_comm_isend(comm, &msg, &req));
    TRY(cb_comm_wait(comm, &req));
    return recv_from(comm, 1);
}

static cb_err leaves_1(cb_comm *comm, void *arg) {
    (void)arg;
    int one = 1;
    return leaves_messages(comm, &one);
}

static int under_mpiexec(const char *name) {
    static const struct {
        const char *name;
        cb_rank_fn fn;
        int ranks;
        faulty_plan plan;
    } modes[] = {{"fails", fails_1, 0, {0}},
                 {"usage", usage_1, 0, {0}},
                 {"hangs", hangs_1, 0, {0}},
                 {"aborts", aborts_1, 0, {0}},
                 {"ends", ends_1, 0, {0}},
                 {"differs", differs_1, 0, {0}},
                 {"leaves", leaves_1, 0, {0}},
                 {"killed", exchanges, 0, {.kind = FAULTY_KILL, .rank = 1, .call = 3}},
                 {"injected", exchanges, 0, {.kind = FAULTY_ERROR, .rank = 1, .call = 3}},
                 {"succeeds", exchanges, 0, {0}},
                 {"wrong-number", exchanges, 17, {0}}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(modes[i].name, name) != 0) continue;
        cb_launch launch = {.backend = "mpi", .ranks = modes[i].ranks, .deadline_s = 1.5};
        faulty_plan plan = modes[i].plan;
        cb_err e = cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, modes[i].fn, NULL);
        int code = cb_err_exit_code(e);
        if (e && cb_comm_mpiexec_rank() == 0) fprintf(stderr, "error: %s\n", cb_err_text(e));
        cb_err_free(e);
        return code;
    }
    fprintf(stderr, "no fault '%s'\n", name);
    return 3;
}

int main(int argc, char **argv) {
    if (argc > 1) return under_mpiexec(argv[1]);
    RUN(first_error_wins);
    RUN(every_call_fails_after_an_abort);
    RUN(abort_from_another_thread);
    RUN(deadlines);
    RUN(chains_of_waits);
    RUN(early_ends);
    RUN(memory_is_let_go);
    RUN(injected_faults);
    RUN(bad_launches);
    RUN(many_ranks);
    return test_end();
}
