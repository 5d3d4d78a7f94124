/* What a table of options prints: --help, and the configuration at start; see args.h. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"

enum { WIDTH = 100, INDENT = 2, WIDEST_LEFT = 30, ECHO_NAME = 20, ECHO_COLUMN = 42, ECHO_LINE = 80 };

static bool is_on(const cb_arg *row) {
    const char *text = row->fallback ? row->fallback : "no";
    return strcmp(text, "on") == 0 || *text == 't' || *text == 'y' || *text == '1';
}

/* "--tp N", "--flag", "--[no-]flag" of one that is on, "--comm threads|mpi" */
static void left_side(const cb_arg *row, char *out, size_t size) {
    switch (row->type) {
    case CB_ARG_INT:
        snprintf(out, size, "--%s N", row->name);
        break;
    case CB_ARG_REAL:
        snprintf(out, size, "--%s X", row->name);
        break;
    case CB_ARG_STRING:
        snprintf(out, size, "--%s TEXT", row->name);
        break;
    case CB_ARG_BOOL:
        snprintf(out, size, is_on(row) ? "--[no-]%s" : "--%s", row->name);
        break;
    case CB_ARG_CHOICE:
        snprintf(out, size, "--%s %s", row->name, row->choices);
        for (char *comma = out; (comma = strchr(comma, ','));) *comma = '|';
        break;
    case CB_ARG_SECTION:
        out[0] = '\0';
        break;
    }
}

typedef struct text {
    char chars[1024];
    size_t used;
} text;

static void add(text *t, const char *fmt, ...) CB_PRINTF(2, 3);
static void add(text *t, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->chars + t->used, sizeof t->chars - t->used, fmt, args);
    va_end(args);
    if (n > 0) t->used += (size_t)n;
    if (t->used > sizeof t->chars - 1) t->used = sizeof t->chars - 1;
}

/* How much of a unit to print after a value: "1 rank", "2 ranks", "1 s" */
static int unit_length(const char *unit, bool one) {
    int length = (int)strlen(unit);
    return one && length > 1 && unit[length - 1] == 's' ? length - 1 : length;
}

/* "default: 4 tokens", "default: ranks / (tp*pp), in s", "in tokens" or nothing. A flag that is off has none to show.
 */
static void add_default(const cb_arg *row, text *t) {
    const char *value = row->fallback;
    if (value && row->type == CB_ARG_BOOL) value = is_on(row) ? "yes" : NULL;
    if (row->derived) value = row->derived;
    if (value) add(t, "default: %s", value);
    if (!row->unit) return;
    add(t, "%s", row->derived ? ", in " : value ? " " : "in ");
    add(t, "%.*s", unit_length(row->unit, value && strcmp(value, "1") == 0), row->unit);
}

/* The help sentence, then in brackets what is taken when the option is not given, its unit and its other names. */
static void right_side(const cb_arg *row, text *t) {
    text brackets = {.used = 0};
    add_default(row, &brackets);
    for (const char *alias = row->aliases; alias && *alias;) {
        int length = (int)strcspn(alias, ",");
        const char *before = alias != row->aliases ? ", " : brackets.used ? "; also " : "also ";
        add(&brackets, "%s--%.*s", before, length, alias);
        alias += length + (alias[length] == ',');
    }
    add(t, "%s", row->help ? row->help : "");
    if (brackets.used) add(t, "%s(%s)", t->used ? " " : "", brackets.chars);
}

void cb_args_wrap(const char *from, int left, FILE *to) {
    int column = left;
    while (*from) {
        int length = (int)strcspn(from, " ");
        if (column > left && column + 1 + length > WIDTH) {
            fprintf(to, "\n%*s", left, "");
            column = left;
        }
        column += fprintf(to, column > left ? " %.*s" : "%.*s", length, from);
        from += length;
        from += strspn(from, " ");
    }
    fputc('\n', to);
}

/* Width of the left column: the longest that is not too long. */
static int left_width(const cb_arg *table, int rows) {
    int width = 0;
    for (int i = 0; i < rows; i++) {
        char left[256];
        left_side(&table[i], left, sizeof left);
        int length = (int)strlen(left);
        if (length > width && length <= WIDEST_LEFT) width = length;
    }
    return width;
}

void cb_args_help(const cb_arg *table, int rows, const char *usage, FILE *to) {
    int width = left_width(table, rows), column = INDENT + width + 2;
    if (usage) fprintf(to, "%s\n", usage);
    for (int i = 0; i < rows; i++) {
        if (table[i].type == CB_ARG_SECTION) {
            fprintf(to, "\n%s\n", table[i].name);
            continue;
        }
        char left[256];
        left_side(&table[i], left, sizeof left);
        text right = {.used = 0};
        right_side(&table[i], &right);
        if ((int)strlen(left) > width)
            fprintf(to, "%*s%s\n%*s", INDENT, "", left, column, "");
        else
            fprintf(to, "%*s%-*s  ", INDENT, "", width, left);
        cb_args_wrap(right.chars, column, to);
    }
    fputs("\nValues follow as --name value or --name=value. Whole numbers may be written 1e6, or with k, m, g for\n"
          "1024, 1024^2, 1024^3. Of an option given twice the last counts.\n",
          to);
}

/* How near a number's text has to come to it: to nine digits, or exactly. */
static const double to_read = 5e-10, exact = 0;

/* The shortest text that is the same number: 600, 0.0006, 1e-8, 2.18e10. */
static void add_real(double value, double precision, text *t) {
    char shortest[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(shortest, sizeof shortest, "%.*g", digits, value);
        if (fabs(strtod(shortest, NULL) - value) <= precision * fabs(value)) break;
    }
    char *e = strchr(shortest, 'e');
    int exponent = e ? atoi(e + 1) : 0;
    if (e && exponent >= 0 && exponent < 7) {
        add(t, "%.0f", value); /* six hundred is "6e+02" to printf */
    } else if (e) {
        add(t, "%.*se%d", (int)(e - shortest), shortest, exponent);
    } else {
        add(t, "%s", shortest);
    }
}

static void add_choice(const cb_arg *row, int index, text *t) {
    const char *item = row->choices;
    for (int i = 0; i < index && *item; i++) item += strcspn(item, ",") + 1;
    add(t, "%.*s", (int)strcspn(item, ","), item);
}

static bool is_left_out(const cb_arg *row, const void *field) {
    switch (row->type) {
    case CB_ARG_REAL:
        return isnan(*(const double *)field);
    case CB_ARG_STRING:
        return !*(const char *const *)field;
    case CB_ARG_CHOICE:
        return *(const int *)field < 0;
    case CB_ARG_INT: /* 0, where that is no value */
        return !row->fallback && row->derived && row->min > 0 && *(const int64_t *)field == 0;
    case CB_ARG_BOOL:
    case CB_ARG_SECTION:
        break;
    }
    return false;
}

/* Of an option that was left out what is taken instead, or "-". */
static void add_value(const cb_arg *row, const void *field, double precision, text *t) {
    if (is_left_out(row, field)) {
        add(t, "%s", row->derived ? row->derived : "-");
        return;
    }
    switch (row->type) {
    case CB_ARG_INT:
        add(t, "%lld", (long long)*(const int64_t *)field);
        break;
    case CB_ARG_REAL:
        add_real(*(const double *)field, precision, t);
        break;
    case CB_ARG_STRING:
        add(t, "%s", *(const char *const *)field);
        break;
    case CB_ARG_BOOL:
        add(t, "%s", *(const bool *)field ? "yes" : "no");
        break;
    case CB_ARG_CHOICE:
        add_choice(row, *(const int *)field, t);
        break;
    case CB_ARG_SECTION:
        break;
    }
}

static void add_unit(const cb_arg *row, const void *field, text *t) {
    bool one = row->type == CB_ARG_INT && *(const int64_t *)field == 1;
    if (row->unit && !is_left_out(row, field)) add(t, " %.*s", unit_length(row->unit, one), row->unit);
}

/* The name's column is as wide as the names that leave room for a value; a longer one has a line of its own. */
static int echo_width(const cb_arg *table, int rows) {
    int width = 0;
    for (int i = 0; i < rows; i++) {
        int length = table[i].type == CB_ARG_SECTION ? 0 : (int)strlen(table[i].name);
        if (length > width && length <= ECHO_NAME) width = length;
    }
    return width;
}

/* "  name  value" */
static void add_item(const cb_arg *row, const void *from, int width, text *line) {
    add(line, "%*s%-*s  ", INDENT, "", width, row->name);
    add_value(row, (const char *)from + row->offset, to_read, line);
    add_unit(row, (const char *)from + row->offset, line);
}

static void end_line(text *line, FILE *to) {
    if (line->used) fprintf(to, "%s\n", line->chars);
    *line = (text){.used = 0};
}

void cb_args_echo(const cb_arg *table, int rows, const void *from, FILE *to) {
    int width = echo_width(table, rows);
    text left = {.used = 0};
    for (int i = 0; i < rows; i++) {
        if (table[i].type == CB_ARG_SECTION) {
            end_line(&left, to);
            fprintf(to, "%s\n", table[i].name);
            continue;
        }
        if (strcmp(table[i].name, "help") == 0) continue;
        text item = {.used = 0};
        add_item(&table[i], from, width, &item);
        if (left.used && item.used <= ECHO_LINE - ECHO_COLUMN) {
            add(&left, "%*s%s", (int)(ECHO_COLUMN - left.used), "", item.chars);
            end_line(&left, to);
        } else {
            end_line(&left, to);
            left = item;
            if (item.used >= ECHO_COLUMN) end_line(&left, to); /* no room for a neighbour */
        }
    }
    end_line(&left, to);
}

void cb_args_alike(const cb_arg *table, int rows, const void *from, FILE *to) {
    for (const cb_arg *row = table; row < table + rows; row++) {
        if (row->type == CB_ARG_SECTION || row->own) continue;
        const void *field = (const char *)from + row->offset;
        text value = {.used = 0};
        if (is_left_out(row, field))
            add(&value, "left out");
        else
            add_value(row, field, exact, &value);
        for (char *c = value.chars; *c; c++)
            if ((unsigned char)*c < ' ') *c = '?'; /* a line is a line */
        fprintf(to, "--%s\t%s\n", row->name, value.chars);
    }
}
