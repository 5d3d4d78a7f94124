/* cuboid schedule: a pipeline schedule as lists, as a picture, in numbers, and all of them side by side. Nothing is
 * trained; times are simulated. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/file.h"
#include "base/os.h"
#include "cli/commands.h"
#include "cli/simulated.h"
#include "model/placement.h"

typedef struct schedule_options {
    const char *schedule, *file, *costs, *svg, *chrome;
    int64_t pp, micro_batches, chunks, group, columns;
    bool list, lowered, compare, help;
} schedule_options;

/* Microbatches x stages x chunks of one schedule: what can be drawn, listed or compared within memory and patience. */
enum { MOST_CELLS = 1 << 20 };

#define FIELD(name) offsetof(schedule_options, name)
static const cb_arg table[] = {
    {.name = "schedule",
     .type = CB_ARG_STRING,
     .offset = FIELD(schedule),
     .fallback = "1f1b",
     .help = "gpipe, 1f1b, interleaved, zb-h1, zb-h2, zb-v, dualpipe-v, or forward"},
    {.name = "pp",
     .aliases = "pipeline-model-parallel-size",
     .type = CB_ARG_INT,
     .offset = FIELD(pp),
     .fallback = "4",
     .unit = "stages",
     .help = "of the pipeline",
     .min = 1,
     .max = CB_MAX_STAGES},
    {.name = "micro-batches",
     .type = CB_ARG_INT,
     .offset = FIELD(micro_batches),
     .fallback = "8",
     .help = "of a step",
     .min = 1,
     .max = 65536},
    {.name = "virtual",
     .aliases = "virtual-pipeline-model-parallel-size",
     .type = CB_ARG_INT,
     .offset = FIELD(chunks),
     .unit = "chunks",
     .help = "of each stage",
     .derived = "the schedule's; 2 if interleaved",
     .min = 1,
     .max = 1024},
    {.name = "group",
     .aliases = "microbatch-group-size-per-virtual-pipeline-stage",
     .type = CB_ARG_INT,
     .offset = FIELD(group),
     .unit = "microbatches",
     .help = "interleaved: that pass a chunk together",
     .derived = "pp",
     .min = 1,
     .max = 65536},
    {.name = "file",
     .type = CB_ARG_STRING,
     .offset = FIELD(file),
     .help = "a schedule of your own, as --list writes them",
     .derived = "none"},
    {.name = "costs",
     .type = CB_ARG_STRING,
     .offset = FIELD(costs),
     .fallback = "F=1,B=1,W=1,comm=0,step=0",
     .unit = "ms",
     .help = "forward, input gradient and weight gradient of a microbatch on a stage; a message; the optimizer"},
    {.name = "compare",
     .type = CB_ARG_BOOL,
     .offset = FIELD(compare),
     .fallback = "false",
     .help = "a table of all schedules with these sizes"},
    {.name = "list",
     .type = CB_ARG_BOOL,
     .offset = FIELD(list),
     .fallback = "false",
     .help = "the lists of instructions, and nothing else"},
    {.name = "lowered",
     .type = CB_ARG_BOOL,
     .offset = FIELD(lowered),
     .fallback = "false",
     .help = "with --list: messages, reductions and the optimizer too"},
    {.name = "columns",
     .type = CB_ARG_INT,
     .offset = FIELD(columns),
     .help = "width of the picture",
     .derived = "the terminal's",
     .min = 20,
     .max = 10000},
    {.name = "svg", .type = CB_ARG_STRING, .offset = FIELD(svg), .help = "draw to this file", .derived = "not drawn"},
    {.name = "chrome",
     .type = CB_ARG_STRING,
     .offset = FIELD(chrome),
     .help = "trace events for Perfetto or chrome://tracing, to this file",
     .derived = "not written"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

/* chunks 0: not known yet */
static cb_err check_size(int64_t stages, int64_t micro_batches, int64_t chunks) {
    char each[32] = "";
    int64_t least = chunks ? chunks : 1;
    if (stages * micro_batches * least <= MOST_CELLS) return CB_OK;
    if (chunks) snprintf(each, sizeof each, " x %lld chunk%s", (long long)chunks, chunks == 1 ? "" : "s");
    return cb_fail(CB_EINVAL, "%lld stages x %lld microbatches%s; at most %d altogether%s: here %lld microbatches",
                   (long long)stages, (long long)micro_batches, each, MOST_CELLS, chunks ? "" : ", with the chunks",
                   (long long)(MOST_CELLS / stages / least));
}

/* A schedule that was made stays if it is not too large. */
static cb_err keep(cb_schedule *schedule) {
    cb_err e = check_size(schedule->stages, schedule->micro_batches, schedule->chunks);
    if (e) cb_schedule_free(schedule);
    return e;
}

static cb_err read_schedule(const char *path, cb_schedule *schedule) {
    char *text;
    const char *slash = strrchr(path, '/');
    TRY(cb_file_read_text(path, "--file", CB_MOST_SCHEDULE_TEXT, &text));
    cb_err e = cb_schedule_read(schedule, slash ? slash + 1 : path, text);
    free(text);
    return e ? e : keep(schedule);
}

static cb_err make_schedule(const schedule_options *o, const char *name, cb_schedule *schedule) {
    cb_schedule_spec spec = {.name = name,
                             .stages = (int)o->pp,
                             .micro_batches = (int)o->micro_batches,
                             .chunks = (int)o->chunks,
                             .group = (int)o->group};
    TRY(check_size(o->pp, o->micro_batches, o->chunks));
    TRY(cb_schedule_make_spec(schedule, &spec));
    return keep(schedule);
}

static cb_err write_svg(FILE *to, const void *timeline) {
    return cb_timeline_svg(timeline, to);
}

static cb_err write_chrome(FILE *to, const void *timeline) {
    return cb_timeline_chrome(timeline, to);
}

static cb_err write_to(const char *option, const char *path, const cb_timeline *timeline, cb_file_write *write) {
    return path ? cb_err_context(cb_file_replace(path, write, timeline), "--%s %s", option, path) : CB_OK;
}

static void print_numbers(const cb_simulated *s) {
    const cb_schedule *it = &s->schedule;
    double bubble_s = s->total_s - s->work_s;
    printf("time %.4g ms: a stage works %.4g ms; bubble %.4g ms (%.1f%%), of it %.4g ms within a stage's own work\n",
           1e3 * s->total_s, 1e3 * s->work_s, 1e3 * bubble_s, 100 * bubble_s / s->total_s, 1e3 * s->own_s);
    printf("held at once%s:", it->chunks > 1 ? ", in microbatches of a whole stage" : ", microbatches");
    for (int r = 0; r < it->stages && r < 32; r++) printf(" %.4g", (double)s->peak[r] / it->chunks);
    printf("%s\n%lld messages; smallest send window %d\n", it->stages > 32 ? " ..." : "", (long long)s->messages,
           s->window);
}

static cb_err print_list(cb_schedule *schedule, bool lowered) {
    char *text;
    if (lowered && !schedule->is_lowered) TRY(cb_schedule_lower(schedule));
    TRY(cb_schedule_text(schedule, lowered, &text));
    fputs(text, stdout);
    free(text);
    return CB_OK;
}

static cb_err show(const schedule_options *o, const cb_simulated *s) {
    int columns = o->columns ? (int)o->columns : cb_os_terminal_columns(STDOUT_FILENO);
    TRY(write_to("svg", o->svg, &s->timeline, write_svg));
    TRY(write_to("chrome", o->chrome, &s->timeline, write_chrome));
    TRY(cb_timeline_text(&s->timeline, columns, cb_os_wants_colour(STDOUT_FILENO), stdout));
    print_numbers(s);
    return CB_OK;
}

static void print_row(const cb_simulated *s) {
    double bubble_s = s->total_s - s->work_s;
    printf("%-12s %6d %10.4g %10.4g %7.1f%% %10.4g %10.4g %9lld %7d\n", s->schedule.name, s->schedule.chunks,
           1e3 * s->total_s, 1e3 * bubble_s, 100 * bubble_s / s->total_s, s->own_s < 1e-9 * s->total_s ? 0.0 : 1e3 * s->own_s,
           (double)s->most / s->schedule.chunks, (long long)s->messages, s->window);
}

static cb_err compare_one(cb_schedule schedule, const cb_costs *costs) {
    cb_simulated simulated;
    cb_err e = cb_simulated_make(&simulated, schedule, costs);
    if (!e) print_row(&simulated);
    cb_simulated_free(&simulated);
    return e;
}

/* own: the file's schedule, whose sizes the others get, or NULL. A schedule that cannot have these sizes says why. */
static cb_err compare(schedule_options o, const cb_costs *costs, cb_schedule *own) {
    int64_t chunks = o.chunks, group = o.group;
    printf("%lld stages, %lld microbatches, %s ms\n\n", (long long)o.pp, (long long)o.micro_batches, o.costs);
    printf("%-12s %6s %10s %10s %8s %10s %10s %9s %7s\n", "schedule", "chunks", "time ms", "bubble ms", "bubble",
           "own ms", "held most", "messages", "window");
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        cb_schedule schedule;
        bool has_sizes = strcmp(*name, "interleaved") == 0;
        o.chunks = has_sizes ? chunks : 0;
        o.group = has_sizes ? group : 0;
        cb_err e = make_schedule(&o, *name, &schedule);
        if (e && cb_err_code(e) != CB_EINVAL) return e;
        if (e) cb_args_wrap(cb_err_text(e), printf("%-12s ", *name), stdout);
        if (!e) TRY(compare_one(schedule, costs));
        cb_err_free(e);
    }
    if (own) {
        cb_schedule taken = *own;
        *own = (cb_schedule){0};
        TRY(compare_one(taken, costs));
    }
    puts("\nbubble: the step's time less a stage's work; own: the longest that a stage waits within its own\n"
         "work, which is what is left where stages need not begin and end together; held most: microbatches\n"
         "of a whole stage whose activations are kept, on the fullest stage; window: sends that have to be\n"
         "on their way at once");
    return CB_OK;
}

static cb_err run(const schedule_options *o, const cb_costs *costs) {
    cb_schedule schedule;
    schedule_options sizes = *o;
    if (o->compare && !o->file) return compare(*o, costs, NULL);
    TRY(o->file ? read_schedule(o->file, &schedule) : make_schedule(o, o->schedule, &schedule));
    sizes.pp = schedule.stages;
    sizes.micro_batches = schedule.micro_batches;
    if (o->compare || o->list) {
        cb_err e = o->compare ? compare(sizes, costs, &schedule) : print_list(&schedule, o->lowered);
        cb_schedule_free(&schedule);
        return e;
    }
    cb_simulated simulated;
    cb_err e = cb_simulated_make(&simulated, schedule, costs);
    if (!e) e = show(o, &simulated);
    cb_simulated_free(&simulated);
    return e;
}

static cb_err check_options(const schedule_options *o, int argc, char **argv) {
    static const char *const sizes[] = {"schedule", "pp", "micro-batches", "virtual", "group"};
    for (size_t i = 0; o->file && i < sizeof sizes / sizeof *sizes; i++) {
        if (!cb_args_given(table, ROWS, sizes[i], argc, argv)) continue;
        return cb_fail(CB_EUSAGE, "--file %s says what --%s would; leave one of them out", o->file, sizes[i]);
    }
    if ((o->list || o->compare) && (o->svg || o->chrome)) {
        return cb_fail(CB_EUSAGE, "--%s draws nothing; leave out --%s", o->list ? "list" : "compare",
                       o->svg ? "svg" : "chrome");
    }
    if (o->list && o->compare) return cb_fail(CB_EUSAGE, "--list and --compare: one of them");
    return o->lowered && !o->list ? cb_fail(CB_EUSAGE, "--lowered goes with --list") : CB_OK;
}

cb_err cb_cmd_schedule(int argc, char **argv) {
    schedule_options options;
    cb_costs costs;
    TRY(cb_args_parse(table, ROWS, &options, argc, argv));
    if (options.help) {
        cb_args_help(table, ROWS, "cuboid schedule [--schedule zb-h1] [--pp 4] [--micro-batches 8]", stdout);
        return CB_OK;
    }
    TRY(check_options(&options, argc, argv));
    TRY(cb_costs_parse(options.costs, &costs));
    return run(&options, &costs);
}
