/* cuboid bench comm: collective operations by every algorithm and size, on threads or under MPI, beside MPI's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/algorithms.h"
#include "cli/comm_draw.h"
#include "cli/comm_peer.h"
#include "cli/comm_report.h"
#include "cli/commands.h"
#include "cli/machine.h"

typedef struct comm_options {
    const char *op, *algo, *sizes, *comm, *mpiexec, *algorithms, *plot, *draw, *svg;
    int64_t from, to, factor, ranks, repeats, warmup, rounds;
    int dtype, redop;
    bool native, pin, table, json, help;
} comm_options;

enum { LARGEST = 1 << 30 };

#define FIELD(name) offsetof(comm_options, name)
static const cb_arg table[] = {
    {.name = "op",
     .type = CB_ARG_STRING,
     .offset = FIELD(op),
     .fallback = "all-reduce",
     .help = "all-reduce, all-gather, reduce-scatter, broadcast, reduce, all-to-all, a list of them, or all"},
    {.name = "algo",
     .type = CB_ARG_STRING,
     .offset = FIELD(algo),
     .fallback = "chosen",
     .help = "name of an algorithm, or a list; chosen: what the trainer takes at each size; all: every one that can "
             "serve; native: MPI's own"},
    {.name = "from", .type = CB_ARG_INT, .offset = FIELD(from), .fallback = "8", .unit = "bytes", .help = "smallest size", .min = 1, .max = LARGEST},
    {.name = "to", .type = CB_ARG_INT, .offset = FIELD(to), .fallback = "64M", .unit = "bytes", .help = "largest size", .min = 1, .max = LARGEST},
    {.name = "factor", .type = CB_ARG_INT, .offset = FIELD(factor), .fallback = "2", .help = "from one size to the next", .min = 2, .max = LARGEST},
    {.name = "sizes", .type = CB_ARG_STRING, .offset = FIELD(sizes), .help = "these sizes, in bytes, as a list", .derived = "--from to --to"},
    {.name = "ranks",
     .type = CB_ARG_INT,
     .offset = FIELD(ranks),
     .unit = "ranks",
     .help = "that take part",
     .derived = "one a core, at least 2; under mpiexec all",
     .min = 1,
     .max = CB_COMM_MOST_RANKS},
    {.name = "comm", .type = CB_ARG_STRING, .offset = FIELD(comm), .derived = "threads; under mpiexec mpi", .help = "threads, or mpi"},
    {.name = "dtype", .type = CB_ARG_CHOICE, .offset = FIELD(dtype), .fallback = "f32", .help = "type of the elements", .choices = "f32,bf16,f64,i32"},
    {.name = "redop", .type = CB_ARG_CHOICE, .offset = FIELD(redop), .fallback = "sum", .help = "how they are reduced", .choices = "sum,max,min"},
    {.name = "native",
     .type = CB_ARG_BOOL,
     .offset = FIELD(native),
     .fallback = "false",
     .help = "MPI's own collectives too, in turns with ours; with --comm threads in runs under --mpiexec"},
    {.name = "mpiexec",
     .type = CB_ARG_STRING,
     .offset = FIELD(mpiexec),
     .fallback = "mpiexec -n",
     .help = "how --native starts ranks, the number follows; 'mpiexec.mpich -n @ PROGRAM': with another build of cuboid; "
             "several, separated by ';'"},
    {.name = "repeats",
     .type = CB_ARG_INT,
     .offset = FIELD(repeats),
     .fallback = "7",
     .unit = "samples",
     .help = "of a row, of which the median counts",
     .min = 1,
     .max = CB_COMM_MOST_REPEATS},
    {.name = "warmup", .type = CB_ARG_INT, .offset = FIELD(warmup), .fallback = "2", .unit = "calls", .help = "before the first sample", .min = 0, .max = 1000},
    {.name = "rounds",
     .type = CB_ARG_INT,
     .offset = FIELD(rounds),
     .unit = "rounds",
     .help = "of all rows, of which the median counts",
     .derived = "3 with --comm threads --native, else 1",
     .min = 1,
     .max = CB_COMM_MOST_ROUNDS},
    {.name = "pin", .type = CB_ARG_BOOL, .offset = FIELD(pin), .fallback = "true", .help = "a core for each rank, if there are enough"},
    {.name = "algorithms",
     .type = CB_ARG_STRING,
     .offset = FIELD(algorithms),
     .help = "rules for what is chosen, as `cuboid train` takes them",
     .derived = "none"},
    {.name = "plot", .type = CB_ARG_STRING, .offset = FIELD(plot), .help = "draw time and bandwidth against size to this SVG file", .derived = "not drawn"},
    {.name = "draw", .type = CB_ARG_STRING, .offset = FIELD(draw), .help = "measure nothing, draw this algorithm of --op over --ranks to --svg", .derived = "none"},
    {.name = "svg", .type = CB_ARG_STRING, .offset = FIELD(svg), .help = "file of --draw", .derived = "none"},
    {.name = "table", .type = CB_ARG_BOOL, .offset = FIELD(table), .fallback = "false", .help = "print how algorithms are chosen, measure nothing"},
    {.name = "json", .type = CB_ARG_BOOL, .offset = FIELD(json), .fallback = "false", .help = "one JSON object"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

static const char usage[] =
    "cuboid bench comm [--op all-reduce] [--algo all] [--from 8 --to 64M --factor 2] [--ranks 8] [options]\n"
    "       mpiexec -n 4 cuboid bench comm --native [options]";

static const cb_kind kinds[] = {CB_ALL_REDUCE, CB_ALL_GATHER, CB_REDUCE_SCATTER, CB_BROADCAST, CB_REDUCE, CB_ALL_TO_ALL};
enum { MEASURED_KINDS = sizeof kinds / sizeof kinds[0], MOST_WORD = 64 };

static cb_means means_of(const cb_comm_report *r) {
    return (cb_means){.shared = cb_comm_launch_shares(&r->plan.launch) && r->ranks > 1, .selection = r->plan.selection};
}

typedef cb_err word_fn(cb_comm_report *report, const comm_options *o, const char *word);

/* Each word of a list with commas. */
static cb_err each_word(cb_comm_report *r, const comm_options *o, const char *list, word_fn *fn) {
    char word[MOST_WORD];
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        TRY(fn(r, o, word));
        at += length;
        if (!*at) return CB_OK;
    }
}

static cb_err take_kind(cb_comm_report *r, const comm_options *o, const char *word) {
    (void)o;
    const char *names[MEASURED_KINDS + 2] = {[MEASURED_KINDS] = "all"};
    bool all = strcmp(word, "all") == 0, known = all;
    for (int i = 0; i < MEASURED_KINDS; i++) {
        names[i] = cb_kind_name(kinds[i]);
        if (!all && strcmp(word, names[i]) != 0) continue;
        known = true;
        for (int k = 0; k < r->kinds; k++)
            if (r->kind[k] == kinds[i]) return cb_fail(CB_EUSAGE, "--op: '%s' is named twice", names[i]);
        r->kind[r->kinds++] = kinds[i];
    }
    if (known) return CB_OK;
    const char *near = cb_args_nearest(word, names);
    return cb_fail(CB_EUSAGE,
                   "--op: '%s' is no operation%s%s%s; there are: all-reduce, all-gather, reduce-scatter, broadcast, "
                   "reduce, all-to-all, all",
                   word, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static cb_err take_size(cb_comm_report *r, const comm_options *o, const char *word) {
    static const cb_arg row = {.name = "sizes", .type = CB_ARG_INT, .unit = "bytes", .min = 1, .max = LARGEST};
    int64_t bytes;
    char option[] = "--sizes", value[MOST_WORD];
    (void)o;
    snprintf(value, sizeof value, "%s", word);
    TRY(cb_args_parse(&row, 1, &bytes, 2, (char *[]){option, value}));
    if (r->plan.sizes == CB_COMM_MOST_SIZES) return cb_fail(CB_EUSAGE, "--sizes: more than %d sizes", CB_COMM_MOST_SIZES);
    if (r->plan.sizes > 0 && bytes <= r->plan.size_bytes[r->plan.sizes - 1])
        return cb_fail(CB_EUSAGE, "--sizes: %s does not come after %lld; they have to grow", word,
                       (long long)r->plan.size_bytes[r->plan.sizes - 1]);
    r->plan.size_bytes[r->plan.sizes++] = bytes;
    return CB_OK;
}

static cb_err take_sizes(cb_comm_report *r, const comm_options *o) {
    if (o->sizes) return each_word(r, o, o->sizes, take_size);
    if (o->from > o->to)
        return cb_fail(CB_EUSAGE, "--from %lld is more than --to %lld", (long long)o->from, (long long)o->to);
    for (int64_t bytes = o->from; bytes <= o->to; bytes *= o->factor) r->plan.size_bytes[r->plan.sizes++] = bytes;
    return CB_OK;
}

static cb_err add_entry(cb_comm_report *r, cb_kind kind, const cb_algorithm *algorithm, bool native) {
    cb_comm_plan *p = &r->plan;
    if (p->entries == CB_COMM_MOST_ENTRIES)
        return cb_fail(CB_EUSAGE, "--op, --algo: more than %d tables at once", CB_COMM_MOST_ENTRIES);
    p->entry[p->entries++] = (cb_comm_entry){kind, algorithm, native};
    return CB_OK;
}

/* Of the kind now at the end of the entries. */
static cb_err add_named(cb_comm_report *r, cb_kind kind, const char *word) {
    int rows;
    const cb_algorithm *all = cb_algorithms(&rows), *found = NULL;
    if (strcmp(word, "chosen") == 0) return add_entry(r, kind, NULL, false);
    if (strcmp(word, "native") == 0) return add_entry(r, kind, NULL, true);
    if (strcmp(word, "all") != 0) {
        TRY(cb_algorithm_find(kind, word, means_of(r).shared, r->ranks, &found));
        return add_entry(r, kind, found, false);
    }
    for (int i = 0; i < rows; i++)
        if (all[i].kind == kind && cb_algorithm_serves(&all[i], means_of(r).shared, r->ranks)) TRY(add_entry(r, kind, &all[i], false));
    return CB_OK;
}

static bool names_native(const char *algo) {
    for (const char *at = algo; at; at = strchr(at, ','))
        if (at += *at == ',', strncmp(at, "native", 6) == 0 && (!at[6] || at[6] == ',')) return true;
    return false;
}

static cb_err take_entries(cb_comm_report *r, const comm_options *o) {
    bool is_mpi = strcmp(o->comm, "mpi") == 0, native = names_native(o->algo);
    char word[MOST_WORD];
    if (native && !is_mpi)
        return cb_fail(CB_EUSAGE, "--algo native goes with --comm mpi; with --comm threads --native starts MPI's own");
    for (int k = 0; k < r->kinds; k++) {
        for (const char *at = o->algo;;) {
            size_t length = strcspn(at, ",");
            snprintf(word, sizeof word, "%.*s", (int)length, at);
            TRY(add_named(r, r->kind[k], word));
            if (!at[length]) break;
            at += length + 1;
        }
        if (o->native && is_mpi && !native) TRY(add_entry(r, r->kind[k], NULL, true));
    }
    return CB_OK;
}

static cb_err take_ranks(cb_comm_report *r, const comm_options *o) {
    bool is_mpi = strcmp(o->comm, "mpi") == 0;
    int started = cb_comm_mpiexec_ranks(), cores = cb_machine_cores(1);
    TRY(cb_comm_check_backend(o->comm));
    r->ranks = o->ranks ? (int)o->ranks : is_mpi ? started : cores > 2 ? cores : 2;
    if (r->ranks > CB_COMM_MOST_RANKS)
        return cb_fail(CB_EUSAGE, "%d ranks; up to %d can be measured", r->ranks, CB_COMM_MOST_RANKS);
    r->plan.launch = (cb_launch){.backend = o->comm, .ranks = r->ranks, .deadline_s = 600};
    return CB_OK;
}

static cb_err resolve(cb_comm_report *r, comm_options *o) {
    static const cb_type types[] = {CB_F32, CB_BF16, CB_F64, CB_I32};
    if (!o->comm) o->comm = cb_comm_mpiexec_ranks() > 1 ? "mpi" : "threads";
    r->plan = (cb_comm_plan){.type = types[o->dtype],
                             .op = (cb_reduce_op)o->redop,
                             .repeats = (int)o->repeats,
                             .warmup = (int)o->warmup,
                             .pin = o->pin};
    TRY(take_ranks(r, o));
    if (o->algorithms) {
        TRY(cb_algorithms_read(&r->selection, "--algorithms", o->algorithms));
        r->plan.selection = &r->selection;
        TRY(cb_selection_check(means_of(r), r->ranks));
    }
    TRY(each_word(r, o, o->op, take_kind));
    TRY(take_sizes(r, o));
    return take_entries(r, o);
}

static cb_err allocate(cb_comm_report *r) {
    r->rows = (r->plan.entries + r->peers * r->kinds) * r->plan.sizes;
    r->row = calloc((size_t)r->rows, sizeof *r->row);
    if (!r->row) return cb_fail(CB_ENOMEM, "no memory for %d rows", r->rows);
    for (int e = 0; e < r->plan.entries; e++)
        for (int s = 0; s < r->plan.sizes; s++)
            cb_comm_report_own(r, e, s)->by = r->plan.entry[e].native ? r->found.library : r->plan.launch.backend;
    return CB_OK;
}

enum { DRAWN_ELEMENTS = 1 << 16 }; /* four chunks of a pipeline */

static cb_err draw(const cb_comm_report *r, const comm_options *o) {
    cb_drawn drawn = {.ranks = r->ranks, .count = DRAWN_ELEMENTS};
    if (!o->draw || !o->svg) return cb_fail(CB_EUSAGE, "--draw ALGORITHM and --svg FILE go together");
    if (r->kinds != 1) return cb_fail(CB_EUSAGE, "--draw draws an algorithm of one operation; --op names %d", r->kinds);
    TRY(cb_algorithm_find(r->kind[0], o->draw, true, r->ranks, &drawn.algorithm));
    TRY(cb_comm_draw_check(&drawn));
    return cb_err_context(cb_file_replace(o->svg, cb_comm_draw, &drawn), "--svg %s", o->svg);
}

/* Found out before it is measured for minutes. */
static cb_err check_folder(const char *path) {
    char folder[512] = ".";
    const char *slash = strrchr(path, '/');
    if (slash) snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (access(folder, W_OK | X_OK) == 0) return CB_OK;
    return cb_fail(CB_EIO, "--plot %s: nothing can be written in %s: %s", path, folder, strerror(errno));
}

static cb_err run(cb_comm_report *r, comm_options *o) {
    cb_comm_peer peers[CB_COMM_MOST_PEERS];
    TRY(resolve(r, o));
    if (o->draw || o->svg) return draw(r, o);
    if (o->table) {
        if (o->json) return cb_fail(CB_EUSAGE, "--table is a text; --json does not go with it");
        if (cb_comm_mpiexec_rank() == 0) cb_algorithms_print(means_of(r), r->ranks, o->comm, stdout);
        return CB_OK;
    }
    if (o->plot) TRY(check_folder(o->plot));
    if (o->native && strcmp(o->comm, "mpi") != 0)
        TRY(cb_comm_peers_parse(o->mpiexec, peers, CB_COMM_MOST_PEERS, &r->peers));
    r->rounds = o->rounds ? (int)o->rounds : r->peers ? 3 : 1;
    if (r->rounds > 1 && strcmp(o->comm, "mpi") == 0)
        return cb_fail(CB_EUSAGE, "--rounds %d: under mpi there is one, as a process joins MPI once; --repeats can be more",
                       r->rounds);
    TRY(allocate(r));
    for (int i = 0; i < r->rounds; i++) {
        for (int k = 0; k < r->peers; k++) TRY(cb_comm_peer_measure(&peers[k], r, k));
        TRY(cb_comm_measure(&r->plan, r->row, &r->found));
    }
    if (strcmp(o->comm, "mpi") == 0 && cb_comm_mpiexec_rank() > 0) return CB_OK;
    cb_comm_report_predict(r);
    if (o->plot) TRY(cb_err_context(cb_file_replace(o->plot, cb_comm_report_plot, r), "--plot %s", o->plot));
    if (o->json)
        cb_comm_report_json(r);
    else
        cb_comm_report_print(r);
    if (cb_comm_report_wrong(r) == 0) return CB_OK;
    return cb_fail(CB_EMISMATCH, "%lld elements of results are wrong", (long long)cb_comm_report_wrong(r));
}

cb_err cb_bench_comm(int argc, char **argv) {
    comm_options o;
    TRY(cb_args_parse(table, ROWS, &o, argc, argv));
    if (o.help) {
        cb_args_help(table, ROWS, usage, stdout);
        return CB_OK;
    }
    cb_comm_report *r = calloc(1, sizeof *r);
    if (!r) return cb_fail(CB_ENOMEM, "no memory for the report");
    cb_err e = run(r, &o);
    free(r->row);
    free(r);
    return e;
}
