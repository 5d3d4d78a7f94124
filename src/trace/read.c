/* A trace file back into what was recorded. What the file says of its layout and schedule is believed only as far as it
 * can be: every rank must have every step, with the instructions of its schedule in their order. Slices of other kinds
 * are passed over. Two passes over the events: count, then fill. See trace.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "trace/reader.h"

/* The thing's fields. NULL where it is absent. */
static const json_t *field(const json_t *object, const char *name) {
    return json_object_get(object, name);
}

static cb_err bad(const reader *r, const char *what) {
    return cb_fail(CB_EFORMAT, "%s: event %lld of %lld: %s", r->path, (long long)r->event + 1, (long long)r->events,
                   what);
}

/* Microseconds with three digits behind the point: nanoseconds. */
static bool read_ns(const json_t *value, int64_t *ns) {
    double us = json_number_value(value);
    if (!json_is_number(value) || !(us >= 0 && us < 1e15)) return false;
    *ns = llround(us * 1e3);
    return true;
}

static cb_err read_times(const reader *r, const json_t *event, int64_t *begin_ns, int64_t *end_ns) {
    int64_t length_ns;
    if (!read_ns(field(event, "ts"), begin_ns) || !read_ns(field(event, "dur"), &length_ns)) {
        return bad(r, "no ts and dur from 0 on");
    }
    *end_ns = *begin_ns + length_ns;
    return CB_OK;
}

static int find_name(const char *name, const char *(*name_of)(int), int count) {
    for (int i = 0; name && i < count; i++) {
        if (strcmp(name, name_of(i)) == 0) return i;
    }
    return -1;
}
static const char *purpose_name(int i) {
    return cb_purpose_name((cb_purpose)i);
}
static const char *kind_name(int i) {
    return cb_kind_name((cb_kind)i);
}
static const char *part_name(int i) {
    return cb_traced_part_name((cb_traced_part)i);
}

/* What a slice is, by its category. */
typedef enum slice_kind { SLICE_STEP, SLICE_PART, SLICE_INSTR, SLICE_COMM, SLICE_OTHER } slice_kind;

static slice_kind kind_of(const json_t *event, const json_t *args) {
    const char *phase = json_string_value(field(event, "ph")), *category = json_string_value(field(event, "cat"));
    if (!phase || strcmp(phase, "X") != 0 || !category) return SLICE_OTHER;
    if (strcmp(category, CB_TRACE_STEP) == 0) return SLICE_STEP;
    if (strcmp(category, CB_TRACE_PART) == 0) return SLICE_PART;
    if (find_name(category, purpose_name, CB_PURPOSES) >= 0) return SLICE_COMM;
    return field(args, "instr") ? SLICE_INSTR : SLICE_OTHER;
}

static cb_err find_rank(reader *r, const json_t *event, const json_t *args, int *rank, int *step) {
    const json_t *pid = field(event, "pid"), *number = field(args, "step");
    if (!json_is_integer(pid) || json_integer_value(pid) < 0 || json_integer_value(pid) >= r->into->mesh.ranks) {
        return bad(r, "its process is none of the layout's ranks");
    }
    *rank = (int)json_integer_value(pid);
    for (*step = 0; *step < r->into->steps; (*step)++) {
        if (json_is_integer(number) && json_integer_value(number) == r->into->step[*step]) return CB_OK;
    }
    return bad(r, "its step is none of those that the file says it has");
}

static cb_err read_step(reader *r, const json_t *event, cb_traced_step *step) {
    int64_t begin_ns, end_ns;
    TRY(read_times(r, event, &begin_ns, &end_ns));
    if (step->end_s > 0) return bad(r, "this rank has had this step before");
    step->begin_s = (double)begin_ns * 1e-9;
    step->end_s = (double)end_ns * 1e-9;
    return CB_OK;
}

static cb_err read_part(reader *r, const json_t *event, cb_traced_span *span) {
    int64_t begin_ns, end_ns;
    int part = find_name(json_string_value(field(event, "name")), part_name, CB_TRACED_PARTS);
    TRY(read_times(r, event, &begin_ns, &end_ns));
    if (part < 0) return bad(r, "no part of a step has this name");
    *span = (cb_traced_span){.part = part, .begin_s = (double)begin_ns * 1e-9, .end_s = (double)end_ns * 1e-9};
    return CB_OK;
}

/* index: which of the step's instructions it has to be. */
static cb_err read_instr(reader *r, const json_t *event, const json_t *args, int rank, int64_t index, cb_event *instr) {
    const cb_instr_list *list = &r->into->schedule.list[cb_traced_stage(r->into, rank)];
    const char *name = json_string_value(field(args, "instr"));
    int64_t begin_ns, end_ns;
    char text[24] = "nothing";
    TRY(read_times(r, event, &begin_ns, &end_ns));
    if (index < list->count) cb_instr_text(&r->into->schedule, list->at[index], text);
    if (!name || strcmp(name, text) != 0) {
        return cb_fail(CB_EFORMAT, "%s: event %lld of %lld: rank %d executes '%.40s', where its schedule has %s",
                       r->path, (long long)r->event + 1, (long long)r->events, rank, name ? name : "", text);
    }
    const cb_instr *it = &list->at[index];
    *instr = (cb_event){.row = rank,
                        .kind = (int32_t)it->kind,
                        .micro_batch = it->micro_batch,
                        .chunk = it->chunk,
                        .begin_s = (double)begin_ns * 1e-9,
                        .end_s = (double)end_ns * 1e-9};
    return CB_OK;
}

static cb_err read_comm(reader *r, const json_t *event, const json_t *args, cb_comm_event *comm) {
    int64_t begin_ns, end_ns, posting_ns, waited_ns, moving_ns;
    int purpose = find_name(json_string_value(field(event, "cat")), purpose_name, CB_PURPOSES);
    int kind = find_name(json_string_value(field(args, "kind")), kind_name, CB_KINDS);
    const json_t *peer = field(args, "peer");
    int64_t other = peer ? json_integer_value(peer) : -1;
    TRY(read_times(r, event, &begin_ns, &end_ns));
    if (kind < 0 || other < -1 || other >= r->into->mesh.ranks) return bad(r, "no such operation, or peer");
    bool whole = read_ns(field(args, "posting_us"), &posting_ns) && read_ns(field(args, "waited_us"), &waited_ns) &&
                 read_ns(field(args, "moving_us"), &moving_ns);
    if (!whole || posting_ns + waited_ns > end_ns - begin_ns) return bad(r, "the times of its parts are not there");
    *comm = (cb_comm_event){.begin_s = (double)begin_ns * 1e-9,
                            .posted_s = (double)(begin_ns + posting_ns) * 1e-9,
                            .wait_s = (double)(end_ns - waited_ns) * 1e-9,
                            .end_s = (double)end_ns * 1e-9,
                            .beside_s = (double)moving_ns * 1e-9,
                            .bytes = json_integer_value(field(args, "bytes")),
                            .purpose = purpose,
                            .kind = kind,
                            .peer = (int32_t)other,
                            .note = (int32_t)json_integer_value(field(args, "number")),
                            .is_send = json_is_true(field(args, "send"))};
    return CB_OK;
}

/* One event, counted, or (with memory for it) read. */
static cb_err take_event(reader *r, const json_t *event, bool fill) {
    const json_t *args = field(event, "args");
    slice_kind kind = kind_of(event, args);
    int rank = 0, at = 0;
    if (kind == SLICE_OTHER) return CB_OK;
    TRY(find_rank(r, event, args, &rank, &at));
    cb_traced_rank *to = &r->into->rank[rank];
    cb_traced_step *step = &to->step[at];
    int64_t n = kind == SLICE_INSTR  ? step->instrs++
                : kind == SLICE_PART ? step->spans++
                : kind == SLICE_COMM ? step->comms++
                                     : 0;
    if (!fill) return CB_OK;
    switch (kind) {
    case SLICE_STEP:
        return read_step(r, event, step);
    case SLICE_PART:
        return read_part(r, event, &to->span[step->span + n]);
    case SLICE_INSTR:
        return read_instr(r, event, args, rank, n, &to->instr[step->instr + n]);
    default:
        return read_comm(r, event, args, &to->comm[step->comm + n]);
    }
}

static cb_err take_events(reader *r, const json_t *events, bool fill) {
    for (r->event = 0; r->event < r->events; r->event++) {
        TRY(take_event(r, json_array_get(events, (size_t)r->event), fill));
    }
    return CB_OK;
}

/* Makes room for what was counted, and counts anew. */
static cb_err make_room(cb_traced *t) {
    for (int i = 0; i < t->mesh.ranks; i++) {
        cb_traced_rank *r = &t->rank[i];
        for (int k = 0; k < t->steps; k++) {
            cb_traced_step *s = &r->step[k];
            s->instr = r->instrs;
            s->span = r->spans;
            s->comm = r->comms;
            r->instrs += s->instrs;
            r->spans += s->spans;
            r->comms += s->comms;
            s->instrs = s->spans = s->comms = 0;
        }
        r->instr = calloc((size_t)r->instrs + 1, sizeof *r->instr);
        r->span = calloc((size_t)r->spans + 1, sizeof *r->span);
        r->comm = calloc((size_t)r->comms + 1, sizeof *r->comm);
        if (!r->instr || !r->span || !r->comm) return cb_fail(CB_ENOMEM, "no memory for the events of rank %d", i);
    }
    return CB_OK;
}

/* Operations stand in the file thread by thread. */
static int by_begin(const void *a, const void *b) {
    const cb_comm_event *x = a, *y = b;
    if (x->begin_s != y->begin_s) return x->begin_s < y->begin_s ? -1 : 1;
    return x->purpose != y->purpose ? x->purpose - y->purpose : x->note - y->note;
}

static cb_err check_step(const reader *r, int rank, int at) {
    const cb_traced *t = r->into;
    const cb_traced_rank *own = &t->rank[rank];
    const cb_traced_step *s = &own->step[at];
    int listed = t->schedule.list[cb_traced_stage(t, rank)].count;
    double before_s = s->begin_s;
    if (s->end_s <= 0 || s->instrs != listed) {
        return cb_fail(CB_EFORMAT, "%s: rank %d has %s%lld of %d instructions of step %lld", r->path, rank,
                       s->end_s <= 0 ? "no slice and " : "", (long long)s->instrs, listed, (long long)t->step[at]);
    }
    for (int64_t i = s->instr; i < s->instr + s->instrs; before_s = own->instr[i++].end_s) {
        if (own->instr[i].begin_s >= before_s && own->instr[i].end_s <= s->end_s) continue;
        return cb_fail(CB_EFORMAT,
                       "%s: rank %d, step %lld: instruction %lld overlaps the one before, or the step's end", r->path,
                       rank, (long long)t->step[at], (long long)(i - s->instr));
    }
    if (s->comms) qsort(own->comm + s->comm, (size_t)s->comms, sizeof *own->comm, by_begin);
    return CB_OK;
}

static cb_err read_all(reader *r, const json_t *root) {
    const json_t *events = field(root, "traceEvents");
    cb_traced *t = r->into;
    TRY(cb_trace_read_metadata(r, root));
    if (!json_is_array(events)) return cb_fail(CB_EFORMAT, "%s: it has no array of traceEvents", r->path);
    r->events = (int64_t)json_array_size(events);
    t->rank = calloc((size_t)t->mesh.ranks, sizeof *t->rank);
    if (!t->rank) return cb_fail(CB_ENOMEM, "no memory for %d ranks", t->mesh.ranks);
    for (int i = 0; i < t->mesh.ranks; i++) {
        t->rank[i].step = calloc((size_t)t->steps, sizeof *t->rank[i].step);
        if (!t->rank[i].step) return cb_fail(CB_ENOMEM, "no memory for %d steps", t->steps);
    }
    TRY(take_events(r, events, false));
    TRY(make_room(t));
    TRY(take_events(r, events, true));
    for (int i = 0; i < t->mesh.ranks; i++) {
        for (int k = 0; k < t->steps; k++) TRY(check_step(r, i, k));
    }
    return CB_OK;
}

/* The text ends before the value does, perhaps within a word or number. */
static bool ends_early(const char *path, const json_error_t *error) {
    struct stat file;
    return json_error_code(error) == json_error_premature_end_of_input || error->position == 0 ||
           (stat(path, &file) == 0 && error->position >= file.st_size);
}

static cb_err not_json(const char *path, const json_error_t *error) {
    enum json_error_code code = json_error_code(error);
    if (code == json_error_cannot_open_file) return cb_fail(CB_EIO, "%s: %s", path, strerror(errno));
    if (ends_early(path, error)) {
        return cb_fail(CB_EFORMAT, "%s:%d:%d: the file ends in the middle: it was not written to its end, or cut", path,
                       error->line > 0 ? error->line : 1, error->column > 0 ? error->column : 1);
    }
    return cb_json_syntax(path, error);
}

cb_err cb_traced_read(cb_traced *traced, const char *path) {
    json_error_t error;
    *traced = (cb_traced){0};
    errno = 0;
    json_t *root = json_load_file(path, 0, &error);
    if (!root) return not_json(path, &error);
    reader r = {.path = path, .into = traced};
    cb_err e = read_all(&r, root);
    json_decref(root);
    if (e) cb_traced_free(traced);
    return e;
}
