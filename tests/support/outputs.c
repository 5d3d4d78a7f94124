/* Looks at what cuboid wrote, for the tests of the command line. Each command says what is wrong and exits with 1.
 *   outputs log FILE STEPS [EVALUATIONS]   every line is JSON with exactly the fields of a step, the last the summary's
 *   outputs plan PLAN LOG STEPS            the log's summary has the bytes by rank and the messages that the plan has
 *   outputs losses FILE                    prints the training losses, one a line
 *   outputs events FILE                    trace events as the format and its viewers want them; prints how many
 *   outputs floats A B BOUND               two files of f32 differ by at most BOUND */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_events.h"

static const char *const step_fields[] = {"step", "loss", "grad_norm", "lr", "tokens_per_s", "mfu", "hfu", "step_s"};
static const char *const summary_fields[] = {"steps",       "val_loss",     "val_samples", "step_s", "step_median_s",
                                             "step_last_s", "tokens_per_s", "mfu",         "hfu",    "peak_flops",
                                             "bubble",      "traffic",      "memory"};
static const char *const purposes[] = {"tp", "dp", "pp", "embedding", "world"};
static const char *const memory_fields[] = {"rank",       "name",         "used_bytes", "predicted_bytes",
                                            "parameters", "gradients",    "optimizer",  "activations",
                                            "workspace",  "communication"}; /* used, and in an object "predicted" */
enum { KINDS = 4 }; /* where they begin */
static const char *const traffic_fields[] = {
    "operations", "messages", "bytes", "exposed_s", "exposed_worst_s", "overlapped_s", "overlapped_worst_s"};
enum { TRAFFIC_COUNTS = 3 }; /* the first of them: those that a plan has too */
#define COUNT(list) (sizeof(list) / sizeof *(list))

static int wrong(const char *what, const char *field, int line) {
    fprintf(stderr, "outputs: line %d: %s %s\n", line, what, field);
    return 1;
}

static int check_fields(const json_t *o, const char *const *fields, size_t count, size_t extra, int line) {
    if (!json_is_object(o)) return wrong("not an object", "", line);
    for (size_t i = 0; i < count; i++) {
        if (!json_object_get(o, fields[i])) return wrong("no field", fields[i], line);
    }
    if (json_object_size(o) != count + extra) return wrong("more fields than", "expected", line);
    return 0;
}

static int check_step(const json_t *o, int line, int *evaluations) {
    json_t *val = json_object_get(o, "val_loss");
    if (check_fields(o, step_fields, COUNT(step_fields), val != NULL, line)) return 1;
    if (json_integer_value(json_object_get(o, "step")) != line) return wrong("wrong number in", "step", line);
    for (size_t i = 1; i < COUNT(step_fields); i++) {
        if (!json_is_real(json_object_get(o, step_fields[i]))) return wrong("no number in", step_fields[i], line);
    }
    if (val && !json_is_real(val)) return wrong("no number in", "val_loss", line);
    *evaluations += val != NULL;
    return 0;
}

/* By dimension and kind: {"tp": {"all-reduce": {"operations", "messages", "bytes", ... }}} */
static int check_traffic(const json_t *traffic, int line) {
    if (check_fields(traffic, purposes, COUNT(purposes), 0, line)) return 1;
    for (size_t i = 0; i < COUNT(purposes); i++) {
        const char *kind;
        json_t *sums;
        json_object_foreach(json_object_get(traffic, purposes[i]), kind, sums) {
            if (check_fields(sums, traffic_fields, COUNT(traffic_fields), 0, line)) return 1;
            for (size_t f = 0; f < COUNT(traffic_fields); f++) {
                double x = json_number_value(json_object_get(sums, traffic_fields[f]));
                if (x < 0 || (f < TRAFFIC_COUNTS - 1 && x == 0)) return wrong("not possible:", traffic_fields[f], line);
            }
        }
    }
    return 0;
}

/* The kinds' sum is the number named `sum`. */
static int check_kinds(const json_t *kinds, long long sum, int line) {
    for (size_t i = KINDS; i < COUNT(memory_fields); i++) sum -= json_integer_value(json_object_get(kinds, memory_fields[i]));
    return sum ? wrong("the kinds do not add up in", "memory", line) : 0;
}

static int check_memory(const json_t *memory, int line) {
    for (size_t r = 0; r < json_array_size(memory); r++) {
        const json_t *rank = json_array_get(memory, r), *predicted = json_object_get(rank, "predicted");
        if (check_fields(rank, memory_fields, COUNT(memory_fields), 1, line)) return 1;
        if (check_fields(predicted, memory_fields + KINDS, COUNT(memory_fields) - KINDS, 0, line)) return 1;
        if (check_kinds(rank, json_integer_value(json_object_get(rank, "used_bytes")), line)) return 1;
        if (check_kinds(predicted, json_integer_value(json_object_get(rank, "predicted_bytes")), line)) return 1;
        if (json_integer_value(json_object_get(rank, "used_bytes")) <= 0) return wrong("no bytes in", "memory", line);
    }
    return json_array_size(memory) ? 0 : wrong("no ranks in", "memory", line);
}

static int check_summary(const json_t *o, long long steps, int line) {
    if (json_object_size(o) != 1) return wrong("one field expected in", "the last line", line);
    const json_t *s = json_object_get(o, "summary");
    if (check_fields(s, summary_fields, COUNT(summary_fields), 0, line)) return 1;
    if (json_integer_value(json_object_get(s, "steps")) != steps) return wrong("wrong", "steps", line);
    return check_traffic(json_object_get(s, "traffic"), line) || check_memory(json_object_get(s, "memory"), line);
}

/* Line after line; NULL at the end. The caller frees. */
static json_t *next_line(FILE *file, char **text, size_t *size) {
    json_error_t where;
    ssize_t n = getline(text, size, file);
    if (n < 0) return NULL;
    json_t *o = json_loadb(*text, (size_t)n, JSON_REJECT_DUPLICATES, &where);
    if (!o || (*text)[n - 1] != '\n') fprintf(stderr, "outputs: not a line of JSON: %s\n", *text);
    return o ? o : json_null();
}

static int check_log(const char *path, long long steps, int evaluations) {
    FILE *file = fopen(path, "r");
    if (!file) return wrong("cannot open", path, 0);
    char *text = NULL;
    size_t size = 0;
    int bad = 0, line = 0, evaluated = 0;
    for (json_t *o; !bad && (o = next_line(file, &text, &size)); json_decref(o)) {
        line++;
        bad = line <= steps ? check_step(o, line, &evaluated) : check_summary(o, steps, line);
    }
    if (!bad && line != steps + 1) bad = wrong("a line for each step and a summary expected in", path, line);
    if (!bad && evaluated != evaluations) bad = wrong("wrong number of evaluations in", path, line);
    free(text);
    fclose(file);
    return bad;
}

static int print_losses(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) return wrong("cannot open", path, 0);
    char *text = NULL;
    size_t size = 0;
    for (json_t *o; (o = next_line(file, &text, &size)); json_decref(o)) {
        json_t *loss = json_object_get(o, "loss");
        if (loss) printf("%.9g\n", json_real_value(loss));
    }
    free(text);
    fclose(file);
    return 0;
}

static int compare_floats(const char *a, const char *b, double bound) {
    FILE *x = fopen(a, "r"), *y = fopen(b, "r");
    if (!x || !y) return wrong("cannot open", x ? b : a, 0);
    double largest = 0;
    for (float u, v;;) {
        size_t more = fread(&u, sizeof u, 1, x), as_well = fread(&v, sizeof v, 1, y);
        if (more != as_well) return wrong("of different size:", a, 0);
        if (!more) break;
        double difference = fabs((double)u - (double)v);
        if (!(difference <= largest)) largest = difference; /* also NaN */
    }
    fclose(x);
    fclose(y);
    if (largest <= bound) return 0;
    fprintf(stderr, "outputs: %s and %s differ by %g\n", a, b, largest);
    return 1;
}

/* The object of the log's last line. */
static json_t *read_summary(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;
    json_t *last = NULL;
    for (json_t *o; file && (o = next_line(file, &text, &size));) {
        json_decref(last);
        last = o;
    }
    free(text);
    if (file) fclose(file);
    json_t *summary = json_incref(json_object_get(last, "summary"));
    json_decref(last);
    return summary;
}

/* Stage of a rank by its name "d0 p1 t0". */
static size_t stage_of(const json_t *rank) {
    const char *p = strstr(json_string_value(json_object_get(rank, "name")), " p");
    return (size_t)atoi(p + 2);
}

static int compare_memory(const json_t *stages, const json_t *ranks) {
    for (size_t r = 0; r < json_array_size(ranks); r++) {
        const json_t *rank = json_array_get(ranks, r), *stage = json_array_get(stages, stage_of(rank));
        for (size_t i = KINDS; i < COUNT(memory_fields); i++) {
            long long planned = json_integer_value(json_object_get(stage, memory_fields[i]));
            long long used = json_integer_value(json_object_get(rank, memory_fields[i]));
            if (planned != used) return wrong("not as planned:", memory_fields[i], (int)r);
        }
    }
    return json_array_size(ranks) ? 0 : wrong("no ranks in", "memory", 0);
}

static int compare_traffic(const json_t *planned, const json_t *counted, long long steps) {
    for (size_t i = 0; i < COUNT(purposes); i++) {
        const char *kind;
        json_t *sums, *plan = json_object_get(planned, purposes[i]), *log = json_object_get(counted, purposes[i]);
        if (json_object_size(plan) != json_object_size(log)) return wrong("other kinds of messages for", purposes[i], 0);
        json_object_foreach(log, kind, sums) {
            const json_t *one = json_object_get(plan, kind);
            for (int k = 0; k < TRAFFIC_COUNTS; k++) {
                long long n = json_integer_value(json_object_get(one, traffic_fields[k]));
                if (n * steps != json_integer_value(json_object_get(sums, traffic_fields[k]))) {
                    return wrong("not as planned:", traffic_fields[k], (int)i);
                }
            }
        }
    }
    return 0;
}

static int compare_plan(const char *plan_path, const char *log_path, long long steps) {
    json_t *plan = json_load_file(plan_path, JSON_REJECT_DUPLICATES, NULL), *summary = read_summary(log_path);
    int bad = plan && summary ? 0 : wrong("no JSON in", plan ? log_path : plan_path, 0);
    if (!bad) bad = compare_memory(json_object_get(plan, "stages"), json_object_get(summary, "memory"));
    if (!bad) bad = compare_traffic(json_object_get(plan, "traffic"), json_object_get(summary, "traffic"), steps);
    json_decref(plan);
    json_decref(summary);
    return bad;
}

static int check_events(const char *path) {
    json_error_t where;
    trace_events t;
    json_t *trace = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (!trace) return wrong(where.text, path, where.line);
    bool good = trace_events_check(&t, trace);
    json_decref(trace);
    if (!good) return wrong(t.wrong, path, 0);
    printf("%d events, %d threads, %d processes\n", t.complete, t.threads, t.processes);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 4 && !strcmp(argv[1], "log")) {
        return check_log(argv[2], atoll(argv[3]), argc > 4 ? atoi(argv[4]) : 0);
    }
    if (argc == 5 && !strcmp(argv[1], "plan")) return compare_plan(argv[2], argv[3], atoll(argv[4]));
    if (argc == 3 && !strcmp(argv[1], "losses")) return print_losses(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "events")) return check_events(argv[2]);
    if (argc == 5 && !strcmp(argv[1], "floats")) return compare_floats(argv[2], argv[3], atof(argv[4]));
    fputs("usage: outputs log FILE STEPS [EVALUATIONS] | plan PLAN LOG STEPS | losses FILE | events FILE | "
          "floats A B BOUND\n",
          stderr);
    return 2;
}
