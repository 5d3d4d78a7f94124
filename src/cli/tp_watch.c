/* Seeing what a rank does; see tp_watch.h. A watch is its first member, so that the operations find it. */
#include "cli/tp_watch.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

static void begin(cb_around *around) {
    ((cb_tp_watch *)(void *)around)->begin_s = cb_now_s();
}

/* Forward multiplies with the transposed weights, a weight gradient transposes what came in. */
static cb_tp_work work_of(const cb_op *op) {
    if (op->kind != CB_OP_PRODUCT) return CB_TP_ELEMENTWISE;
    return op->gemm->ta ? CB_TP_WEIGHT_GRADIENT : op->gemm->tb ? CB_TP_FORWARD : CB_TP_DATA_GRADIENT;
}

static void end(cb_around *around, const cb_op *op) {
    cb_tp_watch *w = (cb_tp_watch *)(void *)around;
    if (w->spans == CB_TP_MOST_SPANS) return;
    w->span[w->spans++] = (cb_tp_span){work_of(op), w->begin_s, cb_now_s()};
}

void cb_tp_watch_begin(cb_tp_watch *w, cb_compute *real, cb_comm *comm) {
    cb_compute compute = {.ops = cb_around_ops(), .threads = real->threads};
    *w = (cb_tp_watch){.around = {.compute = compute, .inner = real, .begin = begin, .end = end}};
    w->recorder = (cb_comm_recorder){.event = w->event, .capacity = CB_TP_MOST_EVENTS};
    cb_comm_record(comm, &w->recorder);
}

/* Of the time from begin_s to end_s, in which the rank computed. */
static double computing_s(const cb_tp_watch *w, double begin_s, double end_s) {
    double sum_s = 0;
    for (int i = 0; i < w->spans; i++) {
        sum_s += fmax(0, fmin(end_s, w->span[i].end_s) - fmax(begin_s, w->span[i].begin_s));
    }
    return sum_s;
}

static int ascending(const void *a, const void *b) {
    const cb_tp_step *x = a, *y = b;
    return (x->begin_s > y->begin_s) - (x->begin_s < y->begin_s);
}

int cb_tp_watch_steps(const cb_tp_watch *w, cb_tp_step steps[CB_TP_MOST_STEPS]) {
    int n = 0;
    for (int i = 0; i < w->spans && n < CB_TP_MOST_STEPS; i++) {
        const cb_tp_span *s = &w->span[i];
        if (i && s->work == CB_TP_ELEMENTWISE && s[-1].work == s->work) {
            steps[n - 1].end_s = s->end_s; /* the shards', one after the other */
            continue;
        }
        steps[n++] = (cb_tp_step){.work = s->work, .begin_s = s->begin_s, .end_s = s->end_s};
    }
    for (int64_t i = 0; i < w->recorder.count && n < CB_TP_MOST_STEPS; i++) {
        const cb_comm_event *e = &w->event[i];
        steps[n++] = (cb_tp_step){.work = CB_TP_COLLECTIVE,
                                  .kind = e->kind,
                                  .bytes = e->bytes,
                                  .begin_s = e->begin_s,
                                  .end_s = e->end_s,
                                  .beside_s = computing_s(w, e->begin_s, e->end_s)};
    }
    qsort(steps, (size_t)n, sizeof *steps, ascending);
    return n;
}

const char *cb_tp_step_name(const cb_tp_step *step) {
    static const char *const names[] = {"product", "data gradient", "weight gradient", "GELU"};
    return step->work == CB_TP_COLLECTIVE ? cb_kind_name((cb_kind)step->kind) : names[step->work];
}

static int32_t kind_of(const cb_tp_step *s) {
    return (int32_t)s->work + (s->work == CB_TP_COLLECTIVE ? s->kind : 0);
}

static cb_event event_of(const cb_tp_step *s, int rank, int number, double from_s) {
    return (cb_event){.row = 2 * rank + (s->work == CB_TP_COLLECTIVE),
                      .kind = kind_of(s),
                      .micro_batch = number,
                      .begin_s = s->begin_s - from_s,
                      .end_s = s->end_s - from_s};
}

/* Names and colours of what is drawn. */
static void name_kinds(cb_tp_picture *p) {
    static const cb_fill works[] = {CB_FILL_F, CB_FILL_B, CB_FILL_W, CB_FILL_STEP};
    for (int i = 0; i < CB_TP_COLLECTIVE; i++)
        p->kind[i] = (cb_timeline_kind){cb_tp_step_name(&(cb_tp_step){.work = (cb_tp_work)i}), works[i]};
    static const cb_fill operations[CB_KINDS] = {[CB_ALL_REDUCE] = CB_FILL_REDUCE,
                                                 [CB_ALL_GATHER] = CB_FILL_GATHER,
                                                 [CB_REDUCE_SCATTER] = CB_FILL_SCATTER}; /* others: CB_FILL_WAIT */
    for (int i = 0; i < CB_KINDS; i++)
        p->kind[CB_TP_COLLECTIVE + i] = (cb_timeline_kind){cb_kind_name((cb_kind)i), operations[i]};
}

/* "forward: 0 product, 1 all-reduce", and a line for the backward pass. */
static void note_steps(cb_tp_picture *p, const cb_tp_step *steps, int n, double turn_s) {
    size_t used = 0, room = sizeof p->note;
    for (int i = 0; i < n && used < room; i++) {
        bool back = steps[i].begin_s >= turn_s, first = i == 0 || (back && steps[i - 1].begin_s < turn_s);
        const char *before = !first ? ", " : back ? "\nbackward: " : "forward: ";
        used += (size_t)snprintf(p->note + used, room - used, "%s%d %s", before, i, cb_tp_step_name(&steps[i]));
    }
}

static cb_err allocate(cb_tp_picture *p, int ranks) {
    p->events = calloc((size_t)ranks * CB_TP_MOST_STEPS, sizeof *p->events);
    p->name = calloc((size_t)ranks, sizeof *p->name);
    p->rows = calloc(2 * (size_t)ranks, sizeof *p->rows);
    if (p->events && p->name && p->rows) return CB_OK;
    cb_tp_picture_free(p);
    return cb_fail(CB_ENOMEM, "no memory to draw %d ranks", ranks);
}

cb_err cb_tp_picture_make(cb_tp_picture *p, const char *title, const cb_tp_watch *watch, int ranks) {
    *p = (cb_tp_picture){.timeline = {.title = p->title, .rows = 2 * ranks, .words = &p->words}};
    p->words = (cb_timeline_words){.kind = p->kind,
                                   .kinds = CB_TP_COLLECTIVE + CB_KINDS,
                                   .waiting = "waiting",
                                   .numbers = "step",
                                   .note = p->note};
    snprintf(p->title, sizeof p->title, "%s", title);
    name_kinds(p);
    TRY(allocate(p, ranks));
    double from_s = watch[0].spans ? watch[0].span[0].begin_s : 0;
    for (int r = 0; r < ranks; r++) {
        cb_tp_step steps[CB_TP_MOST_STEPS];
        int n = cb_tp_watch_steps(&watch[r], steps);
        if (r == 0) note_steps(p, steps, n, watch[0].turn_s);
        for (int i = 0; i < n; i++) p->events[p->timeline.count++] = event_of(&steps[i], r, i, from_s);
        snprintf(p->name[r], sizeof p->name[r], "rank %d", r);
        p->rows[2 * r] = p->name[r];
        p->rows[2 * r + 1] = "operations";
    }
    p->timeline.events = p->events;
    p->timeline.row_names = p->rows;
    return CB_OK;
}

void cb_tp_picture_free(cb_tp_picture *p) {
    free(p->events);
    free(p->name);
    free(p->rows);
    *p = (cb_tp_picture){0};
}
