/* A rank's time by use: what its instructions took, less what held it up in them, and the time between. See analysis.h.
 */
#include <math.h>
#include <string.h>

#include "trace/view.h"

static bool is_receive(int32_t kind) {
    return kind == CB_RECV_F || kind == CB_RECV_B;
}
static bool is_message(int32_t kind) {
    return is_receive(kind) || kind == CB_SEND_F || kind == CB_SEND_B;
}

/* Waiting for a message until it was sent is bubble, the rest is communication. */
static void add_message(const cb_view *view, int rank, int64_t i, double time_s[CB_USES]) {
    const cb_event *e = &view->rank[rank].instr[i];
    int who;
    double sent_s = is_receive(e->kind) ? cb_view_sent(view, rank, i, &who) : -INFINITY;
    double there_s = fmin(fmax(sent_s, e->begin_s), e->end_s);
    time_s[CB_USE_BUBBLE] += there_s - e->begin_s;
    time_s[CB_USE_PP] += e->end_s - there_s;
}

/* What instructions take by themselves goes to this use. */
static cb_use own_use(int32_t kind) {
    return kind <= CB_W ? CB_USE_COMPUTE : CB_USE_OPTIMIZER;
}

static void add_instrs(const cb_view *view, int rank, double time_s[CB_USES]) {
    const cb_view_rank *r = &view->rank[rank];
    double at_s = view->begin_s;
    for (int64_t i = 0; i < r->step->instrs; i++) {
        const cb_event *e = &r->instr[i];
        time_s[CB_USE_BUBBLE] += e->begin_s - at_s;
        at_s = e->end_s;
        if (is_message(e->kind))
            add_message(view, rank, i, time_s);
        else
            time_s[own_use(e->kind)] += e->end_s - e->begin_s;
    }
    time_s[CB_USE_BUBBLE] += view->end_s - at_s;
}

/* A hold within an instruction, or between two, was counted to that one's use. */
static void add_hold(const cb_view *view, int rank, const cb_hold *hold, double time_s[CB_USES]) {
    const cb_view_rank *r = &view->rank[rank];
    int64_t i = cb_view_instr(r, hold->begin_s, true);
    bool inside = i >= 0 && hold->begin_s < r->instr[i].end_s;
    if (inside && is_message(r->instr[i].kind)) return;
    double there_s = cb_view_all_there(view, rank, hold);
    time_s[inside ? own_use(r->instr[i].kind) : CB_USE_BUBBLE] -= hold->end_s - hold->begin_s;
    time_s[CB_USE_BUBBLE] += there_s - hold->begin_s;
    time_s[hold->use] += hold->end_s - there_s;
}

/* Operations are moved on from within computations. */
static void add_moving(const cb_view_rank *r, double time_s[CB_USES]) {
    for (int64_t i = 0; i < r->step->comms; i++) {
        time_s[CB_USE_COMPUTE] -= r->comm[i].beside_s;
        time_s[cb_use_of_purpose(r->comm[i].purpose)] += r->comm[i].beside_s;
    }
}

cb_err cb_traced_breakdown(const cb_traced *traced, int step, double *time_s) {
    cb_view view;
    TRY(cb_view_make(&view, traced, step));
    memset(time_s, 0, (size_t)traced->mesh.ranks * CB_USES * sizeof *time_s);
    for (int rank = 0; rank < traced->mesh.ranks; rank++) {
        double *mine = time_s + (int64_t)rank * CB_USES;
        add_instrs(&view, rank, mine);
        for (int64_t i = 0; i < view.rank[rank].holds; i++) add_hold(&view, rank, &view.rank[rank].hold[i], mine);
        add_moving(&view.rank[rank], mine);
    }
    cb_view_free(&view);
    return CB_OK;
}
