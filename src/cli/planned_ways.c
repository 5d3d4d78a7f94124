/* Data, tensor, pipeline and combined parallelism for one model on one cluster: what each cuts, what it sends, what
 * limits it, whether it fits. Each is the search, restricted. */
#include <string.h>

#include "base/args.h"
#include "cli/planned.h"
#include "mesh/mesh.h"

typedef struct kind {
    const char *name, *splits, *limit; /* limit: what ends it */
    int dp, tp, pp, cp, zero;          /* the wish; 0 (zero: CB_ANY) leaves it free */
    cb_dim needs;                      /* this size is more than 1; CB_DIMS: any */
} kind;

static const kind kinds[CB_WAYS] = {
    {"data", "the batch", "every device holds the whole model, and dp divides the batch", 0, 1, 1, 1, 0, CB_DP},
    {"data, ZeRO 3", "the batch, and all states", "gathers every weight twice a microbatch", 0, 1, 1, 1, 3, CB_DP},
    {"tensor", "every matrix", "two all-reduces a layer and pass, slow beyond a node; tp divides the heads", 0, 0, 1, 1,
     0, CB_TP},
    {"pipeline", "the layers", "pp is at most the layers, and the first stage holds pp live microbatches", 0, 1, 0, 1,
     0, CB_PP},
    {"combined", "all of these", "tp pays inside a node, pp across nodes, dp with the rest", 0, 0, 0, 0, CB_ANY,
     CB_DIMS},
};

static bool has_size(const cb_split *s, cb_dim dim) {
    switch (dim) {
    case CB_TP:
        return s->tp > 1;
    case CB_PP:
        return s->pp > 1;
    case CB_DP:
        return s->dp > 1;
    default:
        return true;
    }
}

/* The cause, after the products, that takes most of the step. */
static cb_cause heaviest(const cb_estimate *e) {
    int most = CB_CAUSE_ATTENTION;
    for (int cause = CB_CAUSE_ATTENTION; cause < CB_CAUSES; cause++)
        if (e->by_cause_s[cause] > e->by_cause_s[most]) most = cause;
    return (cb_cause)most;
}

/* What ends it, and where it fits what the step spends most on after the products. */
static void say_limit(cb_way *way, const kind *k) {
    const cb_estimate *e = &way->layout.estimate;
    char share[40] = "";
    if (way->fits) {
        cb_cause cause = heaviest(e);
        snprintf(share, sizeof share, "; %s %.0f%%", cb_cause_name(cause), 100 * e->by_cause_s[cause] / e->step_s);
    }
    snprintf(way->limit, sizeof way->limit, "%s%s", k->limit, share);
}

/* As many replicas as the cluster has devices, or the most that divide the batch. */
static int most_replicas(const cb_planned *p) {
    int64_t most = p->cluster.devices < p->job.global_batch ? p->cluster.devices : p->job.global_batch;
    while (p->job.global_batch % most) most--;
    return (int)most;
}

static void take_first(const cb_search *search, const kind *k, cb_way *way) {
    for (int i = 0; i < search->meshes && !way->possible; i++) {
        if (!has_size(&search->mesh[i].best.split, k->needs)) continue;
        way->possible = true, way->fits = search->mesh[i].fits, way->layout = search->mesh[i].best;
    }
}

static cb_err find_way(const cb_planned *p, const kind *k, cb_way *way) {
    cb_wish wish = cb_wish_none();
    cb_search search;
    cb_cluster cluster = p->cluster;
    cb_job job = p->job;
    *way = (cb_way){.name = k->name, .splits = k->splits};
    wish.dp = k->dp, wish.tp = k->tp, wish.pp = k->pp, wish.cp = k->cp, wish.zero = k->zero;
    if (k->needs == CB_DP) cluster.devices = most_replicas(p);
    way->devices = cluster.devices;
    job.cluster = &cluster;
    cb_search_spec spec = {.job = &job, .constants = &p->constants, .wish = wish};
    cb_err e = cb_search_run(&spec, &search);
    if (e && cb_err_code(e) == CB_EINVAL) {
        snprintf(way->why_not, sizeof way->why_not, "%s", cb_err_text(e));
        cb_err_free(e);
        return CB_OK;
    }
    TRY(e);
    take_first(&search, k, way);
    cb_search_free(&search);
    if (way->possible)
        say_limit(way, k);
    else
        snprintf(way->why_not, sizeof way->why_not, "no size above 1 divides what it has to divide");
    return CB_OK;
}

cb_err cb_planned_ways(const cb_planned *p, cb_way ways[CB_WAYS]) {
    for (int i = 0; i < CB_WAYS; i++) TRY(find_way(p, &kinds[i], &ways[i]));
    return CB_OK;
}

/* The row that sends most, other than `but`; -1: none. */
static int most_sent(const cb_flow *rows, int count, int but) {
    int most = -1;
    for (int i = 0; i < count; i++)
        if (i != but && (most < 0 || rows[i].sent_bytes > rows[most].sent_bytes)) most = i;
    return most;
}

/* "tp reduce-scatter 7680 x 50 MB" of the two that send most; then the sum. */
static void print_sends(const cb_planned *p, const cb_layout *layout, FILE *to) {
    cb_flow rows[CB_MOST_FLOWS];
    char text[16];
    int count = cb_flows_of(&p->job, &layout->split, &p->sums, layout->memory.stage, rows);
    int first = most_sent(rows, count, -1), second = first < 0 ? -1 : most_sent(rows, count, first);
    const int shown[] = {first, second};
    fprintf(to, "      sends   ");
    for (int i = 0; i < 2 && shown[i] >= 0; i++) {
        const cb_flow *f = &rows[shown[i]];
        fprintf(to, "%s%s %s %.0f x %s", i ? ", " : "", f->dimension, f->kind, f->times,
                cb_planned_bytes(f->payload_bytes, text));
    }
    if (count)
        fprintf(to, "; %s a step\n", cb_planned_bytes(cb_flows_bytes(rows, count, NULL), text));
    else
        fprintf(to, "nothing\n");
}

static void print_way(const cb_planned *p, const cb_way *way, FILE *to) {
    char layout[256], shortfall[128], of[24] = "";
    fprintf(to, "  %-13s cuts %s\n", way->name, way->splits);
    if (!way->possible) {
        cb_args_wrap(way->why_not, fprintf(to, "      not     "), to);
        return;
    }
    cb_planned_layout(&way->layout.split, layout);
    if (way->devices < p->cluster.devices) {
        size_t used = strlen(layout);
        snprintf(layout + used, sizeof layout - used,
                 "; %d of the %d devices, as no larger dp divides the batch of %lld", way->devices, p->cluster.devices,
                 (long long)p->job.global_batch);
        snprintf(of, sizeof of, " of the %d", way->devices);
    }
    cb_args_wrap(layout, fprintf(to, "      layout  "), to);
    print_sends(p, &way->layout, to);
    cb_args_wrap(way->limit, fprintf(to, "      limit   "), to);
    if (way->fits)
        fprintf(to, "      fits    %.1f GiB of %.0f; %.4g s a step, MFU %.1f%%%s\n",
                way->layout.memory.total_bytes / (1 << 30), p->cluster.device.memory_bytes / (1 << 30),
                way->layout.estimate.step_s, 100 * way->layout.estimate.mfu, of);
    else
        fprintf(to, "      too big %s\n",
                cb_planned_shortfall(&way->layout.memory, p->cluster.device.memory_bytes, shortfall));
}

void cb_planned_print_ways(const cb_planned *p, const cb_way ways[CB_WAYS], FILE *to) {
    fprintf(to, "\nWAYS PAST IT   each by itself at its best, then together, on %d device%s; sends: of one rank\n",
            p->cluster.devices, p->cluster.devices == 1 ? "" : "s");
    for (int i = 0; i < CB_WAYS; i++) print_way(p, &ways[i], to);
}
