/* See view.h. */
#include "trace/view.h"

#include <math.h>
#include <stdlib.h>

const char *cb_use_name(cb_use use) {
    static const char *const names[CB_USES] = {"compute", "tp", "dp", "pp", "bubble", "optimizer", "data"};
    return names[use];
}

cb_use cb_use_of_purpose(int32_t purpose) {
    return purpose == CB_FOR_TP ? CB_USE_TP : purpose == CB_FOR_DP ? CB_USE_DP : CB_USE_PP;
}

static void add_hold(cb_view_rank *r, double begin_s, double end_s, cb_use use, int64_t comm) {
    if (end_s <= begin_s) return;
    r->hold[r->holds++] = (cb_hold){.begin_s = begin_s, .end_s = end_s, .use = use, .comm = (int32_t)comm};
}

static int by_end(const void *a, const void *b) {
    const cb_hold *x = a, *y = b;
    return (x->end_s > y->end_s) - (x->end_s < y->end_s);
}

static cb_err fill_rank(cb_view_rank *r) {
    r->hold = malloc((size_t)(2 * r->step->comms + r->step->spans + 1) * sizeof *r->hold);
    if (!r->hold) return cb_fail(CB_ENOMEM, "no memory to look at %lld events", (long long)r->step->comms);
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++) {
        r->op[purpose] = malloc((size_t)(r->step->comms + 1) * sizeof **r->op);
        if (!r->op[purpose]) return cb_fail(CB_ENOMEM, "no memory to look at %lld events", (long long)r->step->comms);
    }
    for (int64_t i = 0; i < r->step->comms; i++) {
        const cb_comm_event *e = &r->comm[i];
        add_hold(r, e->begin_s, e->posted_s, cb_use_of_purpose(e->purpose), -1);
        add_hold(r, e->wait_s, e->end_s, cb_use_of_purpose(e->purpose), i);
        if (e->peer < 0) r->op[e->purpose][r->ops[e->purpose]++] = (int32_t)i;
    }
    for (int64_t i = 0; i < r->step->spans; i++) {
        cb_use use = r->span[i].part == CB_TRACED_DATA ? CB_USE_DATA : CB_USE_OPTIMIZER;
        add_hold(r, r->span[i].begin_s, r->span[i].end_s, use, -1);
    }
    if (r->holds) qsort(r->hold, (size_t)r->holds, sizeof *r->hold, by_end);
    return CB_OK;
}

cb_err cb_view_make(cb_view *view, const cb_traced *traced, int step) {
    int ranks = traced->mesh.ranks;
    *view = (cb_view){.traced = traced,
                      .begin_s = cb_traced_step_begin_s(traced, step),
                      .end_s = cb_traced_step_end_s(traced, step),
                      .rank = calloc((size_t)ranks, sizeof *view->rank),
                      .members = calloc((size_t)ranks, sizeof *view->members)};
    cb_err e = view->rank && view->members ? CB_OK : cb_fail(CB_ENOMEM, "no memory to look at %d ranks", ranks);
    for (int r = 0; !e && r < ranks; r++) {
        const cb_traced_rank *from = &traced->rank[r];
        const cb_traced_step *s = &from->step[step];
        view->rank[r] = (cb_view_rank){
            .step = s, .instr = from->instr + s->instr, .span = from->span + s->span, .comm = from->comm + s->comm};
        e = fill_rank(&view->rank[r]);
    }
    if (e) cb_view_free(view);
    return e;
}

void cb_view_free(cb_view *view) {
    for (int r = 0; view->rank && r < view->traced->mesh.ranks; r++) {
        free(view->rank[r].hold);
        for (int purpose = 0; purpose < CB_PURPOSES; purpose++) free(view->rank[r].op[purpose]);
    }
    free(view->rank);
    free(view->members);
    *view = (cb_view){0};
}

int64_t cb_view_instr(const cb_view_rank *rank, double time_s, bool or_at) {
    int64_t low = -1, high = rank->step->instrs;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        double begin_s = rank->instr[middle].begin_s;
        if (begin_s < time_s || (or_at && begin_s == time_s))
            low = middle;
        else
            high = middle;
    }
    return low;
}

int64_t cb_view_hold(const cb_view_rank *rank, double time_s) {
    int64_t low = -1, high = rank->holds;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        if (rank->hold[middle].end_s <= time_s)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The same operation on another rank, by its number, or NULL. */
static const cb_comm_event *same_op(const cb_view *view, int rank, const cb_comm_event *event) {
    const cb_view_rank *r = &view->rank[rank];
    const int32_t *op = r->op[event->purpose];
    if (r->ops[event->purpose] == 0) return NULL;
    int64_t i = (int64_t)event->note - r->comm[op[0]].note;
    if (i < 0 || i >= r->ops[event->purpose]) return NULL;
    const cb_comm_event *same = &r->comm[op[i]];
    return same->note == event->note && same->kind == event->kind ? same : NULL;
}

double cb_view_last(const cb_view *view, int rank, const cb_comm_event *event, int *who) {
    static const unsigned masks[CB_PURPOSES] = {
        [CB_FOR_TP] = CB_MASK(CB_TP),  [CB_FOR_DP] = CB_MASK(CB_DP), [CB_FOR_PP] = CB_MASK(CB_PP),
        [CB_FOR_EMB] = CB_MASK(CB_PP), [CB_FOR_WORLD] = CB_MASK_ALL,
    };
    double last_s = -INFINITY;
    const cb_mesh *mesh = &view->traced->mesh;
    if (event->peer >= 0) return last_s;
    cb_mesh_group(mesh, masks[event->purpose], rank, view->members);
    for (int i = 0; i < cb_mesh_group_size(mesh, masks[event->purpose]); i++) {
        int r = view->members[i];
        const cb_comm_event *same = r == rank ? NULL : same_op(view, r, event);
        if (!same || same->begin_s <= last_s) continue;
        last_s = same->begin_s;
        *who = r;
    }
    return last_s;
}

/* Instructions stand in the order of their stage's list. */
double cb_view_sent(const cb_view *view, int rank, int64_t instr, int *who) {
    const cb_traced *traced = view->traced;
    int stage, index;
    if (!cb_schedule_awaits(&traced->schedule, cb_traced_stage(traced, rank), (int)instr, &stage, &index)) {
        return -INFINITY;
    }
    *who = cb_traced_at_stage(traced, rank, stage);
    return view->rank[*who].instr[index].begin_s;
}

double cb_view_all_there(const cb_view *view, int rank, const cb_hold *hold) {
    int who;
    if (hold->comm < 0 || hold->use != CB_USE_PP) return hold->begin_s;
    double last_s = cb_view_last(view, rank, &view->rank[rank].comm[hold->comm], &who);
    return fmin(fmax(last_s, hold->begin_s), hold->end_s);
}
