/* Conformance of a comm backend: order, many messages under way, sizes from nothing to 64 MiB, polling, counters,
 * random traffic. On threads, plain and checked, for 1 to 8 ranks; with CB_TEST_BACKEND=mpi under mpiexec all of it in
 * one launch (CB_TEST_CHECKED=1: checked). Failures that end a world are in comm_faults_test.c. */
#include "comm/comm.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "support/test.h"

static cb_msg msg_of(int peer, int tag, void *data, int64_t count) {
    return (cb_msg){.peer = peer,
                    .tag = tag,
                    .purpose = CB_FOR_WORLD,
                    .kind = CB_SENDRECV,
                    .type = CB_I32,
                    .count = count,
                    .data = data,
                    .note = tag};
}

static cb_err send_now(cb_comm *comm, int peer, int tag, int value) {
    cb_req *req;
    cb_msg msg = msg_of(peer, tag, &value, 1);
    TRY(cb_comm_isend(comm, &msg, &req));
    return cb_comm_wait(comm, &req);
}

static cb_err recv_now(cb_comm *comm, int peer, int tag, int *value) {
    cb_req *req;
    cb_msg msg = msg_of(peer, tag, value, 1);
    TRY(cb_comm_irecv(comm, &msg, &req));
    return cb_comm_wait(comm, &req);
}

/* Every rank sends 20 numbers on each of 3 tags to every rank, itself too; they are received tag by tag from the last
 * tag, and in order within a tag. */
static cb_err order_per_tag(cb_comm *comm, void *arg) {
    (void)arg;
    enum { TAGS = 3, EACH = 20, MAX = 8 };
    int me = cb_comm_rank(comm), size = cb_comm_size(comm);
    static const int tags[TAGS] = {0, 77, (1 << 21) - 1};
    int out[MAX][TAGS][EACH];
    cb_req *sends[MAX][TAGS][EACH];
    for (int i = 0; i < EACH; i++)
        for (int peer = 0; peer < size; peer++)
            for (int t = 0; t < TAGS; t++) {
                out[peer][t][i] = me * 1000000 + peer * 10000 + t * 100 + i;
                cb_msg msg = msg_of(peer, tags[t], &out[peer][t][i], 1);
                TRY(cb_comm_isend(comm, &msg, &sends[peer][t][i]));
            }
    for (int t = TAGS - 1; t >= 0; t--)
        for (int i = 0; i < EACH; i++)
            for (int peer = size - 1; peer >= 0; peer--) {
                int in = -1;
                TRY(recv_now(comm, peer, tags[t], &in));
                CHECK_INT(in, peer * 1000000 + me * 10000 + t * 100 + i);
            }
    for (int i = 0; i < size * TAGS * EACH; i++)
        TRY(cb_comm_wait(comm, &sends[i / (TAGS * EACH)][i / EACH % TAGS][i % EACH]));
    return CB_OK;
}

/* 300 messages of one tag under way in a ring, waited for from the last. */
static cb_err many_outstanding(cb_comm *comm, void *arg) {
    (void)arg;
    enum { EACH = 300 };
    int me = cb_comm_rank(comm), size = cb_comm_size(comm), next = (me + 1) % size, before = (me + size - 1) % size;
    int out[EACH], in[EACH];
    cb_req *sends[EACH], *receives[EACH];
    for (int i = 0; i < EACH; i++) {
        out[i] = me * EACH + i;
        cb_msg send = msg_of(next, 5, &out[i], 1), receive = msg_of(before, 5, &in[i], 1);
        if (me % 2) TRY(cb_comm_irecv(comm, &receive, &receives[i]));
        TRY(cb_comm_isend(comm, &send, &sends[i]));
        if (me % 2 == 0) TRY(cb_comm_irecv(comm, &receive, &receives[i]));
    }
    for (int i = EACH - 1; i >= 0; i--) {
        TRY(cb_comm_wait(comm, &receives[i]));
        TRY(cb_comm_wait(comm, &sends[i]));
        CHECK(!receives[i] && !sends[i]);
        CHECK_INT(in[i], before * EACH + i);
    }
    return CB_OK;
}

static cb_err nothing_to_send(cb_comm *comm, void *arg) {
    (void)arg;
    int me = cb_comm_rank(comm), size = cb_comm_size(comm), in = 17;
    cb_req *send, *receive, *null = NULL;
    cb_msg out_msg = msg_of((me + 1) % size, 1, NULL, 0), in_msg = msg_of((me + size - 1) % size, 1, &in, 0);
    TRY(cb_comm_isend(comm, &out_msg, &send));
    TRY(cb_comm_irecv(comm, &in_msg, &receive));
    TRY(cb_comm_wait(comm, &receive));
    TRY(cb_comm_wait(comm, &send));
    CHECK_INT(in, 17);
    bool done = false;
    CHECK_OK(cb_comm_wait(comm, &null));
    CHECK_OK(cb_comm_test(comm, &null, &done));
    CHECK(done);
    return CB_OK;
}

/* Rank i sends 100 * i + j + 1 numbers to rank j; every element is checked. */
static cb_err all_to_all(cb_comm *comm, void *arg) {
    (void)arg;
    enum { MAX = 8, MOST = 100 * MAX };
    int me = cb_comm_rank(comm), size = cb_comm_size(comm), wrong = 0;
    int32_t *data = malloc(2 * MAX * MOST * sizeof *data);
    if (!data) return cb_fail(CB_ENOMEM, "no memory for the test");
    cb_req *reqs[2 * MAX];
    for (int peer = 0; peer < size; peer++) {
        int32_t *in = data + peer * MOST, *out = data + (MAX + peer) * MOST;
        for (int i = 0; i < 100 * me + peer + 1; i++) out[i] = me * 7919 + peer * 104729 + i;
        cb_msg receive = msg_of(peer, 9, in, 100 * peer + me + 1), send = msg_of(peer, 9, out, 100 * me + peer + 1);
        TRY(cb_comm_irecv(comm, &receive, &reqs[2 * peer]));
        TRY(cb_comm_isend(comm, &send, &reqs[2 * peer + 1]));
    }
    for (int i = 0; i < 2 * size; i++) TRY(cb_comm_wait(comm, &reqs[i]));
    for (int peer = 0; peer < size; peer++)
        for (int i = 0; i < 100 * peer + me + 1; i++) wrong += data[peer * MOST + i] != peer * 7919 + me * 104729 + i;
    CHECK_INT(wrong, 0);
    free(data);
    return CB_OK;
}

/* Two receives are open; the second one's message comes only after an answer to the first: whoever is done is taken. */
static cb_err wait_any(cb_comm *comm, void *arg) {
    (void)arg;
    int me = cb_comm_rank(comm), size = cb_comm_size(comm), last = size - 1, go = 0;
    if (size < 2) return CB_OK;
    if (me == last) {
        TRY(send_now(comm, 0, 2, 22)); /* tag 1 is posted first, but tag 2 comes first */
        TRY(recv_now(comm, 0, 3, &go));
        return send_now(comm, 0, 1, 11);
    }
    if (me != 0) return CB_OK;
    int in[2] = {0, 0}, taken = 0;
    cb_req *reqs[2];
    for (int i = 0; i < 2; i++) {
        cb_msg msg = msg_of(last, i + 1, &in[i], 1);
        TRY(cb_comm_irecv(comm, &msg, &reqs[i]));
    }
    double start_s = cb_now_s();
    while (taken < 2 && cb_now_s() < start_s + 60) {
        for (int i = 0; i < 2; i++) {
            bool done = false, was_open = reqs[i];
            TRY(cb_comm_test(comm, &reqs[i], &done));
            if (done == (reqs[i] != NULL)) return cb_fail(CB_EINVAL, "test says %d, the request %d", done, !reqs[i]);
            if (!done || !was_open) continue;
            CHECK_INT(in[i], i == 0 ? 11 : 22);
            CHECK_INT(taken++, i == 1 ? 0 : 1);
            if (i == 1) TRY(send_now(comm, last, 3, 1));
        }
    }
    CHECK_INT(taken, 2);
    return CB_OK;
}

/* Both neighbours send 64 MiB before they receive: a send must not wait for the receiver. */
static cb_err large_head_to_head(cb_comm *comm, void *arg) {
    (void)arg;
    enum { COUNT = 16 << 20 };
    int me = cb_comm_rank(comm), peer = me ^ 1;
    if (me > 1 || cb_comm_size(comm) < 2) return CB_OK;
    int32_t *out = malloc(2 * (size_t)COUNT * sizeof *out), *in = out + COUNT;
    if (!out) return cb_fail(CB_ENOMEM, "no memory for the test");
    for (int i = 0; i < COUNT; i++) out[i] = i ^ (me << 28);
    cb_req *send, *receive;
    cb_msg out_msg = msg_of(peer, 4, out, COUNT), in_msg = msg_of(peer, 4, in, COUNT);
    TRY(cb_comm_isend(comm, &out_msg, &send));
    TRY(cb_comm_irecv(comm, &in_msg, &receive));
    TRY(cb_comm_wait(comm, &send));
    TRY(cb_comm_wait(comm, &receive));
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) wrong += in[i] != (i ^ (peer << 28));
    CHECK_INT(wrong, 0);
    free(out);
    return CB_OK;
}

/* Rank 1 answers late, so rank 0 waits; on a busy machine rank 0 may be later still: it asks until it has waited. */
static cb_err wait_is_counted(cb_comm *comm, void *arg) {
    (void)arg;
    int me = cb_comm_rank(comm), again = 1, answer = 0;
    if (cb_comm_size(comm) < 2 || me > 1) return CB_OK;
    const cb_traffic *traffic = cb_comm_traffic(comm, CB_FOR_WORLD, CB_SENDRECV);
    cb_comm_traffic_reset(comm);
    for (int attempt = 0; again; attempt++) {
        if (me == 0) {
            again = traffic->exposed_s == 0 && attempt < 1000;
            TRY(send_now(comm, 1, 1, again));
            if (again) TRY(recv_now(comm, 1, 2, &answer));
        } else {
            TRY(recv_now(comm, 0, 1, &again));
            for (double start_s = cb_now_s(); cb_now_s() < start_s + 2e-3;) continue;
            if (again) TRY(send_now(comm, 0, 2, 1));
        }
    }
    if (me == 0) CHECK(traffic->exposed_s > 0);
    return CB_OK;
}

static cb_err counters(cb_comm *comm, void *arg) {
    (void)arg;
    int me = cb_comm_rank(comm), size = cb_comm_size(comm);
    cb_comm_traffic_reset(comm);
    double out[10] = {0}, in[10];
    cb_req *send, *receive;
    cb_msg out_msg = {.peer = (me + 1) % size,
                      .tag = 3,
                      .purpose = CB_FOR_EMB,
                      .kind = CB_ALL_REDUCE,
                      .type = CB_F64,
                      .count = 10,
                      .data = out};
    cb_msg in_msg = out_msg;
    in_msg.peer = (me + size - 1) % size;
    in_msg.data = in;
    for (int i = 0; i < 3; i++) {
        TRY(cb_comm_irecv(comm, &in_msg, &receive));
        TRY(cb_comm_isend(comm, &out_msg, &send));
        TRY(cb_comm_wait(comm, &receive));
        TRY(cb_comm_wait(comm, &send));
    }
    for (int p = 0; p < CB_PURPOSES; p++)
        for (int k = 0; k < CB_KINDS; k++) {
            const cb_traffic *traffic = cb_comm_traffic(comm, (cb_purpose)p, (cb_kind)k);
            bool ring = p == CB_FOR_EMB && k == CB_ALL_REDUCE;
            CHECK_INT(traffic->messages, ring ? 3 : 0);
            CHECK_INT(traffic->bytes, ring ? 240 : 0);
        }
    cb_comm_traffic_reset(comm);
    CHECK_INT(cb_comm_traffic(comm, CB_FOR_EMB, CB_ALL_REDUCE)->bytes, 0);
    return CB_OK;
}

/* Sizes that disagree are found, in both directions, by the receiver at least, and the world goes on. */
static cb_err wrong_sizes(cb_comm *comm, void *arg) {
    (void)arg;
    int me = cb_comm_rank(comm), data[16] = {0};
    if (cb_comm_size(comm) < 2 || me > 1) return CB_OK;
    for (int round = 0; round < 2; round++) {
        cb_req *req;
        cb_msg msg = msg_of(me ^ 1, 6, data, (me == 0) == (round == 0) ? 16 : 4);
        if (me == 0) {
            TRY(cb_comm_isend(comm, &msg, &req));
            cb_err e = cb_comm_wait(comm, &req);
            if (cb_comm_in_process(comm))
                CHECK_FAILS(e, CB_EMISMATCH, round == 0 ? "rank 0 sends to rank 1 64 bytes" : "which expects 64 bytes");
            else
                cb_err_free(e);
        } else {
            TRY(cb_comm_irecv(comm, &msg, &req));
            CHECK_FAILS(cb_comm_wait(comm, &req), CB_EMISMATCH, "rank 1 expects ");
        }
        CHECK(!req);
    }
    int value = 0; /* a fresh tag: nothing is left over on the old one either */
    return me == 0 ? send_now(comm, 1, 6, 5) : recv_now(comm, 0, 6, &value);
}

static cb_err bad_arguments(cb_comm *comm, void *arg) {
    (void)arg;
    int data = 0, size = cb_comm_size(comm);
    cb_req *req = NULL;
    cb_msg bad = msg_of(size, 0, &data, 1);
    CHECK_FAILS(cb_comm_isend(comm, &bad, &req), CB_EINVAL, "the world has ranks 0 to ");
    CHECK_FAILS(cb_comm_irecv(comm, &bad, &req), CB_EINVAL, "receives from rank ");
    bad = msg_of(-1, 0, &data, 1);
    CHECK_FAILS(cb_comm_isend(comm, &bad, &req), CB_EINVAL, "rank -1");
    bad = msg_of(0, 1 << 21, &data, 1);
    CHECK_FAILS(cb_comm_isend(comm, &bad, &req), CB_EINVAL, "tag 2097152; tags are 0 to 2097151");
    bad = msg_of(0, -1, &data, 1);
    CHECK_FAILS(cb_comm_irecv(comm, &bad, &req), CB_EINVAL, "tag -1");
    bad = msg_of(0, 0, &data, -5);
    CHECK_FAILS(cb_comm_isend(comm, &bad, &req), CB_EINVAL, "-5 elements");
    bad = msg_of(0, 0, NULL, 5);
    CHECK_FAILS(cb_comm_irecv(comm, &bad, &req), CB_EINVAL, "5 elements without data");
    return cb_comm_alive(comm);
}

/* Random traffic, known to all from the seed: message m goes from a(m) to b(m) on one of 3 tags. Each rank starts its
 * messages in the order of m (so that equal tags meet in order), waits for them in an order of its own. */
static cb_err random_traffic(cb_comm *comm, void *arg) {
    enum { MESSAGES = 120, MOST = 400 };
    cb_rng_key key = {.seed = *(const uint32_t *)arg, .stream = 1};
    int me = cb_comm_rank(comm), open = 0, wrong = 0;
    uint32_t size = (uint32_t)cb_comm_size(comm);
    int32_t(*data)[MOST] = calloc(2 * MESSAGES, sizeof *data);
    if (!data) return cb_fail(CB_ENOMEM, "no memory for the test");
    cb_req *reqs[2 * MESSAGES];
    for (int m = 0; m < MESSAGES; m++) {
        uint32_t r[4];
        cb_rng_block(key, (uint64_t)m, r);
        int from = (int)(r[0] % size), to = (int)(r[1] % size), tag = (int)(r[2] % 3), count = (int)(r[3] % MOST);
        if (from == me) {
            for (int i = 0; i < count; i++) data[2 * m][i] = m * MOST + i;
            cb_msg msg = msg_of(to, tag, data[2 * m], count);
            TRY(cb_comm_isend(comm, &msg, &reqs[open++]));
        }
        if (to == me) {
            cb_msg msg = msg_of(from, tag, data[2 * m + 1], count);
            TRY(cb_comm_irecv(comm, &msg, &reqs[open++]));
        }
    }
    for (int i = 0; i < open; i++) TRY(cb_comm_wait(comm, &reqs[cb_rng_permute(key, (uint64_t)open, (uint64_t)i)]));
    for (int m = 0; m < MESSAGES; m++) {
        uint32_t r[4];
        cb_rng_block(key, (uint64_t)m, r);
        for (int i = 0; (int)(r[1] % size) == me && i < (int)(r[3] % MOST); i++)
            wrong += data[2 * m + 1][i] != m * MOST + i;
    }
    CHECK_INT(wrong, 0);
    free(data);
    return CB_OK;
}

static cb_err random_traffics(cb_comm *comm, void *arg) {
    (void)arg;
    for (uint32_t seed = 0; seed < 10; seed++) TRY(random_traffic(comm, &seed));
    return CB_OK;
}

static const struct {
    const char *name;
    cb_rank_fn fn;
} conformance[] = {{"order per tag", order_per_tag},
                   {"many outstanding", many_outstanding},
                   {"nothing to send", nothing_to_send},
                   {"all to all", all_to_all},
                   {"wait any", wait_any},
                   {"wait is counted", wait_is_counted},
                   {"counters", counters},
                   {"wrong sizes", wrong_sizes},
                   {"bad arguments", bad_arguments},
                   {"random traffic", random_traffics},
                   {"large, head to head", large_head_to_head}};
enum { TESTS = sizeof conformance / sizeof conformance[0] };

static void on_threads(void) {
    for (int t = 0; t < TESTS; t++) {
        for (int size = 1; size <= 8; size++) {
            for (int checked = 0; checked < 2; checked++) {
                if (conformance[t].fn == large_head_to_head && size != 2) continue;
                cb_launch launch = {.backend = "threads", .ranks = size, .checked = checked};
                if (!CHECK_OK(cb_comm_launch(&launch, conformance[t].fn, NULL)))
                    fprintf(stderr, "    in '%s' on %d ranks\n", conformance[t].name, size);
            }
        }
    }
}

static cb_err all_tests(cb_comm *comm, void *arg) {
    (void)arg;
    CHECK_STR(cb_comm_backend(comm), "mpi");
    CHECK_INT(cb_comm_size(comm), cb_comm_mpiexec_ranks());
    CHECK_INT(cb_comm_rank(comm), cb_comm_mpiexec_rank());
    for (int t = 0; t < TESTS; t++) {
        TRY(cb_err_context(conformance[t].fn(comm, NULL), "%s", conformance[t].name));
        if (cb_comm_rank(comm) == 0) printf("ok   %s\n", conformance[t].name);
    }
    return CB_OK;
}

static cb_err do_nothing(cb_comm *comm, void *arg) {
    (void)comm;
    (void)arg;
    return CB_OK;
}

static int under_mpiexec(void) {
    const char *checked = getenv("CB_TEST_CHECKED");
    cb_launch launch = {.backend = "mpi", .ranks = cb_comm_mpiexec_ranks(), .checked = checked && *checked == '1'};
    CHECK_OK(cb_comm_launch(&launch, all_tests, NULL));
    CHECK_FAILS(cb_comm_launch(&launch, do_nothing, NULL), CB_EUNSUPPORTED, "once in a process");
    return cb_comm_mpiexec_rank() == 0 ? test_end() : atomic_load(&test_failed_) > 0;
}

int main(void) {
    const char *backend = getenv("CB_TEST_BACKEND");
    if (backend && strcmp(backend, "mpi") == 0) return under_mpiexec();
    RUN(on_threads);
    return test_end();
}
