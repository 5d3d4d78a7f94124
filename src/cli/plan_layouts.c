/* cuboid plan: searches the layouts of a model on a cluster and prints the answer, part by part. */
#include "cli/plan_layouts.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "cli/planned.h"

enum { BAR = 30 };

typedef struct bar {
    double begin_s;
    bool shown;
} bar;

/* A bar once the search has taken a second, where somebody looks. */
static void tick(void *arg, double done, int64_t layouts) {
    bar *b = arg;
    if (!cb_os_is_terminal(STDERR_FILENO) || cb_now_s() < b->begin_s + 1) return;
    b->shown = true;
    fprintf(stderr, "\rsearching [");
    for (int i = 0; i < BAR; i++) fputc(i < (int)(done * BAR) ? '#' : '.', stderr);
    fprintf(stderr, "] %3.0f%%, %lld layouts", 100 * done, (long long)layouts);
}

/* The layout to explain: the fastest, or where none fits the smallest. */
static const cb_layout *chosen(const cb_planned *p) {
    return p->explain && p->search.meshes ? &p->search.mesh[0].best : NULL;
}

static void print_title(const cb_planned *p) {
    printf("%s on %d x %s, %d a node, network %s\n%lld sequence%s of %lld tokens a step; %s, %s\n", p->model.name,
           p->cluster.devices, p->cluster.device.name, p->cluster.node_devices, p->cluster.network.name,
           (long long)p->job.global_batch, p->job.global_batch == 1 ? "" : "s", (long long)p->job.seq_length,
           cb_stack_traits_of(p->job.stack)->name, cb_precision_word(p->job.precision));
}

static cb_err print_explained(const cb_planned *p, const cb_layout *layout) {
    cb_planned_print_layout(p, layout, stdout);
    return layout->estimate.step_s > 0 ? cb_planned_print_timeline(p, layout, stdout) : CB_OK;
}

/* What fixes the layout alone asks for its explanation alone. */
static cb_err print_text(const cb_planned *p, const cb_way *ways) {
    const cb_layout *explained = chosen(p);
    print_title(p);
    cb_planned_print_wall(p, stdout);
    if (ways) cb_planned_print_ways(p, ways, stdout);
    if (!explained || p->search.fitting_meshes > 1) {
        if (p->search.fitting) cb_planned_print_best(p, stdout);
        cb_planned_print_failing(p, stdout);
    }
    if (p->all) cb_planned_print_rules(p, stdout);
    if (explained) TRY(print_explained(p, explained));
    if (p->search.fitting) cb_planned_print_cost(p, &p->search.mesh[0].best, stdout);
    return CB_OK;
}

static cb_err print_json(const cb_planned *p, const cb_way *ways) {
    const cb_layout *explained = chosen(p);
    json_t *o = cb_planned_json(p, ways, explained);
    json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(o);
    return explained && p->svg && explained->estimate.step_s > 0 ? cb_planned_print_timeline(p, explained, stdout)
                                                                 : CB_OK;
}

static cb_err answer(cb_planned *p) {
    cb_way ways[CB_WAYS];
    bool open = !(p->wish.tp && p->wish.pp) && p->cluster.devices > 1;
    if (open) TRY(cb_planned_ways(p, ways));
    if (!p->search.fitting) cb_planned_find_smallest(p);
    TRY(p->json ? print_json(p, open ? ways : NULL) : print_text(p, open ? ways : NULL));
    fflush(stdout);
    return p->search.fitting ? CB_OK : cb_planned_too_small(p);
}

/* Of what was fixed, and of everything to compare with. */
static cb_err search(cb_planned *p) {
    bar b = {.begin_s = cb_now_s()};
    cb_search_spec spec = {.job = &p->job, .constants = &p->constants, .wish = p->wish, .tick = tick, .arg = &b};
    cb_err e = cb_search_run(&spec, &p->search);
    p->search_s = cb_now_s() - b.begin_s;
    spec.wish = cb_wish_none();
    if (e && cb_err_code(e) == CB_EINVAL) e = cb_planned_advise(p, e);
    if (!e && p->anything_fixed) e = cb_search_run(&spec, &p->all_layouts);
    if (b.shown) fprintf(stderr, "\r%*s\r", BAR + 50, "");
    return e;
}

cb_err cb_plan_layouts(int argc, char **argv) {
    bool done;
    cb_planned *p = calloc(1, sizeof *p);
    if (!p) return cb_fail(CB_ENOMEM, "no memory for the plan");
    cb_err e = cb_planned_resolve(p, argc, argv, &done);
    if (!e && !done) {
        e = search(p);
        if (!e) e = answer(p);
        cb_search_free(&p->search);
        cb_search_free(&p->all_layouts);
    }
    free(p);
    return e;
}
