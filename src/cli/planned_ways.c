/* Data, tensor, pipeline and combined parallelism for one model on one cluster: what each cuts, what it sends, what
 * limits it, whether it fits. Each is the search, restricted to it and to what was fixed. */
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
    char share[80] = "";
    if (way->fits) {
        cb_cause cause = heaviest(e);
        snprintf(share, sizeof share, "; %s takes most time after the layers' products, %.0f%% of a step",
                 cb_cause_name(cause), 100 * e->by_cause_s[cause] / e->step_s);
    }
    snprintf(way->limit, sizeof way->limit, "%s%s", k->limit, share);
}

/* As many replicas as the cluster has devices, or the most whose microbatches divide the batch; the cluster's where
 * none does: the rules say why. */
static int most_replicas(const cb_planned *p) {
    int64_t micro_batch = p->wish.micro_batch ? p->wish.micro_batch : 1, most = p->job.global_batch / micro_batch;
    if (p->cluster.devices < most) most = p->cluster.devices;
    if (p->job.global_batch % micro_batch || p->wish.dp) return p->cluster.devices;
    while (p->job.global_batch / micro_batch % most) most--;
    return (int)most;
}

/* A size or stage that the way has and one that was fixed, both 0 (stage: CB_ANY) where they are free: joined in *out;
 * where they differ `text` says so. */
static void join(const char *option, int of_way, int fixed, int free, int *out, char text[160]) {
    *out = of_way == free ? fixed : of_way;
    if (of_way == free || fixed == free || of_way == fixed) return;
    size_t used = strlen(text);
    snprintf(text + used, 160 - used, "%s--%s %d, which is fixed", used ? ", " : "contradicts ", option, fixed);
}

/* What was fixed, and the way's own; text: "", or what contradicts it. */
static cb_wish joined(const cb_planned *p, const kind *k, char text[160]) {
    const cb_wish *fixed = &p->wish;
    cb_wish wish = *fixed;
    bool one = (k->needs == CB_TP && fixed->tp == 1) || (k->needs == CB_PP && fixed->pp == 1) ||
               (k->needs == CB_DP && fixed->dp == 1);
    const char *needed = k->needs == CB_TP ? "tp" : k->needs == CB_PP ? "pp" : "dp";
    *text = '\0';
    join("dp", k->dp, fixed->dp, 0, &wish.dp, text);
    join("tp", k->tp, fixed->tp, 0, &wish.tp, text);
    join("pp", k->pp, fixed->pp, 0, &wish.pp, text);
    join("cp", k->cp, fixed->cp, 0, &wish.cp, text);
    join("zero", k->zero, fixed->zero, CB_ANY, &wish.zero, text);
    if (one && !*text) snprintf(text, 160, "contradicts --%s 1, which is fixed", needed);
    return wish;
}

static void take_first(const cb_search *search, const kind *k, cb_way *way) {
    for (int i = 0; i < search->meshes && !way->possible; i++) {
        if (!has_size(&search->mesh[i].best.split, k->needs)) continue;
        way->possible = true, way->fits = search->mesh[i].fits, way->layout = search->mesh[i].best;
    }
}

static cb_err find_way(const cb_planned *p, const kind *k, cb_way *way) {
    cb_search search;
    cb_cluster cluster = p->cluster;
    cb_job job = p->job;
    *way = (cb_way){.name = k->name, .splits = k->splits};
    cb_wish wish = joined(p, k, way->why_not);
    if (*way->why_not) return CB_OK;
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

/* "tp 1.15 TB a step, most of it all-gather 8192 x 50.3 MB": a dimension's sum and the row that sends most in it. Where
 * that is not much more than half: "of it". */
static void say_sends(const cb_flow *rows, int count, const char *dimension, char *out, size_t size) {
    const cb_flow *most = NULL;
    char sum[16], each[16];
    int several = 0;
    size_t used = strlen(out);
    for (int i = 0; i < count; i++) {
        if (strcmp(rows[i].dimension, dimension) != 0) continue;
        if (!most || rows[i].sent_bytes > most->sent_bytes) most = &rows[i];
        several++;
    }
    if (!most) return;
    const double all = cb_flows_bytes(rows, count, dimension);
    const char *share = several == 1 ? "" : most->sent_bytes > 0.6 * all ? "most of it " : "of it ";
    snprintf(out + used, size - used, "%s%s %s, %s%s %.0f x %s", used ? "; " : "", dimension,
             cb_planned_bytes(all, sum), share, most->kind, most->times, cb_planned_bytes(most->payload_bytes, each));
}

static void print_sends(const cb_planned *p, const cb_layout *layout, FILE *to) {
    static const char *const dimensions[] = {"tp", "cp", "pp", "dp"};
    cb_flow rows[CB_MOST_FLOWS];
    char text[320] = "";
    int count = cb_flows_of(&p->job, &layout->split, &p->sums, layout->memory.stage, rows);
    for (int i = 0; i < 4; i++) say_sends(rows, count, dimensions[i], text, sizeof text);
    cb_args_wrap(*text ? text : "nothing", fprintf(to, "      sends   "), to);
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
    fprintf(to, "\nWAYS PAST IT   each by itself at its best, then together, on %d device%s; sends: a rank, a step\n",
            p->cluster.devices, p->cluster.devices == 1 ? "" : "s");
    for (int i = 0; i < CB_WAYS; i++) print_way(p, &ways[i], to);
}
