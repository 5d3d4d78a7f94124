/* The sequence-parallel form of a column- and a row-parallel layer against the all-reduce form, which
 * tensor_parallel_test.c holds against plain loops: the same bits in every output and gradient, for every number of
 * ranks and shards, whether ranks meet on one memory or send messages; and two gathers and two scatters, which send the
 * bytes of the two all-reduces that they replace. All memory has exactly its promised size, for the address sanitizer.
 */
#include "support/ranks.h"

enum { C = 16, F = 48, MOST_RANKS = 8 };

typedef struct setup {
    int ranks, shards;
    int64_t M;
    const char *compute;
    bool checked; /* then ranks send messages */
} setup;

/* Of one rank; the first group of fields is what must agree. */
typedef struct pass {
    float *y, *z, *dy, *dx, *dw1, *dw2, *db1, *db2;
    float *whole, *room;
} pass;

/* One room of n floats after the other, each its own. */
static void make_pass(pass *p, int64_t M, int64_t local, int64_t rows) {
    float **to[] = {&p->y, &p->z, &p->dy, &p->dx, &p->dw1, &p->dw2, &p->db1, &p->db2, &p->whole, &p->room};
    int64_t n[] = {M * local, rows * C, M * local, rows * C, local * C, local * C, local, C, M * C, M * C};
    for (int i = 0; i < 10; i++) *to[i] = floats_new(50, n[i], 1);
}

static void free_pass(pass *p) {
    float *all[] = {p->y, p->z, p->dy, p->dx, p->dw1, p->dw2, p->db1, p->db2, p->whole, p->room};
    for (int i = 0; i < 10; i++) free(all[i]);
}

/* C -> F by columns, F -> C by rows, and back, without anything between. */
static cb_err by_all_reduce(cb_tp *tp, cb_linear one, cb_linear two, pass *p, const float *x, const float *dz,
                            int64_t M) {
    cb_column_forward(tp, &one, p->y, x, M);
    TRY(cb_row_forward(tp, &two, p->z, p->y, M));
    cb_row_backward(tp, &two, p->dy, dz, p->y, M);
    return cb_column_backward(tp, &one, p->dx, p->dy, x, M);
}

static cb_err by_sequence(cb_tp *tp, cb_linear one, cb_linear two, pass *p, const float *x, const float *dz,
                          int64_t M) {
    int64_t first = tp->group->me * (M / tp->group->size) * C;
    float *gathered = floats_new(0, M * C, 1);
    cb_err e = cb_sequence_column_forward(tp, &one, p->y, p->whole, x + first, M);
    if (!e) e = cb_sequence_row_forward(tp, &two, p->z, p->y, p->room, M);
    if (!e) e = cb_sequence_row_backward(tp, &two, p->dy, gathered, dz + first, p->y, M);
    if (!e) e = cb_sequence_column_backward(tp, &one, p->dx, p->dy, p->whole, p->room, M);
    free(gathered);
    return e;
}

static bool same(const float *a, const float *b, int64_t n) {
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static void compare(const cb_tp *tp, const pass *all, const pass *part, int64_t M) {
    int64_t local = F / tp->group->size, rows = M / tp->group->size, first = tp->group->me * rows * C;
    CHECK(same(part->y, all->y, M * local));
    CHECK(same(part->z, all->z + first, rows * C));
    CHECK(same(part->dy, all->dy, M * local));
    CHECK(same(part->dx, all->dx + first, rows * C));
    CHECK(same(part->dw1, all->dw1, local * C));
    CHECK(same(part->dw2, all->dw2, local * C));
    CHECK(same(part->db1, all->db1, local));
    CHECK(same(part->db2, all->db2, C));
}

/* Two of each kind were sent, as many bytes as two all-reduces in blocks. */
static void check_traffic(const cb_tp *tp, int64_t M) {
    const cb_group *g = tp->group;
    cb_cost blocks = cb_all_reduce_cost_by(CB_BY_BLOCKS, g->size, g->me, M * C, CB_F32);
    int64_t bytes = 0, messages = 0;
    for (int kind = 0; kind < CB_KINDS; kind++) {
        const cb_traffic *t = cb_comm_traffic(g->comm, CB_FOR_TP, (cb_kind)kind);
        bool used = kind == CB_ALL_GATHER || kind == CB_REDUCE_SCATTER;
        cb_cost one = cb_collective_cost(cb_group_means(g), (cb_kind)kind, g->size, g->me, M / g->size * C, CB_F32);
        CHECK_INT(t->messages, used ? 2 * one.messages : 0);
        CHECK_INT(t->bytes, used ? 2 * one.bytes : 0);
        messages += t->messages;
        bytes += t->bytes;
    }
    CHECK_INT(messages, 2 * blocks.messages);
    CHECK_INT(bytes, 2 * blocks.bytes);
}

static cb_err both_forms(cb_tp *tp, const setup *s) {
    int64_t M = s->M, local = F / tp->group->size;
    /* Any weights do: a rank's shards are its own rooms. */
    float *x = floats_new(1, M * C, 1), *dz = floats_new(2, M * C, 1);
    float *w1 = floats_new(10 + (uint32_t)tp->group->me, local * C, 1);
    float *w2 = floats_new(30 + (uint32_t)tp->group->me, local * C, 1), *b1 = floats_new(3, local, 1);
    pass all = {0}, part = {0};
    make_pass(&all, M, local, M);
    make_pass(&part, M, local, M / tp->group->size);
    cb_linear one = {C, F, w1, b1, all.dw1, all.db1}, two = {F, C, w2, NULL, all.dw2, all.db2};
    cb_err e = by_all_reduce(tp, one, two, &all, x, dz, M);
    cb_comm_traffic_reset(tp->group->comm);
    one = (cb_linear){C, F, w1, b1, part.dw1, part.db1};
    two = (cb_linear){F, C, w2, NULL, part.dw2, part.db2};
    if (!e) e = by_sequence(tp, one, two, &part, x, dz, M);
    if (!e) compare(tp, &all, &part, M);
    if (!e && tp->group->size > 1) check_traffic(tp, M);
    free_pass(&all);
    free_pass(&part);
    float *rooms[] = {x, dz, w1, w2, b1};
    for (int i = 0; i < 5; i++) free(rooms[i]);
    return e;
}

typedef cb_err with_tp(cb_tp *tp, const setup *s);
typedef struct job {
    const setup *s;
    with_tp *run;
} job;

static cb_err live(cb_comm *comm, void *arg) {
    const job *j = arg;
    const setup *s = j->s;
    int all[MOST_RANKS], owned = s->shards / s->ranks, me = cb_comm_rank(comm);
    cb_group group;
    cb_compute *compute;
    for (int i = 0; i < s->ranks; i++) all[i] = i;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, all, s->ranks));
    TRY(cb_compute_create(&compute, s->compute, 1));
    float *sum_scratch = malloc((size_t)cb_gemm_sum_scratch_bytes(s->M, C, owned, 1) + 1);
    cb_tp tp = {.group = &group,
                .compute = compute,
                .shards = s->shards,
                .first = me * owned,
                .owned = owned,
                .sum_scratch = sum_scratch};
    cb_err e = j->run(&tp, s);
    free(sum_scratch);
    cb_compute_destroy(compute);
    cb_group_free(&group);
    return e;
}

static void launch(const setup *s, with_tp *run) {
    cb_launch how = {.backend = "threads", .ranks = s->ranks, .deadline_s = 60, .checked = s->checked};
    job j = {s, run};
    if (!CHECK_OK(cb_comm_launch(&how, live, &j)))
        fprintf(stderr, "    %d ranks, %d shards, %lld rows\n", s->ranks, s->shards, (long long)s->M);
}

static void bits_of_the_all_reduce_form(void) {
    static const int ranks[] = {1, 2, 3, 4, 6, 8};
    for (int i = 0; i < 6; i++) {
        for (int owned = 1; owned <= 4; owned++) {
            int shards = ranks[i] * owned;
            if (F % shards) continue;
            for (int64_t rows = 1; rows <= 33; rows += 8) {
                setup s = {.ranks = ranks[i], .shards = shards, .M = rows * ranks[i], .compute = "cpu"};
                launch(&s, both_forms);
                s.compute = "ref";
                s.checked = true;
                launch(&s, both_forms);
            }
        }
    }
}

static cb_err refused(cb_tp *tp, const setup *s) {
    float *room = floats_new(1, s->M * F, 1);
    cb_linear l = {C, F, room, NULL, NULL, NULL}, back = {F, C, room, NULL, NULL, NULL};
    CHECK_FAILS(cb_sequence_check(tp, s->M), CB_EINVAL, "10 rows cannot be divided over tp=4; 8 or 12 would work");
    CHECK_FAILS(cb_sequence_column_forward(tp, &l, room, room, room, s->M), CB_EINVAL, "10 rows cannot be divided");
    CHECK_FAILS(cb_sequence_row_backward(tp, &back, room, room, room, room, s->M), CB_EINVAL, "8 or 12 would work");
    CHECK_OK(cb_sequence_check(tp, 12));
    CHECK_FAILS(cb_sequence_check(tp, 3), CB_EINVAL, "3 rows cannot be divided over tp=4; 4 would work");
    free(room);
    return CB_OK;
}

static void rows_that_do_not_divide(void) {
    setup s = {.ranks = 4, .shards = 4, .M = 10, .compute = "ref"};
    launch(&s, refused);
}

int main(void) {
    RUN(bits_of_the_all_reduce_form);
    RUN(rows_that_do_not_divide);
    return test_end();
}
