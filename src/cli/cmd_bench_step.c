/* cuboid bench step: a training step against its floor - model FLOPs over the rate that oneDNN reaches on this machine
 * in the same run with the same threads - and layouts of several ranks against one rank that shares the machine with
 * independent others. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "base/os.h"
#include "cli/bench.h"
#include "cli/commands.h"
#include "compute/compute.h"
#include "model/shards.h"

typedef struct bench_options {
    const char *model, *layouts, *schedule, *compute, *recompute;
    int64_t micro_batch_size, micro_batches, seq_length, threads, ranks, repeats;
    bool shards, json, help;
} bench_options;

#define FIELD(name) offsetof(bench_options, name)
static const cb_arg table[] = {
    {.name = "model",
     .type = CB_ARG_STRING,
     .offset = FIELD(model),
     .fallback = "gpt2-124m",
     .help = "a preset or a config.json"},
    {.name = "micro-batch-size",
     .type = CB_ARG_INT,
     .offset = FIELD(micro_batch_size),
     .fallback = "4",
     .unit = "sequences",
     .help = "of one forward and backward pass",
     .min = 1,
     .max = 65536},
    {.name = "micro-batches",
     .type = CB_ARG_INT,
     .offset = FIELD(micro_batches),
     .fallback = "8",
     .help = "of the global batch, for the layouts and what they are compared with",
     .min = 1,
     .max = 65536},
    {.name = "seq-length",
     .type = CB_ARG_INT,
     .offset = FIELD(seq_length),
     .fallback = "256",
     .unit = "tokens",
     .help = "of a sequence",
     .min = 1,
     .max = 1 << 24},
    {.name = "threads",
     .type = CB_ARG_INT,
     .offset = FIELD(threads),
     .unit = "threads",
     .help = "of the single rank",
     .derived = "the cores, at most 16",
     .min = 1,
     .max = CB_MOST_THREADS},
    {.name = "layouts",
     .type = CB_ARG_STRING,
     .offset = FIELD(layouts),
     .fallback = "dp,tp,pp",
     .help = "dimensions over which to spread --ranks ranks of one thread, or none"},
    {.name = "ranks",
     .type = CB_ARG_INT,
     .offset = FIELD(ranks),
     .unit = "ranks",
     .help = "of those layouts",
     .derived = "the cores",
     .min = 2,
     .max = 64},
    {.name = "schedule",
     .type = CB_ARG_STRING,
     .offset = FIELD(schedule),
     .fallback = "1f1b",
     .help = "pipeline schedule"},
    {.name = "recompute",
     .type = CB_ARG_STRING,
     .offset = FIELD(recompute),
     .fallback = "none",
     .help = "activations computed again: none, selective, full or full:N; the floor stays that of the model's FLOPs"},
    {.name = "compute", .type = CB_ARG_STRING, .offset = FIELD(compute), .fallback = "cpu", .help = "cpu or ref"},
    {.name = "repeats",
     .type = CB_ARG_INT,
     .offset = FIELD(repeats),
     .fallback = "3",
     .unit = "steps",
     .help = "timed per case, after one that warms up; the median counts",
     .min = 1,
     .max = 64},
    {.name = "shards",
     .type = CB_ARG_BOOL,
     .offset = FIELD(shards),
     .fallback = "true",
     .help = "compare the default number of shards with one per rank, at tp 1 and tp 2"},
    {.name = "json",
     .type = CB_ARG_BOOL,
     .offset = FIELD(json),
     .fallback = "false",
     .help = "one JSON object per case"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0], ROUNDS = 3 };

static const char usage[] = "cuboid bench step [--model gpt2-124m] [--micro-batch-size 4] [--seq-length 256] [options]";

typedef struct bench {
    bench_options o;
    cb_model model;
    cb_recompute recompute;
    cb_tokens *tokens;
} bench;

static cb_bench_case base_case(const bench *b) {
    return (cb_bench_case){.model = &b->model,
                           .tokens = b->tokens,
                           .dp = 1,
                           .tp = 1,
                           .pp = 1,
                           .shards = cb_model_default_shards(&b->model, 1),
                           .threads = 1,
                           .B = (int)b->o.micro_batch_size,
                           .T = (int)b->o.seq_length,
                           .micro_batches = (int)b->o.micro_batches,
                           .schedule = b->o.schedule,
                           .recompute = b->recompute,
                           .compute = b->o.compute,
                           .copies = 1,
                           .repeats = (int)b->o.repeats};
}

/* speedup: against `alone`, one rank with the others' places taken by independent copies; 0: not compared. */
static void report(const bench *b, const char *name, const cb_bench_case *c, const cb_bench_time *t, double speedup) {
    double without_bubble = speedup / (1 - t->bubble_closed);
    double tokens = (double)c->micro_batches * c->B * c->T;
    if (b->o.json) {
        json_t *o = json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:f,s:f,s:f,s:I,s:f,s:f}", "case", name,
                              "model", b->model.name, "recompute", b->o.recompute, "dp", c->dp, "tp", c->tp, "pp",
                              c->pp, "copies", c->copies, "threads_per_rank", c->threads, "micro_batch_size", c->B,
                              "seq_length", c->T, "micro_batches", c->micro_batches, "step_s", t->step_s, "best_s",
                              t->best_s, "floor_s", t->floor_s, "ratio_to_floor", t->step_s / t->floor_s, "flops",
                              (json_int_t)t->flops, "flops_per_s", t->rate, "tokens_per_s", tokens / t->step_s);
        if (speedup > 0) {
            json_object_set_new(o, "speedup", json_real(speedup));
            json_object_set_new(o, "bubble", json_real(t->bubble_closed));
            json_object_set_new(o, "speedup_without_bubble", json_real(without_bubble));
        }
        json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(o);
    } else {
        printf("%-34s %8.3f s  floor %8.3f s (%5.1f GFLOP/s)  ratio %5.2f\n%43.0f tokens/s", name, t->step_s,
               t->floor_s, t->rate / 1e9, t->step_s / t->floor_s, tokens / t->step_s);
        if (speedup > 0) printf("  speed-up %.2f, %.2f without the bubble", speedup, without_bubble);
        putchar('\n');
    }
    fflush(stdout);
}

static void report_shards(const bench *b, const cb_bench_case *c, double fast_s, double exact_s) {
    if (b->o.json) {
        json_t *o = json_pack("{s:s,s:s,s:i,s:i,s:i,s:f,s:f,s:f}", "case", "shards", "model", b->model.name, "tp",
                              c->tp, "threads_per_rank", c->threads, "shards", c->shards, "step_s", exact_s,
                              "step_s_shards_tp", fast_s, "ratio_to_shards_tp", exact_s / fast_s);
        json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(o);
    } else {
        printf("tp %d, shards %d against %-12d %8.3f s  against %6.3f s: %.3f x\n", c->tp, c->shards, c->tp, exact_s,
               fast_s, exact_s / fast_s);
    }
    fflush(stdout);
}

/* One rank with many threads, one microbatch: the figure for arithmetic. */
static cb_err bench_single(const bench *b) {
    cb_bench_case c = base_case(b);
    cb_bench_time t;
    char name[64];
    c.threads = (int)b->o.threads;
    c.micro_batches = 1;
    snprintf(name, sizeof name, "1 rank x %d thread%s", c.threads, c.threads == 1 ? "" : "s");
    TRY(cb_bench_measure(&c, &t));
    report(b, name, &c, &t, 0);
    return CB_OK;
}

/* The price of exactness: the default number of shards against one per rank, measured in turns. */
static cb_err bench_shards(const bench *b, int tp) {
    cb_bench_case c = base_case(b);
    cb_bench_time fast = {0}, exact = {0};
    double fast_s[ROUNDS], exact_s[ROUNDS];
    c.tp = tp;
    c.threads = tp == 1 ? (int)b->o.threads : 1;
    c.micro_batches = 1;
    int shards = cb_model_default_shards(&b->model, tp);
    for (int i = 0; i < ROUNDS; i++) {
        c.shards = tp;
        TRY(cb_bench_measure(&c, &fast));
        fast_s[i] = fast.step_s;
        c.shards = shards;
        TRY(cb_bench_measure(&c, &exact));
        exact_s[i] = exact.step_s;
    }
    report_shards(b, &c, cb_bench_median(fast_s, ROUNDS), cb_bench_median(exact_s, ROUNDS));
    return CB_OK;
}

/* The case of one word of --layouts. */
static cb_err layout_case(const bench *b, const char *dim, cb_bench_case *c) {
    int n = (int)b->o.ranks;
    *c = base_case(b);
    if (strcmp(dim, "dp") == 0)
        c->dp = n;
    else if (strcmp(dim, "tp") == 0)
        c->tp = n;
    else if (strcmp(dim, "pp") == 0)
        c->pp = n;
    else
        return cb_fail(CB_EUSAGE, "--layouts: '%s' is not dp, tp, pp or none", dim);
    c->shards = cb_model_default_shards(&b->model, c->tp);
    return cb_err_context(cb_bench_check(c), "--layouts %s with --ranks %d", dim, n);
}

static cb_err bench_layout(const bench *b, const char *dim, double alone_s) {
    cb_bench_case c;
    cb_bench_time t;
    char name[64];
    TRY(layout_case(b, dim, &c));
    snprintf(name, sizeof name, "%s %d, %d microbatch%s", dim, (int)b->o.ranks, c.micro_batches,
             c.micro_batches == 1 ? "" : "es");
    TRY(cb_bench_measure(&c, &t));
    report(b, name, &c, &t, alone_s / t.step_s);
    return CB_OK;
}

static cb_err check_layout(const bench *b, const char *dim, double unused) {
    cb_bench_case c;
    (void)unused;
    return layout_case(b, dim, &c);
}

/* Calls `each` for every word of --layouts. */
static cb_err walk_layouts(const bench *b, cb_err (*each)(const bench *b, const char *dim, double alone_s),
                           double alone_s) {
    char *words = strdup(b->o.layouts), *rest = words;
    cb_err e = words ? CB_OK : cb_fail(CB_ENOMEM, "no memory for a list of layouts");
    for (char *dim = words ? strtok_r(words, ",", &rest) : NULL; dim && !e; dim = strtok_r(NULL, ",", &rest))
        e = each(b, dim, alone_s);
    free(words);
    return e;
}

static bool no_layouts(const bench *b) {
    return strcmp(b->o.layouts, "none") == 0;
}

static cb_err bench_layouts(const bench *b) {
    cb_bench_case c = base_case(b);
    cb_bench_time t;
    char name[64];
    if (no_layouts(b)) return CB_OK;
    c.copies = (int)b->o.ranks;
    snprintf(name, sizeof name, "1 rank x 1 thread, %d side by side", c.copies);
    TRY(cb_bench_measure(&c, &t));
    report(b, name, &c, &t, 0);
    return walk_layouts(b, bench_layout, t.step_s);
}

/* All that will be measured, before any of it is. */
static cb_err check_cases(const bench *b) {
    cb_bench_case c = base_case(b);
    TRY(cb_bench_check(&c));
    c.tp = 2;
    c.shards = cb_model_default_shards(&b->model, 2);
    if (b->o.shards) TRY(cb_err_context(cb_bench_check(&c), "--shards compares at tp 2; --no-shards leaves it out"));
    return no_layouts(b) ? CB_OK : walk_layouts(b, check_layout, 0);
}

static cb_err measure_all(const bench *b) {
    TRY(check_cases(b));
    TRY(bench_single(b));
    if (b->o.shards) TRY(bench_shards(b, 1));
    if (b->o.shards) TRY(bench_shards(b, 2));
    return bench_layouts(b);
}

static cb_err bench_step(bench *b) {
    int64_t tokens = b->o.micro_batches * b->o.micro_batch_size * b->o.seq_length + 1;
    if (b->o.threads == 0) b->o.threads = cb_os_cores() < CB_MOST_THREADS ? cb_os_cores() : CB_MOST_THREADS;
    if (b->o.ranks == 0) b->o.ranks = cb_os_cores() > 1 ? cb_os_cores() : 2;
    TRY(cb_recompute_parse(&b->recompute, b->o.recompute));
    TRY(cb_model_load(&b->model, b->o.model));
    cb_model_pad_vocab(&b->model, 128);
    TRY(cb_model_check(&b->model));
    TRY(cb_model_check_trainable(&b->model));
    TRY(cb_bench_tokens(&b->tokens, tokens, b->model.vocab < 65536 ? b->model.vocab : 65536));
    cb_err e = measure_all(b);
    cb_tokens_close(b->tokens);
    return e;
}

cb_err cb_bench_step(int argc, char **argv) {
    bench b = {0};
    TRY(cb_args_parse(table, ROWS, &b.o, argc, argv));
    if (b.o.help) {
        cb_args_help(table, ROWS, usage, stdout);
        return CB_OK;
    }
    return bench_step(&b);
}
