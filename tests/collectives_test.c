/* Collectives against the naive tree, over all small group sizes and counts; split operations under way at once; groups
 * that overlap; counters against the formulas. Runs on ranks as threads, or under mpiexec with CB_TEST_BACKEND=mpi:
 * then every check runs in one world of the size given. */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "collectives/algorithms.h"
#include "support/reduction.h"
#include "support/test.h"

enum { MOST = 33 };

/* The group of ranks 0..size-1; false for a rank outside of it. */
static bool join(cb_group *group, cb_comm *comm, cb_purpose purpose, int size) {
    int ranks[MOST];
    for (int i = 0; i < size; i++) ranks[i] = i;
    if (cb_comm_rank(comm) >= size) return false;
    return CHECK_OK(cb_group_make(group, comm, purpose, ranks, size));
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Pure parts */

static void blocks_partition(void) {
    for (int n = 1; n <= 12; n++) {
        for (int64_t total = 0; total <= 40; total++) {
            bool ok = cb_block_begin(total, n, 0) == 0 && cb_block_begin(total, n, n) == total;
            for (int i = 0; i < n; i++) {
                int64_t count = cb_block_count(total, n, i);
                ok = ok && cb_block_begin(total, n, i) + count == cb_block_begin(total, n, i + 1);
                ok = ok && count <= cb_block_count(total, n, 0) && count >= cb_block_count(total, n, 0) - 1;
                ok = ok && (i == 0 || count <= cb_block_count(total, n, i - 1));
            }
            CHECK(ok);
        }
    }
}

/* More than 64 operands go in lots; the tree must stay one. */
static void pieces_are_one_tree(void) {
    enum { COUNT = 3 };
    for (int size = 1; size <= 300; size = size < 70 ? size + 1 : size + 23) {
        float *all = malloc((size_t)size * COUNT * sizeof *all), *pieces = malloc((size_t)size * COUNT * sizeof *all);
        for (int m = 0; m < size; m++) elements_fill(all + COUNT * m, CB_F32, 7, m, 0, COUNT);
        for (int me = 0; me < size; me += size < 70 ? 1 : 11) {
            float to[COUNT];
            memcpy(pieces, all, (size_t)me * COUNT * sizeof *all);
            memcpy(pieces + me * COUNT, all + (me + 1) * COUNT, (size_t)(size - 1 - me) * COUNT * sizeof *all);
            cb_pieces p = {to, all + me * COUNT, (char *)pieces, me, size, COUNT};
            cb_pieces_reduce(&p, CB_F32, CB_SUM);
            CHECK(is_tree_of(to, CB_F32, CB_SUM, 7, size, 0, COUNT));
            CHECK(are_elements_of(all + me * COUNT, CB_F32, 7, me, 0, COUNT));
        }
        free(pieces);
        free(all);
    }
}

static void ways_are_chosen(void) {
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 2, 4095), CB_BY_DIRECT);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 8, 0), CB_BY_DIRECT);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 2, 4096), CB_BY_BLOCKS);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 9, 4095), CB_BY_TREE);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 16, 4095), CB_BY_DOUBLING);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 16, 4096), CB_BY_BLOCKS);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 384, 384 * 256 - 1), CB_BY_TREE);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(false), 384, 384 * 256), CB_BY_BLOCKS);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(true), 16, 5), CB_BY_MEETING);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(true), 1024, 1 << 20), CB_BY_MEETING);
    CHECK_INT(cb_all_reduce_choose(cb_means_plain(true), 1025, 1 << 20), CB_BY_BLOCKS);
    CHECK_INT(cb_all_reduce_scratch_most(cb_means_plain(true), 16, 1 << 20, CB_F32), 0);
    CHECK_STR(cb_all_reduce_way_name(CB_BY_DOUBLING), "doubling");
    CHECK_INT(cb_all_reduce_scratch_bytes(cb_means_plain(false), 1, 5000, CB_F32), 0);
    CHECK_INT(cb_all_reduce_scratch_bytes(cb_means_plain(false), 3, 5000, CB_F32), 2 * 1667 * 4);
    CHECK_INT(cb_all_reduce_scratch_bytes(cb_means_plain(false), 3, 5, CB_F64), 2 * 5 * 8);
    CHECK_INT(cb_all_reduce_scratch_bytes(cb_means_plain(false), 9, 100, CB_U8), 100);
}

/* The most is that of the greediest count up to the given one, never more. */
static void scratch_for_several_counts(void) {
    for (int size = 1; size <= 40; size++) {
        int64_t most = 0;
        bool equal = true;
        for (int64_t count = 0; count <= 24000; count++) {
            int64_t bytes = cb_all_reduce_scratch_bytes(cb_means_plain(false), size, count, CB_F32);
            if (bytes > most) most = bytes;
            equal &= cb_all_reduce_scratch_most(cb_means_plain(false), size, count, CB_F32) == most;
        }
        CHECK(equal);
    }
}

/* What all members send together, by formulas of its own. */
static void costs_add_up(void) {
    for (int p = 1; p <= 40; p++) {
        for (int64_t n = 0; n <= 20000; n = 3 * n + 1) {
            int64_t bytes[CB_KINDS] = {0}, by_tree = 0, by_blocks = 0;
            for (int i = 0; i < p; i++) {
                for (int kind = 0; kind < CB_KINDS; kind++)
                    bytes[kind] += cb_collective_cost(cb_means_plain(false), (cb_kind)kind, p, i, n, CB_F32).bytes;
                by_tree += cb_all_reduce_cost_by(CB_BY_TREE, p, i, n, CB_F32).messages;
                by_blocks += cb_all_reduce_cost_by(CB_BY_BLOCKS, p, i, n, CB_F32).bytes;
            }
            CHECK_INT(bytes[CB_ALL_GATHER], 4 * n * p * (p - 1));
            CHECK_INT(bytes[CB_REDUCE_SCATTER], 4 * n * p * (p - 1));
            CHECK_INT(bytes[CB_BROADCAST], 4 * n * (p - 1));
            CHECK_INT(bytes[CB_BARRIER], 0);
            CHECK_INT(by_tree, 2 * (p - 1));
            CHECK_INT(by_blocks, 4 * n * 2 * (p - 1));
        }
    }
}

/* All-reduce */

enum { BY_CHOICE = CB_ALL_REDUCE_WAYS };

/* One all-reduce with exactly the scratch that is due: correct bits, counted as by formula, scratch used up to its end.
 */
static cb_err reduce_once(cb_group *group, int way, int64_t count, cb_type type, cb_reduce_op op) {
    const cb_all_reduce_way real = way == BY_CHOICE ? cb_all_reduce_choose(cb_group_means(group), group->size, count) : (cb_all_reduce_way)way;
    const int64_t bytes = cb_all_reduce_scratch_by(real, group->size, count, type);
    const int salt = (int)group->sequence;
    void *data = elements_of(type, salt, group->me, count);
    char *scratch = malloc((size_t)bytes + !bytes);
    memset(scratch, 0xA5, (size_t)bytes);
    const cb_traffic *traffic = cb_comm_traffic(group->comm, group->purpose, CB_ALL_REDUCE), before = *traffic;
    cb_pending pending;
    TRY(cb_all_reduce_start_by(real, &pending, group, data, count, type, op, scratch));
    TRY(cb_all_reduce_finish(&pending));
    cb_cost cost = cb_all_reduce_cost_by(real, group->size, group->me, count, type);
    CHECK_INT(traffic->messages - before.messages, cost.messages);
    CHECK_INT(traffic->bytes - before.bytes, cost.bytes);
    if (!CHECK(is_tree_of(data, type, op, salt, group->size, 0, count)))
        fprintf(stderr, "    %s, member %d of %d, %lld elements of %s\n", cb_all_reduce_way_name(real), group->me,
                group->size, (long long)count, cb_type_name(type));
    if (bytes && group->me == 0 && type == CB_F64) CHECK(memcmp(scratch + bytes - 4, "\xA5\xA5\xA5\xA5", 4) != 0);
    free(scratch);
    free(data);
    return CB_OK;
}

static cb_err reduce_types(cb_group *group, int64_t count) {
    for (int type = CB_F32; type <= CB_U8; type++) {
        TRY(reduce_once(group, BY_CHOICE, count, (cb_type)type, CB_SUM));
        TRY(reduce_once(group, BY_CHOICE, count, (cb_type)type, CB_MAX));
    }
    return CB_OK;
}

static cb_err reduce_counts(cb_group *group) {
    for (int64_t count = 0; count <= 20; count++) TRY(reduce_types(group, count));
    for (int64_t count = 4094; count <= 4099; count++) TRY(reduce_once(group, BY_CHOICE, count, CB_F32, CB_SUM));
    TRY(reduce_types(group, 4096));
    const int64_t border = group->size * (int64_t)CB_SMALL_BLOCK;
    for (int64_t count = border - 1; count <= border + 1; count++)
        TRY(reduce_once(group, BY_CHOICE, count, CB_F64, CB_SUM));
    return CB_OK;
}

static cb_err all_reduce_all_sizes(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group group;
    for (int size = 1; size <= cb_comm_size(comm); size++) {
        if (!join(&group, comm, CB_FOR_DP, size)) continue;
        TRY(reduce_counts(&group));
        cb_group_free(&group);
    }
    return CB_OK;
}

/* Ways that a count would not choose give the same bits too: the sum does not depend on the algorithm. */
static cb_err all_reduce_all_ways(cb_comm *comm, void *arg) {
    (void)arg;
    static const int64_t counts[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 33, 100, 4097, 20000};
    cb_group group;
    for (int size = 1; size <= cb_comm_size(comm); size++) {
        if (!join(&group, comm, CB_FOR_TP, size)) continue;
        for (int way = 0; way <= CB_BY_MEETING; way++) { /* those that keep the order of sums */
            if (way == CB_BY_DOUBLING && (size & (size - 1))) continue;
            if (way == CB_BY_MEETING && !group.board) continue;
            for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
                TRY(reduce_once(&group, way, counts[i], CB_F32, CB_SUM));
                if (counts[i] < 4096) TRY(reduce_once(&group, way, counts[i], CB_F64, CB_MAX));
            }
        }
        cb_group_free(&group);
    }
    return CB_OK;
}

static cb_err all_reduce_of_many(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group group;
    for (int size = 16; size <= cb_comm_size(comm); size += size < 32 ? 16 : 1) { /* 16, 32, 33 */
        if (!join(&group, comm, CB_FOR_WORLD, size)) continue;
        const int64_t counts[] = {0, 1, 5, 33, 4095, 4096, 32 * 256 - 1, 32 * 256, 33 * 256};
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            TRY(reduce_once(&group, BY_CHOICE, counts[i], CB_F32, CB_SUM));
        for (int way = 0; way <= CB_BY_MEETING; way++)
            if (way != CB_BY_DOUBLING && (way != CB_BY_MEETING || group.board)) TRY(reduce_once(&group, way, 50, CB_F64, CB_SUM));
        cb_group_free(&group);
    }
    return CB_OK;
}

/* A million elements, whole and in buckets of several sizes: one result. */
static cb_err all_reduce_large(cb_comm *comm, void *arg) {
    (void)arg;
    enum { COUNT = 1000003 };
    static const int64_t buckets[] = {COUNT, 300000, 4100, 4095};
    cb_group group;
    if (!join(&group, comm, CB_FOR_DP, cb_comm_size(comm))) return CB_OK;
    float *first = NULL;
    float *mine = elements_of(CB_F32, 99, group.me, COUNT);
    for (int b = 0; b < 4; b++) {
        float *data = memcpy(elements_new(CB_F32, COUNT), mine, COUNT * sizeof *data);
        for (int64_t i = 0; i < COUNT; i += buckets[b]) {
            int64_t count = COUNT - i < buckets[b] ? COUNT - i : buckets[b];
            TRY(cb_all_reduce(&group, data + i, count, CB_F32, CB_SUM, NULL));
        }
        if (!first)
            first = data;
        else {
            CHECK(memcmp(first, data, COUNT * sizeof *data) == 0);
            free(data);
        }
    }
    CHECK(is_tree_of(first, CB_F32, CB_SUM, 99, group.size, 0, COUNT));
    free(first);
    free(mine);
    cb_group_free(&group);
    return CB_OK;
}

/* Split operations */

enum { SPLITS = 3 };
static const int64_t split_counts[SPLITS] = {9001, 37, 5000};

typedef struct split {
    cb_pending pending[SPLITS];
    float *data[SPLITS];
    int salt[SPLITS];
} split;

static cb_err splits_start(split *s, cb_group *group) {
    for (int i = 0; i < SPLITS; i++) {
        s->salt[i] = (int)group->sequence;
        s->data[i] = elements_of(CB_F32, s->salt[i], group->me, split_counts[i]);
        TRY(cb_all_reduce_start(&s->pending[i], group, s->data[i], split_counts[i], CB_F32, CB_SUM, NULL));
    }
    return CB_OK;
}

static cb_err splits_finish(split *s, cb_group *group) {
    for (int i = 0; i < SPLITS; i++) {
        TRY(cb_all_reduce_finish(&s->pending[i]));
        CHECK(is_tree_of(s->data[i], CB_F32, CB_SUM, s->salt[i], group->size, 0, split_counts[i]));
        free(s->data[i]);
    }
    return CB_OK;
}

/* Ranks progress in different orders, differently often. */
static cb_err split_in_any_order(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group group;
    for (int size = 1; size <= cb_comm_size(comm); size++) {
        if (!join(&group, comm, CB_FOR_DP, size)) continue;
        for (int round = 0; round < 10; round++) {
            split s;
            TRY(splits_start(&s, &group));
            uint64_t random = mix((uint64_t)(round * MOST + group.me));
            for (uint64_t n = 0; n < random % 13; n++)
                TRY(cb_all_reduce_progress(&s.pending[mix(random + n) % SPLITS], NULL));
            TRY(splits_finish(&s, &group));
        }
        cb_group_free(&group);
    }
    return CB_OK;
}

/* Progress alone brings all of them to their end. */
static cb_err split_without_waits(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group group;
    split s;
    if (!join(&group, comm, CB_FOR_DP, cb_comm_size(comm))) return CB_OK;
    TRY(splits_start(&s, &group));
    for (int done = 0; done < SPLITS; sched_yield()) {
        done = 0;
        for (int i = 0; i < SPLITS; i++) {
            bool one = false;
            TRY(cb_all_reduce_progress(&s.pending[(i + group.me) % SPLITS], &one));
            done += one;
        }
    }
    TRY(splits_finish(&s, &group));
    cb_group_free(&group);
    return CB_OK;
}

/* The others start only when member 0 has come through start and progress. */
static cb_err progress_never_waits(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group group;
    split s;
    uint8_t go = 1;
    if (!join(&group, comm, CB_FOR_DP, cb_comm_size(comm))) return CB_OK;
    if (group.me > 0) TRY(cb_recv(&group, &go, 1, CB_U8, 0));
    TRY(splits_start(&s, &group));
    if (group.me == 0) {
        bool done = group.size > 1;
        for (int n = 0; n < 50; n++)
            for (int i = 0; i < SPLITS; i++) TRY(cb_all_reduce_progress(&s.pending[i], &done));
        CHECK(done == (group.size == 1));
        for (int i = 1; i < group.size; i++) TRY(cb_send(&group, &go, 1, CB_U8, i));
    }
    TRY(splits_finish(&s, &group));
    cb_group_free(&group);
    return CB_OK;
}

static cb_err sequence_wraps(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group group;
    if (!join(&group, comm, CB_FOR_DP, cb_comm_size(comm))) return CB_OK;
    for (int high = 0; high < 2; high++) {
        group.sequence = high ? ~0u - 5 : (1u << 14) - 5;
        for (int i = 0; i < 12; i++) TRY(reduce_once(&group, BY_CHOICE, 10 + i, CB_I32, CB_SUM));
    }
    cb_group_free(&group);
    return CB_OK;
}

/* Groups */

/* Two disjoint groups of one purpose, their members in descending order, each at its own pace. */
static cb_err disjoint_groups(cb_comm *comm, void *arg) {
    (void)arg;
    int ranks[MOST], size = 0, parity = cb_comm_rank(comm) % 2;
    for (int rank = least(cb_comm_size(comm), MOST) - 1; rank >= 0; rank--)
        if (rank % 2 == parity) ranks[size++] = rank;
    cb_group group;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, ranks, size));
    for (int i = 0; i < 20 * (1 + parity); i++) {
        TRY(reduce_once(&group, BY_CHOICE, 300 * i, CB_F32, CB_SUM));
        if (i % 5 == 0) TRY(cb_barrier(&group));
    }
    cb_group_free(&group);
    return CB_OK;
}

/* A member's ranks along one axis of the grid (t fastest, then d, then p), axis by its stride. */
static cb_err axis_group(cb_group *group, cb_comm *comm, cb_purpose purpose, int stride, int size) {
    int ranks[2], rank = cb_comm_rank(comm), first = rank - rank / stride % size * stride;
    for (int i = 0; i < size; i++) ranks[i] = first + i * stride;
    return cb_group_make(group, comm, purpose, ranks, size);
}

/* As in training: gradients on their way over dp while tp reduces activations and stages pass messages. */
static cb_err grid_step(cb_group *tp, cb_group *dp, cb_group *pp, int step) {
    split s;
    usleep((unsigned)(mix((uint64_t)(step * 8 + cb_comm_rank(tp->comm))) % 100));
    TRY(splits_start(&s, dp));
    for (int layer = 0; layer < 4; layer++) {
        TRY(reduce_once(tp, BY_CHOICE, 3000 * layer, CB_F32, CB_SUM));
        int32_t token = step;
        if (pp->size == 2 && pp->me == 0) TRY(cb_send(pp, &token, 1, CB_I32, 1));
        if (pp->size == 2 && pp->me == 1) TRY(cb_recv(pp, &token, 1, CB_I32, 0));
        CHECK_INT(token, step);
        TRY(cb_all_reduce_progress(&s.pending[layer % SPLITS], NULL));
    }
    return splits_finish(&s, dp);
}

static cb_err overlapping_groups(cb_comm *comm, void *arg) {
    (void)arg;
    int world = cb_comm_size(comm), t = world >= 2 ? 2 : 1, d = world >= 4 ? 2 : 1, p = world >= 8 ? 2 : 1;
    cb_group tp, dp, pp;
    if (cb_comm_rank(comm) >= t * d * p) return CB_OK;
    TRY(axis_group(&tp, comm, CB_FOR_TP, 1, t));
    TRY(axis_group(&dp, comm, CB_FOR_DP, t, d));
    TRY(axis_group(&pp, comm, CB_FOR_PP, t * d, p));
    for (int step = 0; step < 20; step++) TRY(grid_step(&tp, &dp, &pp, step));
    cb_group_free(&tp);
    cb_group_free(&dp);
    cb_group_free(&pp);
    return CB_OK;
}

/* The other collectives, with their counters */

static void check_cost(const cb_group *group, cb_kind kind, int index, int64_t count, cb_type type) {
    const cb_traffic *traffic = cb_comm_traffic(group->comm, group->purpose, kind);
    cb_cost cost = cb_collective_cost(cb_group_means(group), kind, group->size, index, count, type);
    CHECK_INT(traffic->messages, cost.messages);
    CHECK_INT(traffic->bytes, cost.bytes);
    cb_comm_traffic_reset(group->comm);
}

static cb_err gather_once(cb_group *group, int64_t count, cb_type type) {
    const int64_t bytes = count * cb_type_bytes(type);
    char *to = elements_new(type, group->size * count), *own = to + group->me * bytes;
    void *apart = elements_of(type, 3, group->me, count);
    elements_fill(own, type, 3, group->me, 0, count);
    for (int in_place = 0; in_place < 2; in_place++) {
        TRY(cb_all_gather(group, to, in_place ? own : apart, count, type));
        for (int m = 0; m < group->size; m++) CHECK(are_elements_of(to + m * bytes, type, 3, m, 0, count));
        check_cost(group, CB_ALL_GATHER, group->me, count, type);
        memset(to, 0, (size_t)(group->me * bytes));
    }
    free(apart);
    free(to);
    return CB_OK;
}

static cb_err scatter_once(cb_group *group, int64_t count, cb_type type, cb_reduce_op op) {
    char *from = elements_of(type, 4, group->me, group->size * count);
    char *own = from + group->me * count * cb_type_bytes(type);
    void *apart = elements_new(type, count);
    for (int in_place = 0; in_place < 2; in_place++) {
        void *to = in_place ? own : apart;
        TRY(cb_reduce_scatter(group, to, from, count, type, op));
        CHECK(is_tree_of(to, type, op, 4, group->size, group->me * count, count));
        if (!in_place) CHECK(are_elements_of(from, type, 4, group->me, 0, group->size * count));
        check_cost(group, CB_REDUCE_SCATTER, group->me, count, type);
    }
    free(apart);
    free(from);
    return CB_OK;
}

static cb_err broadcast_once(cb_group *group, int64_t count, cb_type type, int root) {
    void *data = elements_of(type, 5, group->me, count);
    TRY(cb_broadcast(group, data, count, type, root));
    CHECK(are_elements_of(data, type, 5, root, 0, count));
    check_cost(group, CB_BROADCAST, (group->me - root + group->size) % group->size, count, type);
    free(data);
    return CB_OK;
}

static cb_err others_in_group(cb_group *group) {
    static const int64_t counts[] = {0, 1, 2, 7, 100, 5000};
    const bool many = group->size > 9;
    for (int c = 0; c < (many ? 4 : 6); c++) {
        for (int type = CB_F32; type <= (many ? CB_F64 : CB_U8); type++) {
            TRY(gather_once(group, counts[c], (cb_type)type));
            TRY(scatter_once(group, counts[c], (cb_type)type, type % 2 ? CB_MAX : CB_SUM));
        }
        for (int root = 0; root < group->size; root++) TRY(broadcast_once(group, counts[c], CB_F32, root));
    }
    TRY(cb_barrier(group));
    check_cost(group, CB_BARRIER, group->me, 0, CB_U8);
    return CB_OK;
}

static cb_err others_all_sizes(cb_comm *comm, void *arg) {
    (void)arg;
    cb_group group;
    for (int size = 1; size <= cb_comm_size(comm); size++) {
        if (size > 9 && size < 32) continue;
        if (!join(&group, comm, CB_FOR_WORLD, size)) continue;
        cb_comm_traffic_reset(comm);
        TRY(others_in_group(&group));
        cb_group_free(&group);
    }
    return CB_OK;
}

/* Nobody passes barrier r before all have come to it. Processes share no counter, so there it must only end. */
static cb_err barrier_holds(cb_comm *comm, void *arg) {
    atomic_int *arrived = arg;
    cb_group group;
    if (!join(&group, comm, CB_FOR_WORLD, cb_comm_size(comm))) return CB_OK;
    for (int round = 1; round <= 30; round++) {
        usleep((unsigned)(mix((uint64_t)(round * MOST + group.me)) % 1000));
        atomic_fetch_add(arrived, 1);
        TRY(cb_barrier(&group));
        if (cb_comm_in_process(comm)) CHECK(atomic_load(arrived) >= round * group.size);
    }
    cb_group_free(&group);
    return CB_OK;
}

/* Reports gathered on member 0: several from each, in the order sent, between collectives. */
static cb_err reports_arrive_in_order(cb_comm *comm, void *arg) {
    (void)arg;
    enum { REPORTS = 5 };
    cb_group group;
    if (!join(&group, comm, CB_FOR_WORLD, cb_comm_size(comm))) return CB_OK;
    cb_comm_traffic_reset(comm);
    for (int m = 1; m < group.size; m++) {
        for (int32_t i = 0; i < REPORTS && (group.me == 0 || group.me == m); i++) {
            int32_t report = 100 * m + i;
            if (group.me == m)
                TRY(cb_send(&group, &report, 1, CB_I32, 0));
            else
                TRY(cb_recv(&group, &report, 1, CB_I32, m));
            CHECK_INT(report, 100 * m + i);
        }
        if (m % 2) TRY(reduce_once(&group, BY_CHOICE, 10, CB_F32, CB_SUM));
    }
    const cb_traffic *traffic = cb_comm_traffic(comm, CB_FOR_WORLD, CB_SENDRECV);
    cb_cost cost = cb_collective_cost(cb_means_plain(false), CB_SENDRECV, group.size, group.me, 1, CB_I32);
    CHECK_INT(traffic->messages, group.me > 0 ? REPORTS * cost.messages : 0);
    CHECK_INT(traffic->bytes, group.me > 0 ? REPORTS * cost.bytes : 0);
    cb_group_free(&group);
    return CB_OK;
}

static const struct world_test {
    const char *name;
    cb_rank_fn fn;
    int threads[3]; /* sizes of worlds to run it in */
} world_tests[] = {
    {"all_reduce_all_sizes", all_reduce_all_sizes, {9}},       {"all_reduce_all_ways", all_reduce_all_ways, {9}},
    {"all_reduce_of_many", all_reduce_of_many, {33}},          {"all_reduce_large", all_reduce_large, {3}},
    {"split_in_any_order", split_in_any_order, {9}},           {"split_without_waits", split_without_waits, {1, 4, 9}},
    {"progress_never_waits", progress_never_waits, {1, 2, 5}}, {"sequence_wraps", sequence_wraps, {3}},
    {"disjoint_groups", disjoint_groups, {2, 5, 8}},           {"overlapping_groups", overlapping_groups, {2, 4, 8}},
    {"others_all_sizes", others_all_sizes, {9, 33}},           {"barrier_holds", barrier_holds, {1, 5, 8}},
    {"reports_arrive_in_order", reports_arrive_in_order, {5}},
};
enum { WORLD_TESTS = sizeof world_tests / sizeof world_tests[0] };

static void run_on_threads(const struct world_test *test) {
    int failed = atomic_load(&test_failed_);
    for (int i = 0; i < 6 && test->threads[i / 2]; i++) { /* messages, each one checked; then meetings */
        atomic_int shared = 0;
        cb_launch launch = {
            .backend = "threads", .ranks = test->threads[i / 2], .deadline_s = 600, .checked = i % 2 == 0};
        CHECK_OK(cb_comm_launch(&launch, test->fn, &shared));
    }
    printf("%s %s\n", atomic_load(&test_failed_) == failed ? "ok  " : "FAIL", test->name);
    fflush(stdout);
}

static cb_err run_in_processes(cb_comm *comm, void *arg) {
    (void)arg;
    if (cb_comm_size(comm) > MOST)
        return cb_fail(CB_EINVAL, "%d ranks; this test runs on up to %d", cb_comm_size(comm), MOST);
    for (int i = 0; i < WORLD_TESTS; i++) {
        atomic_int shared = 0;
        TRY(cb_err_context(world_tests[i].fn(comm, &shared), "%s", world_tests[i].name));
        if (cb_comm_rank(comm) == 0) printf("ok   %s\n", world_tests[i].name);
    }
    return CB_OK;
}

int main(void) {
    const char *backend = getenv("CB_TEST_BACKEND");
    if (backend && strcmp(backend, "mpi") == 0) {
        cb_launch launch = {.backend = "mpi", .deadline_s = 600, .checked = true};
        CHECK_OK(cb_comm_launch(&launch, run_in_processes, NULL));
        if (cb_comm_mpiexec_rank() == 0) return test_end();
        return atomic_load(&test_failed_) ? 1 : 0;
    }
    RUN(blocks_partition);
    RUN(pieces_are_one_tree);
    RUN(ways_are_chosen);
    RUN(scratch_for_several_counts);
    RUN(costs_add_up);
    for (int i = 0; i < WORLD_TESTS; i++) run_on_threads(&world_tests[i]);
    return test_end();
}
