/* cuboid bench comm: collective operations by every algorithm and size, on threads or under MPI, beside MPI's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "cli/algorithms.h"
#include "cli/alike.h"
#include "cli/comm_draw.h"
#include "cli/comm_options.h"
#include "cli/comm_peer.h"
#include "cli/comm_report.h"
#include "cli/commands.h"

#define FIELD(name) offsetof(cb_comm_options, name)
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
    {.name = "from",
     .type = CB_ARG_INT,
     .offset = FIELD(from),
     .fallback = "8",
     .unit = "bytes",
     .help = "smallest size",
     .min = 1,
     .max = CB_COMM_LARGEST_BYTES},
    {.name = "to",
     .type = CB_ARG_INT,
     .offset = FIELD(to),
     .fallback = "64M",
     .unit = "bytes",
     .help = "largest size",
     .min = 1,
     .max = CB_COMM_LARGEST_BYTES},
    {.name = "factor",
     .type = CB_ARG_INT,
     .offset = FIELD(factor),
     .fallback = "2",
     .help = "from one size to the next",
     .min = 2,
     .max = CB_COMM_LARGEST_BYTES},
    {.name = "sizes",
     .type = CB_ARG_STRING,
     .offset = FIELD(sizes),
     .help = "these sizes, in bytes, as a list",
     .derived = "--from to --to"},
    {.name = "ranks",
     .type = CB_ARG_INT,
     .offset = FIELD(ranks),
     .help = "that take part",
     .derived = "one a core, at least 2; under mpiexec all",
     .min = 1,
     .max = CB_COMM_MOST_RANKS},
    {.name = "comm",
     .type = CB_ARG_STRING,
     .offset = FIELD(comm),
     .derived = "threads; under mpiexec mpi",
     .help = "threads, or mpi"},
    {.name = "dtype",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(dtype),
     .fallback = "f32",
     .help = "type of the elements",
     .choices = "f32,bf16,f64,i32"},
    {.name = "redop",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(redop),
     .fallback = "sum",
     .help = "how they are reduced",
     .choices = "sum,max,min"},
    {.name = "native",
     .type = CB_ARG_BOOL,
     .offset = FIELD(native),
     .fallback = "false",
     .help = "MPI's own collectives too, in turns with ours; with --comm threads in runs under --mpiexec"},
    {.name = "mpiexec",
     .type = CB_ARG_STRING,
     .offset = FIELD(mpiexec),
     .fallback = "mpiexec -n",
     .own = true,
     .help =
         "how --native starts ranks, the number follows; 'mpiexec.mpich -n @ PROGRAM': with another build of cuboid; "
         "several, separated by ';'"},
    {.name = "repeats",
     .type = CB_ARG_INT,
     .offset = FIELD(repeats),
     .fallback = "7",
     .unit = "samples",
     .help = "of a row, of which the median counts",
     .min = 1,
     .max = CB_COMM_MOST_REPEATS},
    {.name = "warmup",
     .type = CB_ARG_INT,
     .offset = FIELD(warmup),
     .fallback = "2",
     .unit = "calls",
     .help = "before the first sample",
     .min = 0,
     .max = 1000},
    {.name = "rounds",
     .type = CB_ARG_INT,
     .offset = FIELD(rounds),
     .help = "of all rows, of which the median counts",
     .derived = "3 with --comm threads --native, else 1",
     .min = 1,
     .max = CB_COMM_MOST_ROUNDS},
    {.name = "pin",
     .type = CB_ARG_BOOL,
     .offset = FIELD(pin),
     .fallback = "true",
     .own = true,
     .help = "a core for each rank, if there are enough"},
    {.name = "algorithms",
     .type = CB_ARG_STRING,
     .offset = FIELD(algorithms),
     .help = "rules for what is chosen, as `cuboid train` takes them",
     .derived = "none"},
    {.name = "plot",
     .type = CB_ARG_STRING,
     .offset = FIELD(plot),
     .own = true,
     .help = "draw time and bandwidth against size to this SVG file",
     .derived = "not drawn"},
    {.name = "draw",
     .type = CB_ARG_STRING,
     .offset = FIELD(draw),
     .help = "measure nothing, draw this algorithm of --op over --ranks to --svg",
     .derived = "none"},
    {.name = "svg", .type = CB_ARG_STRING, .offset = FIELD(svg), .help = "file of --draw", .derived = "none"},
    {.name = "table",
     .type = CB_ARG_BOOL,
     .offset = FIELD(table),
     .fallback = "false",
     .help = "print how algorithms are chosen, measure nothing"},
    {.name = "json", .type = CB_ARG_BOOL, .offset = FIELD(json), .fallback = "false", .own = true, .help = "one JSON object"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

static const char usage[] =
    "cuboid bench comm [--op all-reduce] [--algo all] [--from 8 --to 64M --factor 2] [--ranks 8] [options]\n"
    "       mpiexec -n 4 cuboid bench comm --native [options]";

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

static cb_err draw(const cb_comm_report *r, const cb_comm_options *o) {
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

typedef struct asked {
    const cb_comm_options *options;
    const cb_selection *rules;
} asked;

static cb_err put_alike(const void *what, FILE *to) {
    const asked *it = what;
    fputs("the command\tbench comm\n", to);
    cb_args_alike(table, ROWS, it->options, to);
    cb_algorithms_alike(it->rules, to);
    return CB_OK;
}

/* Every round launches the ranks. */
static cb_err measure(cb_comm_report *r, const cb_comm_options *o, const cb_comm_peer *peers) {
    char *alike = NULL;
    cb_err e = cb_alike_make(&r->plan.launch, put_alike, &(asked){o, r->plan.selection}, &alike);
    for (int i = 0; i < r->rounds && !e; i++) {
        for (int k = 0; k < r->peers && !e; k++) e = cb_comm_peer_measure(&peers[k], r, k);
        if (!e) e = cb_comm_measure(&r->plan, r->row, &r->found);
    }
    r->plan.launch.alike = NULL;
    free(alike);
    return e;
}

static cb_err run(cb_comm_report *r, cb_comm_options *o) {
    cb_comm_peer peers[CB_COMM_MOST_PEERS];
    TRY(cb_comm_resolve(r, o));
    if (o->draw || o->svg) return draw(r, o);
    if (o->table) {
        if (o->json) return cb_fail(CB_EUSAGE, "--table is a text; --json does not go with it");
        if (cb_comm_mpiexec_rank() == 0) cb_algorithms_print(cb_comm_means(r), r->ranks, o->comm, stdout);
        return CB_OK;
    }
    if (o->plot) TRY(check_folder(o->plot));
    if (o->native && strcmp(o->comm, "mpi") != 0)
        TRY(cb_comm_peers_parse(o->mpiexec, peers, CB_COMM_MOST_PEERS, &r->peers));
    r->rounds = o->rounds ? (int)o->rounds : r->peers ? 3 : 1;
    if (r->rounds > 1 && strcmp(o->comm, "mpi") == 0)
        return cb_fail(CB_EUSAGE,
                       "--rounds %d: under mpi there is one, as a process joins MPI once; --repeats can be more",
                       r->rounds);
    TRY(allocate(r));
    TRY(measure(r, o, peers));
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
    cb_comm_options o;
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
