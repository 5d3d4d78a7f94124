/* Comma-separated text in memory (RFC 4180). */
#include "planner/csv.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct cursor {
    const char *name;
    char *at, *end, *line_start;
    int line;
} cursor;

static cb_err broken(const cursor *c, const char *at, const char *what) {
    return cb_fail(CB_EFORMAT, "%s:%d:%d: %s", c->name, c->line, (int)(at - c->line_start) + 1, what);
}

/* A quoted field, its quotes taken off in place; at stands behind it. */
static cb_err quoted(cursor *c, char **field) {
    char *open = c->at++, *to = c->at;
    *field = to;
    for (;; c->at++) {
        if (c->at == c->end || *c->at == '\n') return broken(c, open, "a quote that is not closed");
        if (*c->at == '"' && c->at[1] != '"') break;
        if (*c->at == '"') c->at++;
        *to++ = *c->at;
    }
    c->at++;
    if (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n')) c->at++;
    if (c->at < c->end && *c->at != ',' && *c->at != '\n') {
        return broken(c, c->at, "text behind a closing quote");
    }
    *to = 0;
    return CB_OK;
}

static cb_err next_field(cursor *c, char **field, bool *ends_line) {
    if (c->at < c->end && *c->at == '"') {
        TRY(quoted(c, field));
    } else {
        *field = c->at;
        while (c->at < c->end && *c->at != ',' && *c->at != '\n') c->at++;
    }
    *ends_line = c->at == c->end || *c->at == '\n';
    char *stop = c->at;
    if (c->at < c->end) c->at++;
    if (*ends_line && stop > *field && stop[-1] == '\r') stop[-1] = 0;
    *stop = 0;
    return CB_OK;
}

/* A first line that is one field with what others divide fields by in it: at is where. */
static cb_err wrong_separator(const cursor *c, const char *field, const char *at) {
    char what[160];
    const char *name = *at == ';' ? "semicolons" : *at == '\t' ? "tabs" : "bars";
    snprintf(what, sizeof what, "fields are divided by %s; commas are needed (%.*s, ...)", name,
             (int)(at - field < 40 ? at - field : 40), field);
    return broken(c, at, what);
}

static cb_err read_line(cursor *c, cb_csv *csv) {
    bool ends_line = false;
    int columns = 0;
    for (; !ends_line; columns++) {
        char *field, *start = c->at;
        TRY(next_field(c, &field, &ends_line));
        if (csv->rows >= 0 && columns >= csv->columns) {
            char what[80];
            snprintf(what, sizeof what, "a field too many; the first line names %d columns", csv->columns);
            return broken(c, start, what);
        }
        csv->field[(int64_t)(csv->rows + 1) * csv->columns + columns] = field;
    }
    if (csv->rows < 0) csv->columns = columns;
    const char *names = csv->field[0], *other = csv->columns == 1 ? strpbrk(names, ";\t|") : NULL;
    if (csv->rows < 0 && other) return wrong_separator(c, names, other);
    if (columns < csv->columns) {
        char what[80];
        snprintf(what, sizeof what, "%d field%s; the first line names %d columns", columns, columns == 1 ? "" : "s",
                 csv->columns);
        return broken(c, c->line_start, what);
    }
    csv->line[++csv->rows] = c->line;
    return CB_OK;
}

static bool is_blank(const cursor *c) {
    return *c->at == '\n' || (*c->at == '\r' && (c->at + 1 == c->end || c->at[1] == '\n'));
}

static cb_err read_lines(cursor *c, cb_csv *csv) {
    for (c->line = 1; c->at < c->end; c->line++) {
        c->line_start = c->at;
        if (is_blank(c)) {
            c->at = memchr(c->at, '\n', (size_t)(c->end - c->at));
            if (!c->at++) break;
            continue;
        }
        TRY(read_line(c, csv));
    }
    return csv->rows >= 0 ? CB_OK : cb_fail(CB_EFORMAT, "%s:1:1: empty; the first line names the columns", c->name);
}

static int64_t separators(const char *text, int64_t length) {
    int64_t count = 2;
    for (int64_t i = 0; i < length; i++) count += text[i] == ',' || text[i] == '\n';
    return count;
}

cb_err cb_csv_parse(cb_csv *csv, const char *name, const char *text, int64_t length) {
    static const char mark[] = "\xef\xbb\xbf";
    const int64_t marked = 3;
    *csv = (cb_csv){.rows = -1};
    if (length >= marked && memcmp(text, mark, (size_t)marked) == 0) text += marked, length -= marked;
    csv->text = malloc((size_t)length + 2);
    csv->field = calloc((size_t)separators(text, length), sizeof *csv->field);
    csv->line = calloc((size_t)separators(text, length), sizeof *csv->line);
    if (!csv->text || !csv->field || !csv->line) {
        cb_csv_free(csv);
        return cb_fail(CB_ENOMEM, "%s: no memory for its %lld bytes", name, (long long)length);
    }
    memcpy(csv->text, text, (size_t)length);
    memset(csv->text + length, 0, 2);
    cursor c = {.name = name, .at = csv->text, .end = csv->text + length};
    cb_err e = read_lines(&c, csv);
    if (e) cb_csv_free(csv);
    return e;
}

void cb_csv_free(cb_csv *csv) {
    free(csv->text);
    free(csv->field);
    free(csv->line);
    *csv = (cb_csv){0};
}

int cb_csv_column(const cb_csv *csv, const char *name) {
    for (int i = 0; i < csv->columns; i++) {
        if (strcmp(csv->field[i], name) == 0) return i;
    }
    return -1;
}

const char *cb_csv_field(const cb_csv *csv, int row, int column) {
    return column < 0 ? "" : csv->field[(int64_t)(row + 1) * csv->columns + column];
}
