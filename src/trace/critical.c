/* The critical path of a traced step: a walk back in time, on the rank that what comes later was waiting for. Each part
 * ends where the one after it begins, so they add up to the step's time whatever the trace holds. See analysis.h. */
#include <math.h>
#include <stdlib.h>

#include "trace/view.h"

typedef struct walk {
    cb_view view;
    int rank;
    double time_s; /* all from here on is explained */
    int jumps;     /* to other ranks since time moved last */
    cb_critical_part *parts;
    int64_t count, room;
    cb_err error;
} walk;

/* Explains the time from begin_s, which the walk goes on from. Parts of one rank and use that meet are one. */
static void explain(walk *w, cb_use use, double begin_s) {
    if (begin_s >= w->time_s || w->error) return;
    cb_critical_part *last = w->count ? &w->parts[w->count - 1] : NULL;
    double end_s = w->time_s;
    w->time_s = begin_s;
    w->jumps = 0;
    if (last && last->rank == w->rank && last->use == use) {
        last->begin_s = begin_s;
        return;
    }
    if (w->count == w->room) {
        w->room = w->room ? 2 * w->room : 256;
        cb_critical_part *more = realloc(w->parts, (size_t)w->room * sizeof *more);
        if (!more) {
            w->error = cb_fail(CB_ENOMEM, "no memory for a path of %lld parts", (long long)w->room);
            return;
        }
        w->parts = more;
    }
    w->parts[w->count++] = (cb_critical_part){.rank = w->rank, .use = use, .begin_s = begin_s, .end_s = end_s};
}

/* From begin_s on the rank was held up. Was it for another, who came only at came_s? Then the walk goes on there. */
static void explain_hold(walk *w, cb_use use, double begin_s, double came_s, int who) {
    bool jumps = came_s > begin_s && came_s <= w->time_s && w->jumps < w->view.traced->mesh.ranks;
    explain(w, use, jumps ? came_s : begin_s);
    if (!jumps) return;
    w->rank = who;
    w->jumps++;
}

/* The last hold of the rank that ends by the walk's time and begins at begin_s or later, or NULL. */
static const cb_hold *last_hold(const walk *w, double begin_s) {
    const cb_view_rank *r = &w->view.rank[w->rank];
    int64_t last = cb_view_hold(r, w->time_s);
    return last >= 0 && r->hold[last].begin_s >= begin_s ? &r->hold[last] : NULL;
}

/* Time in which nothing but holds is known, from begin_s on, is of this use. */
static void explain_piece(walk *w, cb_use use, double begin_s) {
    const cb_hold *hold = last_hold(w, begin_s);
    int who = 0;
    if (!hold) {
        explain(w, use, begin_s);
        return;
    }
    explain(w, use, hold->end_s);
    double came_s = -INFINITY;
    if (hold->comm >= 0) {
        came_s = cb_view_last(&w->view, w->rank, &w->view.rank[w->rank].comm[hold->comm], &who);
    }
    explain_hold(w, hold->use, hold->begin_s, came_s, who);
}

static void explain_instr(walk *w, int64_t i) {
    const cb_event *e = &w->view.rank[w->rank].instr[i];
    int who = 0;
    switch (e->kind) {
    case CB_RECV_F:
    case CB_RECV_B: {
        double sent_s = cb_view_sent(&w->view, w->rank, i, &who);
        explain_hold(w, CB_USE_PP, e->begin_s, sent_s, who);
        return;
    }
    case CB_SEND_F:
    case CB_SEND_B:
        explain(w, CB_USE_PP, e->begin_s);
        return;
    default:
        explain_piece(w, e->kind <= CB_W ? CB_USE_COMPUTE : CB_USE_OPTIMIZER, e->begin_s);
    }
}

static void go_back(walk *w) {
    const cb_view_rank *r = &w->view.rank[w->rank];
    int64_t i = cb_view_instr(r, w->time_s, false);
    double end_s = i >= 0 ? r->instr[i].end_s : r->step->begin_s;
    if (w->time_s > end_s)
        explain_piece(w, CB_USE_BUBBLE, end_s);
    else if (i >= 0)
        explain_instr(w, i);
    else
        explain(w, CB_USE_BUBBLE, w->view.begin_s);
}

static int last_rank(const cb_view *view) {
    int last = 0;
    for (int r = 1; r < view->traced->mesh.ranks; r++) {
        if (view->rank[r].step->end_s > view->rank[last].step->end_s) last = r;
    }
    return last;
}

static void reverse(cb_critical_part *parts, int64_t count) {
    for (int64_t i = 0, j = count - 1; i < j; i++, j--) {
        cb_critical_part part = parts[i];
        parts[i] = parts[j];
        parts[j] = part;
    }
}

cb_err cb_traced_critical(const cb_traced *traced, int step, cb_critical_part **parts, int64_t *count) {
    walk w = {0};
    TRY(cb_view_make(&w.view, traced, step));
    w.rank = last_rank(&w.view);
    w.time_s = w.view.end_s;
    while (w.time_s > w.view.begin_s && !w.error) go_back(&w);
    cb_view_free(&w.view);
    if (w.error) {
        free(w.parts);
        return w.error;
    }
    reverse(w.parts, w.count);
    *parts = w.parts;
    *count = w.count;
    return CB_OK;
}
