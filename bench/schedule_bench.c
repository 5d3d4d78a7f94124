/* Are steps as long as the simulator says? Trains a model of equal stages with each schedule, traces it, and holds the
 * measured steps against the simulation with the costs measured in them. By default kernels sleep (sleeping.h), so that
 * any number of stages runs side by side on any number of cores, and what differs is the engine's doing; then the costs
 * are known beforehand too, and the steps are also held against the simulation with those. --compute cpu takes real
 * kernels, for no more stages than cores. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "cli/commands.h"
#include "cli/trace_report.h"
#include "pipeline/lists.h"
#include "sleeping.h"

enum { VOCAB = 128, HEADS = 4, MOST_ARGS = 64, MOST_STEPS = 64 };

typedef struct options {
    const char *schedule;
    int64_t stages, micro_batches, layers, channels, tokens, sequences, steps;
    double forward_ms;
    int compute;
    bool help;
} options;

#define FIELD(name) offsetof(options, name)
#define INT(field, option, most, value, text)                                                                  \
    {                                                                                                          \
        .name = option, .type = CB_ARG_INT, .offset = FIELD(field), .fallback = value, .help = text, .min = 1, \
        .max = most                                                                                            \
    }

static const cb_arg table[] = {
    {.name = "schedule", .type = CB_ARG_STRING, .offset = FIELD(schedule), .help = "only this one", .derived = "all"},
    INT(stages, "pp", 64, "8", "stages"),
    INT(micro_batches, "micro-batches", 4096, "16", "of a step"),
    INT(layers, "layers", 1024, "16", "of the model"),
    INT(channels, "channels", 65536, "128", "of a layer"),
    INT(tokens, "seq-length", 65536, "32", "tokens of a sequence"),
    INT(sequences, "micro-batch-size", 4096, "1", "sequences"),
    INT(steps, "steps", MOST_STEPS, "5", "measured, after one that warms up"),
    {.name = "forward",
     .type = CB_ARG_REAL,
     .offset = FIELD(forward_ms),
     .fallback = "10",
     .unit = "ms",
     .help = "that a forward sleeps on each stage; backwards by their FLOPs",
     .min = 0.01,
     .max = 1e6},
    {.name = "compute",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(compute),
     .fallback = "sleep",
     .choices = "sleep,cpu",
     .help = "kernels"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof *table };

static cb_err write_file(const char *path, const char *text, int times) {
    FILE *to = fopen(path, "w");
    if (!to) return cb_fail(CB_EIO, "cannot write %s", path);
    for (int i = 0; i < times; i++) fputs(text, to);
    return fclose(to) == 0 ? CB_OK : cb_fail(CB_EIO, "cannot write %s", path);
}

/* A model whose head and embedding weigh little beside its layers, and text of its small vocabulary. */
static cb_err write_inputs(const options *o) {
    char config[512];
    snprintf(
        config, sizeof config,
        "{\"model_type\": \"gpt2\", \"vocab_size\": %d, \"n_positions\": %lld, \"n_embd\": %lld, \"n_layer\": %lld, "
        "\"n_head\": %d}\n",
        VOCAB, (long long)o->tokens, (long long)o->channels, (long long)o->layers, HEADS);
    TRY(write_file("model.json", config, 1));
    int64_t bytes = (o->steps + 2) * o->micro_batches * o->sequences * (o->tokens + 1);
    return write_file("text", "to be or not to be, that is the question. ", (int)(bytes / 32 + 4096));
}

/* FLOPs of one microbatch in the products of a layer, once forward and twice backward, and of the head; in a product of
 * attention, of which there are two forward and five backward. */
static double layer_flops(const options *o) {
    return 2.0 * (double)(o->sequences * o->tokens) * 12 * (double)o->channels * (double)o->channels;
}

static double head_flops(const options *o) {
    return 2.0 * (double)(o->sequences * o->tokens) * VOCAB * (double)o->channels;
}

static double attention_flops(const options *o) {
    return 2.0 * (double)(o->sequences * o->tokens) * (double)o->tokens * (double)o->channels;
}

/* Sleeping kernels take so long that a stage's layers take --forward. */
static double rate(const options *o) {
    double layers = (double)o->layers / (double)o->stages;
    return layers * (layer_flops(o) + 2 * attention_flops(o)) / (1e-3 * o->forward_ms);
}

/* seconds (3, stages, chunks). */
static cb_durations known_durations(const options *o, const cb_schedule *s, double *seconds) {
    int cells = s->stages * s->chunks;
    double layers = (double)o->layers / cells;
    for (int i = 0; i < cells; i++) {
        bool has_head = cb_virtual_stage(s, i / s->chunks, i % s->chunks) == cells - 1;
        double product_s = (layers * layer_flops(o) + has_head * head_flops(o)) / rate(o);
        seconds[i] = product_s + layers * 2 * attention_flops(o) / rate(o);
        seconds[cells + i] = product_s + layers * 5 * attention_flops(o) / rate(o);
        seconds[2 * cells + i] = product_s;
    }
    return (cb_durations){.f_s = seconds, .b_s = seconds + cells, .w_s = seconds + 2 * cells, .per_chunk = true};
}

static cb_err simulate_known(const options *o, const cb_schedule *s, double *total_s) {
    double *seconds = calloc(3 * (size_t)s->stages * (size_t)s->chunks, sizeof *seconds);
    cb_span **spans = calloc((size_t)s->stages, sizeof *spans);
    cb_err e = seconds && spans ? CB_OK : cb_fail(CB_ENOMEM, "no memory to simulate %d stages", s->stages);
    if (!e) {
        cb_durations d = known_durations(o, s, seconds);
        e = cb_schedule_simulate(s, &d, spans, total_s, NULL);
        free(spans[0]);
    }
    free(seconds);
    free(spans);
    return e;
}

static cb_err train(const options *o, const char *schedule) {
    char line[1024], *argv[MOST_ARGS], *rest = line;
    int argc = 0;
    snprintf(line, sizeof line,
             "--model model.json --data text --data-format bytes --pp %lld --schedule %s --micro-batch-size %lld "
             "--global-batch-size %lld --seq-length %lld --shards tp --layers-per-stage even --threads-per-rank 1 "
             "--steps %lld --trace-steps 2:%lld --trace t.json --eval-iters 0 --peak-flops 1e12 "
             "--log-interval 1000000",
             (long long)o->stages, schedule, (long long)o->sequences, (long long)(o->sequences * o->micro_batches),
             (long long)o->tokens, (long long)(o->steps + 1), (long long)(o->steps + 1));
    for (char *word; argc < MOST_ARGS && (word = strtok_r(rest, " ", &rest));) argv[argc++] = word;
    return cb_cmd_train(argc, argv);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *value, int n) {
    qsort(value, (size_t)n, sizeof *value, ascending);
    return value[n / 2];
}

static cb_err print_row(const options *o, const cb_traced *traced, FILE *to) {
    double ratio[MOST_STEPS], step_s[MOST_STEPS], simulated_s[MOST_STEPS], known_s;
    int n = traced->steps < MOST_STEPS ? traced->steps : MOST_STEPS;
    for (int i = 0; i < n; i++) {
        cb_trace_report r;
        TRY(cb_trace_report_make(&r, traced, traced->step[i]));
        step_s[i] = r.step_s;
        simulated_s[i] = r.simulated_s;
        ratio[i] = r.step_s / r.simulated_s;
        cb_trace_report_free(&r);
    }
    double measured_s = median(step_s, n), middle = median(ratio, n);
    fprintf(to, "%-12s %6d %11.2f %11.2f %7.4f %7.4f %7.4f", traced->schedule.name, traced->schedule.chunks,
            1e3 * measured_s, 1e3 * median(simulated_s, n), middle, ratio[0], ratio[n - 1]);
    if (o->compute == 0) {
        TRY(simulate_known(o, &traced->schedule, &known_s));
        fprintf(to, " %11.2f %7.4f", 1e3 * known_s, measured_s / known_s);
    }
    fputc('\n', to);
    fflush(to);
    return CB_OK;
}

static cb_err measure(const options *o, const char *schedule, FILE *to) {
    cb_traced traced;
    TRY(train(o, schedule));
    TRY(cb_traced_read(&traced, "t.json"));
    cb_err e = print_row(o, &traced, to);
    cb_traced_free(&traced);
    return e;
}

static cb_err measure_all(const options *o, FILE *to) {
    TRY(write_inputs(o));
    if (o->compute == 0) cb_sleeping_rate(rate(o));
    fprintf(to, "%lld stages, %lld microbatches, %lld layers, %s kernels; medians of %lld steps\n\n",
            (long long)o->stages, (long long)o->micro_batches, (long long)o->layers,
            o->compute == 0 ? "sleeping" : "real", (long long)o->steps);
    fprintf(to, "%-12s %6s %11s %11s %7s %7s %7s%s\n%-12s %6s %11s %11s %7s %7s %7s%s\n", "", "", "measured",
            "simulated", "", "", "", o->compute == 0 ? "    by FLOPs" : "", "schedule", "chunks", "ms", "ms", "ratio",
            "lowest", "highest", o->compute == 0 ? "          ms   ratio" : "");
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        if (!o->schedule || strcmp(o->schedule, *name) == 0) TRY(measure(o, *name, to));
    }
    return CB_OK;
}

/* In a folder of its own; what training prints goes to a file there. */
static cb_err run(const options *o) {
    char folder[] = "/tmp/schedule-bench-XXXXXX";
    FILE *to = fdopen(dup(STDOUT_FILENO), "w");
    if (!to || !mkdtemp(folder) || chdir(folder) != 0 || !freopen("log", "w", stdout)) {
        return cb_fail(CB_EIO, "cannot work in %s", folder);
    }
    cb_err e = measure_all(o, to);
    static const char *const files[] = {"model.json", "text", "t.json", "log"};
    for (size_t i = 0; !e && i < sizeof files / sizeof *files; i++) unlink(files[i]);
    if (!e) rmdir(folder);
    fclose(to);
    return cb_err_context(e, "%s", folder);
}

int main(int argc, char **argv) {
    options o;
    cb_err e = cb_args_parse(table, ROWS, &o, argc - 1, argv + 1);
    if (!e && o.help)
        cb_args_help(table, ROWS, "schedule_bench [options]", stdout);
    else if (!e)
        e = run(&o);
    if (!e) return 0;
    fprintf(stderr, "%s\n", cb_err_text(e));
    cb_err_free(e);
    return 1;
}
