/* cuboid plan --validate: the planner held against a table of published measurements. */
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/map.h"
#include "cli/outputs.h"
#include "cli/plan_validate.h"
#include "planner/columns.h"
#include "planner/validate.h"

typedef struct validate_options {
    const char *validate, *rows, *constants, *hardware;
    bool json, help;
} validate_options;

#define FIELD(name) offsetof(validate_options, name)
static const cb_arg table[] = {
    {.name = "validate",
     .type = CB_ARG_STRING,
     .offset = FIELD(validate),
     .help = "predict every row of this CSV of measured steps, and report the errors",
     .derived = "required"},
    {.name = "rows",
     .type = CB_ARG_STRING,
     .offset = FIELD(rows),
     .help = "write measured and predicted times row by row to this CSV",
     .derived = "not written"},
    {.name = "constants",
     .type = CB_ARG_STRING,
     .offset = FIELD(constants),
     .help = "constants of the cost model from this JSON file",
     .derived = "those built in"},
    {.name = "hardware",
     .type = CB_ARG_STRING,
     .offset = FIELD(hardware),
     .help = "further devices, from a JSON file",
     .derived = "none"},
    {.name = "json", .type = CB_ARG_BOOL, .offset = FIELD(json), .fallback = "false", .help = "the report as JSON"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0], NAME_WIDTH = 29 };

const cb_arg *cb_plan_validate_options(int *rows) {
    *rows = ROWS;
    return table;
}

/* A field as CSV: quoted where it must be. */
static void print_field(const char *text, FILE *to) {
    if (!strpbrk(text, ",\"")) {
        fputs(text, to);
        return;
    }
    putc('"', to);
    for (; *text; text++) {
        if (*text == '"') putc('"', to);
        putc(*text, to);
    }
    putc('"', to);
}

static cb_err write_rows(FILE *to, const void *arg) {
    const cb_check *check = arg;
    fputs("line,file,model,devices,measured_s,predicted_s,error_pct,measured_memory_gb,predicted_memory_gb,skipped\n",
          to);
    for (int i = 0; i < check->rows; i++) {
        const cb_checked_row *row = &check->row[i];
        fprintf(to, "%d,", row->line);
        print_field(row->file, to);
        putc(',', to);
        print_field(row->group, to);
        fprintf(to, ",%d,", row->devices);
        if (row->measured_s > 0) fprintf(to, "%.9g", row->measured_s);
        putc(',', to);
        if (*row->why)
            fputs(",,", to);
        else
            fprintf(to, "%.9g,%.4f,", row->predicted_s, 100 * (row->predicted_s / row->measured_s - 1));
        if (row->measured_memory_gb > 0) fprintf(to, "%.6g", row->measured_memory_gb);
        putc(',', to);
        if (row->predicted_memory_gb > 0) fprintf(to, "%.6g", row->predicted_memory_gb);
        putc(',', to);
        print_field(row->why, to);
        putc('\n', to);
    }
    return CB_OK;
}

static void set_number(json_t *to, const char *name, double value) {
    json_object_set_new(to, name, isfinite(value) ? json_real(value) : json_null());
}

static json_t *score_json(const cb_score *score) {
    json_t *to = json_object();
    json_object_set_new(to, "rows", json_integer(score->rows));
    json_object_set_new(to, "predicted", json_integer(score->predicted));
    json_object_set_new(to, "skipped", json_integer(score->skipped));
    json_object_set_new(to, "guessed", json_integer(score->guessed));
    set_number(to, "mean_abs_error_pct", score->predicted ? score->mean_abs_error_pct : NAN);
    set_number(to, "median_abs_error_pct", score->predicted ? score->median_abs_error_pct : NAN);
    set_number(to, "max_abs_error_pct", score->predicted ? score->max_abs_error_pct : NAN);
    set_number(to, "bias_pct", score->predicted ? score->bias_pct : NAN);
    set_number(to, "rank_correlation", score->rank_correlation);
    set_number(to, "memory_mean_abs_error_pct", score->memory_rows ? score->memory_mean_abs_error_pct : NAN);
    json_object_set_new(to, "memory_rows", json_integer(score->memory_rows));
    return to;
}

static void print_number(double value, int width) {
    if (isfinite(value))
        printf(" %*.2f", width, value);
    else
        printf(" %*s", width, "-");
}

static void print_score(const char *name, const cb_score *s) {
    bool is_long = strlen(name) > NAME_WIDTH; /* a line of its own, not a part of it */
    if (is_long) puts(name);
    printf("%-*s %4d %5d", NAME_WIDTH, is_long ? "" : name, s->rows, s->predicted);
    bool any = s->predicted > 0;
    print_number(any ? s->mean_abs_error_pct : NAN, 7);
    print_number(any ? s->median_abs_error_pct : NAN, 7);
    print_number(any ? s->max_abs_error_pct : NAN, 7);
    print_number(any ? s->bias_pct : NAN, 7);
    print_number(s->rank_correlation, 6);
    print_number(s->memory_rows ? s->memory_mean_abs_error_pct : NAN, 7);
    printf(" %4d %5d\n", s->memory_rows, s->guessed);
}

/* Is this the first row of its file? */
static bool begins_file(const cb_check *check, int row) {
    for (int i = 0; i < row; i++) {
        if (strcmp(check->row[i].file, check->row[row].file) == 0) return false;
    }
    return true;
}

/* Rows that were skipped for the reason of row i, if it is the first of them; else 0. */
static int skipped_as(const cb_check *check, int i) {
    const char *why = check->row[i].why;
    int count = 0;
    if (!*why) return 0;
    for (int j = 0; j < i; j++)
        if (strcmp(check->row[j].why, why) == 0) return 0;
    for (int j = i; j < check->rows; j++) count += strcmp(check->row[j].why, why) == 0;
    return count;
}

static void print_skipped(const cb_check *check) {
    char line[320];
    for (int i = 0; i < check->rows; i++) {
        int count = skipped_as(check, i);
        if (count == 0) continue;
        snprintf(line, sizeof line, "skipped %d, %sline %d: %s", count, count > 1 ? "the first in " : "",
                 check->row[i].line, check->row[i].why);
        cb_args_wrap(line, 0, stdout);
    }
}

static json_t *skipped_json(const cb_check *check) {
    json_t *to = json_object();
    for (int i = 0; i < check->rows; i++) {
        int count = skipped_as(check, i);
        if (count) json_object_set_new(to, check->row[i].why, json_integer(count));
    }
    return to;
}

/* An error where that is so. */
static cb_err none_predicted(const cb_check *check, const cb_score *all) {
    if (all->predicted > 0) return CB_OK;
    return cb_fail(CB_EINVAL, "none of the %d rows can be predicted; line %d: %s", check->rows, check->row[0].line,
                   check->row[0].why);
}

static cb_err report(const cb_check *check, bool json) {
    cb_score score;
    json_t *by_file = json ? json_object() : NULL;
    if (!json) {
        puts("errors of the step time, percent; rank: Spearman within groups of one model and device count;\n"
             "memory: its error, of so many rows; guess: rows whose network or program has no known name\n"
             "file                          rows pred.    mean  median   worst    bias   rank  memory rows guess");
    }
    for (int i = 0; i < check->rows; i++) {
        if (!begins_file(check, i)) continue;
        TRY(cb_check_score(check, check->row[i].file, &score));
        if (json)
            json_object_set_new(by_file, check->row[i].file, score_json(&score));
        else
            print_score(check->row[i].file, &score);
    }
    TRY(cb_check_score(check, NULL, &score));
    if (!json) {
        print_score("all", &score);
        print_skipped(check);
        return none_predicted(check, &score);
    }
    json_t *root =
        json_pack("{s:o, s:o, s:o}", "all", score_json(&score), "by_file", by_file, "skipped_why", skipped_json(check));
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(root);
    return none_predicted(check, &score);
}

static void warn(void *arg, const char *text) {
    (void)arg;
    fprintf(stderr, "cuboid: warning: %s\n", text);
}

static cb_err validate(const validate_options *o, const cb_csv *csv) {
    cb_constants constants = cb_constants_default();
    cb_check check;
    cb_hardware hardware;
    char unused[128];
    cb_hardware_default(&hardware);
    TRY(cb_columns_check(csv, o->validate, warn, NULL));
    if (o->hardware) TRY(cb_hardware_read(&hardware, o->hardware, unused));
    if (o->constants) TRY(cb_constants_read(&constants, o->constants));
    TRY(cb_check_table(&check, csv, o->validate, &hardware, &constants));
    cb_err e = CB_OK;
    if (o->rows) e = cb_err_context(cb_file_replace(o->rows, write_rows, &check), "--rows %s", o->rows);
    if (!e) e = report(&check, o->json);
    cb_check_free(&check);
    return e;
}

cb_err cb_plan_validate(int argc, char **argv) {
    validate_options options;
    cb_map map;
    cb_csv csv;
    TRY(cb_args_parse(table, ROWS, &options, argc, argv));
    if (options.help) {
        cb_args_help(table, ROWS, "cuboid plan --validate FILE.csv [--rows out.csv] [--json]", stdout);
        return CB_OK;
    }
    TRY(cb_outputs_distinct("rows", options.rows, "validate", options.validate));
    TRY(cb_map_open(&map, options.validate));
    cb_err e = cb_csv_parse(&csv, options.validate, (const char *)map.bytes, map.size);
    cb_map_close(&map);
    if (e) return e;
    e = validate(&options, &csv);
    cb_csv_free(&csv);
    return e;
}
