/* Column-, row- and vocabulary-parallel layers against plain loops in double, for every number of ranks (cb_comm_launch
 * of as many threads) and of shards per rank; with the number of shards fixed, the same bits wherever they are; and the
 * messages of a block: two all-reduces forward, two backward. All memory has exactly its promised size, for the address
 * sanitizer. */
#include "support/ranks.h"

enum { IN = 16, OUT = 24, VOCAB = 42, PADDED = 64, MOST_ROWS = 37, MOST_RANKS = 8 };

/* What the layers computed: cut tensors in the order of shards, whole ones once for every rank. */
typedef struct answers {
    float *column_y, *column_dw, *column_db, *row_dx, *row_dw, *embed_dtable, *head_dtable;
    float *column_dx[MOST_RANKS], *row_y[MOST_RANKS], *row_db[MOST_RANKS], *embed_x[MOST_RANKS], *head_dh[MOST_RANKS];
    double loss[MOST_RANKS];
} answers;

typedef struct setup {
    int ranks, shards;
    int64_t M;
    const char *compute;
    answers *out;
    /* the same for all: global operands */
    float *x, *dy, *w, *b, *z, *dz, *table, *h;
    int32_t *tokens, *targets;
} setup;

static const float scale = 0.03125f;

static void make_operands(setup *s) {
    int64_t M = s->M;
    s->x = floats_new(1, M * IN, 1);
    s->dy = floats_new(2, M * OUT, 1);
    s->w = floats_new(3, IN * OUT, 1);
    s->b = floats_new(4, OUT, 1);
    s->z = floats_new(5, M * OUT, 1);
    s->dz = floats_new(6, M * IN, 1);
    s->table = floats_new(7, PADDED * IN, 1);
    s->h = floats_new(8, M * IN, 1);
    s->tokens = calloc((size_t)M, sizeof *s->tokens);
    s->targets = calloc((size_t)M, sizeof *s->targets);
    for (int64_t i = 0; i < M; i++) {
        s->tokens[i] = (int32_t)((i * 7 + 3) % VOCAB);
        s->targets[i] = (int32_t)((i * 11 + VOCAB - 1) % VOCAB);
    }
}

static void free_operands(setup *s) {
    float *all[] = {s->x, s->dy, s->w, s->b, s->z, s->dz, s->table, s->h};
    for (int i = 0; i < 8; i++) free(all[i]);
    free(s->tokens);
    free(s->targets);
}

static float **answer_at(answers *a, int k) {
    float **cut[] = {&a->column_y, &a->column_dw,    &a->column_db,  &a->row_dx,
                     &a->row_dw,   &a->embed_dtable, &a->head_dtable};
    return cut[k];
}

static float **copies_at(answers *a, int k) {
    float **whole[] = {a->column_dx, a->row_y, a->row_db, a->embed_x, a->head_dh};
    return whole[k];
}
enum { CUT_ANSWERS = 7, WHOLE_ANSWERS = 5 };

static int64_t cut_count(int k, int64_t M) {
    int64_t counts[CUT_ANSWERS] = {M * OUT, IN * OUT, OUT, M * OUT, IN * OUT, PADDED * IN, PADDED * IN};
    return counts[k];
}

static int64_t whole_count(int k, int64_t M) {
    int64_t counts[WHOLE_ANSWERS] = {M * IN, M * IN, IN, M * IN, M * IN};
    return counts[k];
}

static void make_answers(answers *a, int64_t M) {
    for (int k = 0; k < CUT_ANSWERS; k++) *answer_at(a, k) = calloc((size_t)cut_count(k, M), sizeof(float));
    for (int k = 0; k < WHOLE_ANSWERS; k++) {
        for (int r = 0; r < MOST_RANKS; r++) copies_at(a, k)[r] = calloc((size_t)whole_count(k, M), sizeof(float));
    }
}

static void free_answers(answers *a) {
    for (int k = 0; k < CUT_ANSWERS; k++) free(*answer_at(a, k));
    for (int k = 0; k < WHOLE_ANSWERS; k++) {
        for (int r = 0; r < MOST_RANKS; r++) free(copies_at(a, k)[r]);
    }
}

/* The owned shards of a global (rows, cols) matrix, columns cut: each shard dense. The caller frees. */
static float *cut_columns(const cb_tp *tp, const float *whole, int64_t rows, int64_t cols) {
    int64_t n = cols / tp->shards;
    float *out = malloc((size_t)(tp->owned * rows * n) * sizeof *out);
    for (int s = 0; s < tp->owned; s++) {
        for (int64_t i = 0; i < rows; i++) {
            memcpy(out + (s * rows + i) * n, whole + i * cols + (tp->first + s) * n, (size_t)n * sizeof *out);
        }
    }
    return out;
}

static float *cut_rows(const cb_tp *tp, const float *whole, int64_t rows, int64_t cols) {
    int64_t n = rows / tp->shards * cols;
    float *out = malloc((size_t)(tp->owned * n) * sizeof *out);
    memcpy(out, whole + tp->first * n, (size_t)(tp->owned * n) * sizeof *out);
    return out;
}

/* This rank's shards into their place among all. */
static void keep_cut(const cb_tp *tp, float *all, const float *mine, int64_t count) {
    int64_t n = count / tp->shards;
    memcpy(all + tp->first * n, mine, (size_t)(tp->owned * n) * sizeof *all);
}

/* Gradients start at 1, since they are added to. */
static float *ones(int64_t n) {
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = 1;
    return x;
}

static cb_err column(cb_tp *tp, const setup *s) {
    int64_t M = s->M, n = OUT / tp->shards * tp->owned;
    int me = tp->group->me;
    float *w = cut_rows(tp, s->w, OUT, IN), *b = cut_rows(tp, s->b, OUT, 1), *dy = cut_columns(tp, s->dy, M, OUT);
    float *y = ones(M * n), *dw = ones(n * IN), *db = ones(n);
    cb_linear l = {IN, OUT, w, b, dw, db};
    cb_column_forward(tp, &l, y, s->x, M);
    cb_err e = cb_column_backward(tp, &l, s->out->column_dx[me], dy, s->x, M);
    keep_cut(tp, s->out->column_y, y, M * OUT);
    keep_cut(tp, s->out->column_dw, dw, IN * OUT);
    keep_cut(tp, s->out->column_db, db, OUT);
    float *all[] = {w, b, dy, y, dw, db};
    for (int i = 0; i < 6; i++) free(all[i]);
    return e;
}

/* From OUT features back to IN, as c_proj after c_fc. */
static cb_err row(cb_tp *tp, const setup *s) {
    int64_t M = s->M, k = OUT / tp->shards * tp->owned;
    int me = tp->group->me;
    float *w = cut_columns(tp, s->w, IN, OUT), *z = cut_columns(tp, s->z, M, OUT);
    float *dx = ones(M * k), *dw = ones(k * IN), *db = s->out->row_db[me];
    for (int i = 0; i < IN; i++) db[i] = 1;
    cb_linear l = {OUT, IN, w, NULL, dw, db};
    cb_err e = cb_row_forward(tp, &l, s->out->row_y[me], z, M);
    cb_row_backward(tp, &l, dx, s->dz, z, M);
    keep_cut(tp, s->out->row_dx, dx, M * OUT);
    keep_cut(tp, s->out->row_dw, dw, IN * OUT);
    float *all[] = {w, z, dx, dw};
    for (int i = 0; i < 4; i++) free(all[i]);
    return e;
}

static cb_err embed(cb_tp *tp, const setup *s, cb_vocab *v) {
    TRY(cb_vocab_embed(tp, v, s->out->embed_x[tp->group->me], s->tokens, s->M));
    cb_vocab_embed_backward(tp, v, s->tokens, s->dz, s->M);
    keep_cut(tp, s->out->embed_dtable, v->dtable, PADDED * IN);
    return CB_OK;
}

static cb_err head(cb_tp *tp, const setup *s, cb_vocab *v, float *logits, float *sum, float *rows) {
    int me = tp->group->me;
    cb_vocab_logits(tp, v, logits, s->h, s->M);
    TRY(cb_vocab_cross_entropy(tp, v, logits, sum, s->targets, s->M, rows, &s->out->loss[me]));
    TRY(cb_vocab_backward(tp, v, s->out->head_dh[me], logits, sum, s->targets, s->h, s->M, scale));
    keep_cut(tp, s->out->head_dtable, v->dtable, PADDED * IN);
    return CB_OK;
}

static cb_err vocabulary(cb_tp *tp, const setup *s) {
    int64_t M = s->M, n = PADDED / tp->shards * tp->owned, rows_count = (tp->owned + 1) * 2 * M;
    float *table = cut_rows(tp, s->table, PADDED, IN), *d1 = ones(n * IN), *d2 = ones(n * IN), *logits = ones(M * n);
    float *sum = ones(M), *rows = ones(rows_count);
    cb_vocab v = {VOCAB, PADDED, IN, table, d1};
    cb_err e = embed(tp, s, &v);
    v.dtable = d2;
    if (!e) e = head(tp, s, &v, logits, sum, rows);
    float *all[] = {table, d1, d2, logits, sum, rows};
    for (int i = 0; i < 6; i++) free(all[i]);
    return e;
}

static cb_err live(cb_comm *comm, void *arg) {
    const setup *s = arg;
    int all[MOST_RANKS], owned = s->shards / s->ranks, me = cb_comm_rank(comm);
    cb_group group;
    cb_compute *compute;
    for (int i = 0; i < s->ranks; i++) all[i] = i;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, all, s->ranks));
    TRY(cb_compute_create(&compute, s->compute, 1));
    float *sum_scratch = malloc((size_t)cb_gemm_sum_scratch_bytes(s->M, IN, owned, 1) + 1);
    char *scratch = malloc((size_t)cb_all_reduce_scratch_most(cb_means_plain(false), s->ranks, s->M * IN, CB_F32) + 1);
    cb_tp tp = {.group = &group,
                .compute = compute,
                .shards = s->shards,
                .first = me * owned,
                .owned = owned,
                .sum_scratch = sum_scratch,
                .scratch = (float *)(void *)scratch};
    cb_err e = column(&tp, s);
    if (!e) e = row(&tp, s);
    if (!e) e = vocabulary(&tp, s);
    free(scratch);
    free(sum_scratch);
    cb_compute_destroy(compute);
    cb_group_free(&group);
    return e;
}

static bool compute_answers(setup *s, answers *out) {
    cb_launch launch = {.backend = "threads", .ranks = s->ranks, .deadline_s = 60, .checked = true};
    s->out = out;
    make_answers(out, s->M);
    if (!CHECK_OK(cb_comm_launch(&launch, live, s))) return false;
    for (int k = 0; k < WHOLE_ANSWERS; k++) { /* every rank has the same */
        float **copy = copies_at(out, k);
        for (int r = 1; r < s->ranks; r++)
            CHECK(memcmp(copy[r], copy[0], (size_t)whole_count(k, s->M) * sizeof(float)) == 0);
    }
    for (int r = 1; r < s->ranks; r++) CHECK(memcmp(&out->loss[r], &out->loss[0], sizeof(double)) == 0);
    return true;
}

/* to (rows, cols) = first + sum over k of a[i ai + k ak] b[j bi + k bk], in double. */
static void product(float *to, int64_t rows, int64_t cols, int64_t depth, const float *a, int64_t ai, int64_t ak,
                    const float *b, int64_t bi, int64_t bk, float first) {
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            double sum = (double)first;
            for (int64_t k = 0; k < depth; k++) sum += (double)a[i * ai + k * ak] * (double)b[j * bi + k * bk];
            to[i * cols + j] = (float)sum;
        }
    }
}

/* A global (rows, cols) matrix in the order of shards of its columns. */
static void in_shards(const setup *s, float *to, const float *whole, int64_t rows, int64_t cols) {
    cb_tp one = {.shards = s->shards, .owned = s->shards};
    float *cut = cut_columns(&one, whole, rows, cols);
    memcpy(to, cut, (size_t)(rows * cols) * sizeof *to);
    free(cut);
}

static void expect_linear(const setup *s, answers *a) {
    int64_t M = s->M;
    float *t = malloc((size_t)(MOST_ROWS * PADDED + IN * OUT) * sizeof *t);
    product(t, M, OUT, IN, s->x, IN, 1, s->w, IN, 1, 0);
    for (int64_t i = 0; i < M * OUT; i++) t[i] += s->b[i % OUT];
    in_shards(s, a->column_y, t, M, OUT);
    product(a->column_dx[0], M, IN, OUT, s->dy, OUT, 1, s->w, 1, IN, 0);
    product(a->column_dw, OUT, IN, M, s->dy, 1, OUT, s->x, 1, IN, 1);
    float one = 1;
    product(a->column_db, 1, OUT, M, &one, 0, 0, s->dy, 1, OUT, 1);
    product(a->row_y[0], M, IN, OUT, s->z, OUT, 1, s->w, OUT, 1, 0);
    product(t, M, OUT, IN, s->dz, IN, 1, s->w, 1, OUT, 0);
    in_shards(s, a->row_dx, t, M, OUT);
    product(t, IN, OUT, M, s->dz, 1, IN, s->z, 1, OUT, 1);
    in_shards(s, a->row_dw, t, IN, OUT);
    product(a->row_db[0], 1, IN, M, &one, 0, 0, s->dz, 1, IN, 1);
    free(t);
}

static void expect_vocabulary(const setup *s, answers *a) {
    int64_t M = s->M;
    float *d = malloc((size_t)(M * PADDED) * sizeof *d);
    for (int64_t i = 0; i < PADDED * IN; i++) a->embed_dtable[i] = 1;
    product(d, M, PADDED, IN, s->h, IN, 1, s->table, IN, 1, 0);
    for (int64_t i = 0; i < M; i++) {
        double sum = 0;
        for (int j = 0; j < VOCAB; j++) sum += exp((double)d[i * PADDED + j]);
        a->loss[0] += log(sum) - (double)d[i * PADDED + s->targets[i]];
        for (int j = 0; j < PADDED; j++) {
            double p = j < VOCAB ? exp((double)d[i * PADDED + j]) / sum : 0;
            d[i * PADDED + j] = (float)((p - (j == s->targets[i])) * (double)scale);
        }
        for (int c = 0; c < IN; c++) {
            a->embed_x[0][i * IN + c] = s->table[s->tokens[i] * IN + c];
            a->embed_dtable[s->tokens[i] * IN + c] += s->dz[i * IN + c];
        }
    }
    product(a->head_dh[0], M, IN, PADDED, d, PADDED, 1, s->table, 1, IN, 0);
    product(a->head_dtable, PADDED, IN, M, d, 1, PADDED, s->h, 1, IN, 1);
    free(d);
}

static void check_answers(const setup *s, answers *got, answers *want) {
    double bound = 2e-6 * (double)(s->M < 8 ? 8 : s->M);
    for (int k = 0; k < CUT_ANSWERS; k++) {
        CHECK_NEAR(floats_distance(*answer_at(got, k), *answer_at(want, k), cut_count(k, s->M)), 0, bound);
    }
    for (int k = 0; k < WHOLE_ANSWERS; k++) {
        CHECK_NEAR(floats_distance(copies_at(got, k)[0], copies_at(want, k)[0], whole_count(k, s->M)), 0, bound);
    }
    CHECK_NEAR(got->loss[0], want->loss[0], 1e-6 * want->loss[0]);
}

static void check_setup(int ranks, int shards, int64_t M, const char *compute) {
    setup s = {.ranks = ranks, .shards = shards, .M = M, .compute = compute};
    answers got = {0}, want = {0};
    make_operands(&s);
    make_answers(&want, M);
    if (compute_answers(&s, &got)) {
        expect_linear(&s, &want);
        expect_vocabulary(&s, &want);
        check_answers(&s, &got, &want);
    }
    free_answers(&got);
    free_answers(&want);
    free_operands(&s);
}

static void against_plain_loops(void) {
    static const int64_t rows[] = {1, 5, MOST_ROWS};
    for (int tp = 1; tp <= 8; tp *= 2) {
        for (int owned = 1; owned * tp <= 8; owned *= 2) {
            for (int m = 0; m < 3; m++) {
                check_setup(tp, tp * owned, rows[m], "ref");
                check_setup(tp, tp * owned, rows[m], "cpu");
            }
        }
    }
}

static bool same_answers(answers *a, answers *b, int64_t M) {
    bool same = memcmp(&a->loss[0], &b->loss[0], sizeof(double)) == 0;
    for (int k = 0; k < CUT_ANSWERS; k++) {
        same &= memcmp(*answer_at(a, k), *answer_at(b, k), (size_t)cut_count(k, M) * sizeof(float)) == 0;
    }
    for (int k = 0; k < WHOLE_ANSWERS; k++) {
        same &= memcmp(copies_at(a, k)[0], copies_at(b, k)[0], (size_t)whole_count(k, M) * sizeof(float)) == 0;
    }
    return same;
}

static void shards_have_their_bits_anywhere(void) {
    for (int shards = 2; shards <= 8; shards *= 2) {
        for (int cpu = 0; cpu < 2; cpu++) {
            setup s = {.ranks = 1, .shards = shards, .M = MOST_ROWS, .compute = cpu ? "cpu" : "ref"};
            answers one = {0};
            make_operands(&s);
            compute_answers(&s, &one);
            for (s.ranks = 2; s.ranks <= shards; s.ranks *= 2) {
                answers many = {0};
                compute_answers(&s, &many);
                CHECK(same_answers(&many, &one, s.M));
                free_answers(&many);
            }
            free_answers(&one);
            free_operands(&s);
        }
    }
}

/* All that a rank has sent over tp so far is n all-reduces of (M, C), and nothing over anything else. */
static void check_all_reduces(const cb_rank *rank, int n) {
    const cb_run *run = rank->run;
    int64_t count = (int64_t)run->B * run->T * run->model.channels;
    cb_cost one = cb_collective_cost(cb_group_means(&rank->tp_group), CB_ALL_REDUCE, run->mesh.size[CB_TP], rank->tp_group.me,
                                     count, CB_F32);
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++) {
        for (int kind = 0; kind < CB_KINDS; kind++) {
            const cb_traffic *t = cb_comm_traffic(rank->comm, (cb_purpose)purpose, (cb_kind)kind);
            bool here = purpose == CB_FOR_TP && kind == CB_ALL_REDUCE;
            CHECK_INT(t->messages, here ? n * one.messages : 0);
            CHECK_INT(t->bytes, here ? n * one.bytes : 0);
        }
    }
}

static cb_err pass_block(cb_rank *rank) {
    float **act = cb_slot_layer(&rank->chunk[0].slot[0], 1), *dx = rank->grad[0].buffer[0],
          *out = rank->transformer.stream;
    int64_t count = (int64_t)rank->run->B * rank->run->T * rank->run->model.channels;
    TRY(cb_rank_initialise(rank));
    for (int64_t i = 0; i < count; i++) act[CB_ACT_X][i] = dx[i] = float_at(1, i);
    cb_comm_traffic_reset(rank->comm);
    TRY(cb_attention_forward(&rank->transformer, &rank->layer[1], act));
    check_all_reduces(rank, 1);
    TRY(cb_mlp_forward(&rank->transformer, &rank->layer[1], act, out));
    check_all_reduces(rank, 2);
    cb_comm_traffic_reset(rank->comm);
    TRY(cb_mlp_backward(&rank->transformer, &rank->layer[1], act, dx));
    check_all_reduces(rank, 1);
    TRY(cb_attention_backward(&rank->transformer, &rank->layer[1], act, dx));
    check_all_reduces(rank, 2);
    cb_comm_traffic_reset(rank->comm);
    TRY(cb_block_forward(&rank->transformer, &rank->layer[1], act, out));
    TRY(cb_block_backward(&rank->transformer, &rank->layer[1], act, dx));
    check_all_reduces(rank, 4);
    return CB_OK;
}

static cb_err live_block(cb_comm *comm, void *arg) {
    cb_rank rank;
    cb_err e = cb_rank_create(&rank, arg, comm);
    if (!e) e = pass_block(&rank);
    cb_rank_destroy(&rank);
    return e;
}

static void messages_of_a_block(void) {
    for (int tp = 1; tp <= 8; tp *= 2) {
        for (int T = 8; T <= 64; T *= 8) { /* small enough to travel whole, and large enough for blocks */
            cb_run run;
            cb_tokens *tokens;
            ranks_case c = {.preset = "test-tiny", .tp = tp, .T = T, .shards = tp == 2 ? 4 : tp};
            if (CHECK_OK(ranks_run_make(&run, &tokens, &c))) CHECK_OK(cb_comm_launch(&run.launch, live_block, &run));
            cb_tokens_close(tokens);
        }
    }
}

int main(void) {
    RUN(against_plain_loops);
    RUN(shards_have_their_bits_anywhere);
    RUN(messages_of_a_block);
    return test_end();
}
