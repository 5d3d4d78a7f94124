/* What would work, where what was asked does not: other values of what was fixed, found by the search itself; a larger
 * cluster. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/planned.h"

enum { MOST_VALUES = 4096, SHOWN = 12, MOST_NODES = 4096, MOST_SETS = 3 };

/* What can be fixed of a layout. */
static const struct {
    const char *option;
    size_t wish; /* offset in cb_wish, of an int */
} fixed[] = {
    {"dp", offsetof(cb_wish, dp)},
    {"tp", offsetof(cb_wish, tp)},
    {"pp", offsetof(cb_wish, pp)},
    {"cp", offsetof(cb_wish, cp)},
    {"virtual", offsetof(cb_wish, chunks)},
    {"micro-batch-size", offsetof(cb_wish, micro_batch)},
    {"schedule", offsetof(cb_wish, schedule)},
    {"recompute", offsetof(cb_wish, recompute)},
    {"sequence-parallel", offsetof(cb_wish, sequence_parallel)},
    {"zero", offsetof(cb_wish, zero)},
    {"layers-per-stage", offsetof(cb_wish, placement)},
};
enum { FIXED = sizeof fixed / sizeof *fixed, MESH_SIZES = 4 /* the first rows */ };

static int *field(cb_wish *wish, int which) {
    return (int *)(void *)((char *)wish + fixed[which].wish);
}

/* A layout as the wish for it alone. */
static cb_wish wish_for(const cb_split *s) {
    return (cb_wish){.dp = s->dp,
                     .tp = s->tp,
                     .pp = s->pp,
                     .cp = s->cp,
                     .chunks = s->chunks,
                     .micro_batch = s->micro_batch,
                     .schedule = (int)s->schedule,
                     .recompute = (int)s->recompute,
                     .placement = (int)s->placement,
                     .sequence_parallel = s->sequence_parallel,
                     .zero = s->zero};
}

/* The values of one field in all legal layouts, each once, ascending. */
typedef struct values {
    int which, count;
    int at[MOST_VALUES];
} values;

static void on_legal(void *arg, const cb_split *split) {
    values *v = arg;
    cb_wish all = wish_for(split);
    int value = *field(&all, v->which), i = 0;
    while (i < v->count && v->at[i] < value) i++;
    if ((i < v->count && v->at[i] == value) || v->count == MOST_VALUES) return;
    memmove(&v->at[i + 1], &v->at[i], (size_t)(v->count - i) * sizeof *v->at);
    v->at[i] = value;
    v->count++;
}

static const char *word(int which, int value, char number[16]) {
    switch (fixed[which].wish) {
    case offsetof(cb_wish, schedule):
        return cb_schedule_word((cb_split_schedule)value);
    case offsetof(cb_wish, recompute):
        return cb_recompute_word((cb_split_recompute)value);
    case offsetof(cb_wish, placement):
        return value == CB_PLACE_WITH_ENDS ? "ends" : "even";
    case offsetof(cb_wish, sequence_parallel):
        return value ? "on" : "off";
    default:
        snprintf(number, 16, "%d", value);
        return number;
    }
}

/* "; --tp can be 1, 2 or 4" */
static void say(const values *v, char *out, size_t size) {
    char number[16];
    size_t used = strlen(out);
    int shown = v->count <= SHOWN ? v->count : SHOWN - 1;
    if (used < size) used += (size_t)snprintf(out + used, size - used, "; --%s can be ", fixed[v->which].option);
    for (int i = 0; i < shown && used < size; i++) {
        const char *before = i == 0 ? "" : i + 1 < v->count ? ", " : " or ";
        used += (size_t)snprintf(out + used, size - used, "%s%s", before, word(v->which, v->at[i], number));
    }
    if (shown < v->count && used < size)
        snprintf(out + used, size - used, ", ... or %s", word(v->which, v->at[v->count - 1], number));
}

static int least_nodes(const cb_planned *p, const cb_cluster *cluster, bool dp_open) {
    cb_job job = p->job;
    job.cluster = cluster;
    cb_search_spec spec = {.job = &job, .constants = &p->constants, .wish = p->wish};
    if (dp_open) spec.wish.dp = 0;
    return cb_search_least_nodes(&spec, MOST_NODES);
}

/* One node that is less than a usual one grows before there are more of its kind. */
static void grow_node(cb_cluster *c, const cb_device_row *row) {
    cb_network network;
    if (c->devices != c->node_devices || c->node_devices >= row->node_devices) return;
    cb_err e = cb_network_parse(c->network.name, row->node_devices, &network);
    if (!e) c->node_devices = row->node_devices, c->network = network;
    cb_err_free(e);
}

void cb_planned_find_smallest(cb_planned *p) {
    cb_cluster c = p->cluster;
    const cb_device_row *row = NULL;
    cb_smallest *s = &p->smallest;
    cb_err e = cb_device_find(&p->devices, c.device.name, &row);
    bool usual = !e && strcmp(row->network, c.network.name) == 0;
    if (!e) grow_node(&c, row);
    cb_err_free(e);
    *s = (cb_smallest){.nodes = least_nodes(p, &c, false)};
    if (s->nodes == 0 && p->wish.dp) s->nodes = least_nodes(p, &c, true), s->dp_open = s->nodes > 0;
    s->devices = s->nodes * c.node_devices;
    snprintf(s->cluster, sizeof s->cluster, "%s:%dx%d%s%s", c.device.name, c.node_devices, s->nodes, usual ? "" : ":",
             usual ? "" : c.network.name);
}

/* Adds the legal values under one wish. */
static void look(const cb_planned *p, cb_wish wish, values *v) {
    cb_search search;
    cb_search_spec spec = {.job = &p->job, .constants = &p->constants, .wish = wish, .on_legal = on_legal, .arg = v};
    cb_err e = cb_search_run(&spec, &search);
    if (!e) cb_search_free(&search);
    cb_err_free(e);
}

/* The search leaves out context parallelism that it takes for a waste; asked for, it is legal. */
static void look_for_cp(const cb_planned *p, cb_wish wish, values *v) {
    for (int cp = 1; cp <= p->cluster.devices && cp <= p->job.seq_length; cp++) {
        wish.cp = cp;
        if (p->cluster.devices % cp == 0) look(p, wish, v);
    }
}

static bool is_fixed(const cb_planned *p, int which) {
    cb_wish given = p->wish, none = cb_wish_none();
    return *field(&given, which) != *field(&none, which);
}

static void leave_open(cb_wish *wish, int which) {
    cb_wish none = cb_wish_none();
    *field(wish, which) = *field(&none, which);
}

/* Of each fixed field the values that are legal with the others as they are. */
static void advise_one(const cb_planned *p, values *v, char *text, size_t size) {
    for (int i = 0; i < FIXED; i++) {
        cb_wish wish = p->wish;
        if (!is_fixed(p, i)) continue;
        leave_open(&wish, i);
        v->which = i, v->count = 0;
        if (fixed[i].wish == offsetof(cb_wish, cp))
            look_for_cp(p, wish, v);
        else
            look(p, wish, v);
        if (v->count) say(v, text, size);
    }
}

/* " --pp 12 --zero 1": the fastest layout where the fields of the set are open and it fits; false where none does. */
static bool say_set(const cb_planned *p, unsigned set, bool first, char *text, size_t size) {
    cb_search search;
    cb_wish wish = p->wish;
    char number[16];
    for (int i = 0; i < FIXED; i++)
        if (set >> i & 1) leave_open(&wish, i);
    cb_search_spec spec = {.job = &p->job, .constants = &p->constants, .wish = wish};
    cb_err e = cb_search_run(&spec, &search);
    bool works = !e && search.meshes && search.mesh[0].fits;
    cb_wish best = works ? wish_for(&search.mesh[0].best.split) : wish;
    if (!e) cb_search_free(&search);
    cb_err_free(e);
    size_t used = strlen(text);
    if (works)
        used += (size_t)snprintf(text + used, size - used, "%s", first ? "; more than one has to change:" : ", or");
    for (int i = 0; works && i < FIXED && used < size; i++)
        if (set >> i & 1)
            used += (size_t)snprintf(text + used, size - used, " --%s %s", fixed[i].option,
                                     word(i, *field(&best, i), number));
    return works;
}

/* Where no field alone can be changed: the smallest sets of fields that can be together. */
static void advise_together(const cb_planned *p, char *text, size_t size) {
    unsigned all = 0;
    int said = 0;
    for (int i = 0; i < FIXED; i++) all |= (unsigned)is_fixed(p, i) << i;
    for (int count = 2; count <= FIXED && !said; count++)
        for (unsigned set = 1; set <= all && said < MOST_SETS; set++)
            if ((set & ~all) == 0 && __builtin_popcount(set) == count) said += say_set(p, set, !said, text, size);
}

/* Where the sizes that are fixed are no part of the cluster, one of which they are and on which something fits. */
static void add_cluster(cb_planned *p, char *text, size_t size) {
    const int sizes[] = {p->wish.dp, p->wish.tp, p->wish.pp, p->wish.cp};
    int64_t product = 1;
    for (int i = 0; i < MESH_SIZES; i++) product *= sizes[i] ? sizes[i] : 1;
    if (p->cluster.devices % product == 0) return;
    cb_planned_find_smallest(p);
    size_t used = strlen(text);
    if (p->smallest.nodes && !p->smallest.dp_open)
        snprintf(text + used, size - used, "; as it is, it works on %s", p->smallest.cluster);
}

/* Where nothing else helps, the next batch that all devices can share. */
static void add_batch(const cb_planned *p, char *text, size_t size) {
    cb_search search;
    cb_job job = p->job;
    int64_t at_once = (int64_t)p->cluster.devices * (p->wish.micro_batch ? p->wish.micro_batch : 1);
    job.global_batch = (p->job.global_batch + at_once - 1) / at_once * at_once;
    cb_search_spec spec = {.job = &job, .constants = &p->constants, .wish = p->wish};
    cb_err e = cb_search_run(&spec, &search);
    if (!e && search.meshes)
        snprintf(text, size, "; with --global-batch-size %lld it works", (long long)job.global_batch);
    if (!e) cb_search_free(&search);
    cb_err_free(e);
}

cb_err cb_planned_advise(cb_planned *p, cb_err e) {
    char text[640] = "";
    values *v = malloc(sizeof *v);
    if (v) advise_one(p, v, text, sizeof text);
    free(v);
    if (!*text) advise_together(p, text, sizeof text);
    add_cluster(p, text, sizeof text);
    if (!*text) add_batch(p, text, sizeof text);
    if (!*text) return e;
    cb_err advised = cb_fail(cb_err_code(e), "%s%s", cb_err_text(e), text);
    cb_err_free(e);
    return advised;
}

cb_err cb_planned_too_small(const cb_planned *p) {
    const cb_layout *l = &p->search.mesh[0].best;
    const cb_smallest *s = &p->smallest;
    char why[128], layout[160];
    cb_planned_shortfall(&l->memory, p->cluster.device.memory_bytes, why);
    cb_planned_layout(&l->split, layout);
    if (s->nodes == 0)
        return cb_fail(CB_EINVAL, "%s does not fit: the nearest, %s: %s. Nor does it on any number of nodes up to %d%s",
                       p->model.name, layout, why, MOST_NODES, p->anything_fixed ? " with what was fixed" : "");
    if (s->dp_open)
        return cb_fail(CB_EINVAL,
                       "%s does not fit: the nearest, %s: %s. With --dp %d nothing works on any number of nodes; the "
                       "smallest that works without it is %s",
                       p->model.name, layout, why, p->wish.dp, s->cluster);
    return cb_fail(CB_EINVAL, "%s does not fit: the nearest, %s: %s. The smallest that works%s is %s", p->model.name,
                   layout, why, p->anything_fixed ? " with what was fixed" : "", s->cluster);
}
