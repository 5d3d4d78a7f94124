/* Training with every schedule there is: chunks, weight gradients split off, lists of one's own. With the shards of tensors and
 * batch fixed each gives the bits of one rank with GPipe: losses, gradients, weights, moments. Ranks are threads
 * (cb_comm_launch). */
#include "support/ranks.h"

enum { LAYERS = 8 };

/* One rank, one chunk, GPipe, all activations kept. */
static ranks_case reference_of(ranks_case c) {
    c.dp = c.tp = c.pp = 1;
    c.chunks = c.group = 0;
    c.schedule = "gpipe";
    c.schedule_text = c.recompute = NULL;
    c.placement = NULL;
    return c;
}

static void check(const ranks_case *c, const ranks_result *one) {
    ranks_result r;
    if (ranks_train(c, &r)) ranks_same(&r, one, c);
    ranks_result_free(&r);
}

/* Is there such a schedule for the case, with a layer for every chunk? */
static bool is_legal(const ranks_case *c) {
    cb_schedule s;
    int batch = ranks_or(c->batch, 16), dp = ranks_or(c->dp, 1);
    if (batch % (ranks_or(c->B, 2) * dp)) return false;
    cb_schedule_spec spec = {.name = c->schedule,
                             .stages = ranks_or(c->pp, 1),
                             .micro_batches = batch / (ranks_or(c->B, 2) * dp),
                             .chunks = c->chunks,
                             .group = c->group};
    cb_err e = cb_schedule_make_spec(&s, &spec);
    bool legal = !e && s.stages * s.chunks <= LAYERS;
    cb_err_free(e);
    cb_schedule_free(&s);
    return legal;
}

/* Every schedule on 1 to 8 stages, with 2 to 4 chunks where it has them. Returns how many there were. */
static int check_all(ranks_case c, const ranks_result *one) {
    int n = 0;
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        c.schedule = *name;
        for (c.pp = 1; c.pp <= LAYERS; c.pp++) {
            for (c.chunks = 0; c.chunks <= 4; c.chunks++) {
                if (c.chunks == 1 || (c.chunks && strcmp(*name, "interleaved") != 0) || !is_legal(&c)) continue;
                check(&c, one);
                n++;
            }
        }
    }
    return n;
}

static void every_schedule(void) {
    ranks_case c = {.B = 2, .batch = 24, .steps = 2, .clip = 0.5, .eval = 24, .data_shards = 1};
    ranks_case first = reference_of(c);
    ranks_result one;
    if (ranks_train(&first, &one)) CHECK(check_all(c, &one) >= 40);
    ranks_result_free(&one);
}

/* Replicas, tensor shards and parts of the batch beside: biases close a part at B, matrices at W. */
static void in_three_dimensions(void) {
    static const struct {
        int dp, tp, pp, chunks;
        const char *schedule;
    } at[] = {{2, 1, 2, 0, "zb-h1"}, {1, 2, 2, 0, "zb-h2"}, {2, 2, 2, 0, "zb-v"},        {4, 1, 2, 0, "zb-v"},
              {1, 1, 4, 0, "zb-v"},  {1, 1, 3, 0, "zb-h1"}, {2, 1, 2, 2, "interleaved"}, {1, 2, 2, 4, "interleaved"},
              {2, 2, 1, 0, "zb-v"},  {1, 4, 2, 0, "zb-h1"}, {2, 1, 4, 2, "interleaved"}, {4, 2, 1, 3, "interleaved"}};
    ranks_case c = {.B = 1, .batch = 32, .steps = 2, .shards = 4, .data_shards = 8, .bucket = 500, .eval = 16};
    ranks_case first = reference_of(c);
    ranks_result one;
    if (ranks_train(&first, &one)) {
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            c.dp = at[i].dp, c.tp = at[i].tp, c.pp = at[i].pp, c.chunks = at[i].chunks, c.schedule = at[i].schedule;
            check(&c, &one);
        }
    }
    ranks_result_free(&one);
}

static void with_recomputation(void) {
    static const char *const policies[] = {"selective", "full", "full:1", "full:3"};
    ranks_case c = {.B = 2, .batch = 16, .steps = 2, .data_shards = 1, .shards = 2, .pp = 2};
    ranks_case first = reference_of(c);
    ranks_result one;
    if (ranks_train(&first, &one)) {
        for (const char *const *name = cb_schedule_names(); *name; name++) {
            for (int i = 0; i < 4; i++) {
                c.schedule = *name, c.recompute = policies[i], c.tp = 1 + i % 2;
                check(&c, &one);
            }
        }
    }
    ranks_result_free(&one);
}

/* Groups larger than the number of stages, a smaller last one, and uneven chunks. */
static void groups_and_uneven_chunks(void) {
    static const struct {
        int pp, chunks, group;
        const char *placement;
    } at[] = {{2, 2, 3, NULL}, {2, 2, 8, NULL}, {2, 3, 5, "even"}, {3, 2, 5, NULL}, {2, 2, 0, "1,4,2,1"}, {2, 4, 4, NULL}};
    ranks_case c = {.B = 2, .batch = 16, .steps = 1, .data_shards = 1, .schedule = "interleaved"};
    ranks_case first = reference_of(c);
    ranks_result one;
    if (ranks_train(&first, &one)) {
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            c.pp = at[i].pp, c.chunks = at[i].chunks, c.group = at[i].group, c.placement = at[i].placement;
            if (CHECK(is_legal(&c))) check(&c, &one);
        }
        c = (ranks_case){.B = 2, .batch = 16, .data_shards = 1, .schedule = "zb-v", .pp = 2, .placement = "3,1,1,3"};
        check(&c, &one);
    }
    ranks_result_free(&one);
}

/* Groups that need many sends on their way: as many as the plan has made buffers for. */
static void large_groups(void) {
    static const struct {
        int pp, chunks, group, batch;
    } at[] = {{4, 2, 13, 64}, {4, 2, 20, 64}, {2, 2, 9, 32}, {2, 4, 7, 30}, {3, 2, 11, 40}};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        ranks_case c = {.B = 1, .data_shards = 1, .schedule = "interleaved"};
        c.pp = at[i].pp, c.chunks = at[i].chunks, c.group = at[i].group, c.batch = at[i].batch;
        ranks_case first = reference_of(c);
        ranks_result one;
        if (CHECK(is_legal(&c)) && ranks_train(&first, &one)) check(&c, &one);
        ranks_result_free(&one);
    }
}

/* A list of one's own, and what such a list must not be. */
static void own_lists(void) {
    ranks_case c = {.B = 4, .batch = 12, .data_shards = 1, .pp = 2, .schedule = "mine.txt"};
    c.schedule_text = "0: F0 F1 F2 B0 B1 W0 B2 W1 W2\n1: F0 B0 F1 B1 F2 B2 W0 W1 W2\n";
    ranks_case first = reference_of(c);
    ranks_result one;
    if (ranks_train(&first, &one)) check(&c, &one);
    ranks_result_free(&one);
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"0: F0 F1 B0 B1\n1: F0 F1 B0 B1\n", "mine.txt has 2 stages and 2 microbatches; this run has pp=2 and 3 "},
        {"0: F0 F1 F2 B0 B1 B2\n", "has 1 stages and 3 microbatches"},
        {"0: F0 F1 F2 B1 B0 B2\n1: F0 F1 F2 B1 B0 B2\n", "stage 0 does B1 before B0; to train"},
        {"0: F0 F1 F2\n1: F0 F1 F2\n", "nothing to train"},
        {"0: F0 sendF0 F1 F2 B0 B1 B2\n1: F0 B0 F1 B1 F2 B2\n", "has messages or the end of the step"},
        {"0: F0 F1 F2 B0 B1 W0 B2 W1\n1: F0 B0 F1 B1 F2 B2 W0 W1 W2\n", "stage 0 has no W2"},
        {"0: F0 B0 F1 F2 B1 B2\n1: F0 F1 F2 B0 B1 B2\n",
         "deadlock, though sends wait for nobody: stage 0 waits in recvB0 for stage 1, stage 1 waits in recvF1 for stage 0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cb_run run;
        cb_tokens *tokens;
        c.schedule_text = bad[i].text;
        cb_err e = ranks_run_make(&run, &tokens, &c);
        if (!e) e = cb_run_check_memory(&run, NULL);
        CHECK_FAILS(e, CB_EINVAL, bad[i].why);
        cb_tokens_close(tokens);
    }
}

static void refusals(void) {
    static const struct {
        const char *schedule, *why;
        int pp, chunks, batch;
    } bad[] = {
        {"interleaved", "7 microbatches in groups of 2", 2, 2, 7},
        {"interleaved", "there can be at most 4 chunks with this pp, and pp at most 1 with these chunks", 2, 5, 8},
        {"zb-v", "there can be at most 1 chunk with this pp, and pp at most 4", 8, 0, 8},
        {"zb-h1", "2 chunks per stage; it has 1", 2, 2, 8},
        {"zb-h3", "did you mean 'zb-h1'", 2, 0, 8},
        {"forward", "schedule forward has no B: there is nothing to train", 2, 0, 8},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cb_run run;
        cb_tokens *tokens;
        ranks_case c = {.B = 1, .batch = bad[i].batch, .pp = bad[i].pp, .chunks = bad[i].chunks, .schedule = bad[i].schedule};
        cb_err e = ranks_run_make(&run, &tokens, &c);
        cb_code code = e ? cb_err_code(e) : 0;
        CHECK(code == CB_EINVAL || code == CB_EUSAGE);
        if (e) CHECK_FAILS(e, code, bad[i].why);
        cb_tokens_close(tokens);
    }
}

int main(void) {
    RUN(every_schedule);
    RUN(in_three_dimensions);
    RUN(with_recomputation);
    RUN(groups_and_uneven_chunks);
    RUN(large_groups);
    RUN(own_lists);
    RUN(refusals);
    return test_end();
}
