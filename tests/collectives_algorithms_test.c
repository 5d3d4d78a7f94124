/* The table of algorithms: what is sent against closed formulas, which row is chosen, rules of a user's own; and what
 * members of a meeting are told that call different things or do not come. That every row does what it should is in
 * collectives_conformance_test.c. */
#include <sched.h>
#include <stdlib.h>

#include "collectives/algorithms.h"
#include "collectives/terms.h"
#include "support/test.h"

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

static cb_terms terms_of(cb_kind kind, const char *name, int size, int64_t count, int cores) {
    const cb_algorithm *a;
    cb_step steps[64];
    CHECK_OK(cb_algorithm_find(kind, name, true, size, &a));
    return cb_algorithm_terms(a, size, count, CB_F32, cores, steps);
}

/* What lies on the longest way, in elements of 4 bytes; with fewer cores than members their work is one after the other. */
static void terms_of_papers(void) {
    const int64_t n = 8 * 1024;
    for (int p = 2; p <= 16; p *= 2) {
        cb_terms ring = terms_of(CB_ALL_REDUCE, "ring", p, n, p), few = terms_of(CB_ALL_REDUCE, "ring", p, n, 1);
        CHECK_INT(ring.messages, 2 * (p - 1));
        CHECK_INT(ring.sent_bytes, 4 * 2 * (p - 1) * n / p);
        CHECK_INT(ring.reduced_bytes, 4 * (p - 1) * n / p);
        CHECK_INT(few.messages, p * ring.messages);
        CHECK_INT(few.sent_bytes, p * ring.sent_bytes);
        /* sent and received 2n(p-1)/p by each; the half is reduced: two operands and a result */
        CHECK_INT(ring.moved_bytes, 4 * (2 * 2 + 3) * (p - 1) * n);
        cb_terms binomial = terms_of(CB_BROADCAST, "binomial", p, n, p);
        CHECK_INT(binomial.messages, cb_rounds(p));
        CHECK_INT(binomial.sent_bytes, 4 * n * cb_rounds(p));
        CHECK_INT(binomial.reduced_bytes, 0);
        CHECK_INT(binomial.set_bytes, 4 * n * p);
        cb_terms shared = terms_of(CB_ALL_REDUCE, "shared", p, 1 << 20, p);
        CHECK_INT(shared.messages, 1);
        CHECK_INT(shared.moved_bytes, 4 * 2 * p * (1 << 20));
        CHECK_INT(shared.reduced_bytes, 4 * (p - 1) * ((1 << 20) / p));
    }
    /* work of a single piece is one core's, however many there are */
    CHECK_INT(terms_of(CB_ALL_REDUCE, "shared", 2, 100, 2).reduced_bytes, 400);
    CHECK_INT(terms_of(CB_ALL_REDUCE, "ring", 1, n, 1).messages, 0);
}

/* Elements read and written by all members together, of 3 members and a count of 5. */
static void least_of_each(void) {
    static const struct {
        cb_kind kind;
        int moved, set;
    } least[] = {{CB_ALL_REDUCE, 15 + 15, 15}, {CB_BROADCAST, 5 + 10, 15},       {CB_REDUCE, 15 + 5, 20},
                 {CB_ALL_GATHER, 15 + 45, 60}, {CB_REDUCE_SCATTER, 45 + 15, 60}, {CB_ALL_TO_ALL, 45 + 45, 90}};
    for (int i = 0; i < 6; i++) {
        cb_terms t = cb_operation_least(least[i].kind, 3, 5, CB_F32);
        CHECK_INT(t.moved_bytes, 4 * least[i].moved);
        CHECK_INT(t.set_bytes, 4 * least[i].set);
        CHECK(cb_operation_least(least[i].kind, 1, 5, CB_F32).moved_bytes == 0);
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
                "there is no algorithm 'rings' for all-reduce; did you mean 'ring'? There are: shared, blocks, direct, doubling, tree, ring");
    CHECK_FAILS(cb_algorithm_find(CB_ALL_GATHER, "doubling", false, 6, &a), CB_EINVAL,
                "cannot serve 6 ranks (a power of two is needed); these can: direct, ring, bruck");
    CHECK_FAILS(cb_algorithm_find(CB_REDUCE, "shared", false, 6, &a), CB_EINVAL, "do not share one memory");
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
    CHECK_FAILS(cb_selection_check(means, 6), CB_EINVAL, "(a power of two is needed); these can: direct");
    s.rule[0] = rule_of(CB_BROADCAST, "shared", 0, 10, 8);
    CHECK_FAILS(cb_selection_check(means, 6), CB_EINVAL, "do not share one memory; these can: binomial");
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

int main(void) {
    RUN(costs_of_papers);
    RUN(terms_of_papers);
    RUN(least_of_each);
    RUN(the_table_chooses);
    RUN(rules_go_first);
    RUN(rules_that_cannot_be);
    RUN(rules_are_followed);
    RUN(who_called_what);
    RUN(who_did_not_come);
    return test_end();
}
