/* cuboid bench tp: the tensor-parallel linear layer under the microscope. Every way to cut it is run on ranks of this
 * process, its products and its operations also alone; a recorded pass is drawn; and the planner says how the two
 * compare on a cluster of accelerators. */
#include <stdlib.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "base/os.h"
#include "cli/commands.h"
#include "cli/tp_report.h"
#include "model/model.h"

typedef struct tp_options {
    const char *tp, *compute, *cluster, *cluster_model, *svg;
    int64_t tokens, in, out, shards, threads, repeats, draw;
    int dtype;
    bool json, help;
} tp_options;

#define FIELD(name) offsetof(tp_options, name)
#define SIZE(field, default_, unit_, help_)                                                              \
    {                                                                                                    \
        .name = #field, .type = CB_ARG_INT, .offset = FIELD(field), .fallback = default_, .unit = unit_, \
        .help = help_, .min = 1, .max = 1 << 20                                                          \
    }
static const cb_arg table[] = {
    SIZE(tokens, "1024", "tokens", "rows of X"),
    SIZE(in, "768", "features", "columns of X"),
    SIZE(out, "3072", "features", "columns of Y"),
    {.name = "tp", .type = CB_ARG_STRING, .offset = FIELD(tp), .fallback = "1,2,4,8", .help = "ranks, as a list"},
    {.name = "shards",
     .type = CB_ARG_INT,
     .offset = FIELD(shards),
     .help = "parts of a cut dimension; in f32, with as many for every tp, the bits are those of one rank",
     .derived = "one a rank",
     .min = 1,
     .max = 4096},
    {.name = "dtype",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(dtype),
     .fallback = "f32",
     .help = "of the products' operands and of what travels; sums of products are f32",
     .choices = "f32,bf16"},
    {.name = "compute", .type = CB_ARG_STRING, .offset = FIELD(compute), .fallback = "cpu", .help = "cpu or ref"},
    {.name = "threads",
     .type = CB_ARG_INT,
     .offset = FIELD(threads),
     .fallback = "1",
     .unit = "threads",
     .help = "of each rank",
     .min = 1,
     .max = CB_MOST_THREADS},
    {.name = "repeats",
     .type = CB_ARG_INT,
     .offset = FIELD(repeats),
     .fallback = "3",
     .unit = "passes",
     .help = "timed, after one that warms up; the median counts",
     .min = 1,
     .max = CB_TP_MOST_REPEATS},
    {.name = "cluster",
     .type = CB_ARG_STRING,
     .offset = FIELD(cluster),
     .fallback = "a100-80g:8x4",
     .help = "DEVICE:GxN, N nodes of G accelerators, for the planner's model of the pair"},
    {.name = "cluster-model",
     .type = CB_ARG_STRING,
     .offset = FIELD(cluster_model),
     .help = "there the channels and MLP width of this model",
     .derived = "--in and --out"},
    {.name = "draw",
     .type = CB_ARG_INT,
     .offset = FIELD(draw),
     .fallback = "2",
     .unit = "ranks",
     .help = "draw the passes at this tp, if it is in the list",
     .min = 0,
     .max = CB_TP_MOST_RANKS},
    {.name = "svg", .type = CB_ARG_STRING, .offset = FIELD(svg), .help = "draw to this file", .derived = "not drawn"},
    {.name = "json", .type = CB_ARG_BOOL, .offset = FIELD(json), .fallback = "false", .help = "one JSON object"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

static const char usage[] = "cuboid bench tp [--tokens 1024 --in 768 --out 3072 --tp 1,2,4,8] [options]";

static cb_tp_setup setup_of(const cb_tp_report *r, const tp_options *o, int tp) {
    cb_tp_setup s = r->setup;
    s.size.tp = tp;
    s.size.shards = o->shards ? (int)o->shards : tp;
    return s;
}

static cb_err make_picture(cb_tp_report *r, int v, const cb_tp_watch *watch) {
    const cb_tp_sizes *s = &r->setup.size;
    char title[128];
    snprintf(title, sizeof title, "%s at tp %d: %lld tokens, %lld inputs, %lld outputs, %s", cb_tp_variant_at(v)->name,
             r->drawn, (long long)s->M, (long long)s->C, (long long)s->F, cb_type_name(s->type));
    return cb_tp_picture_make(&r->picture[v], title, watch, r->drawn);
}

static cb_err measure_one(cb_tp_report *r, const tp_options *o, int v, const cb_tp_layer *uncut) {
    const cb_tp_variant *variant = cb_tp_variant_at(v);
    for (int i = 0; i < r->tp.count; i++) {
        cb_tp_setup setup = setup_of(r, o, (int)r->tp.at[i]);
        bool drawn = setup.size.tp == r->drawn;
        cb_tp_watch *watch = drawn ? calloc((size_t)r->drawn, sizeof *watch) : NULL;
        if (drawn && !watch) return cb_fail(CB_ENOMEM, "no memory to watch %d ranks", r->drawn);
        cb_err e = cb_tp_measure(&setup, variant, uncut, &r->result[v][i], watch);
        if (!e && drawn) {
            r->steps[v] = cb_tp_watch_steps(watch, r->step[v]);
            e = make_picture(r, v, watch);
        }
        free(watch);
        TRY(e);
    }
    return CB_OK;
}

static cb_err measure_all(cb_tp_report *r, const tp_options *o) {
    cb_tp_setup one = r->setup;
    one.size.tp = one.size.shards = 1;
    for (int v = 0; v < CB_TP_VARIANTS; v++) {
        cb_tp_layer uncut;
        cb_tp_result alone;
        TRY(cb_tp_measure_uncut(&one, cb_tp_variant_at(v), &uncut));
        cb_err e = cb_tp_measure(&one, cb_tp_variant_at(v), NULL, &alone, NULL);
        for (int p = 0; p < 2 && !e; p++) r->uncut_s[v][p] = alone.pass[p].together_s;
        if (!e) e = measure_one(r, o, v, &uncut);
        cb_tp_layer_free(&uncut);
        TRY(e);
    }
    return CB_OK;
}

static cb_err draw(FILE *to, const void *report) {
    const cb_tp_report *r = report;
    cb_timeline all[CB_TP_VARIANTS];
    for (int v = 0; v < CB_TP_VARIANTS; v++) all[v] = r->picture[v].timeline;
    return cb_timelines_svg(all, CB_TP_VARIANTS, to);
}

/* All that can be refused is refused before anything is measured. */
static cb_err resolve(cb_tp_report *r, const tp_options *o) {
    int64_t in = o->in, out = o->out;
    r->setup = (cb_tp_setup){.size = {.M = o->tokens, .C = o->in, .F = o->out, .type = o->dtype ? CB_BF16 : CB_F32},
                             .compute = o->compute,
                             .threads = (int)o->threads,
                             .repeats = (int)o->repeats};
    r->cores = cb_os_cores();
    TRY(cb_list_parse(&r->tp, "--tp", o->tp, 1, CB_TP_MOST_RANKS));
    for (int i = 0; i < r->tp.count; i++) {
        cb_tp_setup setup = setup_of(r, o, (int)r->tp.at[i]);
        TRY(cb_tp_sizes_check(&setup.size));
        if (r->tp.at[i] == o->draw) r->drawn = (int)o->draw;
    }
    if (o->svg && !r->drawn) {
        return cb_fail(CB_EUSAGE, "--svg draws the passes at --draw %lld, which is not in --tp %s", (long long)o->draw,
                       o->tp);
    }
    if (o->cluster_model) {
        cb_model model;
        TRY(cb_model_load(&model, o->cluster_model));
        in = model.channels;
        out = model.ffn;
    }
    return cb_tp_cluster_make(&r->cluster, o->cluster, o->tokens, in, out);
}

static cb_err run(cb_tp_report *r, const tp_options *o) {
    int columns = cb_os_terminal_columns(STDOUT_FILENO);
    TRY(resolve(r, o));
    TRY(measure_all(r, o));
    if (o->svg) TRY(cb_err_context(cb_file_replace(o->svg, draw, r), "--svg %s", o->svg));
    if (!o->json) return cb_tp_report_print(r, columns < 100 ? columns : 100, cb_os_wants_colour(STDOUT_FILENO));
    cb_tp_report_json(r);
    return CB_OK;
}

cb_err cb_bench_tp(int argc, char **argv) {
    tp_options o;
    TRY(cb_args_parse(table, ROWS, &o, argc, argv));
    if (o.help) {
        cb_args_help(table, ROWS, usage, stdout);
        return CB_OK;
    }
    cb_tp_report *r = calloc(1, sizeof *r);
    if (!r) return cb_fail(CB_ENOMEM, "no memory for the report");
    cb_err e = run(r, &o);
    for (int v = 0; v < CB_TP_VARIANTS; v++) cb_tp_picture_free(&r->picture[v]);
    free(r);
    return e;
}
