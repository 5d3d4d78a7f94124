/* Timelines worked out for drawing, the meaning of an instruction's kind in pictures, and the bubble. See layout.h. */
#include "timeline/layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const cb_fill_style *cb_fill_style_of(cb_fill fill) {
    static const cb_fill_style styles[CB_FILLS] = {
        [CB_FILL_WAIT] = {"waiting, messages", "#e4e8ec", {0, 0}, '.', false},
        [CB_FILL_F] = {"forward", "#93bdea", {75, 111}, '0', true},
        [CB_FILL_B] = {"backward", "#f6b871", {215, 222}, 'a', true},
        [CB_FILL_W] = {"weight gradient", "#a9d8a3", {114, 157}, 'A', true},
        [CB_FILL_REDUCE] = {"gradient reduction", "#cbb6e8", {183, 183}, '+', false},
        [CB_FILL_GATHER] = {"all-gather", "#84d0cf", {116, 116}, '=', false},
        [CB_FILL_SCATTER] = {"reduce-scatter", "#e3d274", {186, 186}, '%', false},
        [CB_FILL_STEP] = {"optimizer", "#eb9aa8", {211, 211}, '#', false},
    };
    return &styles[fill];
}

cb_fill cb_fill_of(const cb_timeline *timeline, int32_t kind) {
    static const cb_fill fills[CB_INSTR_KINDS] = {
        [CB_F] = CB_FILL_F,       [CB_B] = CB_FILL_B, [CB_W] = CB_FILL_W, [CB_REDUCE_GRADS] = CB_FILL_REDUCE,
        [CB_STEP] = CB_FILL_STEP,
    };
    if (timeline->words && timeline->words->kind) return timeline->words->kind[kind].fill;
    return fills[kind]; /* the rest: CB_FILL_WAIT */
}

static cb_err check_event(const cb_timeline *timeline, int64_t i) {
    const cb_event *e = &timeline->events[i];
    if (e->row < 0 || e->row >= timeline->rows) {
        return cb_fail(CB_EINVAL, "timeline: event %lld is in row %d of %d", (long long)i, e->row, timeline->rows);
    }
    int kinds = timeline->words && timeline->words->kind ? timeline->words->kinds : CB_INSTR_KINDS;
    if (e->kind < 0 || e->kind >= kinds) {
        return cb_fail(CB_EINVAL, "timeline: event %lld is of kind %d; there are kinds 0 to %d", (long long)i, e->kind,
                       kinds - 1);
    }
    if (e->micro_batch < 0 && cb_fill_style_of(cb_fill_of(timeline, e->kind))->is_numbered) {
        return cb_fail(CB_EINVAL, "timeline: event %lld is of microbatch %d", (long long)i, e->micro_batch);
    }
    if (!isfinite(e->begin_s) || !isfinite(e->end_s) || e->end_s < e->begin_s) {
        return cb_fail(CB_EINVAL, "timeline: event %lld in row %d lasts from %g s to %g s", (long long)i, e->row,
                       e->begin_s, e->end_s);
    }
    return CB_OK;
}

static cb_err check_events(const cb_timeline *timeline) {
    if (timeline->rows < 1 || timeline->count < 1) {
        return cb_fail(CB_EINVAL, "timeline '%s': %d rows and %lld events; there is nothing to draw", timeline->title,
                       timeline->rows, (long long)timeline->count);
    }
    for (int64_t i = 0; i < timeline->count; i++) TRY(check_event(timeline, i));
    return CB_OK;
}

static void find_range(const cb_timeline *timeline, double *begin_s, double *end_s) {
    *begin_s = *end_s = timeline->count > 0 ? timeline->events[0].begin_s : 0;
    for (int64_t i = 0; i < timeline->count; i++) {
        *begin_s = fmin(*begin_s, timeline->events[i].begin_s);
        *end_s = fmax(*end_s, timeline->events[i].end_s);
    }
}

static int by_row_and_begin(const void *a, const void *b) {
    const cb_bar *x = a, *y = b;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    if (x->begin_s != y->begin_s) return x->begin_s < y->begin_s ? -1 : 1;
    return x->end_s < y->end_s ? -1 : x->end_s > y->end_s;
}

bool cb_drawing_has_number(const cb_drawing *layout, int32_t kind) {
    const cb_timeline_words *words = layout->timeline->words;
    return words && words->kind ? cb_fill_style_of(words->kind[kind].fill)->is_numbered : kind < CB_REDUCE_GRADS;
}

static void make_bars(cb_drawing *layout, double begin_s) {
    const cb_timeline *timeline = layout->timeline;
    for (int64_t i = 0; i < timeline->count; i++) {
        const cb_event *e = &timeline->events[i];
        cb_bar *bar = &layout->bars[i];
        cb_fill fill = cb_fill_of(timeline, e->kind);
        *bar =
            (cb_bar){.fill = fill,
                     .row = e->row,
                     .kind = e->kind,
                     .micro_batch = cb_drawing_has_number(layout, e->kind) && e->micro_batch > 0 ? e->micro_batch : 0,
                     .chunk = e->chunk,
                     .begin_s = e->begin_s - begin_s,
                     .end_s = e->end_s - begin_s};
        layout->occurs[bar->fill] |= bar->end_s > bar->begin_s;
        layout->has_chunks |= fill != CB_FILL_WAIT && bar->chunk > 0;
        layout->row_begin[e->row + 1]++;
    }
    qsort(layout->bars, (size_t)timeline->count, sizeof *layout->bars, by_row_and_begin);
    for (int row = 0; row < timeline->rows; row++) layout->row_begin[row + 1] += layout->row_begin[row];
}

static void choose_unit(cb_drawing *layout) {
    bool is_s = layout->span_s >= 1, is_ms = layout->span_s >= 1e-3;
    layout->unit = is_s ? "s" : is_ms ? "ms" : "us";
    layout->unit_s = is_s ? 1 : is_ms ? 1e-3 : 1e-6;
}

cb_err cb_drawing_make(cb_drawing *layout, const cb_timeline *timeline) {
    *layout = (cb_drawing){.timeline = timeline};
    TRY(check_events(timeline));
    double begin_s, end_s;
    find_range(timeline, &begin_s, &end_s);
    layout->begin_s = begin_s;
    layout->span_s = fmax(timeline->span_s, end_s > begin_s ? end_s - begin_s : 1e-9);
    choose_unit(layout);
    layout->bars = malloc((size_t)timeline->count * sizeof *layout->bars);
    layout->row_begin = calloc((size_t)timeline->rows + 1, sizeof *layout->row_begin);
    if (!layout->bars || !layout->row_begin) {
        cb_drawing_free(layout);
        return cb_fail(CB_ENOMEM, "not enough memory to draw %lld events", (long long)timeline->count);
    }
    make_bars(layout, begin_s);
    return CB_OK;
}

void cb_drawing_free(cb_drawing *layout) {
    free(layout->bars);
    free(layout->row_begin);
    *layout = (cb_drawing){0};
}

double cb_drawing_tick_s(const cb_drawing *layout, int most) {
    double least = layout->span_s / layout->unit_s / (most > 0 ? most : 1);
    double power = pow(10, floor(log10(least)));
    /* Not quite exact division must not push 1.0000000001 to the next rung. */
    double rung = least / power <= 1 + 1e-9 ? 1 : least / power <= 2 + 1e-9 ? 2 : least / power <= 5 + 1e-9 ? 5 : 10;
    return rung * power * layout->unit_s;
}

const char *cb_drawing_row_name(const cb_drawing *layout, int row) {
    const char *const *names = layout->timeline->row_names;
    return names && names[row] ? names[row] : "";
}

int cb_drawing_longest_name(const cb_drawing *layout) {
    size_t longest = 0;
    for (int row = 0; row < layout->timeline->rows; row++) {
        size_t length = strlen(cb_drawing_row_name(layout, row));
        if (length > longest) longest = length;
    }
    return (int)longest;
}

const char *cb_drawing_fill_name(const cb_drawing *layout, cb_fill fill) {
    const cb_timeline_words *words = layout->timeline->words;
    if (words && words->waiting && fill == CB_FILL_WAIT) return words->waiting;
    for (int i = 0; words && words->kind && i < words->kinds; i++)
        if (words->kind[i].fill == fill) return words->kind[i].name;
    return cb_fill_style_of(fill)->name;
}

const char *cb_drawing_numbers(const cb_drawing *layout) {
    return layout->timeline->words ? layout->timeline->words->numbers : "microbatch";
}

char *cb_drawing_summary(const cb_drawing *layout, char out[64]) {
    double begin_s, end_s;
    find_range(layout->timeline, &begin_s, &end_s);
    int used = snprintf(out, 64, "%.4g %s", fmax(end_s - begin_s, 1e-9) / layout->unit_s, layout->unit);
    if (!layout->timeline->words)
        snprintf(out + used, 64 - (size_t)used, ", bubble %.1f%%", 100 * cb_timeline_bubble(layout->timeline));
    return out;
}

double cb_timeline_bubble(const cb_timeline *timeline) {
    double begin_s, end_s, busy_s = 0;
    find_range(timeline, &begin_s, &end_s);
    if (end_s <= begin_s || timeline->rows < 1) return 0;
    for (int64_t i = 0; i < timeline->count; i++) {
        const cb_event *e = &timeline->events[i];
        if (cb_fill_of(timeline, e->kind) != CB_FILL_WAIT) busy_s += e->end_s - e->begin_s;
    }
    return 1 - busy_s / (timeline->rows * (end_s - begin_s));
}

cb_err cb_timeline_of_schedule(const cb_schedule *schedule, cb_span *const *spans, cb_event **events, int64_t *count) {
    int64_t n = 0;
    for (int stage = 0; stage < schedule->stages; stage++) n += schedule->list[stage].count;
    *events = malloc((size_t)(n ? n : 1) * sizeof **events);
    if (!*events) return cb_fail(CB_ENOMEM, "not enough memory for %lld events", (long long)n);
    *count = n;
    cb_event *to = *events;
    for (int stage = 0; stage < schedule->stages; stage++) {
        for (int i = 0; i < schedule->list[stage].count; i++) {
            cb_instr it = schedule->list[stage].at[i];
            cb_span span = spans[stage][i];
            *to++ = (cb_event){.row = stage,
                               .kind = (int32_t)it.kind,
                               .micro_batch = it.micro_batch,
                               .chunk = it.chunk,
                               .begin_s = span.begin_s,
                               .end_s = span.end_s};
        }
    }
    return CB_OK;
}
