/* What is predicted is what is taken, to the byte: for many layouts, every rank of the world (cb_comm_launch of as many
 * threads) makes its stage, and each of its arenas has the predicted size and is used up to its end; a training step
 * and an evaluation take nothing more. The numbers themselves are held against sums made here by hand. */
#include "base/arena.h"
#include "support/ranks.h"

typedef struct tally {
    const cb_run *run;
    atomic_int ranks, exact, filled, still;
    atomic_llong total;
} tally;

static bool arenas_are_exact(const cb_rank *rank) {
    bool ok = true;
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
        const cb_arena *a = &rank->arena[kind];
        ok &= a->size_bytes == rank->predicted.bytes[kind] && a->used_bytes == a->size_bytes &&
              a->high_bytes == a->size_bytes;
    }
    return ok;
}

static cb_err fill_and_step(cb_rank *rank, tally *t) {
    cb_memory_spec spec;
    double loss;
    TRY(cb_run_memory_spec(rank->run, rank->p, &spec));
    cb_memory memory = cb_memory_predict(&spec);
    int64_t sum = 0;
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) sum += memory.bytes[kind];
    t->exact += memcmp(&memory, &rank->predicted, sizeof memory) == 0 && sum == memory.total;
    t->filled += arenas_are_exact(rank);
    t->total += memory.total;
    TRY(cb_rank_initialise(rank));
    TRY(cb_rank_train_step(rank, 0));
    TRY(cb_rank_evaluate(rank, &loss));
    t->still += arenas_are_exact(rank);
    return CB_OK;
}

static cb_err live(cb_comm *comm, void *arg) {
    tally *t = arg;
    cb_rank rank;
    t->ranks++;
    cb_err e = cb_rank_create(&rank, t->run, comm);
    if (!e) e = fill_and_step(&rank, t);
    cb_rank_destroy(&rank);
    return e;
}

/* Returns 1, so that cases can be counted. */
static int check_case(const ranks_case *c) {
    cb_run run;
    cb_tokens *tokens;
    char name[160];
    tally t = {.run = &run};
    int64_t total = 0;
    int failed = atomic_load(&test_failed_);
    if (CHECK_OK(ranks_run_make(&run, &tokens, c)) && CHECK_OK(cb_comm_launch(&run.launch, live, &t))) {
        CHECK_INT(t.ranks, run.mesh.ranks);
        CHECK_INT(t.exact, run.mesh.ranks);
        CHECK_INT(t.filled, run.mesh.ranks);
        CHECK_INT(t.still, run.mesh.ranks);
        CHECK_OK(cb_run_check_memory(&run, &total));
        CHECK_INT(total, t.total);
    }
    cb_tokens_close(tokens);
    if (atomic_load(&test_failed_) != failed) fprintf(stderr, "    in %s\n", ranks_name(c, name));
    return 1;
}

static void every_layout(void) {
    static const char *const schedules[] = {"1f1b", "gpipe"}, *const policies[] = {"selective", "full", "full:1"};
    for (int dp = 1; dp <= 8; dp *= 2) {
        for (int tp = 1; dp * tp <= 8; tp *= 2) {
            for (int pp = 1; dp * tp * pp <= 8; pp++) {
                for (int s = 0; s < 2; s++) {
                    ranks_case c = {.dp = dp,
                                    .tp = tp,
                                    .pp = pp,
                                    .schedule = schedules[s],
                                    .eval = 8,
                                    .batch = 8 * (1 + (pp + tp) % 3),
                                    .B = 1,
                                    .T = 5 + pp,
                                    .shards = s ? tp : 8,
                                    .data_shards = s ? 8 : dp};
                    check_case(&c);
                    c.recompute = policies[(dp + tp + pp + s) % 3];
                    check_case(&c);
                }
            }
        }
    }
}

/* Chunks in a loop and in a V, backward split or not, with every policy; chunks are uneven where 8 layers do not divide. */
static void every_schedule(void) {
    static const char *const policies[] = {"none", "selective", "full", "full:1", "full:2"};
    static const struct {
        int dp, tp, pp;
    } at[] = {{1, 1, 1}, {1, 1, 2}, {1, 1, 3}, {1, 1, 4}, {2, 1, 2}, {1, 2, 2}, {2, 2, 2}};
    int cases = 0;
    for (const char *const *name = cb_schedule_names() + 2; *name; name++) {
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            for (int p = 0; p < 5; p++) {
                ranks_case c = {.dp = at[i].dp, .tp = at[i].tp, .pp = at[i].pp, .schedule = *name, .eval = 8, .B = 1, .T = 6 + p};
                c.recompute = policies[p];
                c.batch = 12 * at[i].dp;
                c.chunks = strcmp(*name, "interleaved") == 0 && at[i].pp == 2 ? 2 + p % 3 : 0;
                c.data_shards = p % 2 ? 4 * at[i].dp : at[i].dp;
                cases += check_case(&c);
            }
        }
    }
    CHECK(cases >= 175);
}

static void uneven_and_odd(void) {
    static const ranks_case cases[] = {
        {.preset = "test-tiny", .pp = 3, .placement = "1,2,1", .B = 4, .eval = 4},
        {.preset = "test-tiny", .pp = 2, .placement = "3,1", .B = 1, .eval = 2, .bucket = 1 << 30},
        {.preset = "toy-12", .pp = 5, .batch = 3, .B = 1, .eval = 1},
        {.preset = "toy-12", .pp = 3, .placement = "10,1,1", .batch = 12, .B = 3, .eval = 3, .schedule = "gpipe"},
        {.preset = "test-pad", .dp = 3, .tp = 2, .batch = 12, .B = 2, .eval = 6, .bucket = 100, .threads = 2},
        {.preset = "toy-8", .dp = 2, .pp = 4, .placement = "even", .batch = 16, .B = 2, .eval = 4, .threads = 3},
    };
    static const char *const policies[] = {"none", "selective", "full", "full:1", "full:2"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int p = 0; p < 5; p++) {
            ranks_case c = cases[i];
            c.recompute = policies[p];
            check_case(&c);
        }
    }
}

/* One rank of the tiny model by hand: the parameters, from the counts of the paper's table; twice that for Adam; the
 * tied table's gradient twice. Activations: 14 M C and so on of a layer, as the table of activations.h lists them. */
static void by_hand(void) {
    cb_run run;
    cb_tokens *tokens;
    cb_memory_spec spec;
    ranks_case c = {.preset = "test-tiny", .T = 16, .B = 4};
    if (!CHECK_OK(ranks_run_make(&run, &tokens, &c)) || !CHECK_OK(cb_run_memory_spec(&run, 0, &spec))) return;
    int64_t C = 64, V = 256, T = 64, L = 4, M = 64, H = 8;
    int64_t params = 4 * (V * C + T * C + L * (12 * C * C + 13 * C) + 2 * C);
    int64_t layer = 4 * M * (C + C + 3 * C + C + C + C + 4 * C + 4 * C) + 4 * 4 * M + 4 * 4 * H * 16 * 16;
    int64_t ends =
        4 * M * (C + C + V) + 4 * M * 4 + 4 * M; /* head's input, ln_f, logits; mean, rstd, sum, targets; tokens */
    cb_memory memory = cb_memory_predict(&spec);
    CHECK_INT(spec.live[0].slots, 1);
    CHECK_INT(memory.bytes[CB_MEM_PARAMS], params);
    CHECK_INT(memory.bytes[CB_MEM_GRADS], params + 4 * V * C);
    CHECK_INT(memory.bytes[CB_MEM_OPTIMIZER], 2 * params);
    CHECK_INT(memory.bytes[CB_MEM_ACTIVATIONS], L * layer + ends);
    CHECK_INT(memory.bytes[CB_MEM_COMM], 4 * M * C); /* the one gradient of a microbatch */
    cb_tokens_close(tokens);
}

static cb_memory recomputed(const char *policy, const char *schedule) {
    cb_run run;
    cb_tokens *tokens;
    cb_memory_spec spec;
    cb_memory memory = {.total = 0};
    ranks_case c = {.preset = "test-tiny",
                    .T = 16,
                    .B = 4,
                    .batch = 32,
                    .pp = 2,
                    .schedule = schedule,
                    .recompute = policy,
                    .placement = "3,1"};
    if (CHECK_OK(ranks_run_make(&run, &tokens, &c)) && CHECK_OK(cb_run_memory_spec(&run, 0, &spec)))
        memory = cb_memory_predict(&spec);
    cb_tokens_close(tokens);
    return memory;
}

/* The first of two stages, three layers of the tiny model: what each policy keeps of a microbatch, and the working
 * copies, by hand. Nothing else changes. */
static void recomputation_by_hand(void) {
    int64_t C = 64, M = 64, H = 8, T = 16, stream = 4 * M * C, rows = 4 * M, probs = 4 * H * 4 * T * T;
    int64_t all = 15 * stream + 4 * rows + stream +
                  probs; /* in streams: ln 1 + 1, qkv 3, heads 1, residual 1, MLP 4 + 4; input */
    const struct {
        const char *policy;
        int64_t kept, working;
    } table[] = {{"none", 3 * all, 0},
                 {"selective", 3 * (all - probs), probs},
                 {"full", 3 * stream, all - stream},
                 {"full:3", 3 * stream, all - stream},
                 {"full:2", 2 * stream + all, all - stream},
                 {"full:1", stream + 2 * all, all - stream}};
    for (int gpipe = 0; gpipe < 2; gpipe++) {
        cb_memory none = recomputed("none", gpipe ? "gpipe" : "1f1b");
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            cb_memory memory = recomputed(table[i].policy, gpipe ? "gpipe" : "1f1b");
            CHECK_INT(memory.bytes[CB_MEM_ACTIVATIONS], (gpipe ? 8 : 2) * (table[i].kept + rows)); /* and the tokens */
            CHECK_INT(memory.bytes[CB_MEM_WORKSPACE], none.bytes[CB_MEM_WORKSPACE] + table[i].working);
            for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
                if (kind == CB_MEM_ACTIVATIONS || kind == CB_MEM_WORKSPACE) continue;
                CHECK_INT(memory.bytes[kind], none.bytes[kind]);
            }
        }
    }
}

/* 1F1B holds at most min(m, p - r) microbatches, GPipe all of them. */
static void live_micro_batches(void) {
    for (int gpipe = 0; gpipe < 2; gpipe++) {
        for (int m = 1; m <= 16; m *= 2) {
            cb_run run;
            cb_tokens *tokens;
            ranks_case c = {.pp = 4, .B = 1, .batch = m, .schedule = gpipe ? "gpipe" : "1f1b"};
            if (!CHECK_OK(ranks_run_make(&run, &tokens, &c))) return;
            for (int r = 0; r < 4; r++) {
                cb_memory_spec spec;
                if (CHECK_OK(cb_run_memory_spec(&run, r, &spec))) CHECK_INT(spec.live[0].slots, gpipe || m < 4 - r ? m : 4 - r);
            }
            cb_tokens_close(tokens);
        }
    }
}

static void too_much(void) {
    cb_run run;
    cb_tokens *tokens;
    int64_t total;
    ranks_case c = {.tp = 2, .pp = 2, .B = 1 << 24, .batch = 1 << 24};
    if (CHECK_OK(ranks_run_make(&run, &tokens, &c))) {
        CHECK_FAILS(cb_run_check_memory(&run, &total), CB_ENOMEM, "4 ranks on this machine ask for");
        CHECK_FAILS(cb_run_train(&run), CB_ENOMEM, "available are");
    }
    cb_tokens_close(tokens);
}

int main(void) {
    RUN(every_layout);
    RUN(every_schedule);
    RUN(uneven_and_odd);
    RUN(by_hand);
    RUN(recomputation_by_hand);
    RUN(live_micro_batches);
    RUN(too_much);
    return test_end();
}
