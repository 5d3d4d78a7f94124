/* cuboid verify: trains the same run in many layouts and compares every bit; or compares a run with another's log. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/verify.h"
#include "cli/verify_logs.h"
#include "cli/verify_run.h"
#include "model/shards.h"

typedef struct verify_options {
    cb_options train; /* first: rows of its table are valid for this struct too */
    const char *layouts, *schedules, *against, *mpiexec;
    int64_t most_ranks;
    bool mpi;
} verify_options;

#define FIELD(name) offsetof(verify_options, name)
static const cb_arg own_rows[] = {
    {.name = "Verify", .type = CB_ARG_SECTION},
    {.name = "layouts",
     .type = CB_ARG_STRING,
     .offset = FIELD(layouts),
     .help = "DPxTPxPP[:SCHEDULE], comma-separated",
     .derived = "all up to --most-ranks"},
    {.name = "schedules",
     .type = CB_ARG_STRING,
     .offset = FIELD(schedules),
     .help = "of the layouts with pp > 1 that name none themselves; all: every schedule that the sizes allow",
     .derived = "gpipe,1f1b; of --layouts: --schedule"},
    {.name = "most-ranks",
     .type = CB_ARG_INT,
     .offset = FIELD(most_ranks),
     .fallback = "8",
     .unit = "ranks",
     .help = "of a layout",
     .min = 1,
     .max = 1024},
    {.name = "mpi",
     .type = CB_ARG_BOOL,
     .offset = FIELD(mpi),
     .fallback = "false",
     .help = "every layout under mpiexec too"},
    {.name = "mpiexec",
     .type = CB_ARG_STRING,
     .offset = FIELD(mpiexec),
     .fallback = "mpiexec -n",
     .help = "how to start ranks; the number follows"},
    {.name = "against",
     .type = CB_ARG_STRING,
     .offset = FIELD(against),
     .help = "compare with this log of `cuboid train --digest-every N --log FILE`: the log given by --log, or a run "
             "trained now",
     .derived = "layouts are compared"},
};
enum { OWN_ROWS = sizeof own_rows / sizeof own_rows[0], MOST_ROWS = 128, MOST_LAYOUTS = 1024, MOST_SCHEDULES = 16 };

static const char usage[] =
    "cuboid verify --model test-tiny --data PATH [--shards 8] [--data-shards 8] [options of train]\n"
    "       cuboid verify --against run.jsonl [--log other.jsonl | options of train]";

static int make_table(cb_arg table[MOST_ROWS]) {
    int rows;
    const cb_arg *train = cb_options_table(&rows);
    memcpy(table, own_rows, sizeof own_rows);
    memcpy(table + OWN_ROWS, train, (size_t)rows * sizeof *train);
    for (cb_arg *row = table; row < table + OWN_ROWS + rows; row++) { /* where this command's defaults are others */
        if (strcmp(row->name, "steps") == 0) row->fallback = "20";
        if (strcmp(row->name, "data-shards") == 0) row->derived = "8";
        if (strcmp(row->name, "global-batch-size") == 0) row->derived = "data-shards * micro-batch-size";
    }
    return rows + OWN_ROWS;
}

/* S, D and the batch must not follow the layout: what was left out is fixed here. */
static cb_err fix_sizes(verify_options *o, cb_model *model) {
    cb_options *t = &o->train;
    if (!t->model && !t->init) return cb_fail(CB_EUSAGE, "no model: give --model NAME, or --init DIR");
    TRY(cb_model_load(model, t->model ? t->model : t->init));
    cb_model_pad_vocab(model, t->vocab_multiple);
    TRY(cb_model_check(model));
    TRY(cb_model_check_trainable(model));
    if (t->shards && strcmp(t->shards, "tp") == 0)
        return cb_fail(CB_EUSAGE,
                       "--shards tp follows the layout, and the bits follow the shards; give a number, such as %d",
                       cb_model_default_shards(model, 1));
    if (!t->shards) {
        snprintf(t->shards_text, sizeof t->shards_text, "%d", cb_model_default_shards(model, 1));
        t->shards = t->shards_text;
    }
    if (t->data_shards == 0) t->data_shards = 8;
    if (t->global_batch_size == 0) t->global_batch_size = t->data_shards * t->micro_batch_size;
    return CB_OK;
}

static void print_verdict(const char *name, const cb_trace *t, const char *verdict) {
    printf("%-34s %016llx  loss %.9g  %6.1f s  %s\n", name, (unsigned long long)t->state[t->steps - 1],
           t->loss[t->steps - 1], t->run_s, verdict);
    fflush(stdout);
}

/* Runs one layout and holds it against the reference. */
static cb_err verify_layout(const verify_options *o, const cb_layout *first, const cb_trace *reference,
                            const cb_layout *layout) {
    cb_trace t;
    char name[64], text[320];
    cb_layout_text(layout, name);
    cb_err e = cb_trace_run(&t, &o->train, layout);
    int64_t step = e ? -1 : cb_trace_differ(reference, &t);
    if (!e) print_verdict(name, &t, step < 0 ? "same bits" : "DIFFERS");
    if (step >= 0) {
        e = cb_trace_locate(&o->train, first, layout, reference, &t, step, text, sizeof text);
        if (!e) e = cb_fail(CB_EMISMATCH, "%s and one rank part at %s", name, text);
    }
    cb_trace_free(&t);
    return cb_err_context(e, "%s", name);
}

static cb_err verify_all(const verify_options *o, int argc, char **argv, const cb_layout *layouts, int count) {
    cb_layout one = {1, 1, 1, "gpipe", "none"};
    bool again = strcmp(o->train.recompute, "none") != 0; /* the reference keeps all activations */
    cb_trace reference;
    cb_err e = cb_trace_run(&reference, &o->train, &one);
    if (!e && reference.steps == 0) e = cb_fail(CB_EUSAGE, "--steps 0: nothing to compare");
    if (!e) print_verdict("one rank", &reference, "the reference");
    for (int i = 0; i < count && !e; i++) {
        bool is_one = layouts[i].dp * layouts[i].tp * layouts[i].pp == 1;
        if (!is_one || again) e = verify_layout(o, &one, &reference, &layouts[i]);
        if (!e && o->mpi) e = cb_verify_mpi(&o->train, &reference, &layouts[i], o->mpiexec, argc, argv);
    }
    if (!e)
        printf("%s%d layout%s gave the same bits in %lld step%s\n", count == 1 ? "" : "all ", count,
               count == 1 ? "" : "s", (long long)reference.steps, reference.steps == 1 ? "" : "s");
    cb_trace_free(&reference);
    return e;
}

/* Whether the run fits together at all, before anything is printed. */
static cb_err check_one_rank(const verify_options *o) {
    cb_layout one = {1, 1, 1, "gpipe", NULL};
    cb_options own;
    cb_resolved resolved = {0};
    cb_err e = cb_layout_resolve(&o->train, &one, &own, &resolved);
    cb_resolved_free(&resolved);
    return e;
}

static cb_err verify_layouts(verify_options *o, int argc, char **argv) {
    cb_model model;
    int count = 0;
    TRY(fix_sizes(o, &model));
    cb_layout *layouts = malloc(MOST_LAYOUTS * sizeof *layouts);
    if (!layouts) return cb_fail(CB_ENOMEM, "no memory for a list of layouts");
    int shards = atoi(o->train.shards), parts = (int)o->train.data_shards;
    const char *schedules[MOST_SCHEDULES];
    cb_layouts_spec spec = {.model = &model,
                            .shards = shards,
                            .data_shards = parts,
                            .most_ranks = (int)o->most_ranks,
                            .micro_batches = (int)(o->train.global_batch_size / o->train.micro_batch_size),
                            .schedules = schedules};
    cb_err e = check_one_rank(o);
    if (!e) e = cb_layouts_schedules(o->schedules ? o->schedules : "gpipe,1f1b", schedules, MOST_SCHEDULES);
    if (o->layouts && !e)
        e = cb_layouts_parse(o->layouts, o->train.schedule, o->schedules ? &spec : NULL, layouts, MOST_LAYOUTS, &count);
    else if (!e && shards > 0)
        count = cb_layouts_all(&spec, layouts, MOST_LAYOUTS);
    if (!e) e = cb_layouts_check(&o->train, layouts, count);
    if (!e && o->mpi) e = cb_verify_mpi_check(o->mpiexec);
    if (!e) {
        printf("%s, %s shard%s, %d data shard%s, %lld step%s, %d layout%s\n", model.name, o->train.shards,
               shards == 1 ? "" : "s", parts, parts == 1 ? "" : "s", (long long)o->train.steps,
               o->train.steps == 1 ? "" : "s", count, count == 1 ? "" : "s");
        e = verify_all(o, argc, argv, layouts, count);
    }
    free(layouts);
    return e;
}

/* What a comparison would not look at. */
static cb_err refuse_unused(const verify_options *o, const cb_arg *table, int rows, int argc, char **argv) {
    static const char *const outputs[] = {"save", "timeline", "trace", "trace-steps", "logits", NULL};
    static const char *const of_one[] = {"ranks", "dp", "tp", "pp", NULL}, *const of_all[] = {"most-ranks", NULL};
    static const char *const log[] = {"log", NULL}, *const ranks[] = {"ranks", NULL};
    static const char *const lists[] = {"layouts", "schedules", "most-ranks", "mpi", "mpiexec", NULL};
    TRY(cb_args_refuse(table, rows, outputs, "goes with cuboid train: a comparison writes no file", argc, argv));
    if (o->against) {
        TRY(cb_args_refuse(table, rows, lists, "compares layouts; leave it out, or --against", argc, argv));
        return cb_args_refuse(table, rows, ranks, "is not needed: a run held against a log has --dp, --tp and --pp",
                              argc, argv);
    }
    TRY(cb_args_refuse(table, rows, log, "goes with --against FILE: the two logs are compared", argc, argv));
    TRY(cb_args_refuse(table, rows, of_one, "is of one layout; give --layouts DPxTPxPP, such as 1x2x1", argc, argv));
    if (!o->layouts) return CB_OK;
    return cb_args_refuse(table, rows, of_all, "is for a search; leave it out, or --layouts", argc, argv);
}

cb_err cb_cmd_verify(int argc, char **argv) {
    cb_arg table[MOST_ROWS];
    int rows = make_table(table);
    verify_options o;
    TRY(cb_args_parse(table, rows, &o, argc, argv));
    if (o.train.help) {
        cb_args_help(table, rows, usage, stdout);
        return CB_OK;
    }
    TRY(refuse_unused(&o, table, rows, argc, argv));
    if (o.train.dry_run) return cb_fail(CB_EUSAGE, "--dry-run goes with cuboid train");
    return o.against ? cb_verify_against(&o.train, o.against) : verify_layouts(&o, argc, argv);
}
