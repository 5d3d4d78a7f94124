/* The layout decides where things are computed, not what. One rank against every factorisation of 2, 4 and 8 ranks
 * (cb_comm_launch of as many threads): losses and every gradient within rounding; and where the order of every sum is
 * the same, which is so wherever the shards of tensors and batch are as many, the same bits. Under mpiexec with
 * CB_TEST_BACKEND=mpi: every layout of as many ranks as processes, the same bits as on threads. */
#include "support/ranks.h"

static const double gradient_bound = 1e-5, curve_bound = 1e-4;

/* Microbatch sizes. */
enum { FIRST_B = TEST_SANITIZED ? 2 : 1, LAST_B = TEST_SANITIZED ? 2 : 4 };

typedef struct layout {
    int dp, tp, pp;
} layout;

/* Every (dp, tp, pp) with dp * tp * pp == ranks. Returns how many. */
static int factorise(int ranks, layout *out) {
    int n = 0;
    for (int dp = 1; dp <= ranks; dp++) {
        for (int tp = 1; dp * tp <= ranks; tp++) {
            if (ranks % (dp * tp) == 0) out[n++] = (layout){dp, tp, ranks / (dp * tp)};
        }
    }
    return n;
}

static ranks_case with(ranks_case c, layout at, const char *schedule) {
    c.dp = at.dp;
    c.tp = at.tp;
    c.pp = at.pp;
    c.schedule = schedule;
    return c;
}

/* The norm that was reported is that of the gradients that were collected. */
static void check_norm(const ranks_result *r, const ranks_case *c) {
    double sum = 0;
    char name[160];
    for (int64_t i = 0; i < r->elements; i++) sum += (double)r->x[RANKS_G][i] * (double)r->x[RANKS_G][i];
    double reported = r->steps ? r->reports.norm[r->steps - 1] : NAN;
    if (!CHECK(fabs(reported - sqrt(sum)) <= 1e-7 * sqrt(sum))) {
        fprintf(stderr, "    %s: norm %.9g, reported %.9g\n", ranks_name(c, name), sqrt(sum), reported);
    }
}

/* First gradients, losses and norm of a case against one rank's. */
static void check_near(const ranks_case *c, const ranks_result *one) {
    ranks_result r;
    if (ranks_train(c, &r)) {
        ranks_near(&r, one, RANKS_FIRST_G, gradient_bound, c);
        ranks_losses_near(&r, one, curve_bound, c);
        check_norm(&r, c);
        CHECK_NEAR(r.reports.loss[0], one->reports.loss[0], 1e-6 * one->reports.loss[0]);
        CHECK_NEAR(r.reports.norm[0], one->reports.norm[0], 1e-5 * one->reports.norm[0]);
    }
    ranks_result_free(&r);
}

static void check_same(const ranks_case *c, const ranks_result *other) {
    ranks_result r;
    if (ranks_train(c, &r)) ranks_same(&r, other, c);
    ranks_result_free(&r);
}

/* All layouts of some ranks, both schedules, B sequences at a time out of a batch of 16, against one rank. */
static void check_layouts(ranks_case c, int ranks, const ranks_result *one) {
    layout all[32];
    int n = factorise(ranks, all);
    for (int i = 0; i < n; i++) {
        for (c.B = FIRST_B; c.B <= LAST_B; c.B *= 2) {
            if (16 % (all[i].dp * c.B)) continue;
            ranks_case f = with(c, all[i], "1f1b"), g = with(c, all[i], "gpipe");
            check_near(&f, one);
            if (all[i].pp > 1) check_near(&g, one);
        }
    }
}

static void every_layout(void) {
    ranks_case c = {.B = 1, .clip = 0.5, .eval = 16};
    ranks_result one;
    if (ranks_train(&c, &one)) {
        for (int ranks = 1; ranks <= 8; ranks *= 2) check_layouts(c, ranks, &one);
    }
    ranks_result_free(&one);
}

/* Fewer microbatches than stages, down to one, whole batches at a time. */
static void few_micro_batches(void) {
    static const struct {
        layout at;
        int B;
    } few[] = {{{1, 1, 8}, 4},  {{1, 1, 8}, 16}, {{1, 1, 4}, 8},  {{1, 1, 4}, 16}, {{2, 1, 4}, 4}, {{2, 1, 4}, 8},
               {{1, 2, 4}, 16}, {{1, 1, 5}, 8},  {{1, 1, 1}, 16}, {{4, 2, 1}, 4},  {{8, 1, 1}, 2}};
    ranks_case c = {.B = 1};
    ranks_result one;
    if (ranks_train(&c, &one)) {
        for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
            c.B = few[i].B;
            ranks_case f = with(c, few[i].at, "1f1b"), g = with(c, few[i].at, "gpipe");
            check_near(&f, &one);
            check_near(&g, &one);
        }
    }
    ranks_result_free(&one);
}

static void curves_of_20_steps(void) {
    static const layout some[] = {{8, 1, 1}, {1, 8, 1}, {1, 1, 8}, {2, 2, 2}, {1, 2, 4}, {4, 1, 2}};
    ranks_case c = {.B = 2, .steps = 20, .clip = 0.5, .lr = 2e-3};
    ranks_result one;
    if (ranks_train(&c, &one)) {
        CHECK(one.reports.loss[19] < one.reports.loss[0] - 0.3); /* there was something to learn */
        for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
            ranks_case other = with(c, some[i], i % 2 ? "gpipe" : "1f1b");
            check_near(&other, &one);
        }
    }
    ranks_result_free(&one);
}

/* Heads, width, channels, layers, positions and batch without a factor of 8; also a vocabulary that needs no padding.
 */
static void odd_sizes(void) {
    static const layout some[] = {{3, 1, 1}, {1, 3, 1}, {1, 1, 3}, {3, 1, 2},
                                  {1, 6, 1}, {1, 3, 2}, {3, 3, 1}, {1, 2, 5}};
    cb_model model = {.name = "odd",
                      .vocab = 91,
                      .positions = 13,
                      .channels = 48,
                      .ffn = 102,
                      .layers = 5,
                      .heads = 6,
                      .norm_eps = 1e-5,
                      .init_std = 0.02};
    for (int multiple = 12; multiple <= 91; multiple += 79) {
        cb_model_pad_vocab(&model, multiple == 12 ? 12 : 1);
        if (multiple != 12) model.vocab = model.vocab_padded = 90;
        ranks_case c = {.model = &model, .T = 11, .B = 3, .batch = 18, .eval = 9};
        ranks_result one;
        if (ranks_train(&c, &one)) {
            for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
                for (c.B = 1; c.B <= 3; c.B += 2) {
                    ranks_case other = with(c, some[i], c.B == 1 ? "1f1b" : "gpipe");
                    check_near(&other, &one);
                }
            }
        }
        ranks_result_free(&one);
    }
}

/* The models by name, and the plain loops of `ref` as the arithmetic. */
static void presets_and_ref(void) {
    static const char *const presets[] = {"test-tiny", "test-pad", "toy-8"};
    static const layout some[] = {{1, 8, 1}, {2, 2, 2}};
    for (int p = 0; p < 3; p++) {
        ranks_case c = {.preset = presets[p], .batch = 4, .B = 2, .compute = "ref"};
        ranks_result one;
        if (ranks_train(&c, &one)) {
            ranks_case other = with(c, some[1], "1f1b");
            check_near(&other, &one);
            c.compute = "cpu";
            for (int i = 0; i < 2; i++) {
                other = with(c, some[i], "gpipe");
                check_near(&other, &one);
            }
        }
        ranks_result_free(&one);
    }
}

/* Any number of stages gives the bits of one; so do both schedules. */
static void stages_change_no_bit(void) {
    static const layout within[] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {2, 2, 1}, {1, 4, 1}};
    static const int stages[] = {2, 3, 4, 5, 8};
    for (size_t w = 0; w < sizeof within / sizeof *within; w++) {
        for (int B = FIRST_B; B <= LAST_B; B *= 4) {
            ranks_case c = with((ranks_case){.B = B, .steps = 4, .clip = 0.5, .eval = 8}, within[w], "1f1b");
            ranks_result one;
            if (ranks_train(&c, &one)) {
                for (int i = 0; i < 5; i++) {
                    if (stages[i] * within[w].dp * within[w].tp > 8) continue;
                    ranks_case f = with(c, (layout){c.dp, c.tp, stages[i]}, "1f1b"),
                               g = with(f, (layout){c.dp, c.tp, stages[i]}, "gpipe");
                    check_same(&f, &one);
                    check_same(&g, &one);
                }
            }
            ranks_result_free(&one);
        }
    }
}

/* Placements by hand and uneven ones, of 12 layers and of 4. */
static void uneven_stages_change_no_bit(void) {
    static const struct {
        const char *preset, *placement;
        int pp;
    } uneven[] = {{"toy-12", "auto", 5},     {"toy-12", "even", 5},   {"toy-12", "7,1,4", 3}, {"toy-12", "auto", 12},
                  {"test-tiny", "1,2,1", 3}, {"test-tiny", "3,1", 2}, {"test-tiny", "1,3", 2}};
    for (size_t i = 0; i < sizeof uneven / sizeof *uneven; i++) {
        ranks_case c = {.preset = uneven[i].preset, .batch = 6, .B = 1, .steps = 3};
        ranks_result one;
        if (ranks_train(&c, &one)) {
            c.placement = uneven[i].placement;
            ranks_case f = with(c, (layout){1, 1, uneven[i].pp}, "1f1b"),
                       g = with(c, (layout){1, 1, uneven[i].pp}, "gpipe");
            check_same(&f, &one);
            check_same(&g, &one);
        }
        ranks_result_free(&one);
    }
}

/* All layouts of some ranks against one rank, all with the same shards of tensors and of the batch: the same bits. */
static void check_all_exact(const ranks_case *c, int ranks, const ranks_result *one) {
    layout all[32];
    int n = factorise(ranks, all);
    for (int i = 0; i < n; i++) {
        if (c->data_shards % all[i].dp || c->shards % all[i].tp) continue;
        ranks_case f = with(*c, all[i], "1f1b"), g = with(*c, all[i], "gpipe");
        check_same(&f, one);
        if (all[i].pp > 1) check_same(&g, one);
    }
}

/* The arithmetic is defined on shards. With their numbers fixed a layout only says where they are. */
static void the_layout_changes_no_bit(void) {
    static const struct {
        int shards, data_shards, B;
    } some[] = {{8, 8, 2}, {4, 4, 1}, {8, 2, 4}, {2, 8, 1}, {1, 1, 4}};
    ranks_case whole = {.steps = 3, .clip = 0.5, .eval = 16};
    ranks_result plain, one;
    bool ok = ranks_train(&whole, &plain);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        ranks_case c = whole;
        c.shards = some[i].shards;
        c.data_shards = some[i].data_shards;
        c.B = some[i].B;
        if (ok && ranks_train(&c, &one)) {
            for (int ranks = 2; ranks <= 8; ranks *= 2) check_all_exact(&c, ranks, &one);
            ranks_near(&one, &plain, RANKS_FIRST_G, gradient_bound, &c);
            ranks_losses_near(&one, &plain, curve_bound, &c);
        }
        ranks_result_free(&one);
    }
    ranks_result_free(&plain);
}

/* Numbers of shards that are no powers of two: as many as ranks, or twice as many. */
static void odd_shards(void) {
    cb_model model = {.name = "odd",
                      .vocab = 91,
                      .positions = 13,
                      .channels = 48,
                      .ffn = 102,
                      .layers = 5,
                      .heads = 6,
                      .norm_eps = 1e-5,
                      .init_std = 0.02};
    cb_model_pad_vocab(&model, 12);
    ranks_case c = {.model = &model, .T = 11, .B = 1, .batch = 12, .steps = 3, .shards = 6, .dp = 3, .eval = 6};
    ranks_result one;
    if (ranks_train(&c, &one)) {
        c.tp = 3;
        check_same(&c, &one);
        c.schedule = "gpipe";
        c.pp = 2;
        c.tp = 1;
        check_same(&c, &one);
    }
    ranks_result_free(&one);
}

/* Twice the same; more threads; another order of ranks; other buckets: the same bits. */
static void nothing_else_changes_a_bit(void) {
    static const layout some[] = {{1, 1, 1}, {2, 1, 1}, {2, 2, 2}, {8, 1, 1}};
    static const char *const orders[] = {"pp-dp-tp", "dp-tp-pp", "tp-cp-pp-dp"};
    static const int buckets[] = {1, 100, 1 << 20};
    for (size_t w = 0; w < sizeof some / sizeof *some; w++) {
        ranks_case c = with((ranks_case){.steps = 3, .clip = 0.5, .eval = 16}, some[w], "1f1b");
        ranks_result first;
        if (ranks_train(&c, &first)) {
            check_same(&c, &first);
            for (int i = 0; i < 3; i++) {
                ranks_case ordered = c, other = c;
                ordered.order = orders[i];
                other.bucket = buckets[i] == 1 && w == 3 ? 7 : buckets[i] == 1 ? 50 : buckets[i];
                check_same(&ordered, &first);
                check_same(&other, &first);
            }
            c.threads = 2;
            check_same(&c, &first);
        }
        ranks_result_free(&first);
    }
}

/* Padded rows of the vocabulary take no part: whatever they hold, loss and gradients have the same bits, their own are
 * 0. */
static void padding_takes_no_part(void) {
    static const layout some[] = {{1, 1, 1}, {1, 8, 1}, {1, 4, 2}, {2, 2, 2}};
    for (int i = 0; i < 4; i++) {
        ranks_case c = with((ranks_case){0}, some[i], "1f1b");
        ranks_result clean, dirty;
        bool ok = ranks_train(&c, &clean);
        c.padding = 3;
        ok &= ranks_train(&c, &dirty);
        if (ok) {
            const cb_model *m = &clean.model;
            CHECK(clean.reports.loss[0] == dirty.reports.loss[0] && clean.reports.norm[0] == dirty.reports.norm[0]);
            CHECK(memcmp(clean.x[RANKS_G], dirty.x[RANKS_G], (size_t)clean.elements * sizeof(float)) == 0);
            for (int64_t k = m->vocab * m->channels; k < m->vocab_padded * m->channels; k++) {
                if (!CHECK(dirty.x[RANKS_G][k] == 0 && clean.x[RANKS_W][k] == 0)) break;
            }
        }
        ranks_result_free(&clean);
        ranks_result_free(&dirty);
    }
}

/* Under MPI: one launch for all layouts. Rank 0 has what threads gave, made before MPI was started. */

enum { MOST_LAYOUTS = 64 };

typedef struct mpi_world {
    int count;
    ranks_case cases[MOST_LAYOUTS];
    cb_run runs[MOST_LAYOUTS];
    cb_tokens *tokens[MOST_LAYOUTS];
    ranks_result threads[MOST_LAYOUTS]; /* on rank 0 */
} mpi_world;

static cb_err same_as_on_threads(cb_comm *comm, void *arg) {
    mpi_world *w = arg;
    for (int i = 0; i < w->count; i++) {
        ranks_result r;
        ranks_result_make(&r, &w->runs[i]);
        ranks_job job = {.run = &w->runs[i], .result = &r};
        cb_err e = ranks_live(comm, &job);
        if (!e && cb_comm_rank(comm) == 0) {
            CHECK_INT(r.missing + r.torn + r.torn_reports, 0);
            ranks_same(&r, &w->threads[i], &w->cases[i]);
        }
        ranks_result_free(&r);
        TRY(e);
    }
    return CB_OK;
}

static void add_layout(mpi_world *w, ranks_case c) {
    int i = w->count;
    w->cases[i] = c;
    if (!CHECK_OK(ranks_run_make(&w->runs[i], &w->tokens[i], &c))) return;
    w->count++;
    if (cb_comm_mpiexec_rank() == 0) ranks_train(&c, &w->threads[i]);
}

static int under_mpiexec(void) {
    static mpi_world w;
    layout all[MOST_LAYOUTS];
    int n = factorise(cb_comm_mpiexec_ranks(), all);
    for (int i = 0; i < n; i++) {
        ranks_case c = {.B = 2, .steps = 2, .clip = 0.5, .eval = 16};
        if (8 % all[i].dp || 8 % all[i].tp) continue; /* what the model and the batch allow */
        add_layout(&w, with(c, all[i], "1f1b"));
        c.shards = c.data_shards = 8;
        add_layout(&w, with(c, all[i], "gpipe"));
        static const char *const others[] = {"interleaved", "zb-h1", "zb-v", "dualpipe-v"};
        for (int k = 0; k < 4 && all[i].pp > 1; k++) add_layout(&w, with(c, all[i], others[k]));
    }
    cb_launch launch = {.backend = "mpi", .deadline_s = 60, .checked = true};
    CHECK_OK(cb_comm_launch(&launch, same_as_on_threads, &w));
    for (int i = 0; i < w.count; i++) {
        cb_tokens_close(w.tokens[i]);
        ranks_result_free(&w.threads[i]);
    }
    if (cb_comm_mpiexec_rank() == 0) return test_end();
    return atomic_load(&test_failed_) > 0;
}

int main(void) {
    const char *backend = getenv("CB_TEST_BACKEND");
    if (backend && strcmp(backend, "mpi") == 0) return under_mpiexec();
    RUN(every_layout);
    RUN(few_micro_batches);
    RUN(curves_of_20_steps);
    RUN(odd_sizes);
    RUN(presets_and_ref);
    RUN(stages_change_no_bit);
    RUN(uneven_stages_change_no_bit);
    RUN(the_layout_changes_no_bit);
    RUN(odd_shards);
    RUN(nothing_else_changes_a_bit);
    RUN(padding_takes_no_part);
    return test_end();
}
