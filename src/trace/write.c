/* Traced steps as a trace-event file. A complete event ("X") has its place in time in microseconds, here with
 * nanoseconds behind the point: begin and end are rounded before the length is taken, so what lies within something
 * else still does. Operations and messages that overlap stand on threads of their own ("lanes"), as the events of a
 * thread have to nest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trace/format.h"

enum { MOST_LANES = 64, LEAST_BESIDE_NS = 1000 };

typedef struct writer {
    const cb_traced *traced;
    FILE *to;
    bool follows; /* an event is there before: a comma comes first */
} writer;

static int64_t ns(double seconds) {
    return llround(seconds * 1e9);
}

static void put_us(FILE *to, const char *key, int64_t time_ns) {
    fprintf(to, ",\"%s\":%lld.%03d", key, (long long)(time_ns / 1000), (int)(time_ns % 1000));
}

/* The begin of an event; what is left of it follows, and "}". */
static void put_head(writer *w, const char *phase, int rank, int thread, const char *name) {
    fprintf(w->to, "%s{\"ph\":\"%s\",\"pid\":%d,\"tid\":%d,\"name\":\"%s\"", w->follows ? ",\n" : "", phase, rank,
            thread, name);
    w->follows = true;
}

static void put_complete(writer *w, int rank, int thread, const char *name, const char *category, double begin_s,
                         double end_s) {
    put_head(w, "X", rank, thread, name);
    fprintf(w->to, ",\"cat\":\"%s\"", category);
    put_us(w->to, "ts", ns(begin_s));
    put_us(w->to, "dur", ns(end_s) - ns(begin_s));
}

static void put_name(writer *w, const char *what, int rank, int thread, const char *name) {
    put_head(w, "M", rank, thread, what);
    fprintf(w->to, ",\"args\":{\"name\":\"%s\"}}", name);
}

static void put_order(writer *w, const char *what, int rank, int thread, int order) {
    put_head(w, "M", rank, thread, what);
    fprintf(w->to, ",\"args\":{\"sort_index\":%d}}", order);
}

static void put_step(writer *w, int rank, int i) {
    const cb_traced_step *step = &w->traced->rank[rank].step[i];
    char name[32];
    snprintf(name, sizeof name, "step %lld", (long long)w->traced->step[i]);
    put_complete(w, rank, 0, name, CB_TRACE_STEP, step->begin_s, step->end_s);
    fprintf(w->to, ",\"args\":{\"step\":%lld}}", (long long)w->traced->step[i]);
}

static void put_span(writer *w, int rank, int64_t step, const cb_traced_span *span) {
    const char *name = cb_traced_part_name((cb_traced_part)span->part);
    put_complete(w, rank, 0, name, CB_TRACE_PART, span->begin_s, span->end_s);
    fprintf(w->to, ",\"args\":{\"step\":%lld}}", (long long)step);
}

static void put_instr(writer *w, int rank, int64_t step, const cb_event *e) {
    char name[24];
    cb_instr instr = {.kind = (cb_instr_kind)e->kind, .micro_batch = e->micro_batch, .chunk = e->chunk};
    put_complete(w, rank, 0, cb_instr_text(&w->traced->schedule, instr, name), cb_timeline_category(e->kind),
                 e->begin_s, e->end_s);
    fprintf(w->to, ",\"args\":{\"step\":%lld,\"instr\":\"%s\"", (long long)step, name);
    if (e->kind < CB_REDUCE_GRADS) fprintf(w->to, ",\"microbatch\":%d,\"chunk\":%d", e->micro_batch, e->chunk);
    fputs("}}", w->to);
}

/* Zeroing comes before the instructions, data within F: written so that what encloses comes first. */
static void put_main_thread(writer *w, int rank) {
    const cb_traced_rank *r = &w->traced->rank[rank];
    for (int i = 0; i < w->traced->steps; i++) {
        const cb_traced_step *step = &r->step[i];
        int64_t span = step->span, number = w->traced->step[i];
        put_step(w, rank, i);
        for (int64_t k = step->instr; k < step->instr + step->instrs; k++) {
            for (; span < step->span + step->spans && r->span[span].begin_s < r->instr[k].begin_s; span++) {
                put_span(w, rank, number, &r->span[span]);
            }
            put_instr(w, rank, number, &r->instr[k]);
        }
        for (; span < step->span + step->spans; span++) put_span(w, rank, number, &r->span[span]);
    }
}

/* "all-reduce", "send 3 to d0 p1 t0": of a message the microbatch, times the chunks plus the chunk. */
static const char *comm_name(const cb_traced *traced, const cb_comm_event *e, char out[96]) {
    char peer[48];
    if (e->peer < 0) return cb_kind_name((cb_kind)e->kind);
    snprintf(out, 96, "%s %d %s %s", e->is_send ? "send" : "receive", e->note, e->is_send ? "to" : "from",
             cb_mesh_name(&traced->mesh, e->peer, peer));
    return out;
}

/* What was not waited for has its wait at its end. The four times are in the file as begin and lengths, from which
 * cb_traced_read makes them again; where something went on beside an operation, a slice within its own shows the wait.
 */
static void put_comm(writer *w, int rank, int thread, int64_t step, const cb_comm_event *e) {
    char name[96];
    put_complete(w, rank, thread, comm_name(w->traced, e, name), cb_purpose_name((cb_purpose)e->purpose), e->begin_s,
                 e->end_s);
    fprintf(w->to, ",\"args\":{\"step\":%lld,\"kind\":\"%s\",\"bytes\":%lld,\"number\":%d", (long long)step,
            cb_kind_name((cb_kind)e->kind), (long long)e->bytes, e->note);
    if (e->peer >= 0) fprintf(w->to, ",\"peer\":%d,\"send\":%s", e->peer, e->is_send ? "true" : "false");
    put_us(w->to, "posting_us", ns(e->posted_s) - ns(e->begin_s));
    put_us(w->to, "waited_us", ns(e->end_s) - ns(e->wait_s));
    put_us(w->to, "moving_us", ns(e->beside_s));
    put_us(w->to, "exposed_us", ns(e->posted_s) - ns(e->begin_s) + ns(e->end_s) - ns(e->wait_s) + ns(e->beside_s));
    fputs("}}", w->to);
    if (ns(e->wait_s) - ns(e->posted_s) < LEAST_BESIDE_NS || ns(e->wait_s) >= ns(e->end_s)) return;
    put_complete(w, rank, thread, "waited for", CB_TRACE_WAIT, e->wait_s, e->end_s);
    fputs("}", w->to);
}

/* Lanes in use: each of one purpose, free again from end_s on. */
typedef struct lanes {
    int count;
    int purpose[MOST_LANES], number[MOST_LANES]; /* number: of those of its purpose, from 0 */
    double end_s[MOST_LANES];
} lanes;

/* More than there are lanes share the last; its events may then overlap. */
static int take_lane(lanes *l, const cb_comm_event *e) {
    int number = 0;
    for (int i = 0; i < l->count; i++) {
        if (l->purpose[i] != e->purpose) continue;
        if (ns(l->end_s[i]) <= ns(e->begin_s)) {
            l->end_s[i] = e->end_s;
            return i;
        }
        number++;
    }
    if (l->count == MOST_LANES) return MOST_LANES - 1;
    l->purpose[l->count] = e->purpose;
    l->number[l->count] = number;
    l->end_s[l->count] = e->end_s;
    return l->count++;
}

static void name_lane(writer *w, int rank, const lanes *l, int lane) {
    char name[48];
    const char *purpose = cb_purpose_name((cb_purpose)l->purpose[lane]);
    if (l->number[lane] == 0)
        snprintf(name, sizeof name, "%s", purpose);
    else
        snprintf(name, sizeof name, "%s (%d)", purpose, l->number[lane] + 1);
    put_name(w, "thread_name", rank, 1 + lane, name);
    put_order(w, "thread_sort_index", rank, 1 + lane, 1 + l->purpose[lane] * MOST_LANES + l->number[lane]);
}

static void put_comm_threads(writer *w, int rank) {
    const cb_traced_rank *r = &w->traced->rank[rank];
    lanes l = {0};
    for (int i = 0; i < w->traced->steps; i++) {
        for (int64_t k = r->step[i].comm; k < r->step[i].comm + r->step[i].comms; k++) {
            int before = l.count, lane = take_lane(&l, &r->comm[k]);
            if (l.count > before) name_lane(w, rank, &l, lane);
            put_comm(w, rank, 1 + lane, w->traced->step[i], &r->comm[k]);
        }
    }
}

static void put_rank(writer *w, int rank) {
    char name[48];
    put_name(w, "process_name", rank, 0, cb_mesh_name(&w->traced->mesh, rank, name));
    put_order(w, "process_sort_index", rank, 0, rank);
    put_name(w, "thread_name", rank, 0, "instructions");
    put_order(w, "thread_sort_index", rank, 0, 0);
    put_main_thread(w, rank);
    put_comm_threads(w, rank);
}

cb_err cb_traced_write(const cb_traced *traced, FILE *to) {
    writer w = {.traced = traced, .to = to};
    json_t *metadata = cb_traced_metadata(traced);
    if (!metadata) return cb_fail(CB_ENOMEM, "no memory for what a trace says of its run");
    fputs("{\"displayTimeUnit\":\"ms\",\"otherData\":", to);
    json_dumpf(metadata, to, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(metadata);
    fputs(",\"traceEvents\":[\n", to);
    for (int r = 0; r < traced->mesh.ranks; r++) put_rank(&w, r);
    fputs("\n]}\n", to);
    return fflush(to) || ferror(to) ? cb_fail(CB_EIO, "writing the trace failed: %m") : CB_OK;
}
