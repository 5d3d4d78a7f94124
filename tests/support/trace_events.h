/* Holds a trace against the trace-event format (Google, "Trace Event Format", JSON Object Format): the one check of all
 * trace events that Cuboid writes, for test programs and for support/outputs.c. Beyond the format it wants what viewers
 * need to show a picture: complete events that nest on their thread, and a name for each thread that has one. */
#ifndef CB_TESTS_SUPPORT_TRACE_EVENTS_H
#define CB_TESTS_SUPPORT_TRACE_EVENTS_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct trace_events {
    int complete, threads, processes; /* complete events; names of threads, of processes */
    char wrong[200];                  /* what is not as it should be, or empty */
} trace_events;

typedef struct trace_slice {
    long long pid, tid, begin_ns, end_ns;
    const char *name;
} trace_slice;

static inline bool trace_wrong_(trace_events *t, size_t i, const char *what, const char *name) {
    snprintf(t->wrong, sizeof t->wrong, "event %zu (%.80s): %s", i, name ? name : "no name", what);
    return false;
}

static inline bool trace_name_event_(trace_events *t, size_t i, const json_t *event, const char *name) {
    const json_t *args = json_object_get(event, "args"), *order = json_object_get(args, "sort_index");
    bool process = strcmp(name, "process_name") == 0, thread = strcmp(name, "thread_name") == 0;
    t->processes += process;
    t->threads += thread;
    if (process || thread) {
        return json_is_string(json_object_get(args, "name")) || trace_wrong_(t, i, "names nothing", name);
    }
    bool sorts = strcmp(name, "process_sort_index") == 0 || strcmp(name, "thread_sort_index") == 0;
    return (sorts && json_is_integer(order)) || trace_wrong_(t, i, "is no metadata event of the format", name);
}

/* Times are in microseconds with up to three digits behind the point. */
static inline bool trace_complete_event_(trace_events *t, size_t i, const json_t *event, trace_slice *slice) {
    const json_t *begin = json_object_get(event, "ts"), *length = json_object_get(event, "dur");
    const char *name = slice->name;
    if (!json_is_number(begin) || json_number_value(begin) < 0) return trace_wrong_(t, i, "no ts from 0 on", name);
    if (!json_is_number(length) || json_number_value(length) < 0) return trace_wrong_(t, i, "no dur from 0 on", name);
    if (!json_is_string(json_object_get(event, "cat"))) return trace_wrong_(t, i, "no category", name);
    slice->begin_ns = llround(1000 * json_number_value(begin));
    slice->end_ns = slice->begin_ns + llround(1000 * json_number_value(length));
    t->complete++;
    return true;
}

static inline int trace_by_place_(const void *a, const void *b) {
    const trace_slice *x = a, *y = b;
    if (x->pid != y->pid) return x->pid < y->pid ? -1 : 1;
    if (x->tid != y->tid) return x->tid < y->tid ? -1 : 1;
    if (x->begin_ns != y->begin_ns) return x->begin_ns < y->begin_ns ? -1 : 1;
    return (x->end_ns < y->end_ns) - (x->end_ns > y->end_ns); /* what encloses first */
}

/* Each slice of a thread begins behind the one before it or ends within the innermost that is still open. */
static inline bool trace_nests_(trace_events *t, trace_slice *slice, int count) {
    enum { MOST_DEPTH = 16 };
    const trace_slice *open[MOST_DEPTH];
    int depth = 0;
    if (count) qsort(slice, (size_t)count, sizeof *slice, trace_by_place_);
    for (int i = 0; i < count; i++) {
        const trace_slice *s = &slice[i];
        while (depth && (open[depth - 1]->pid != s->pid || open[depth - 1]->tid != s->tid ||
                         open[depth - 1]->end_ns <= s->begin_ns))
            depth--;
        if (depth && s->end_ns > open[depth - 1]->end_ns) {
            snprintf(t->wrong, sizeof t->wrong, "%.60s at %lld ns overlaps %.60s (process %lld, thread %lld)", s->name,
                     s->begin_ns, open[depth - 1]->name, s->pid, s->tid);
            return false;
        }
        if (depth == MOST_DEPTH) return trace_wrong_(t, (size_t)i, "is nested too deeply", s->name);
        open[depth++] = s;
    }
    return true;
}

static inline bool trace_all_(trace_events *t, const json_t *events, trace_slice *slices) {
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event) {
        const char *phase = json_string_value(json_object_get(event, "ph")),
                   *name = json_string_value(json_object_get(event, "name"));
        const json_t *pid = json_object_get(event, "pid"), *tid = json_object_get(event, "tid");
        trace_slice slice = {json_integer_value(pid), json_integer_value(tid), 0, 0, name};
        if (!name) return trace_wrong_(t, i, "a name is missing", name);
        if (!json_is_integer(pid) || !json_is_integer(tid)) return trace_wrong_(t, i, "no process, no thread", name);
        if (phase && strcmp(phase, "M") == 0) {
            if (!trace_name_event_(t, i, event, name)) return false;
        } else if (phase && strcmp(phase, "X") == 0) {
            if (!trace_complete_event_(t, i, event, &slice)) return false;
            slices[t->complete - 1] = slice;
        } else {
            return trace_wrong_(t, i, "neither a complete event nor metadata", name);
        }
    }
    return trace_nests_(t, slices, t->complete);
}

/* True: it is a trace as it should be; else t->wrong says what is not. */
static inline bool trace_events_check(trace_events *t, const json_t *trace) {
    const json_t *events = json_object_get(trace, "traceEvents");
    *t = (trace_events){0};
    if (!json_is_array(events)) {
        snprintf(t->wrong, sizeof t->wrong, "there is no array traceEvents");
        return false;
    }
    trace_slice *slices = calloc(json_array_size(events) + 1, sizeof *slices);
    bool good = slices && trace_all_(t, events, slices);
    int named = 0;
    for (int i = 0; good && i < t->complete; i++) {
        named += i == 0 || slices[i].pid != slices[i - 1].pid || slices[i].tid != slices[i - 1].tid;
    }
    if (good && named > t->threads) {
        snprintf(t->wrong, sizeof t->wrong, "%d threads have events, %d have names", named, t->threads);
        good = false;
    }
    free(slices);
    return good;
}

#endif
