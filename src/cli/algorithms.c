/* Rules for the choice of algorithms, read and printed; see algorithms.h. */
#include "cli/algorithms.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/file.h"
#include "base/json.h"
#include "collectives/cost.h"

enum { MOST_FILE_BYTES = 1 << 20 };

/* A rule while it is read. */
typedef struct place {
    const cb_json *json;
    int64_t begins; /* offset of the rule */
    int rule;       /* from 1 */
} place;

/* key: the field that is wrong, or NULL for the whole rule. */
static cb_err wrong(const place *at, const char *key, const char *what) {
    int64_t offset = key ? cb_json_key(at->json, at->begins, key) : at->begins;
    return cb_json_wrong(at->json, offset, "rule %d: %s", at->rule, what);
}

static cb_err read_range(const place *at, const json_t *rule, const char *key, int64_t largest, int64_t *first,
                         int64_t *last) {
    const json_t *range = json_object_get(rule, key);
    const json_t *a = json_array_get(range, 0), *b = json_array_get(range, 1);
    char text[96];
    if (!range) return CB_OK;
    snprintf(text, sizeof text, "%s has to be [first, last], whole numbers from %lld on", key, (long long)*first);
    if (json_array_size(range) != 2 || !json_is_integer(a) || !json_is_integer(b)) return wrong(at, key, text);
    if (json_integer_value(a) < *first || json_integer_value(b) < json_integer_value(a)) return wrong(at, key, text);
    *first = json_integer_value(a);
    *last = json_integer_value(b) < largest ? json_integer_value(b) : largest;
    return CB_OK;
}

/* name: NULL where the rule has none. */
static cb_err read_kind(const place *at, const char *name, cb_kind *kind) {
    const char *names[CB_KINDS + 1];
    char all[192] = "", near[256], text[512];
    int count = 0;
    for (int k = 0; k < CB_KINDS; k++) {
        if (k == CB_SENDRECV || k == CB_BARRIER) continue;
        *kind = (cb_kind)k;
        names[count] = cb_kind_name(*kind);
        if (name && strcmp(name, names[count]) == 0) return CB_OK;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", count ? ", " : "", names[count]);
        count++;
    }
    names[count] = NULL;
    if (!name) snprintf(text, sizeof text, "op has to be one of %s", all);
    if (name)
        snprintf(text, sizeof text, "'%.40s' is no operation%s There are: %s", name, cb_args_suggest(name, names, near),
                 all);
    return wrong(at, "op", text);
}

static cb_err check_keys(const place *at, json_t *rule) {
    static const char *const known[] = {"op", "algo", "counts", "ranks", NULL};
    const char *key;
    json_t *value;
    char text[384], near[256];
    json_object_foreach(rule, key, value) {
        int i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (known[i]) continue;
        snprintf(text, sizeof text, "'%.40s' is no field%s There are op, algo, counts, ranks", key,
                 cb_args_suggest(key, known, near));
        return wrong(at, key, text);
    }
    return CB_OK;
}

static cb_err read_rule(const place *at, json_t *o, cb_rule *rule) {
    const char *algorithm = json_string_value(json_object_get(o, "algo"));
    int64_t least_count = 0, most_count = INT64_MAX, least_members = 2, most_members = INT_MAX;
    cb_kind kind = CB_KINDS;
    if (!json_is_object(o)) return wrong(at, NULL, "has to be an object with op and algo");
    TRY(check_keys(at, o));
    TRY(read_kind(at, json_string_value(json_object_get(o, "op")), &kind));
    if (!algorithm) return wrong(at, "algo", "algo has to be the name of an algorithm");
    cb_err e = cb_algorithm_find(kind, algorithm, false, 0, &rule->algorithm);
    if (e) {
        cb_err placed = wrong(at, "algo", cb_err_text(e));
        cb_err_free(e);
        return placed;
    }
    TRY(read_range(at, o, "counts", INT64_MAX, &least_count, &most_count));
    TRY(read_range(at, o, "ranks", INT_MAX, &least_members, &most_members));
    *rule = (cb_rule){rule->algorithm, least_count, most_count, (int)least_members, (int)most_members};
    return CB_OK;
}

static cb_err read_rules(const cb_json *json, cb_selection *s) {
    json_t *rules = json_object_get(json->root, "rules"), *o;
    int64_t top = cb_json_top(json);
    size_t i;
    if (json_object_size(json->root) != 1 || !json_is_array(rules))
        return cb_json_wrong(json, top, "expected one object {\"rules\": [...]}");
    int64_t list = cb_json_value(json, cb_json_key(json, top, "rules"));
    if (json_array_size(rules) > CB_MOST_RULES)
        return cb_json_wrong(json, list, "%zu rules; there can be %d", json_array_size(rules), CB_MOST_RULES);
    json_array_foreach(rules, i, o) {
        place at = {json, cb_json_element(json, list, (int)i), (int)i + 1};
        TRY(read_rule(&at, o, &s->rule[s->count++]));
    }
    return CB_OK;
}

cb_err cb_algorithms_read(cb_selection *s, const char *option, const char *path) {
    char *text;
    cb_json json;
    *s = (cb_selection){.count = 0};
    TRY(cb_file_read_text(path, option, MOST_FILE_BYTES, &text));
    cb_err e = cb_json_parse(&json, path, text, (int64_t)strlen(text), JSON_REJECT_DUPLICATES);
    if (!e) {
        e = read_rules(&json, s);
        json_decref(json.root);
    }
    free(text);
    return cb_err_context(e, "%s", option);
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
