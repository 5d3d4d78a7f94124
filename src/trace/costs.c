/* What computations, messages and the end of a step cost, as medians over one traced step. See analysis.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trace/view.h"

typedef struct sample {
    double *value;
    int64_t count;
} sample;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* 0 of nothing. */
static double median(sample *s) {
    if (s->count == 0) return 0;
    qsort(s->value, (size_t)s->count, sizeof *s->value, ascending);
    return (s->value[(s->count - 1) / 2] + s->value[s->count / 2]) / 2;
}

/* How long messages between stages, and what is agreed between them, held the rank up from begin_s to end_s. */
static double held_by_stages(const cb_view *view, int rank, double begin_s, double end_s) {
    const cb_view_rank *r = &view->rank[rank];
    double sum_s = 0;
    for (int64_t i = cb_view_hold(r, end_s); i >= 0 && r->hold[i].begin_s >= begin_s; i--) {
        if (r->hold[i].use == CB_USE_PP) sum_s += r->hold[i].end_s - r->hold[i].begin_s;
    }
    return sum_s;
}

/* The instructions of a kind and chunk on all ranks of a stage. */
static double instr_cost(const cb_view *view, sample *s, int stage, int kind, int chunk) {
    s->count = 0;
    for (int rank = 0; rank < view->traced->mesh.ranks; rank++) {
        const cb_view_rank *r = &view->rank[rank];
        if (cb_traced_stage(view->traced, rank) != stage) continue;
        for (int64_t i = 0; i < r->step->instrs; i++) {
            const cb_event *e = &r->instr[i];
            if (e->kind != kind || e->chunk != chunk) continue;
            s->value[s->count++] = e->end_s - e->begin_s - held_by_stages(view, rank, e->begin_s, e->end_s);
        }
    }
    return median(s);
}

/* Of messages that were sent while their receiver waited; if there was none, the fastest of the others, which is too
 * long: their ends were not noticed at once. */
static double message_cost(const cb_view *view, sample *s) {
    double fastest_s = INFINITY;
    s->count = 0;
    for (int rank = 0; rank < view->traced->mesh.ranks; rank++) {
        const cb_view_rank *r = &view->rank[rank];
        for (int64_t i = 0; i < r->step->instrs; i++) {
            const cb_event *e = &r->instr[i];
            int who;
            if (e->kind != CB_RECV_F && e->kind != CB_RECV_B) continue;
            double sent_s = cb_view_sent(view, rank, i, &who), took_s = e->end_s - sent_s;
            if (took_s < 0) continue; /* clocks are that far apart */
            if (sent_s > e->begin_s)
                s->value[s->count++] = took_s;
            else
                fastest_s = fmin(fastest_s, took_s);
        }
    }
    return s->count ? median(s) : isfinite(fastest_s) ? fastest_s : 0;
}

/* Zeroing, reductions and the optimizer of each rank, without what other stages held up. */
static double step_cost(const cb_view *view, sample *s) {
    s->count = 0;
    for (int rank = 0; rank < view->traced->mesh.ranks; rank++) {
        const cb_view_rank *r = &view->rank[rank];
        double sum_s = 0;
        for (int64_t i = 0; i < r->step->instrs; i++) {
            const cb_event *e = &r->instr[i];
            if (e->kind < CB_REDUCE_GRADS) continue;
            sum_s += e->end_s - e->begin_s - held_by_stages(view, rank, e->begin_s, e->end_s);
        }
        for (int64_t i = 0; i < r->step->spans; i++) {
            if (r->span[i].part == CB_TRACED_ZERO) sum_s += r->span[i].end_s - r->span[i].begin_s;
        }
        s->value[s->count++] = sum_s;
    }
    return median(s);
}

cb_err cb_traced_costs(const cb_traced *traced, int step, double *cost, cb_durations *d) {
    cb_view view;
    int stages = traced->schedule.stages, chunks = traced->schedule.chunks, cells = stages * chunks;
    int64_t most = traced->mesh.ranks;
    TRY(cb_view_make(&view, traced, step));
    for (int rank = 0; rank < traced->mesh.ranks; rank++) most += view.rank[rank].step->instrs;
    sample s = {.value = malloc((size_t)most * sizeof *s.value)};
    if (!s.value) {
        cb_view_free(&view);
        return cb_fail(CB_ENOMEM, "no memory for the times of %lld instructions", (long long)most);
    }
    for (int kind = CB_F; kind <= CB_W; kind++) {
        for (int i = 0; i < cells; i++) cost[kind * cells + i] = instr_cost(&view, &s, i / chunks, kind, i % chunks);
    }
    *d = (cb_durations){.f_s = cost, .b_s = cost + cells, .w_s = cost + 2 * cells, .per_chunk = true};
    d->message_s = message_cost(&view, &s);
    d->step_s = step_cost(&view, &s);
    free(s.value);
    cb_view_free(&view);
    return CB_OK;
}

static json_t *by_stage(const cb_schedule *schedule, const cb_durations *d, cb_instr_kind kind) {
    json_t *array = json_array();
    for (int i = 0; i < schedule->stages; i++) {
        json_array_append_new(array, json_real(cb_durations_of_stage(schedule, d, kind, i)));
    }
    return array;
}

json_t *cb_durations_json(const cb_schedule *schedule, const cb_durations *d) {
    json_t *o = json_object();
    json_object_set_new(o, "F_s", by_stage(schedule, d, CB_F));
    json_object_set_new(o, "B_s", by_stage(schedule, d, CB_B));
    if (schedule->split_backward) json_object_set_new(o, "W_s", by_stage(schedule, d, CB_W));
    json_object_set_new(o, "message_s", json_real(d->message_s));
    json_object_set_new(o, "end_of_step_s", json_real(d->step_s));
    return o;
}
