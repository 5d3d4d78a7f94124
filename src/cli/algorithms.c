/* Rules for the choice of algorithms, read and printed; see algorithms.h. */
#include "cli/algorithms.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "collectives/cost.h"

enum { MOST_FILE_BYTES = 1 << 20 };

/* A rule while it is read. */
typedef struct place {
    const char *option, *path;
    int rule; /* from 1 */
} place;

static cb_err wrong(const place *at, const char *expected) {
    return cb_fail(CB_EFORMAT, "%s %s: rule %d: %s", at->option, at->path, at->rule, expected);
}

static cb_err read_range(const place *at, const json_t *rule, const char *key, int64_t largest, int64_t *first,
                         int64_t *last) {
    const json_t *range = json_object_get(rule, key);
    const json_t *a = json_array_get(range, 0), *b = json_array_get(range, 1);
    char text[96];
    if (!range) return CB_OK;
    snprintf(text, sizeof text, "%s has to be [first, last], whole numbers from %lld on", key, (long long)*first);
    if (json_array_size(range) != 2 || !json_is_integer(a) || !json_is_integer(b)) return wrong(at, text);
    if (json_integer_value(a) < *first || json_integer_value(b) < json_integer_value(a)) return wrong(at, text);
    *first = json_integer_value(a);
    *last = json_integer_value(b) < largest ? json_integer_value(b) : largest;
    return CB_OK;
}

static cb_err read_kind(const place *at, const char *name, cb_kind *kind) {
    char text[192] = "op has to be one of";
    for (int k = 0; k < CB_KINDS; k++) {
        if (k == CB_SENDRECV || k == CB_BARRIER) continue;
        *kind = (cb_kind)k;
        if (name && strcmp(name, cb_kind_name(*kind)) == 0) return CB_OK;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s %s", k == CB_ALL_REDUCE ? "" : ",", cb_kind_name(*kind));
    }
    return wrong(at, text);
}

static cb_err check_keys(const place *at, json_t *rule) {
    const char *key;
    json_t *value;
    char text[128];
    json_object_foreach(rule, key, value) {
        if (strcmp(key, "op") == 0 || strcmp(key, "algo") == 0 || strcmp(key, "counts") == 0 ||
            strcmp(key, "ranks") == 0)
            continue;
        snprintf(text, sizeof text, "'%.40s' is no field; there are op, algo, counts, ranks", key);
        return wrong(at, text);
    }
    return CB_OK;
}

static cb_err read_rule(const place *at, json_t *o, cb_rule *rule) {
    const char *algorithm = json_string_value(json_object_get(o, "algo"));
    int64_t least_count = 0, most_count = INT64_MAX, least_members = 2, most_members = INT_MAX;
    cb_kind kind = CB_KINDS;
    if (!json_is_object(o)) return wrong(at, "has to be an object with op and algo");
    TRY(check_keys(at, o));
    TRY(read_kind(at, json_string_value(json_object_get(o, "op")), &kind));
    if (!algorithm) return wrong(at, "algo has to be the name of an algorithm");
    TRY(cb_err_context(cb_algorithm_find(kind, algorithm, false, 0, &rule->algorithm), "%s %s: rule %d", at->option,
                       at->path, at->rule));
    TRY(read_range(at, o, "counts", INT64_MAX, &least_count, &most_count));
    TRY(read_range(at, o, "ranks", INT_MAX, &least_members, &most_members));
    *rule = (cb_rule){rule->algorithm, least_count, most_count, (int)least_members, (int)most_members};
    return CB_OK;
}

static cb_err read_rules(const place *where, json_t *root, cb_selection *s) {
    place at = *where;
    json_t *rules = json_object_get(root, "rules"), *o;
    size_t i;
    if (json_object_size(root) != 1 || !json_is_array(rules))
        return cb_fail(CB_EFORMAT, "%s %s: expected one object {\"rules\": [...]}", at.option, at.path);
    if (json_array_size(rules) > CB_MOST_RULES)
        return cb_fail(CB_EFORMAT, "%s %s: %zu rules; there can be %d", at.option, at.path, json_array_size(rules),
                       CB_MOST_RULES);
    json_array_foreach(rules, i, o) {
        at.rule = (int)i + 1;
        TRY(read_rule(&at, o, &s->rule[s->count++]));
    }
    return CB_OK;
}

cb_err cb_algorithms_read(cb_selection *s, const char *option, const char *path) {
    char *text;
    json_error_t why;
    place at = {option, path, 0};
    *s = (cb_selection){.count = 0};
    TRY(cb_file_read_text(path, option, MOST_FILE_BYTES, &text));
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    free(text);
    if (!root)
        return cb_fail(CB_EFORMAT, "%s %s: line %d, column %d: %s", option, path, why.line, why.column, why.text);
    cb_err e = read_rules(&at, root, s);
    json_decref(root);
    return e;
}

/* Printing */

void cb_algorithms_alike(const cb_selection *s, FILE *to) {
    fputs("what is in --algorithms\t", to);
    for (int i = 0; s && i < s->count; i++) {
        const cb_rule *rule = &s->rule[i];
        fprintf(to, "%s%s %s %lld:%lld %d:%d", i ? ", " : "", cb_kind_name(rule->algorithm->kind), rule->algorithm->name,
                (long long)rule->least_count, (long long)rule->most_count, rule->least_members, rule->most_members);
    }
    fputc('\n', to);
}

static const cb_kind printed[] = {CB_ALL_REDUCE, CB_ALL_GATHER, CB_REDUCE_SCATTER,
                                  CB_BROADCAST,  CB_REDUCE,     CB_ALL_TO_ALL};
enum { PRINTED = sizeof printed / sizeof printed[0] };

static char *range_text(int64_t first, int64_t last, int64_t open, char out[48]) {
    if (last >= open)
        snprintf(out, 48, first > 0 ? "%lld and more" : "any", (long long)first);
    else
        snprintf(out, 48, "%lld to %lld", (long long)first, (long long)last);
    return out;
}

static void print_rule(const cb_rule *rule, FILE *to) {
    char counts[48], ranks[48];
    fprintf(to, "%-15s %-17s %-28s %s\n", cb_kind_name(rule->algorithm->kind), rule->algorithm->name,
            range_text(rule->least_count, rule->most_count, INT64_MAX, counts),
            range_text(rule->least_members, rule->most_members, INT_MAX, ranks));
}

static void print_row(const cb_algorithm *a, FILE *to) {
    char counts[64] = "any", ranks[48] = "any";
    bool sums = a->kind == CB_ALL_REDUCE || a->kind == CB_REDUCE || a->kind == CB_REDUCE_SCATTER;
    const char *order = !sums                            ? ""
                        : cb_algorithm_keeps_order(a, 3) ? "kept"
                        : cb_algorithm_keeps_order(a, 4) ? "2^k"
                                                         : "other";
    if (a->least_count > 0)
        snprintf(counts, sizeof counts, "%lld and %lld a member on", (long long)a->least_count,
                 (long long)a->least_block);
    if (a->most_members) snprintf(ranks, sizeof ranks, "up to %d", a->most_members);
    if (a->power_of_two) snprintf(ranks, sizeof ranks, "2^k");
    if (!a->pattern) snprintf(ranks, sizeof ranks, "up to %d of one process", a->most_members);
    fprintf(to, "%-15s %-17s %-28s %-28s %s\n", cb_kind_name(a->kind), a->name, a->chosen ? counts : "only by name",
            ranks, order);
}

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The counts at which the choice may change. */
static int limits(cb_means means, int ranks, int64_t at[2 * CB_MOST_RULES + 64]) {
    int rows, n = 0;
    const cb_algorithm *table = cb_algorithms(&rows);
    at[n++] = 0;
    for (int i = 0; i < rows && n < 62; i++) {
        if (table[i].least_count > 0) at[n++] = table[i].least_count;
        if (table[i].least_block > 0) at[n++] = table[i].least_block * ranks;
    }
    for (int i = 0; means.selection && i < means.selection->count; i++) {
        at[n++] = means.selection->rule[i].least_count;
        at[n++] = means.selection->rule[i].most_count == INT64_MAX ? 0 : means.selection->rule[i].most_count + 1;
    }
    qsort(at, (size_t)n, sizeof *at, ascending);
    return n;
}

static void print_taken(cb_means means, cb_kind kind, int ranks, FILE *to) {
    int64_t at[2 * CB_MOST_RULES + 64];
    const cb_algorithm *before = NULL;
    int n = limits(means, ranks, at);
    fprintf(to, "%-15s", cb_kind_name(kind));
    for (int i = 0; i < n; i++) {
        const cb_algorithm *a = cb_choose(kind, means, ranks, at[i]);
        if (a == before) continue;
        if (before) fprintf(to, " below %lld,", (long long)at[i]);
        fprintf(to, " %s", a->name);
        before = a;
    }
    fputc('\n', to);
}

void cb_algorithms_print(cb_means means, int ranks, const char *comm, FILE *to) {
    int rows;
    const cb_algorithm *table = cb_algorithms(&rows);
    fputs("An operation takes the first row that fits. counts: elements, as the operation's function takes\n"
          "them; sums kept: by the balanced tree over the ranks, so no bit depends on the layout; 2^k: of so\n"
          "many ranks.\n\n",
          to);
    fprintf(to, "%-15s %-17s %-28s %-28s %s\n", "operation", "algorithm", "counts", "ranks", "sums");
    for (int i = 0; means.selection && i < means.selection->count; i++) print_rule(&means.selection->rule[i], to);
    for (int i = 0; i < rows; i++) print_row(&table[i], to);
    fprintf(to, "\ntaken by %d ranks on %s:\n", ranks, comm);
    for (int i = 0; i < PRINTED; i++) print_taken(means, printed[i], ranks, to);
}
