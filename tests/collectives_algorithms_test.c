/* Every row of the table of algorithms against the definition of its operation: every group of 1 to 17 members, counts
 * around the number of members, every type and operation. Messages and bytes are those of the pattern. Values are small
 * integers, so that sums are exact in every order; who keeps the fixed order is held against the tree as well. */
#include <sched.h>
#include <stdlib.h>

#include "collectives/algorithms.h"
#include "support/reduction.h"
#include "support/test.h"

enum { MOST = 17, WILD = 77 };

/* Of member m's element i in operation `salt`: -3 .. 3, which every type holds and sums of 17 do not leave. */
static int tame(int salt, int m, int64_t i) {
    return (int)(mix((uint64_t)salt * 7919u + (uint64_t)m * 131u + (uint64_t)i) % 7) - 3;
}

static double number_at(cb_type type, const void *data, int64_t i) {
    switch (type) {
    case CB_F32:
        return ((const float *)data)[i];
    case CB_F64:
        return ((const double *)data)[i];
    case CB_I32:
        return ((const int32_t *)data)[i];
    case CB_BF16:
        return bf16_value(((const uint16_t *)data)[i]);
    default:
        return -1e9;
    }
}

static void put_number(cb_type type, void *data, int64_t i, int x) {
    switch (type) {
    case CB_F32:
        ((float *)data)[i] = (float)x;
        break;
    case CB_F64:
        ((double *)data)[i] = x;
        break;
    case CB_I32:
        ((int32_t *)data)[i] = x;
        break;
    default:
        ((uint16_t *)data)[i] = bf16_nearest((float)x);
    }
}

static double reduced(cb_reduce_op op, int salt, int size, int64_t i) {
    double x = tame(salt, 0, i);
    for (int m = 1; m < size; m++) x = COMBINE(op, x, tame(salt, m, i));
    return x;
}

/* What element i of member me's result has to be; whether it has one. */
static double wanted(const cb_call *call, int salt, int size, int me, int64_t i) {
    int block = call->count > 0 ? (int)(i / call->count) : 0;
    switch (call->kind) {
    case CB_ALL_GATHER:
        return tame(salt, block, i % call->count);
    case CB_REDUCE_SCATTER:
        return reduced(call->op, salt, size, me * call->count + i);
    case CB_BROADCAST:
        return tame(salt, call->root, i);
    case CB_ALL_TO_ALL:
        return tame(salt, block, me * call->count + i % call->count);
    default:
        return reduced(call->op, salt, size, i);
    }
}

static int64_t elements_in(const cb_call *call, int size) {
    return call->kind == CB_REDUCE_SCATTER || call->kind == CB_ALL_TO_ALL ? size * call->count : call->count;
}
static int64_t elements_out(const cb_call *call, int size, int me) {
    if (call->kind == CB_REDUCE && me != call->root) return 0;
    return call->kind == CB_ALL_GATHER || call->kind == CB_ALL_TO_ALL ? size * call->count : call->count;
}

static bool in_place(const cb_call *call) {
    return call->kind == CB_ALL_REDUCE || call->kind == CB_BROADCAST;
}

static void check_counters(const cb_algorithm *a, const cb_group *group, const cb_call *call, cb_traffic before) {
    const cb_traffic *now = cb_comm_traffic(group->comm, group->purpose, call->kind);
    const int index = cb_modulo(group->me - call->root, group->size);
    cb_step steps[MOST];
    cb_cost cost = cb_collective_cost(cb_means_plain(true), call->kind, group->size, index, call->count, call->type);
    if (a->pattern) cost = cb_pattern_cost(a->pattern, &(cb_shape){group->size, index, group->node, call->count}, call->type, steps);
    if (group->size == 1) cost = (cb_cost){0};
    CHECK_INT(now->messages - before.messages, cost.messages);
    CHECK_INT(now->bytes - before.bytes, cost.bytes);
}

static cb_err run_once(const cb_algorithm *a, cb_group *group, cb_call call) {
    const int size = group->size, me = group->me, salt = (int)group->sequence;
    const int64_t in = elements_in(&call, size), out = elements_out(&call, size, me);
    const cb_traffic before = *cb_comm_traffic(group->comm, group->purpose, call.kind);
    void *from = elements_new(call.type, in), *to = in_place(&call) ? from : elements_new(call.type, out);
    for (int64_t i = 0; i < in; i++) put_number(call.type, from, i, tame(salt, me, i));
    call.from = from;
    call.to = to;
    TRY(cb_algorithm_run(a, group, &call, NULL));
    int64_t wrong = 0;
    for (int64_t i = 0; i < out; i++) wrong += number_at(call.type, to, i) != wanted(&call, salt, size, me, i);
    for (int64_t i = 0; i < in && to != from; i++) wrong += number_at(call.type, from, i) != tame(salt, me, i);
    if (!CHECK_INT(wrong, 0))
        fprintf(stderr, "    %s by %s, member %d of %d, root %d, %lld elements of %s, %s\n", cb_kind_name(call.kind),
                a->name, me, size, call.root, (long long)call.count, cb_type_name(call.type), cb_reduce_op_name(call.op));
    check_counters(a, group, &call, before);
    if (to != from) free(to);
    free(from);
    return CB_OK;
}

/* Sums that round, in the one order: the same bits in every algorithm that says so. */
static cb_err run_wild(const cb_algorithm *a, cb_group *group, cb_type type) {
    if (a->kind != CB_ALL_REDUCE || !cb_algorithm_keeps_order(a, group->size)) return CB_OK;
    void *data = elements_of(type, WILD, group->me, 300);
    cb_call call = {.kind = CB_ALL_REDUCE, .type = type, .count = 300, .from = data, .to = data};
    TRY(cb_algorithm_run(a, group, &call, NULL));
    CHECK(is_tree_of(data, type, CB_SUM, WILD, group->size, 0, 300));
    free(data);
    return CB_OK;
}

static cb_err run_row(const cb_algorithm *a, cb_group *group) {
    static const cb_type types[] = {CB_F32, CB_BF16, CB_F64, CB_I32};
    const int p = group->size;
    const int64_t counts[] = {0, 1, p - 1, p, p + 1, 1000, 65537};
    const bool rooted = a->kind == CB_BROADCAST || a->kind == CB_REDUCE;
    for (int c = 0; c < 7; c++) {
        for (int t = 0; t < 4; t++) {
            const bool large = counts[c] > 1000;
            if (large && (t > 0 || (p > 5 && p != 8 && p != 17))) continue; /* tells nothing new, and takes long */
            for (int op = 0; op < (large || t == 2 ? 1 : CB_REDUCE_OPS); op++) {
                cb_call call = {.kind = a->kind,
                                .type = types[t],
                                .op = (cb_reduce_op)op,
                                .count = counts[c],
                                .root = rooted ? (c + t) % p : 0};
                TRY(run_once(a, group, call));
            }
            if (c == 0) TRY(run_wild(a, group, types[t]));
        }
    }
    return CB_OK;
}

static cb_err every_row(cb_comm *comm, void *arg) {
    (void)arg;
    int rows, ranks[MOST];
    const cb_algorithm *table = cb_algorithms(&rows);
    cb_group group;
    for (int i = 0; i < MOST; i++) ranks[i] = i;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, ranks, cb_comm_size(comm)));
    for (int i = 0; i < rows; i++)
        if (cb_algorithm_serves(&table[i], group.board, group.size)) TRY(run_row(&table[i], &group));
    cb_group_free(&group);
    return CB_OK;
}

static void on_threads(void) {
    for (int ranks = 1; ranks <= MOST; ranks++) {
        cb_launch launch = {.backend = "threads", .ranks = ranks, .deadline_s = 200};
        CHECK_OK(cb_comm_launch(&launch, every_row, NULL));
    }
}

/* Closed formulas beside the patterns: what the algorithms' papers say is sent. */
static void costs_of_papers(void) {
    cb_step steps[64];
    for (int p = 2; p <= 64; p *= 2) {
        const int64_t n = 64 * 30;
        int log = cb_rounds(p);
        cb_cost ring = cb_pattern_cost(&cb_all_reduce_ring, &(cb_shape){.size = p, .me = 0, .count = n}, CB_F32, steps);
        CHECK_INT(ring.messages, 2 * (p - 1));
        CHECK_INT(ring.bytes, 4 * 2 * (p - 1) * n / p);
        cb_cost halving = cb_pattern_cost(&cb_all_reduce_rabenseifner, &(cb_shape){.size = p, .me = p - 1, .count = n}, CB_F32, steps);
        CHECK_INT(halving.messages, 2 * log);
        CHECK_INT(halving.bytes, ring.bytes);
        cb_cost doubling = cb_pattern_cost(&cb_all_reduce_doubling, &(cb_shape){.size = p, .me = 0, .count = n}, CB_F32, steps);
        CHECK_INT(doubling.messages, log);
        CHECK_INT(doubling.bytes, 4 * n * log);
        cb_cost bruck = cb_pattern_cost(&cb_all_gather_bruck, &(cb_shape){.size = p, .me = p / 2, .count = n}, CB_F32, steps);
        CHECK_INT(bruck.messages, log);
        CHECK_INT(bruck.bytes, 4 * n * (p - 1));
        cb_cost all_to_all = cb_pattern_cost(&cb_all_to_all_bruck, &(cb_shape){.size = p, .me = 0, .count = n}, CB_F32, steps);
        CHECK_INT(all_to_all.bytes, 4 * n * p / 2 * log);
    }
}

static void the_table_chooses(void) {
    const cb_algorithm *a;
    for (int kind = CB_ALL_REDUCE; kind < CB_KINDS; kind++) {
        if (kind == CB_BARRIER) continue;
        for (int p = 1; p <= 40; p++)
            for (int64_t n = 0; n < 100000; n = 3 * n + 1) {
                a = cb_choose((cb_kind)kind, cb_means_plain(false), p, n);
                CHECK(a && a->pattern && (kind != CB_ALL_REDUCE || cb_algorithm_keeps_order(a, p)));
            }
    }
    CHECK_FAILS(cb_algorithm_find(CB_ALL_REDUCE, "rings", false, 4, &a), CB_EUSAGE,
                "there is no algorithm 'rings' for all-reduce; there are: shared, blocks, direct, doubling, tree, ring");
    CHECK_FAILS(cb_algorithm_find(CB_ALL_GATHER, "doubling", false, 6, &a), CB_EUNSUPPORTED,
                "cannot serve 6 ranks (a power of two is needed); these can: direct, ring, bruck");
    CHECK_FAILS(cb_algorithm_find(CB_REDUCE, "shared", false, 6, &a), CB_EUNSUPPORTED, "do not share one memory");
    CHECK_OK(cb_algorithm_find(CB_ALL_GATHER, "doubling", false, 8, &a));
}

static cb_rule rule_of(cb_kind kind, const char *name, int64_t least, int64_t most, int members) {
    cb_rule rule = {.least_count = least, .most_count = most, .least_members = 2, .most_members = members};
    CHECK_OK(cb_algorithm_find(kind, name, false, 0, &rule.algorithm));
    return rule;
}

static void rules_go_first(void) {
    cb_selection s = {.count = 2};
    const cb_means means = {.selection = &s};
    s.rule[0] = rule_of(CB_ALL_REDUCE, "tree", 100, 50000, 8);
    s.rule[1] = rule_of(CB_ALL_GATHER, "bruck", 0, INT64_MAX, 1000);
    CHECK(cb_choose(CB_ALL_REDUCE, means, 4, 99)->pattern == &cb_all_reduce_direct);
    CHECK(cb_choose(CB_ALL_REDUCE, means, 4, 100)->pattern == &cb_all_reduce_tree);
    CHECK(cb_choose(CB_ALL_REDUCE, means, 4, 50000)->pattern == &cb_all_reduce_tree);
    CHECK(cb_choose(CB_ALL_REDUCE, means, 4, 50001)->pattern == &cb_all_reduce_blocks);
    CHECK(cb_choose(CB_ALL_REDUCE, means, 9, 50000)->pattern == &cb_all_reduce_blocks);
    CHECK(cb_choose(CB_ALL_GATHER, means, 9, 5)->pattern == &cb_all_gather_bruck);
    /* scratch of the tree at 50000, which is more than that of blocks at 60000; what is sent */
    CHECK_INT(cb_all_reduce_scratch_most(means, 4, 60000, CB_F32), 4 * 50000);
    CHECK_INT(cb_collective_cost(means, CB_ALL_REDUCE, 4, 3, 200, CB_F32).messages, 1);
    CHECK_INT(cb_collective_cost(means, CB_ALL_GATHER, 8, 0, 10, CB_F32).messages, 3);
    CHECK_OK(cb_selection_check(means, 4));
}

static void rules_that_cannot_be(void) {
    cb_selection s = {.count = 1};
    cb_means means = {.selection = &s};
    s.rule[0] = rule_of(CB_ALL_REDUCE, "ring", 0, 10, 8);
    CHECK_FAILS(cb_selection_check(means, 8), CB_EINVAL,
                "all-reduce by 'ring' over 8 ranks sums in another order than the balanced tree, so bits would depend on the "
                "layout; these keep it: blocks, direct, doubling, tree");
    CHECK_OK(cb_selection_check(means, 9)); /* not meant */
    CHECK_OK(cb_selection_check(means, 1));
    s.rule[0] = rule_of(CB_ALL_REDUCE, "doubling", 0, 10, 8);
    CHECK_OK(cb_selection_check(means, 8));
    CHECK_FAILS(cb_selection_check(means, 6), CB_EINVAL, "these keep it: blocks, direct, tree");
    s.rule[0] = rule_of(CB_REDUCE_SCATTER, "halving", 0, 10, 8);
    CHECK_FAILS(cb_selection_check(means, 6), CB_EUNSUPPORTED, "(a power of two is needed); these can: direct");
    s.rule[0] = rule_of(CB_BROADCAST, "shared", 0, 10, 8);
    CHECK_FAILS(cb_selection_check(means, 6), CB_EUNSUPPORTED, "do not share one memory; these can: binomial");
    means.shared = true;
    CHECK_OK(cb_selection_check(means, 6));
}

/* A rule is what a group then does: its counters show it. */
static cb_err follow(cb_comm *comm, void *arg) {
    int ranks[] = {0, 1, 2, 3};
    float data[400] = {0}, all[400];
    cb_group group;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, ranks, 4));
    group.selection = arg;
    TRY(cb_all_reduce(&group, data, 200, CB_F32, CB_SUM, NULL));
    TRY(cb_all_gather(&group, all, data, 100, CB_F32));
    CHECK_INT(cb_comm_traffic(comm, CB_FOR_TP, CB_ALL_REDUCE)->messages, group.me == 0 ? 2 : group.me == 2 ? 2 : 1);
    CHECK_INT(cb_comm_traffic(comm, CB_FOR_TP, CB_ALL_GATHER)->messages, 2);
    cb_group_free(&group);
    return CB_OK;
}

static void rules_are_followed(void) {
    cb_selection s = {.count = 2};
    s.rule[0] = rule_of(CB_ALL_REDUCE, "tree", 100, 50000, 8);
    s.rule[1] = rule_of(CB_ALL_GATHER, "bruck", 0, INT64_MAX, 8);
    cb_launch launch = {.backend = "threads", .ranks = 4, .deadline_s = 20};
    CHECK_OK(cb_comm_launch(&launch, follow, &s));
}

/* Members that call different things are told who called what. */
static cb_err disagree(cb_comm *comm, void *arg) {
    const int64_t *counts = arg;
    int ranks[] = {0, 1, 2};
    float data[3000] = {0};
    cb_group group;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, ranks, 3));
    TRY(cb_barrier(&group));
    cb_err e = group.me < 2 ? cb_all_reduce(&group, data, counts[0], CB_F32, CB_SUM, NULL)
                            : cb_all_gather(&group, data, data + 2500, counts[1], CB_F32);
    cb_group_free(&group);
    return e;
}

static void who_called_what(void) {
    int64_t counts[][2] = {{4, 5}, {2000, 5}, {2000, 500}, {0, 0}};
    for (int i = 0; i < 4; i++) {
        char text[160];
        cb_launch launch = {.backend = "threads", .ranks = 3, .deadline_s = 20};
        snprintf(text, sizeof text,
                 "operation 1 of a tp group of 3: ranks 0 1 called all-reduce of %lld f32 (sum), rank 2 called all-gather "
                 "of %lld f32",
                 (long long)counts[i][0], (long long)counts[i][1]);
        CHECK_FAILS(cb_comm_launch(&launch, disagree, counts[i]), CB_EMISMATCH, text);
    }
}

/* A member that never comes: the deadline names it. */
static cb_err stays_away(cb_comm *comm, void *arg) {
    (void)arg;
    int ranks[] = {0, 1, 2};
    float data[40000] = {0};
    cb_group group;
    TRY(cb_group_make(&group, comm, CB_FOR_DP, ranks, 3));
    cb_err e = CB_OK;
    if (group.me == 1)
        while (!e) { /* busy with something else until the world ends */
            sched_yield();
            e = cb_comm_alive(comm);
        }
    else
        e = cb_all_reduce(&group, data, 40000, CB_F32, CB_SUM, NULL);
    cb_group_free(&group);
    return e;
}

static void who_did_not_come(void) {
    cb_launch launch = {.backend = "threads", .ranks = 3, .deadline_s = 0.2};
    CHECK_FAILS(cb_comm_launch(&launch, stays_away, NULL), CB_ETIMEOUT,
                "waited 0.2 s for rank 1 to come to an operation (dp all-reduce, #0, 160000 bytes); rank 1 does not wait");
}

/* 1000 operations at random paces, several at once: no hang, and the same bits every time. */
static cb_err at_random_paces(cb_comm *comm, void *arg) {
    (void)arg;
    enum { COUNT = 9000, TIMES = 1000, AT_ONCE = 3 };
    int ranks[MOST];
    cb_group group;
    for (int i = 0; i < MOST; i++) ranks[i] = i;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, ranks, cb_comm_size(comm)));
    float *data[AT_ONCE], *first = elements_new(CB_F32, COUNT), *mine = elements_of(CB_F32, 1, group.me, COUNT);
    for (int i = 0; i < AT_ONCE; i++) data[i] = elements_new(CB_F32, COUNT);
    for (int n = 0; n < TIMES; n += AT_ONCE) {
        cb_pending pending[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            for (uint64_t k = mix((uint64_t)(n + i) * MOST + (uint64_t)group.me) % 4; k > 0; k--) sched_yield();
            memcpy(data[i], mine, COUNT * sizeof *mine);
            TRY(cb_all_reduce_start(&pending[i], &group, data[i], COUNT, CB_F32, CB_SUM, NULL));
            if (i > 0) TRY(cb_all_reduce_progress(&pending[0], NULL));
        }
        for (int i = 0; i < AT_ONCE; i++) TRY(cb_all_reduce_finish(&pending[i]));
        if (n == 0) memcpy(first, data[0], COUNT * sizeof *first);
        for (int i = 0; i < AT_ONCE; i++) CHECK(memcmp(first, data[i], COUNT * sizeof *first) == 0);
    }
    CHECK(is_tree_of(first, CB_F32, CB_SUM, 1, group.size, 0, COUNT));
    for (int i = 0; i < AT_ONCE; i++) free(data[i]);
    free(first);
    free(mine);
    cb_group_free(&group);
    return CB_OK;
}

static void same_bits_at_any_pace(void) {
    static const int sizes[] = {2, 5, 16};
    for (int i = 0; i < 3; i++) {
        cb_launch launch = {.backend = "threads", .ranks = sizes[i], .deadline_s = 200};
        CHECK_OK(cb_comm_launch(&launch, at_random_paces, NULL));
    }
}

int main(void) {
    const char *backend = getenv("CB_TEST_BACKEND");
    if (backend && strcmp(backend, "mpi") == 0) {
        cb_launch launch = {.backend = "mpi", .deadline_s = 200};
        CHECK_OK(cb_comm_launch(&launch, every_row, NULL));
        if (cb_comm_mpiexec_rank() == 0) return test_end();
        return atomic_load(&test_failed_) ? 1 : 0;
    }
    RUN(costs_of_papers);
    RUN(the_table_chooses);
    RUN(rules_go_first);
    RUN(rules_that_cannot_be);
    RUN(rules_are_followed);
    RUN(on_threads);
    RUN(who_called_what);
    RUN(who_did_not_come);
    RUN(same_bits_at_any_pace);
    return test_end();
}
