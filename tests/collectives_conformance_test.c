/* Every row of the table of algorithms against the definition of its operation: every group of 1 to 17 members, counts
 * around the number of members, every type and operation. Operations, messages and bytes are those of the pattern.
 * Values are small integers, so that sums are exact in every order; who keeps the fixed order is held against the tree
 * as well. On threads, or under mpiexec with CB_TEST_BACKEND=mpi in a world of the size given. */
#include <stdlib.h>

#include "collectives/algorithms.h"
#include "support/reduction.h"
#include "support/test.h"

enum { MOST = 17, WILD = 77, PERIOD = 1021, ROW = 2 * PERIOD /* two periods, so that many elements lie together */ };

/* -3 .. 3, which every type holds and sums of 17 do not leave; they come again after a prime number of elements. */
typedef union row {
    float f32[ROW];
    double f64[ROW];
    int32_t i32[ROW];
    uint16_t bf16[ROW];
} row;

static const cb_type types[] = {CB_F32, CB_BF16, CB_F64, CB_I32};
enum { KINDS_OF_NUMBER = 4 };

/* Members' elements, and what comes of those of the first n members. */
static row elements[KINDS_OF_NUMBER][MOST], reductions[KINDS_OF_NUMBER][MOST + 1][CB_REDUCE_OPS];

static void put(row *to, cb_type type, int i, int x) {
    if (type == CB_F32) to->f32[i] = (float)x;
    if (type == CB_F64) to->f64[i] = x;
    if (type == CB_I32) to->i32[i] = x;
    if (type == CB_BF16) to->bf16[i] = bf16_nearest((float)x);
}

static int element(int m, int i) {
    return (int)(mix((uint64_t)(m * PERIOD + i % PERIOD)) % 7) - 3;
}

static void make_elements(void) {
    for (int i = 0; i < ROW; i++) {
        int x[CB_REDUCE_OPS] = {0};
        for (int m = 0; m < MOST; m++) {
            for (int t = 0; t < KINDS_OF_NUMBER; t++) put(&elements[t][m], types[t], i, element(m, i));
            for (int op = 0; op < CB_REDUCE_OPS; op++) {
                x[op] = m == 0 ? element(m, i) : COMBINE((cb_reduce_op)op, x[op], element(m, i));
                for (int t = 0; t < KINDS_OF_NUMBER; t++) put(&reductions[t][m + 1][op], types[t], i, x[op]);
            }
        }
    }
}

/* Elements first .. of a row without end, into or against memory, as many as lie together at a time. */
static int64_t together(int64_t first, int64_t count) {
    int64_t most = ROW - first % PERIOD;
    return count < most ? count : most;
}

static void copy_row(void *to, const row *from, int64_t first, int64_t count, int64_t E) {
    for (int64_t i = 0, n; i < count; i += n) {
        n = together(first + i, count - i);
        memcpy((char *)to + i * E, (const char *)from + (first + i) % PERIOD * E, (size_t)(n * E));
    }
}

static bool is_row(const void *data, const row *want, int64_t first, int64_t count, int64_t E) {
    for (int64_t i = 0, n; i < count; i += n) {
        n = together(first + i, count - i);
        const char *at = (const char *)data + i * E;
        if (memcmp(at, (const char *)want + (first + i) % PERIOD * E, (size_t)(n * E)) != 0) return false;
    }
    return true;
}

static int64_t elements_in(const cb_call *call, int size) {
    return call->kind == CB_REDUCE_SCATTER || call->kind == CB_ALL_TO_ALL ? size * call->count : call->count;
}
static int64_t elements_out(const cb_call *call, int size, int me) {
    if (call->kind == CB_REDUCE && me != call->root) return 0;
    return call->kind == CB_ALL_GATHER || call->kind == CB_ALL_TO_ALL ? size * call->count : call->count;
}

/* Operations begin at different elements (`shift`). */
static bool is_result(const cb_call *call, int t, int64_t shift, int size, int me) {
    const int64_t n = call->count, E = cb_type_bytes(call->type);
    const row *reduced = &reductions[t][size][call->op];
    bool ok = true;
    switch (call->kind) {
    case CB_ALL_GATHER:
        for (int i = 0; i < size; i++) ok &= is_row((char *)call->to + i * n * E, &elements[t][i], shift, n, E);
        return ok;
    case CB_ALL_TO_ALL:
        for (int i = 0; i < size; i++)
            ok &= is_row((char *)call->to + i * n * E, &elements[t][i], shift + me * n, n, E);
        return ok;
    case CB_REDUCE_SCATTER:
        return is_row(call->to, reduced, shift + me * n, n, E);
    case CB_BROADCAST:
        return is_row(call->to, &elements[t][call->root], shift, n, E);
    default:
        return is_row(call->to, reduced, shift, elements_out(call, size, me), E);
    }
}

static bool in_place(const cb_call *call) {
    return call->kind == CB_ALL_REDUCE || call->kind == CB_BROADCAST;
}

static bool is_counted(const cb_algorithm *a, const cb_group *group, const cb_call *call, cb_traffic before) {
    const cb_traffic *now = cb_comm_traffic(group->comm, group->purpose, call->kind);
    const int index = cb_modulo(group->me - call->root, group->size);
    cb_step steps[MOST];
    cb_cost cost = cb_collective_cost(cb_means_plain(true), call->kind, group->size, index, call->count, call->type);
    cb_shape shape = {group->size, index, group->node, call->count};
    if (a->pattern) cost = cb_pattern_cost(a->pattern, &shape, call->type, steps);
    if (group->size == 1) cost = (cb_cost){0};
    bool ok = CHECK_INT(now->operations - before.operations, group->size > 1);
    ok &= CHECK_INT(now->messages - before.messages, cost.messages);
    return ok & CHECK_INT(now->bytes - before.bytes, cost.bytes);
}

static cb_err run_once(const cb_algorithm *a, cb_group *group, cb_call call, int t) {
    const int size = group->size, me = group->me;
    const int64_t shift = 31 * (int64_t)group->sequence, in = elements_in(&call, size), E = cb_type_bytes(call.type);
    const cb_traffic before = *cb_comm_traffic(group->comm, group->purpose, call.kind);
    void *from = elements_new(call.type, in);
    void *to = in_place(&call) ? from : elements_new(call.type, elements_out(&call, size, me));
    copy_row(from, &elements[t][me], shift, in, E);
    call.from = from;
    call.to = to;
    TRY(cb_algorithm_run(a, group, &call, NULL));
    bool ok = CHECK(is_result(&call, t, shift, size, me));
    if (to != from) ok &= CHECK(is_row(from, &elements[t][me], shift, in, E));
    ok &= is_counted(a, group, &call, before);
    if (!ok)
        fprintf(stderr, "    %s by %s, member %d of %d, root %d, %lld elements of %s, %s\n", cb_kind_name(call.kind),
                a->name, me, size, call.root, (long long)call.count, cb_type_name(call.type),
                cb_reduce_op_name(call.op));
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
    const int p = group->size;
    const int64_t counts[] = {0, 1, p - 1, p, p + 1, 1000, 65537};
    const bool rooted = a->kind == CB_BROADCAST || a->kind == CB_REDUCE;
    const bool reduces = a->kind == CB_ALL_REDUCE || a->kind == CB_REDUCE || a->kind == CB_REDUCE_SCATTER;
    for (int c = 0; c < 7; c++) {
        for (int t = 0; t < KINDS_OF_NUMBER; t++) {
            /* the largest count takes long, and says nothing new for other types and most sizes */
            if (TEST_SANITIZED && counts[c] > 1000 && (t > 0 || (p > 5 && p != 8 && p != MOST))) continue;
            for (int op = 0; op < (reduces ? CB_REDUCE_OPS : 1); op++) {
                cb_call call = {.kind = a->kind,
                                .type = types[t],
                                .op = (cb_reduce_op)op,
                                .count = counts[c],
                                .root = rooted ? (c + t) % p : 0};
                TRY(run_once(a, group, call, t));
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

int main(void) {
    const char *backend = getenv("CB_TEST_BACKEND");
    make_elements();
    if (backend && strcmp(backend, "mpi") == 0) {
        cb_launch launch = {.backend = "mpi", .deadline_s = 200};
        CHECK_OK(cb_comm_launch(&launch, every_row, NULL));
        if (cb_comm_mpiexec_rank() == 0) return test_end();
        return atomic_load(&test_failed_) ? 1 : 0;
    }
    RUN(on_threads);
    return test_end();
}
