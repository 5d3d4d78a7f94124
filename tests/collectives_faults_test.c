/* Collectives when something goes wrong: members that disagree, a rank that fails in the middle, every single message
 * that cannot be started. All ranks end, the first real error is reported, nothing leaks (see it under the address
 * sanitizer). */
#include <stdlib.h>

#include "collectives/algorithms.h"
#include "support/faulty.h"
#include "support/reduction.h"
#include "support/test.h"

enum { LARGE = 4200, PIECE = 50, OPERATIONS = 7 /* of every_collective */ };

static cb_err world_group(cb_group *group, cb_comm *comm) {
    int ranks[64];
    for (int i = 0; i < cb_comm_size(comm); i++) ranks[i] = i;
    return cb_group_make(group, comm, CB_FOR_WORLD, ranks, cb_comm_size(comm));
}

static cb_launch threads(int ranks, bool checked) {
    return (cb_launch){.backend = "threads", .ranks = ranks, .deadline_s = 20, .checked = checked};
}

/* Two all-reduces under way at once. As a caller has to: after an error it finishes the other one too. */
static cb_err two_at_once(cb_group *group, float *a, float *b) {
    cb_pending first, second;
    TRY(cb_all_reduce_start(&first, group, a, LARGE, CB_F32, CB_SUM, NULL));
    cb_err e = cb_all_reduce_start(&second, group, b, PIECE, CB_F32, CB_SUM, NULL);
    bool has_second = !e;
    if (!e) e = cb_all_reduce_progress(&first, NULL);
    cb_err e1 = cb_all_reduce_finish(&first), e2 = has_second ? cb_all_reduce_finish(&second) : CB_OK;
    cb_err found = e ? e : e1 ? e1 : e2;
    if (e1 != found) cb_err_free(e1);
    if (e2 != found) cb_err_free(e2);
    return found;
}

static cb_err every_collective(cb_group *group, float *a, float *b) {
    const int last = group->size - 1;
    TRY(two_at_once(group, a, b));
    TRY(cb_all_gather(group, a, b, PIECE, CB_F32));
    TRY(cb_reduce_scatter(group, b, a, PIECE, CB_F32, CB_MAX));
    TRY(cb_broadcast(group, a, PIECE, CB_F32, last));
    TRY(cb_barrier(group));
    TRY(cb_all_reduce(group, b, 0, CB_F32, CB_SUM, NULL));
    if (group->me == last && last > 0) TRY(cb_send(group, a, PIECE, CB_F32, 0));
    if (group->me == 0 && last > 0) TRY(cb_recv(group, a, PIECE, CB_F32, last));
    return CB_OK;
}

/* A rank fails between collectives. */

typedef struct death {
    int rank, after;
} death;

static cb_err live_and_die(cb_comm *comm, void *arg) {
    const death *d = arg;
    float *a = elements_of(CB_F32, 1, cb_comm_rank(comm), LARGE), *b = elements_of(CB_F32, 2, 0, PIECE);
    cb_group group;
    cb_err e = world_group(&group, comm);
    for (int step = 0; !e && step < 6; step++) {
        if (d->rank == group.me && d->after == step)
            e = cb_fail(CB_ENONFINITE, "died at step %d", step);
        else
            e = every_collective(&group, a, b);
    }
    cb_group_free(&group);
    free(a);
    free(b);
    return e;
}

static void a_rank_dies(void) {
    static const int sizes[] = {2, 5, 9, 16};
    for (int s = 0; s < 4; s++) {
        for (int rank = 0; rank < sizes[s]; rank += s < 2 ? 1 : 3) {
            for (int after = 0; after < 6; after += 2) {
                death d = {rank, after};
                cb_launch launch = threads(sizes[s], rank % 2);
                char part[64];
                snprintf(part, sizeof part, "rank %d: died at step %d", rank, after);
                CHECK_FAILS(cb_comm_launch(&launch, live_and_die, &d), CB_ENONFINITE, part);
            }
        }
    }
}

/* A rank dies while it has an operation under way, from the buffers of which others read. */
static cb_err die_under_way(cb_comm *comm, void *arg) {
    const death *d = arg;
    float *data = elements_of(CB_F32, 1, cb_comm_rank(comm), LARGE);
    cb_group group;
    cb_pending pending;
    TRY(world_group(&group, comm));
    cb_err e = cb_all_reduce_start(&pending, &group, data, LARGE, CB_F32, CB_SUM, NULL);
    for (int n = 0; !e && n < d->after; n++) e = cb_all_reduce_progress(&pending, NULL);
    if (!e && group.me == d->rank) {
        cb_comm_abort(comm);
        cb_err_free(cb_all_reduce_finish(&pending));
        e = cb_fail(CB_ENONFINITE, "died under way");
    }
    if (!e) e = cb_all_reduce_finish(&pending);
    if (!e) e = cb_all_reduce(&group, data, LARGE, CB_F32, CB_SUM, NULL); /* all but the dead may come to this */
    if (group.me != d->rank) CHECK(e && cb_err_code(e) == CB_EPEER);
    cb_group_free(&group);
    free(data);
    return e;
}

static void a_rank_dies_under_way(void) {
    for (int ranks = 2; ranks <= 6; ranks += 2) {
        for (int n = 0; n < 20; n++) {
            death d = {n % ranks, n / 4};
            cb_launch launch = threads(ranks, false);
            CHECK_FAILS(cb_comm_launch(&launch, die_under_way, &d), CB_ENONFINITE, "died under way");
        }
    }
}

/* Members disagree. */

typedef struct quarrel {
    int culprit;
    cb_kind kind;
    int64_t count, wrong; /* wrong: the culprit's */
} quarrel;

static cb_err disagree(cb_comm *comm, void *arg) {
    const quarrel *q = arg;
    cb_group group;
    TRY(world_group(&group, comm));
    int64_t n = group.me == q->culprit ? q->wrong : q->count;
    void *a = elements_of(CB_F32, 0, group.me, n), *b = elements_of(CB_F32, 0, group.me, n * group.size);
    cb_err e = CB_OK;
    switch (q->kind) {
    case CB_ALL_REDUCE:
        e = cb_all_reduce(&group, a, n, CB_F32, CB_SUM, NULL);
        break;
    case CB_ALL_GATHER:
        e = cb_all_gather(&group, b, a, n, CB_F32);
        break;
    case CB_REDUCE_SCATTER:
        e = cb_reduce_scatter(&group, a, b, n, CB_F32, CB_SUM);
        break;
    case CB_BROADCAST:
        e = cb_broadcast(&group, a, n, CB_F32, 0);
        break;
    default:
        e = group.me == q->culprit ? cb_barrier(&group) : cb_all_reduce(&group, a, n, CB_F32, CB_SUM, NULL);
    }
    if (!e) e = cb_barrier(&group); /* a leaf of a tree may not have noticed */
    free(a);
    free(b);
    cb_group_free(&group);
    return e;
}

static void members_disagree(void) {
    static const cb_kind kinds[] = {CB_ALL_REDUCE, CB_ALL_GATHER, CB_REDUCE_SCATTER, CB_BROADCAST, CB_BARRIER};
    static const int64_t counts[][2] = {{5, 6}, {0, 3}, {3, 0}, {4095, 4096}, {6000, 4095}, {6000, 6020}};
    static const int sizes[] = {2, 3, 9, 16};
    for (int k = 0; k < 5; k++) {
        for (int i = 0; i < 6; i++) {
            for (int s = 0; s < 8; s++) {
                int size = sizes[s / 2];
                if (size > 3 && kinds[k] != CB_ALL_REDUCE) continue;
                /* without the checks a barrier and an all-reduce of nothing look alike */
                if (kinds[k] == CB_BARRIER && counts[i][0] == 0 && s % 2 == 0) continue;
                for (int culprit = 0; culprit<size; culprit += size> 3 ? 4 : 1) {
                    quarrel q = {culprit, kinds[k], counts[i][0], counts[i][1]};
                    cb_launch launch = threads(size, s % 2);
                    CHECK_FAILS(cb_comm_launch(&launch, disagree, &q), CB_EMISMATCH, "rank");
                }
            }
        }
    }
}

/* An operation that has failed says so again, and has nothing left to release. */
static cb_err fail_twice(cb_comm *comm, void *arg) {
    (void)arg;
    float data[PIECE] = {0};
    cb_group group;
    cb_pending pending;
    bool done;
    TRY(world_group(&group, comm));
    if (group.me == 1) {
        cb_group_free(&group);
        return cb_fail(CB_EINVAL, "on purpose");
    }
    cb_err e = cb_all_reduce_start(&pending, &group, data, PIECE, CB_F32, CB_SUM, NULL);
    if (!e) e = cb_all_reduce_finish(&pending);
    CHECK(e && cb_err_code(e) == CB_EPEER);
    CHECK_FAILS(cb_all_reduce_finish(&pending), CB_EPEER, "all-reduce 0 over world failed before");
    CHECK_FAILS(cb_all_reduce_progress(&pending, &done), CB_EPEER, "failed before");
    cb_group_free(&group);
    return e;
}

static void failure_is_remembered(void) {
    cb_launch launch = threads(2, false);
    CHECK_FAILS(cb_comm_launch(&launch, fail_twice, NULL), CB_EINVAL, "rank 1: on purpose");
}

/* Message number `at` of one rank cannot be started. */

static cb_err once_through(cb_comm *comm, void *arg) {
    (void)arg;
    float *a = elements_of(CB_F32, 1, cb_comm_rank(comm), LARGE), *b = elements_of(CB_F32, 2, 0, PIECE);
    cb_group group;
    cb_err e = world_group(&group, comm);
    if (!e) e = every_collective(&group, a, b);
    cb_group_free(&group);
    free(a);
    free(b);
    return e;
}

/* Returns how many messages the rank starts in all: the first fault that no longer strikes. */
static int messages_that_can_fail(int ranks, int rank, bool checked) {
    for (int at = 0;; at++) {
        faulty_plan plan = {.kind = FAULTY_ERROR, .rank = rank, .call = at};
        cb_launch launch = threads(ranks, checked);
        cb_err e = cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, once_through, NULL);
        if (!e) return at;
        CHECK_FAILS(e, CB_EIO, "injected");
    }
}

static void every_message_fails_once(void) {
    static const int sizes[] = {2, 3, 9};
    for (int s = 0; s < 3; s++) {
        for (int rank = 0; rank < sizes[s]; rank += s < 2 ? 1 : 4) {
            int messages = messages_that_can_fail(sizes[s], rank, false);
            CHECK(messages > 10);
            if (s != 1) continue;
            int cards = 2 * OPERATIONS * (sizes[s] - 1); /* of calls; and a letter for each message */
            CHECK_INT(messages_that_can_fail(sizes[s], rank, true), 2 * messages + cards);
        }
    }
}

/* Every algorithm of the table, over and over, and one rank that does not get through: all end, and the cause is told.
 */

enum { TIMES = 4, AT = 2 };

typedef struct struggle {
    const cb_algorithm *algorithm;
    bool shared;
    enum { NOBODY, DIES, STAYS_AWAY } absent; /* rank 1 before operation AT */
} struggle;

static cb_err wait_for_the_end(cb_comm *comm) {
    cb_err e = CB_OK;
    while (!e) {
        faulty_sleep(1e-3);
        e = cb_comm_alive(comm);
    }
    return e;
}

static cb_err by_algorithm(cb_comm *comm, void *arg) {
    const struggle *s = arg;
    cb_group group;
    TRY(world_group(&group, comm));
    const int size = group.size;
    float *from = elements_of(CB_F32, 1, group.me, size * PIECE), *to = elements_of(CB_F32, 2, 0, size * PIECE);
    bool in_place = s->algorithm->kind == CB_ALL_REDUCE || s->algorithm->kind == CB_BROADCAST;
    cb_call call = {.kind = s->algorithm->kind, .type = CB_F32, .count = PIECE, .from = in_place ? to : from, .to = to};
    cb_err e = CB_OK;
    CHECK(s->shared == (group.board != NULL));
    for (int n = 0; n < TIMES && !e; n++) {
        bool absent = s->absent && group.me == 1 && n == AT;
        if (absent && s->absent == DIES) e = cb_fail(CB_ENONFINITE, "died before operation %d", n);
        if (absent && s->absent == STAYS_AWAY) e = wait_for_the_end(comm);
        if (!e) e = cb_algorithm_run(s->algorithm, &group, &call, NULL);
    }
    if (!e && s->absent) e = cb_barrier(&group); /* who only sends may be through */
    cb_group_free(&group);
    free(from);
    free(to);
    return e;
}

/* Rank 1's message cannot be started, or is lost on its way. */
static void break_messages(const cb_algorithm *algorithm, int size) {
    struggle s = {.algorithm = algorithm};
    for (int call = 0; call < 3; call++) {
        cb_launch launch = threads(size, false);
        faulty_plan plan = {.kind = FAULTY_ERROR, .rank = 1, .call = call};
        CHECK_FAILS(cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, by_algorithm, &s), CB_EIO, "rank 1: injected");
        launch.deadline_s = 0.02;
        plan.kind = FAULTY_LOST;
        CHECK_FAILS(cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, by_algorithm, &s), CB_ETIMEOUT, "rank ");
    }
}

static void break_ranks(const cb_algorithm *algorithm, int size, bool checked) {
    struggle s = {.algorithm = algorithm, .shared = !checked, .absent = DIES};
    cb_launch launch = threads(size, checked);
    CHECK_FAILS(cb_comm_launch(&launch, by_algorithm, &s), CB_ENONFINITE, "rank 1: died before operation 2");
    launch.deadline_s = 0.02;
    s.absent = STAYS_AWAY;
    CHECK_FAILS(cb_comm_launch(&launch, by_algorithm, &s), CB_ETIMEOUT, "waited 0.02 s for");
}

static void every_algorithm_breaks_off(void) {
    static const int sizes[] = {2, 5, 8};
    int rows;
    const cb_algorithm *table = cb_algorithms(&rows);
    for (int i = 0; i < rows; i++) {
        for (int s = 0; s < 3; s++) {
            if (cb_algorithm_serves(&table[i], false, sizes[s])) break_messages(&table[i], sizes[s]);
            for (int checked = 0; checked < 2; checked++)
                if (cb_algorithm_serves(&table[i], !checked, sizes[s])) break_ranks(&table[i], sizes[s], checked);
        }
    }
}

/* Under mpiexec: "collectives_faults_test cases" lists them for mpi_cases.sh. Rank 1's process dies in an operation, or
 * does not come to one. */

static int ranks_for(const cb_algorithm *algorithm) {
    return algorithm->power_of_two ? 2 : 3;
}

static int list_cases(void) {
    int rows;
    const cb_algorithm *table = cb_algorithms(&rows);
    for (int i = 0; i < rows; i++) {
        if (!cb_algorithm_serves(&table[i], false, ranks_for(&table[i]))) continue;
        printf("%d killed %d|([Ss]ignal|SIGNAL:) 9|EXIT CODE: 9\n", ranks_for(&table[i]), i);
        printf("%d away %d|rank [0-9]: rank [0-9] waited 1 s for\n", ranks_for(&table[i]), i);
    }
    return 0;
}

static int under_mpiexec(const char *what, int row) {
    int rows;
    struggle s = {.algorithm = cb_algorithms(&rows) + row, .absent = strcmp(what, "away") == 0 ? STAYS_AWAY : NOBODY};
    cb_launch launch = {.backend = "mpi", .deadline_s = 1};
    faulty_plan plan = {.kind = FAULTY_KILL, .rank = s.absent ? -1 : 1, .call = 3};
    cb_err e = cb_comm_launch_wrapped(&launch, faulty_wrap, &plan, by_algorithm, &s);
    int code = cb_err_exit_code(e);
    cb_err_free(e);
    return code;
}

int main(int argc, char **argv) {
    if (argc == 2) return list_cases();
    if (argc == 3) return under_mpiexec(argv[1], atoi(argv[2]));
    RUN(a_rank_dies);
    RUN(a_rank_dies_under_way);
    RUN(members_disagree);
    RUN(failure_is_remembered);
    RUN(every_message_fails_once);
    RUN(every_algorithm_breaks_off);
    return test_end();
}
