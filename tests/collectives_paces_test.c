/* Results do not depend on timing: every algorithm a thousand times (as processes, and under a sanitizer, a hundred),
 * by ranks that get out of step at random while other threads take the cores from them: no hang, and the same bits every
 * time. On threads, or under mpiexec with CB_TEST_BACKEND=mpi. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "collectives/algorithms.h"
#include "support/faulty.h"
#include "support/reduction.h"
#include "support/test.h"

enum { MOST = 16, SALT = 5, COUNT = 300 };

/* Load */

typedef struct load {
    pthread_t thread[2];
    atomic_bool over;
} load;

static void *take_a_core(void *arg) {
    load *l = arg;
    while (!atomic_load(&l->over)) {
        for (double until_s = cb_now_s() + 1e-4; cb_now_s() < until_s;) continue;
        faulty_sleep(1e-4);
    }
    return NULL;
}

static void load_begin(load *l) {
    atomic_init(&l->over, false);
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_create(&l->thread[i], NULL, take_a_core, l), 0);
}

static void load_end(load *l) {
    atomic_store(&l->over, true);
    for (int i = 0; i < 2; i++) pthread_join(l->thread[i], NULL);
}

static cb_err make_group(cb_group *group, cb_comm *comm) {
    int ranks[MOST];
    for (int i = 0; i < MOST; i++) ranks[i] = i;
    return cb_group_make(group, comm, CB_FOR_TP, ranks, cb_comm_size(comm));
}

/* Every row of the table, over and over on the same data: sums that round show another order. */

typedef struct job {
    const cb_algorithm *algorithm;
    int times;
} job;

static cb_err over_and_over(cb_group *group, const job *j) {
    const size_t bytes = (size_t)group->size * COUNT * sizeof(float);
    const cb_kind kind = j->algorithm->kind;
    bool in_place = kind == CB_ALL_REDUCE || kind == CB_BROADCAST;
    float *mine = elements_of(CB_F32, SALT, group->me, group->size * COUNT), *first = malloc(bytes),
          *to = malloc(bytes);
    int differ = 0;
    for (int n = 0; n < j->times; n++) {
        memcpy(to, mine, bytes); /* also where the operation only writes: the rest must stay */
        cb_call call = {.kind = kind, .type = CB_F32, .count = COUNT, .from = in_place ? to : mine, .to = to};
        faulty_pace((uint64_t)n * MOST + (uint64_t)group->me);
        TRY(cb_algorithm_run(j->algorithm, group, &call, NULL));
        if (n == 0) memcpy(first, to, bytes);
        differ += memcmp(first, to, bytes) != 0;
    }
    if (!CHECK_INT(differ, 0))
        fprintf(stderr, "    %s by %s, member %d of %d\n", cb_kind_name(kind), j->algorithm->name, group->me,
                group->size);
    if (kind == CB_ALL_REDUCE && cb_algorithm_keeps_order(j->algorithm, group->size))
        CHECK(is_tree_of(first, CB_F32, CB_SUM, SALT, group->size, 0, COUNT));
    free(to);
    free(first);
    free(mine);
    return CB_OK;
}

static cb_err one_row(cb_comm *comm, void *arg) {
    cb_group group;
    TRY(make_group(&group, comm));
    cb_err e = over_and_over(&group, arg);
    cb_group_free(&group);
    return e;
}

/* Rows that send messages are held up before each of them, meetings before each operation. */
static void run_rows(int ranks, int times) {
    static const faulty_plan paces = {.kind = FAULTY_PACES};
    int rows;
    const cb_algorithm *table = cb_algorithms(&rows);
    for (int i = 0; i < rows; i++) {
        cb_launch launch = {.backend = "threads", .ranks = ranks, .deadline_s = 200};
        job j = {&table[i], times};
        if (!table[i].pattern)
            CHECK_OK(cb_comm_launch(&launch, one_row, &j));
        else if (cb_algorithm_serves(&table[i], false, ranks))
            CHECK_OK(cb_comm_launch_wrapped(&launch, faulty_wrap, (void *)&paces, one_row, &j));
    }
}

static void every_algorithm_at_any_pace(void) {
    load l;
    load_begin(&l);
    run_rows(2, 100);
    run_rows(4, TEST_SANITIZED ? 100 : 1000);
    run_rows(7, 100);
    load_end(&l);
}

/* Under MPI in one launch, as a process has only one. */
static cb_err all_rows(cb_comm *comm, void *arg) {
    int rows;
    const cb_algorithm *table = cb_algorithms(&rows);
    cb_group group;
    TRY(make_group(&group, comm));
    for (int i = 0; i < rows; i++) {
        job j = {&table[i], *(int *)arg};
        if (cb_algorithm_serves(&table[i], group.board, group.size)) TRY(over_and_over(&group, &j));
    }
    cb_group_free(&group);
    return CB_OK;
}

/* Several all-reduces at once. */
static cb_err at_random_paces(cb_comm *comm, void *arg) {
    (void)arg;
    enum { LARGE = 9000, TIMES = TEST_SANITIZED ? 100 : 1000, AT_ONCE = 3 };
    cb_group group;
    TRY(make_group(&group, comm));
    float *data[AT_ONCE], *first = elements_new(CB_F32, LARGE), *mine = elements_of(CB_F32, 1, group.me, LARGE);
    for (int i = 0; i < AT_ONCE; i++) data[i] = elements_new(CB_F32, LARGE);
    for (int n = 0; n < TIMES; n += AT_ONCE) {
        cb_pending pending[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            faulty_pace((uint64_t)(n + i) * MOST + (uint64_t)group.me);
            memcpy(data[i], mine, LARGE * sizeof *mine);
            TRY(cb_all_reduce_start(&pending[i], &group, data[i], LARGE, CB_F32, CB_SUM, NULL));
            if (i > 0) TRY(cb_all_reduce_progress(&pending[0], NULL));
        }
        for (int i = 0; i < AT_ONCE; i++) TRY(cb_all_reduce_finish(&pending[i]));
        if (n == 0) memcpy(first, data[0], LARGE * sizeof *first);
        for (int i = 0; i < AT_ONCE; i++) CHECK(memcmp(first, data[i], LARGE * sizeof *first) == 0);
    }
    CHECK(is_tree_of(first, CB_F32, CB_SUM, 1, group.size, 0, LARGE));
    for (int i = 0; i < AT_ONCE; i++) free(data[i]);
    free(first);
    free(mine);
    cb_group_free(&group);
    return CB_OK;
}

static void several_at_any_pace(void) {
    static const int sizes[] = {2, 5, MOST};
    for (int i = 0; i < 3; i++) {
        cb_launch launch = {.backend = "threads", .ranks = sizes[i], .deadline_s = 200};
        CHECK_OK(cb_comm_launch(&launch, at_random_paces, NULL));
    }
}

/* Processes that poll are load enough. */
static void in_processes(void) {
    static const faulty_plan paces = {.kind = FAULTY_PACES};
    int times = 100;
    cb_launch launch = {.backend = "mpi", .deadline_s = 200};
    CHECK_OK(cb_comm_launch_wrapped(&launch, faulty_wrap, (void *)&paces, all_rows, &times));
}

int main(void) {
    const char *backend = getenv("CB_TEST_BACKEND");
    if (backend && strcmp(backend, "mpi") == 0) {
        in_processes();
        if (cb_comm_mpiexec_rank() == 0) return test_end();
        return atomic_load(&test_failed_) ? 1 : 0;
    }
    RUN(every_algorithm_at_any_pace);
    RUN(several_at_any_pace);
    return test_end();
}
