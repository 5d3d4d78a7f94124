/* cuboid bench gemm: the rates of matrix products by shape, forward and both gradients: those of a model's layers at
 * each tp, or of given sizes. Beside them stands the rate of a large square product, which the floor of `bench step`
 * and the peak of MFU are. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/args.h"
#include "base/os.h"
#include "cli/commands.h"
#include "cli/gemm_rates.h"
#include "cli/lists.h"
#include "cli/machine.h"
#include "compute/compute.h"
#include "model/shards.h"

typedef struct gemm_options {
    const char *model, *tp, *m, *n, *k, *compute;
    int64_t tokens, shards, threads, repeats;
    int dtype;
    bool json, help;
} gemm_options;

#define FIELD(name) offsetof(gemm_options, name)
static const cb_arg table[] = {
    {.name = "Layers of a model", .type = CB_ARG_SECTION},
    {.name = "model",
     .type = CB_ARG_STRING,
     .offset = FIELD(model),
     .fallback = "gpt2-124m",
     .help = "a preset or a config.json"},
    {.name = "tokens",
     .type = CB_ARG_INT,
     .offset = FIELD(tokens),
     .fallback = "1024",
     .unit = "tokens",
     .help = "of a microbatch: the rows of every product",
     .min = 1,
     .max = 1 << 24},
    {.name = "tp",
     .type = CB_ARG_STRING,
     .offset = FIELD(tp),
     .fallback = "1",
     .help = "tensor-parallel sizes, as a list: what one rank of each computes"},
    {.name = "shards",
     .type = CB_ARG_INT,
     .offset = FIELD(shards),
     .help = "parts of a cut dimension, each a product of its own",
     .derived = "as in training",
     .min = 1,
     .max = 4096},
    {.name = "Given sizes, (m, k) x (k, n)", .type = CB_ARG_SECTION},
    {.name = "m",
     .type = CB_ARG_STRING,
     .offset = FIELD(m),
     .help = "rows, as a list; with --n and --k in place of a model",
     .derived = "the model's"},
    {.name = "n", .type = CB_ARG_STRING, .offset = FIELD(n), .help = "outputs, as a list", .derived = "the model's"},
    {.name = "k", .type = CB_ARG_STRING, .offset = FIELD(k), .help = "inputs, as a list", .derived = "the model's"},
    {.name = "Measuring", .type = CB_ARG_SECTION},
    {.name = "dtype",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(dtype),
     .fallback = "f32",
     .help = "of the operands, which are rounded in the time taken; sums are f32",
     .choices = "f32,bf16"},
    {.name = "compute", .type = CB_ARG_STRING, .offset = FIELD(compute), .fallback = "cpu", .help = "cpu or ref"},
    {.name = "threads",
     .type = CB_ARG_INT,
     .offset = FIELD(threads),
     .unit = "threads",
     .help = "of the rank",
     .derived = "the cores, at most 16",
     .min = 1,
     .max = CB_MOST_THREADS},
    {.name = "repeats",
     .type = CB_ARG_INT,
     .offset = FIELD(repeats),
     .fallback = "5",
     .unit = "samples",
     .help = "timed per product, after one that warms up; the median counts",
     .min = 1,
     .max = 64},
    {.name = "json", .type = CB_ARG_BOOL, .offset = FIELD(json), .fallback = "false", .help = "one JSON object"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

static const char usage[] = "cuboid bench gemm [--model gpt2-124m] [--tokens 1024] [--tp 1,2] [options]\n"
                            "       cuboid bench gemm --m 1024 --n 768,3072 --k 768 [options]";

typedef struct row {
    const char *layer;
    int tp;
    cb_gemm_rate rate[CB_GEMM_PASSES];
} row;

typedef struct report {
    const gemm_options *o;
    row *rows;
    int count;
    double square; /* FLOP/s of the large square product */
} report;

static cb_type type_of(const gemm_options *o) {
    return o->dtype ? CB_BF16 : CB_F32;
}

static double rate_of(const cb_gemm_rate *r) {
    return r->flops / r->median_s;
}

static double best_of(const report *r) {
    double best = r->square;
    for (int i = 0; i < r->count; i++) {
        for (int pass = 0; pass < CB_GEMM_PASSES; pass++) {
            if (rate_of(&r->rows[i].rate[pass]) > best) best = rate_of(&r->rows[i].rate[pass]);
        }
    }
    return best;
}

static void print_text(const report *r) {
    double best = best_of(r);
    printf("products of %s by %s, %lld thread%s; a large square one: %.1f GFLOP/s\n", cb_type_name(type_of(r->o)),
           r->o->compute, (long long)r->o->threads, r->o->threads == 1 ? "" : "s", r->square / 1e9);
    printf("of best: of the highest rate here, %.1f GFLOP/s\n\n", best / 1e9);
    printf("%-10s %-15s %3s %6s %6s %6s %9s %8s %8s\n", "layer", "product", "tp", "m", "n", "k", "ms", "GFLOP/s",
           "of best");
    for (int i = 0; i < r->count; i++) {
        for (int pass = 0; pass < CB_GEMM_PASSES; pass++) {
            const cb_gemm_rate *one = &r->rows[i].rate[pass];
            printf("%-10s %-15s %3d %6lld %6lld %6lld %9.3f %8.1f %8.2f\n", r->rows[i].layer,
                   cb_gemm_pass_name((cb_gemm_pass)pass), r->rows[i].tp, (long long)one->m, (long long)one->n,
                   (long long)one->k, one->median_s * 1e3, rate_of(one) / 1e9, rate_of(one) / best);
        }
    }
}

static json_t *row_json(const row *of, cb_gemm_pass pass, double best) {
    const cb_gemm_rate *r = &of->rate[pass];
    return json_pack("{s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "layer", of->layer, "product",
                     cb_gemm_pass_name(pass), "tp", of->tp, "m", (json_int_t)r->m, "n", (json_int_t)r->n, "k",
                     (json_int_t)r->k, "flops", (json_int_t)r->flops, "time_us", r->median_s * 1e6, "best_us", r->best_s * 1e6,
                     "gflops", rate_of(r) / 1e9, "of_best", rate_of(r) / best);
}

static void print_json(const report *r) {
    json_t *o = json_pack("{s:s,s:s,s:I,s:f}", "dtype", cb_type_name(type_of(r->o)), "compute", r->o->compute,
                          "threads", (json_int_t)r->o->threads, "square_gflops", r->square / 1e9);
    json_t *rows = json_array();
    for (int i = 0; i < r->count; i++) {
        for (int pass = 0; pass < CB_GEMM_PASSES; pass++) {
            json_array_append_new(rows, row_json(&r->rows[i], (cb_gemm_pass)pass, best_of(r)));
        }
    }
    json_object_set_new(o, "rows", rows);
    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}

static cb_err add(report *r, const cb_gemm_setup *setup, const cb_gemm_layer *layer) {
    row *more = realloc(r->rows, (size_t)(r->count + 1) * sizeof *more);
    if (!more) return cb_fail(CB_ENOMEM, "no memory for the rates of %d layers", r->count + 1);
    r->rows = more;
    r->rows[r->count] = (row){.layer = layer->name, .tp = setup->tp};
    TRY(cb_gemm_rates(setup, layer, r->rows[r->count].rate));
    r->count++;
    return CB_OK;
}

static cb_err measure_model(report *r, cb_gemm_setup setup) {
    cb_list tp;
    cb_model model;
    cb_gemm_layer layers[CB_GEMM_LAYERS];
    TRY(cb_list_parse(&tp, "--tp", r->o->tp, 1, 4096));
    TRY(cb_model_load(&model, r->o->model));
    TRY(cb_model_check(&model));
    cb_gemm_layers_of(&model, layers);
    for (int i = 0; i < tp.count; i++) TRY(cb_model_check_tp(&model, (int)tp.at[i]));
    for (int i = 0; i < tp.count; i++) {
        setup.tp = (int)tp.at[i];
        setup.shards = r->o->shards ? (int)r->o->shards : cb_model_default_shards(&model, setup.tp);
        for (int l = 0; l < CB_GEMM_LAYERS; l++) TRY(add(r, &setup, &layers[l]));
    }
    return CB_OK;
}

/* Options of the layers of a model, which given sizes do not look at. */
static cb_err check_alone(int argc, char **argv) {
    static const char *const others[] = {"model", "tokens", "tp", "shards"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (cb_args_given(table, ROWS, others[i], argc, argv))
            return cb_fail(CB_EUSAGE, "--%s is of the layers of a model; with --m, --n and --k leave it out",
                           others[i]);
    return CB_OK;
}

static cb_err measure_given(report *r, cb_gemm_setup setup) {
    cb_list m, n, k;
    const gemm_options *o = r->o;
    if (!o->m || !o->n || !o->k)
        return cb_fail(CB_EUSAGE, "--m, --n and --k go together: give all three, or a --model");
    TRY(cb_list_parse(&m, "--m", o->m, 1, 1 << 24));
    TRY(cb_list_parse(&n, "--n", o->n, 1, 1 << 24));
    TRY(cb_list_parse(&k, "--k", o->k, 1, 1 << 24));
    setup.tp = setup.shards = 1;
    for (int64_t i = 0; i < (int64_t)m.count * n.count * k.count; i++) {
        cb_gemm_layer layer = {.name = "given", .in = k.at[i % k.count], .out = n.at[i / k.count % n.count]};
        setup.tokens = m.at[i / k.count / n.count];
        TRY(add(r, &setup, &layer));
    }
    return CB_OK;
}

cb_err cb_bench_gemm(int argc, char **argv) {
    gemm_options o;
    TRY(cb_args_parse(table, ROWS, &o, argc, argv));
    if (o.help) {
        cb_args_help(table, ROWS, usage, stdout);
        return CB_OK;
    }
    if (o.threads == 0) o.threads = cb_os_cores() < CB_MOST_THREADS ? cb_os_cores() : CB_MOST_THREADS;
    const bool given = o.m || o.n || o.k;
    report r = {.o = &o};
    if (given) TRY(check_alone(argc, argv));
    cb_gemm_setup setup = {.compute = o.compute,
                           .threads = (int)o.threads,
                           .type = type_of(&o),
                           .tokens = o.tokens,
                           .repeats = (int)o.repeats};
    cb_err e = cb_machine_rate(o.compute, setup.threads, setup.type, &r.square);
    if (!e) e = given ? measure_given(&r, setup) : measure_model(&r, setup);
    if (!e && o.json) print_json(&r);
    if (!e && !o.json) print_text(&r);
    free(r.rows);
    return e;
}
