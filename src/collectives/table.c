/* The table of algorithms; see table.h. The limits are those of cost.h. A trainer's all-reduce keeps one order of sums,
 * so only rows that do are chosen; the others can be named. */
#include "collectives/table.h"
#include "base/args.h"

#include <stdio.h>
#include <string.h>

#include "collectives/cost.h"
#include "comm/meeting.h"

static const cb_algorithm table[] = {
    {CB_ALL_REDUCE, "shared", NULL, true, 0, 0, CB_MOST_AT_A_MEETING, false},
    {CB_ALL_REDUCE, "blocks", &cb_all_reduce_blocks, true, CB_SMALL_COUNT, CB_SMALL_BLOCK, 0, false},
    {CB_ALL_REDUCE, "direct", &cb_all_reduce_direct, true, 0, 0, CB_DIRECT_SIZE, false},
    {CB_ALL_REDUCE, "doubling", &cb_all_reduce_doubling, true, 0, 0, 0, true},
    {CB_ALL_REDUCE, "tree", &cb_all_reduce_tree, true, 0, 0, 0, false},
    {CB_ALL_REDUCE, "ring", &cb_all_reduce_ring, false, 0, 0, 0, false},
    {CB_ALL_REDUCE, "rabenseifner", &cb_all_reduce_rabenseifner, false, 0, 0, 0, false},
    {CB_ALL_REDUCE, "binary-tree", &cb_all_reduce_binary_tree, false, 0, 0, 0, false},
    {CB_ALL_REDUCE, "double-tree", &cb_all_reduce_double_tree, false, 0, 0, 0, false},
    {CB_ALL_REDUCE, "hierarchical", &cb_all_reduce_hierarchical, false, 0, 0, 0, false},
    {CB_ALL_GATHER, "shared", NULL, true, 0, 0, CB_MOST_AT_A_MEETING, false},
    {CB_ALL_GATHER, "direct", &cb_all_gather_direct, true, 0, 0, 0, false},
    {CB_ALL_GATHER, "ring", &cb_all_gather_ring, false, 0, 0, 0, false},
    {CB_ALL_GATHER, "bruck", &cb_all_gather_bruck, false, 0, 0, 0, false},
    {CB_ALL_GATHER, "doubling", &cb_all_gather_doubling, false, 0, 0, 0, true},
    {CB_REDUCE_SCATTER, "shared", NULL, true, 0, 0, CB_MOST_AT_A_MEETING, false},
    {CB_REDUCE_SCATTER, "direct", &cb_reduce_scatter_direct, true, 0, 0, 0, false},
    {CB_REDUCE_SCATTER, "ring", &cb_reduce_scatter_ring, false, 0, 0, 0, false},
    {CB_REDUCE_SCATTER, "bruck", &cb_reduce_scatter_bruck, false, 0, 0, 0, false},
    {CB_REDUCE_SCATTER, "halving", &cb_reduce_scatter_halving, false, 0, 0, 0, true},
    {CB_BROADCAST, "shared", NULL, true, 0, 0, CB_MOST_AT_A_MEETING, false},
    {CB_BROADCAST, "binomial", &cb_broadcast_binomial, true, 0, 0, 0, false},
    {CB_BROADCAST, "double-tree", &cb_broadcast_double_tree, false, 0, 0, 0, false},
    {CB_BROADCAST, "scatter-allgather", &cb_broadcast_scatter_gather, false, 0, 0, 0, false},
    {CB_REDUCE, "shared", NULL, true, 0, 0, CB_MOST_AT_A_MEETING, false},
    {CB_REDUCE, "binomial", &cb_reduce_binomial, true, 0, 0, 0, false},
    {CB_REDUCE, "double-tree", &cb_reduce_double_tree, false, 0, 0, 0, false},
    {CB_ALL_TO_ALL, "shared", NULL, true, 0, 0, CB_MOST_AT_A_MEETING, false},
    {CB_ALL_TO_ALL, "pairwise", &cb_all_to_all_pairwise, true, 0, 0, 0, false},
    {CB_ALL_TO_ALL, "bruck", &cb_all_to_all_bruck, false, 0, 0, 0, false},
};
enum { ROWS = sizeof table / sizeof table[0] };

const cb_algorithm *cb_algorithms(int *count) {
    *count = ROWS;
    return table;
}

/* Hard limits: a pattern made for powers of two, a meeting without a board. */
bool cb_algorithm_serves(const cb_algorithm *a, bool shared, int size) {
    if (!a->pattern) return shared && size > 1 && size <= a->most_members;
    return !(a->pattern->traits & CB_POWERS_OF_TWO) || (size & (size - 1)) == 0;
}

static bool is_chosen(const cb_algorithm *a, bool shared, int size, int64_t count) {
    return a->chosen && cb_algorithm_serves(a, shared, size) && count >= a->least_count &&
           count / size >= a->least_block && (!a->most_members || size <= a->most_members) &&
           (!a->power_of_two || (size & (size - 1)) == 0);
}

cb_means cb_group_means(const cb_group *group) {
    return (cb_means){.shared = group->board != NULL, .selection = group->selection};
}

static bool is_of_size(const cb_rule *rule, int size) {
    return size > 1 && size >= rule->least_members && size <= rule->most_members;
}

const cb_algorithm *cb_choose(cb_kind kind, cb_means means, int size, int64_t count) {
    for (int i = 0; means.selection && i < means.selection->count; i++) {
        const cb_rule *rule = &means.selection->rule[i];
        if (rule->algorithm->kind == kind && is_of_size(rule, size) && count >= rule->least_count &&
            count <= rule->most_count)
            return rule->algorithm;
    }
    for (int i = 0; i < ROWS; i++)
        if (table[i].kind == kind && is_chosen(&table[i], means.shared, size, count)) return &table[i];
    return NULL;
}

bool cb_algorithm_keeps_order(const cb_algorithm *a, int size) {
    if (!a->pattern) return true;
    return a->pattern->order == CB_TREE_ORDER ||
           (a->pattern->order == CB_TREE_ORDER_OF_POWERS && (size & (size - 1)) == 0);
}

static bool keeps_bits(const cb_algorithm *a, int size) {
    bool sums = a->kind == CB_ALL_REDUCE || a->kind == CB_REDUCE || a->kind == CB_REDUCE_SCATTER;
    return !sums || cb_algorithm_keeps_order(a, size);
}

/* "ring, bruck": those of a kind, or of them those that serve, or that do so in the order of sums. */
typedef enum listed { ALL, SERVING, IN_ORDER } listed;
static void list(cb_kind kind, listed which, bool shared, int size, char *out, size_t room) {
    *out = 0;
    for (int i = 0; i < ROWS; i++) {
        if (table[i].kind != kind || (which != ALL && !cb_algorithm_serves(&table[i], shared, size))) continue;
        if (which == IN_ORDER && !keeps_bits(&table[i], size)) continue;
        size_t used = strlen(out);
        snprintf(out + used, room - used, "%s%s", used ? ", " : "", table[i].name);
    }
}

void cb_algorithms_serving(cb_kind kind, bool shared, int size, char *out, size_t room) {
    list(kind, SERVING, shared, size, out, room);
}

static cb_err cannot_serve(const cb_algorithm *a, listed others, bool shared, int size) {
    char names[256];
    list(a->kind, others, shared, size, names, sizeof names);
    if (size == 1)
        return cb_fail(CB_EINVAL, "%s by '%s' cannot serve a single rank; these can: %s", cb_kind_name(a->kind),
                       a->name, names);
    return cb_fail(CB_EINVAL, "%s by '%s' cannot serve %d ranks%s; these can: %s", cb_kind_name(a->kind), a->name, size,
                   a->pattern ? " (a power of two is needed)" : " that do not share one memory", names);
}

cb_err cb_algorithm_find(cb_kind kind, const char *name, bool shared, int size, const cb_algorithm **found) {
    const char *names[ROWS + 1];
    int count = 0;
    for (int i = 0; i < ROWS; i++) {
        if (table[i].kind == kind) names[count++] = table[i].name;
        if (table[i].kind != kind || strcmp(table[i].name, name) != 0) continue;
        *found = &table[i];
        if (size == 0 || cb_algorithm_serves(&table[i], shared, size)) return CB_OK;
        return cannot_serve(&table[i], SERVING, shared, size);
    }
    char all[256], near[256];
    names[count] = NULL;
    list(kind, ALL, shared, size, all, sizeof all);
    return cb_fail(CB_EUSAGE, "there is no algorithm '%s' for %s%s There are: %s", name, cb_kind_name(kind),
                   cb_args_suggest(name, names, near), all);
}

cb_err cb_selection_check(cb_means means, int size) {
    char names[256];
    for (int i = 0; means.selection && i < means.selection->count; i++) {
        const cb_algorithm *a = means.selection->rule[i].algorithm;
        if (!is_of_size(&means.selection->rule[i], size)) continue;
        if (!cb_algorithm_serves(a, means.shared, size)) return cannot_serve(a, IN_ORDER, means.shared, size);
        if (keeps_bits(a, size)) continue;
        list(a->kind, IN_ORDER, means.shared, size, names, sizeof names);
        return cb_fail(
            CB_EINVAL,
            "%s by '%s' over %d ranks sums in another order than the balanced tree, so bits would depend on the "
            "layout; these keep it: %s",
            cb_kind_name(a->kind), a->name, size, names);
    }
    return CB_OK;
}
