/* cuboid trace: a measured step, drawn below the same step simulated, and where its time went. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "base/os.h"
#include "cli/commands.h"
#include "cli/trace_report.h"

typedef struct trace_options {
    int64_t step, columns;
    const char *svg;
    bool json, help;
} trace_options;

#define FIELD(name) offsetof(trace_options, name)

static const cb_arg table[] = {
    {.name = "step",
     .type = CB_ARG_INT,
     .offset = FIELD(step),
     .help = "which of the traced steps",
     .derived = "the last",
     .min = 1,
     .max = 1e12},
    {.name = "columns",
     .type = CB_ARG_INT,
     .offset = FIELD(columns),
     .help = "width of the picture",
     .derived = "the terminal's",
     .min = 20,
     .max = 10000},
    {.name = "svg", .type = CB_ARG_STRING, .offset = FIELD(svg), .help = "draw to this file", .derived = "not drawn"},
    {.name = "json",
     .type = CB_ARG_BOOL,
     .offset = FIELD(json),
     .fallback = "false",
     .help = "one JSON object instead of picture and tables"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

static const char usage[] = "cuboid trace FILE [--step 12] [options]\n"
                            "       FILE: what `cuboid train --trace FILE` wrote";

static cb_err draw_both(FILE *to, const void *report) {
    const cb_trace_report *r = report;
    cb_timeline both[] = {r->simulated, r->measured};
    return cb_timelines_svg(both, 2, to);
}

static void print_run(const cb_traced *t) {
    const int *size = t->mesh.size;
    printf("%s, %s: dp %d x tp %d x pp %d, %d microbatch%s of %d x %d tokens; step%s", t->model, t->schedule.name,
           size[CB_DP], size[CB_TP], size[CB_PP], t->schedule.micro_batches, t->schedule.micro_batches == 1 ? "" : "es",
           t->B, t->T, t->steps == 1 ? "" : "s");
    for (int i = 0; i < t->steps && i < 16; i++) printf("%s %lld", i ? "," : "", (long long)t->step[i]);
    printf("%s in the trace\n\n", t->steps > 16 ? ", ..." : t->steps == 1 ? " is" : " are");
}

static cb_err show(const trace_options *o, const cb_trace_report *r) {
    int columns = o->columns ? (int)o->columns : cb_os_terminal_columns(STDOUT_FILENO);
    bool colour = cb_os_wants_colour(STDOUT_FILENO);
    if (o->svg) TRY(cb_err_context(cb_file_replace(o->svg, draw_both, r), "--svg %s", o->svg));
    if (o->json) {
        json_t *json = cb_trace_report_json(r);
        if (!json || json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) || putchar('\n') == EOF) {
            json_decref(json);
            return cb_fail(CB_EIO, "cannot write to the standard output: %s", strerror(errno));
        }
        json_decref(json);
        return CB_OK;
    }
    print_run(r->traced);
    TRY(cb_timeline_text(&r->simulated, columns, colour, stdout));
    putchar('\n');
    TRY(cb_timeline_text(&r->measured, columns, colour, stdout));
    cb_trace_report_print(r, stdout);
    return CB_OK;
}

cb_err cb_cmd_trace(int argc, char **argv) {
    trace_options o;
    cb_traced traced;
    cb_trace_report report;
    bool named = argc > 0 && argv[0][0] != '-';
    TRY(cb_args_parse(table, ROWS, &o, argc - named, argv + named));
    if (o.help) {
        cb_args_help(table, ROWS, usage, stdout);
        return CB_OK;
    }
    if (!named) return cb_fail(CB_EUSAGE, "trace which file? cuboid trace FILE [options]");
    TRY(cb_traced_read(&traced, argv[0]));
    cb_err e = cb_trace_report_make(&report, &traced, o.step);
    if (!e) {
        e = show(&o, &report);
        cb_trace_report_free(&report);
    }
    cb_traced_free(&traced);
    return e;
}
