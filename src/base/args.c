/* Command lines from a table: the parser; see args.h. One loop cuts argv into (row, value text) pairs; cb_args_given
 * walks with the same function, so both agree on what is an option and what is its value. */
#include "base/args.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One option as written: argv[*at], and argv[*at + 1] where that is its value. */
typedef struct option {
    const char *word, *name; /* "--no-save=1": the whole word, and where the name begins in it */
    int length;              /* of the name */
    bool no;                 /* "--no-" was cut off */
    const cb_arg *row;       /* NULL: unknown */
    const char *value;       /* NULL: none given */
} option;

/* Is name[0..length) the item of the comma-separated list? Returns its index, or -1. */
static int index_in(const char *list, const char *name, int length) {
    for (int i = 0; list; i++) {
        const char *comma = strchr(list, ',');
        int item = comma ? (int)(comma - list) : (int)strlen(list);
        if (item == length && strncmp(list, name, (size_t)length) == 0) return i;
        list = comma ? comma + 1 : NULL;
    }
    return -1;
}

static const cb_arg *row_named(const cb_arg *table, int rows, const char *name, int length) {
    for (int i = 0; i < rows; i++) {
        if (table[i].type == CB_ARG_SECTION) continue;
        if (index_in(table[i].name, name, length) == 0 || index_in(table[i].aliases, name, length) >= 0)
            return &table[i];
    }
    return NULL;
}

/* Reads the option at argv[*at] and moves *at behind it and its value. */
static option next_option(const cb_arg *table, int rows, int argc, char **argv, int *at) {
    option o = {.word = argv[(*at)++]};
    if (strcmp(o.word, "-h") == 0) o.word = "--help";
    if (strncmp(o.word, "--", 2) != 0) return o;
    o.name = o.word + 2;
    o.length = (int)strcspn(o.name, "=");
    o.row = row_named(table, rows, o.name, o.length);
    if (!o.row && o.length > 3 && strncmp(o.name, "no-", 3) == 0) {
        o.row = row_named(table, rows, o.name + 3, o.length - 3);
        o.no = o.row != NULL;
    }
    if (o.name[o.length] == '=') {
        o.value = o.name + o.length + 1;
    } else if (o.row && !o.no && o.row->type != CB_ARG_BOOL && *at < argc && strncmp(argv[*at], "--", 2) != 0) {
        o.value = argv[(*at)++]; /* "-1" is a value, "--tp" is not */
    }
    return o;
}

/* Only [+-]digits[.digits][e[+-]digits] then `suffixes`: no hexadecimal, no "nan", no "inf", no blanks. */
static bool is_number(const char *text, const char *suffixes) {
    text += *text == '-' || *text == '+';
    size_t digits = strspn(text, "0123456789");
    text += digits;
    if (*text == '.') {
        size_t more = strspn(text + 1, "0123456789");
        text += 1 + more, digits += more;
    }
    if (digits == 0) return false;
    if (*text == 'e' || *text == 'E') {
        text += text[1] == '-' || text[1] == '+' ? 2 : 1;
        size_t exponent = strspn(text, "0123456789");
        if (exponent == 0) return false;
        text += exponent;
    }
    if (*text && strchr(suffixes, *text)) text++;
    return *text == '\0';
}

static cb_err out_of_range(const cb_arg *row, const char *text, double value) {
    const double open = 1e15; /* bounds beyond this go unsaid where they are kept */
    if (row->max >= open && value < row->min)
        return cb_fail(CB_EUSAGE, "--%s is %s; it must be at least %.10g", row->name, text, row->min);
    if (row->min <= -open && value > row->max)
        return cb_fail(CB_EUSAGE, "--%s is %s; it can be at most %.10g", row->name, text, row->max);
    return cb_fail(CB_EUSAGE, "--%s is %s; it can be %.10g to %.10g", row->name, text, row->min, row->max);
}

cb_err cb_args_int(const char *name, const char *text, int64_t *into) {
    if (!is_number(text, "kKmMgG"))
        return cb_fail(CB_EUSAGE, "--%s: '%s' is not a whole number such as 4096, 4k or 1e6", name, text);
    char *end;
    long double value = strtold(text, &end); /* 64 bits and more of mantissa: every int64_t is exact */
    if (*end) value *= *end == 'k' || *end == 'K' ? 0x1p10L : *end == 'm' || *end == 'M' ? 0x1p20L : 0x1p30L;
    if (!(fabsl(value) < 0x1p63L))
        return cb_fail(CB_EUSAGE, "--%s: '%s' is too large; the largest whole number is %lld", name, text,
                       (long long)INT64_MAX);
    if (value != truncl(value)) return cb_fail(CB_EUSAGE, "--%s: '%s' is not a whole number", name, text);
    *into = (int64_t)value;
    return CB_OK;
}

static cb_err set_real(const cb_arg *row, const char *text, double *into) {
    if (!is_number(text, ""))
        return cb_fail(CB_EUSAGE, "--%s: '%s' is not a number such as 0.5 or 3e11", row->name, text);
    *into = strtod(text, NULL);
    if (!isfinite(*into)) return cb_fail(CB_EUSAGE, "--%s: '%s' is too large for a number", row->name, text);
    return CB_OK;
}

static cb_err set_bool(const cb_arg *row, const char *text, bool *into) {
    static const char yes[] = "true,yes,on,1", no[] = "false,no,off,0";
    int length = (int)strlen(text);
    *into = index_in(yes, text, length) >= 0;
    if (*into || index_in(no, text, length) >= 0) return CB_OK;
    return cb_fail(CB_EUSAGE, "--%s: '%s' is not yes or no; write --%s or --no-%s", row->name, text, row->name,
                   row->name);
}

/* The items of comma-separated lists, as cb_args_suggest wants them. */
typedef struct words {
    char *text[512];
    int n;
} words;

/* Each with `before` in front: "--" or nothing. */
static void words_add(words *w, const char *before, const char *list) {
    while (list && w->n < 511) {
        size_t length = strcspn(list, ",");
        char *word;
        if (asprintf(&word, "%s%.*s", before, (int)length, list) >= 0) w->text[w->n++] = word;
        list = list[length] ? list + length + 1 : NULL;
    }
    w->text[w->n] = NULL;
}

static void words_free(words *w) {
    for (int i = 0; i < w->n; i++) free(w->text[i]);
}

/* "threads, mpi or nccl" */
static void list_choices(const words *w, char *out, size_t size) {
    size_t used = 0;
    for (int i = 0; i < w->n && used < size; i++) {
        const char *before = i == 0 ? "" : i + 1 < w->n ? ", " : " or ";
        used += (size_t)snprintf(out + used, size - used, "%s%s", before, w->text[i]);
    }
}

static cb_err set_choice(const cb_arg *row, const char *text, int *into) {
    *into = index_in(row->choices, text, (int)strlen(text));
    if (*into >= 0) return CB_OK;
    words w = {.n = 0};
    words_add(&w, "", row->choices);
    char all[512] = "", near[256];
    list_choices(&w, all, sizeof all);
    cb_err e = cb_fail(CB_EUSAGE, "--%s: '%s' is none of its choices%s It can be %s", row->name, text,
                       cb_args_suggest(text, (const char *const *)w.text, near), all);
    words_free(&w);
    return e;
}

static cb_err set(const cb_arg *row, const char *text, void *into) {
    void *field = (char *)into + row->offset;
    switch (row->type) {
    case CB_ARG_INT:
        return cb_args_int(row->name, text, field);
    case CB_ARG_REAL:
        return set_real(row, text, field);
    case CB_ARG_STRING:
        *(const char **)field = text;
        return CB_OK;
    case CB_ARG_BOOL:
        return set_bool(row, text, field);
    case CB_ARG_CHOICE:
        return set_choice(row, text, field);
    case CB_ARG_SECTION:
        return CB_OK;
    }
    return CB_OK;
}

static void set_nothing(const cb_arg *row, void *into) {
    void *field = (char *)into + row->offset;
    switch (row->type) {
    case CB_ARG_INT:
        *(int64_t *)field = 0;
        break;
    case CB_ARG_REAL:
        *(double *)field = NAN;
        break;
    case CB_ARG_STRING:
        *(const char **)field = NULL;
        break;
    case CB_ARG_BOOL:
        *(bool *)field = false;
        break;
    case CB_ARG_CHOICE:
        *(int *)field = -1;
        break;
    case CB_ARG_SECTION:
        break;
    }
}

static cb_err check_range(const cb_arg *row, const char *text, const void *into) {
    if (row->min >= row->max || (row->type != CB_ARG_INT && row->type != CB_ARG_REAL)) return CB_OK;
    const void *field = (const char *)into + row->offset;
    double value = row->type == CB_ARG_INT ? (double)*(const int64_t *)field : *(const double *)field;
    return value < row->min || value > row->max ? out_of_range(row, text, value) : CB_OK;
}

static cb_err unknown(const cb_arg *table, int rows, const option *o) {
    words w = {.n = 0};
    for (int i = 0; i < rows; i++) {
        if (table[i].type == CB_ARG_SECTION) continue;
        words_add(&w, "--", table[i].name);
        words_add(&w, "--", table[i].aliases);
    }
    char name[64], near[256];
    snprintf(name, sizeof name, "--%.*s", o->length, o->name);
    cb_err e = cb_fail(CB_EUSAGE, "--%.*s is not an option%s --help lists them all", o->length, o->name,
                       cb_args_suggest(name, (const char *const *)w.text, near));
    words_free(&w);
    return e;
}

/* A word where an option was due: "-tp", "2" after "--flag", or anything else. */
static cb_err leftover(const cb_arg *table, int rows, const char *word, const cb_arg *before) {
    if (word[0] == '-' && row_named(table, rows, word + 1, (int)strcspn(word + 1, "=")))
        return cb_fail(CB_EUSAGE, "'%s': options begin with two dashes, --%s", word, word + 1);
    if (before && before->type == CB_ARG_BOOL)
        return cb_fail(CB_EUSAGE, "'%s' is left over after --%s, which takes no value; write --%s or --no-%s", word,
                       before->name, before->name, before->name);
    if (before) return cb_fail(CB_EUSAGE, "'%s' is left over after --%s, which takes one value", word, before->name);
    return cb_fail(CB_EUSAGE, "'%s' is left over; every option is written --name value", word);
}

static cb_err take(const cb_arg *table, int rows, const option *o, void *into) {
    const cb_arg *row = o->row;
    if (!row) return unknown(table, rows, o);
    if (o->no && (row->type != CB_ARG_BOOL || o->value))
        return cb_fail(CB_EUSAGE, "%s: %s", o->word,
                       o->value ? "takes no value" : "only yes-or-no options have a --no- form");
    if (row->type == CB_ARG_BOOL && !o->value) {
        *(bool *)((char *)into + row->offset) = !o->no;
        return CB_OK;
    }
    if (!o->value) return cb_fail(CB_EUSAGE, "--%.*s needs a value", o->length, o->name);
    TRY(set(row, o->value, into));
    return check_range(row, o->value, into);
}

/* Whoever asks for help is not told what is wrong with the rest. */
static bool wants_help(const cb_arg *table, int rows, void *into, int argc, char **argv) {
    const cb_arg *help = row_named(table, rows, "help", 4);
    if (!help || help->type != CB_ARG_BOOL || !cb_args_given(table, rows, "help", argc, argv)) return false;
    *(bool *)((char *)into + help->offset) = true;
    return true;
}

cb_err cb_args_parse(const cb_arg *table, int rows, void *into, int argc, char **argv) {
    for (int i = 0; i < rows; i++) {
        set_nothing(&table[i], into);
        if (table[i].fallback) TRY(cb_err_context(set(&table[i], table[i].fallback, into), "default"));
    }
    if (wants_help(table, rows, into, argc, argv)) return CB_OK;
    const cb_arg *before = NULL;
    for (int at = 0; at < argc;) {
        option o = next_option(table, rows, argc, argv, &at);
        if (!o.name || o.length == 0) return leftover(table, rows, o.word, before);
        TRY(take(table, rows, &o, into));
        before = o.row;
    }
    return CB_OK;
}

bool cb_args_given(const cb_arg *table, int rows, const char *name, int argc, char **argv) {
    const cb_arg *wanted = row_named(table, rows, name, (int)strlen(name));
    for (int at = 0; at < argc;) {
        option o = next_option(table, rows, argc, argv, &at);
        if (wanted ? o.row == wanted : o.name && strcmp(o.name, name) == 0) return true;
    }
    return false;
}

cb_err cb_args_refuse(const cb_arg *table, int rows, const char *const *names, const char *why, int argc, char **argv) {
    for (; *names; names++)
        if (cb_args_given(table, rows, *names, argc, argv)) return cb_fail(CB_EUSAGE, "--%s %s", *names, why);
    return CB_OK;
}

cb_err cb_args_refuse_foreign(const cb_arg *table, int rows, const cb_arg *other, int other_rows, const char *why,
                              int argc, char **argv) {
    if (cb_args_given(NULL, 0, "help", argc, argv)) return CB_OK;
    for (int at = 0; at < argc;) {
        option o = next_option(table, rows, argc, argv, &at);
        if (o.row || !o.name) continue;
        const char *name = o.name;
        bool known = row_named(other, other_rows, name, o.length) != NULL;
        if (!known && o.length > 3 && strncmp(name, "no-", 3) == 0)
            known = row_named(other, other_rows, name + 3, o.length - 3) != NULL;
        if (known) return cb_fail(CB_EUSAGE, "--%.*s %s", o.length, name, why);
    }
    return CB_OK;
}
