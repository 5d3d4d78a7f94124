/* What a trace file says of its run; see read.c. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "trace/reader.h"

enum { MOST_RANKS = 1 << 16 };

/* A whole number from least to most. */
static cb_err read_number(const reader *r, const json_t *from, const char *name, int64_t least, int64_t most,
                          int64_t *value) {
    const json_t *number = json_object_get(from, name);
    *value = json_integer_value(number);
    if (json_is_integer(number) && *value >= least && *value <= most) return CB_OK;
    return cb_fail(CB_EFORMAT, "%s: otherData: %s is no number from %lld to %lld", r->path, name, (long long)least,
                   (long long)most);
}

static cb_err read_text(const reader *r, const json_t *from, const char *name, const char **text) {
    *text = json_string_value(json_object_get(from, name));
    return *text ? CB_OK : cb_fail(CB_EFORMAT, "%s: otherData: %s is no text", r->path, name);
}

/* Is it one of ours, and of a version that is known here? */
static cb_err check_format(const reader *r, const json_t *root, const json_t *data) {
    const char *format = json_string_value(json_object_get(data, "format"));
    const json_t *version = json_object_get(data, "version");
    if (!format || strcmp(format, CB_TRACE_FORMAT) != 0) {
        bool trace = json_is_array(root) || json_object_get(root, "traceEvents");
        return cb_fail(CB_EFORMAT, "%s: %s; `cuboid train --trace FILE` writes what this reads", r->path,
                       trace ? "a trace, but none of cuboid's training steps" : "JSON, but no trace");
    }
    if (json_is_integer(version) && json_integer_value(version) == CB_TRACE_VERSION) return CB_OK;
    return cb_fail(CB_EFORMAT, "%s: a trace of version %lld; this cuboid reads version %d, a newer one may read it",
                   r->path, (long long)json_integer_value(version), CB_TRACE_VERSION);
}

static cb_err read_mesh(reader *r, const json_t *from) {
    int size[CB_DIMS];
    const char *order;
    int64_t ranks = 1;
    for (int dim = 0; dim < CB_DIMS; dim++) {
        int64_t n;
        TRY(read_number(r, from, cb_dim_name((cb_dim)dim), 1, MOST_RANKS, &n));
        size[dim] = (int)n;
        ranks *= n;
        if (ranks > MOST_RANKS) return cb_fail(CB_EFORMAT, "%s: otherData: more than %d ranks", r->path, MOST_RANKS);
    }
    TRY(read_text(r, from, "order", &order));
    return cb_err_context(cb_mesh_make(&r->into->mesh, size, order), "%s: otherData", r->path);
}

/* Proved, so that nothing that walks the lists waits for ever. */
static cb_err read_schedule(reader *r, const json_t *from) {
    const char *name, *lists;
    cb_schedule *s = &r->into->schedule;
    TRY(read_text(r, from, "name", &name));
    TRY(read_text(r, from, "lists", &lists));
    TRY(cb_err_context(cb_schedule_read(s, name, lists), "%s: otherData: the schedule", r->path));
    if (s->stages != r->into->mesh.size[CB_PP] || !s->is_lowered) {
        return cb_fail(CB_EFORMAT, "%s: otherData: lists of %d stages%s for pp %d", r->path, s->stages,
                       s->is_lowered ? "" : " without messages", r->into->mesh.size[CB_PP]);
    }
    return cb_err_context(cb_schedule_check(s, INT_MAX, NULL), "%s: otherData", r->path);
}

static cb_err read_steps(reader *r, const json_t *from) {
    cb_traced *t = r->into;
    int64_t before = 0;
    size_t count = json_array_size(from);
    if (count < 1 || count > INT_MAX / 2) return cb_fail(CB_EFORMAT, "%s: otherData: it has no steps", r->path);
    t->step = calloc(count, sizeof *t->step);
    if (!t->step) return cb_fail(CB_ENOMEM, "no memory for %zu steps", count);
    t->steps = (int)count;
    for (size_t i = 0; i < count; i++) {
        TRY(read_number(r, json_array_get(from, i), "step", before + 1, INT64_MAX, &t->step[i]));
        before = t->step[i];
    }
    return CB_OK;
}

cb_err cb_trace_read_metadata(reader *r, const json_t *root) {
    const json_t *data = json_object_get(root, "otherData");
    const char *model;
    int64_t B, T, lost;
    cb_traced *t = r->into;
    TRY(check_format(r, root, data));
    TRY(read_text(r, data, "model", &model));
    snprintf(t->model, sizeof t->model, "%s", model);
    TRY(read_mesh(r, json_object_get(data, "mesh")));
    TRY(read_schedule(r, json_object_get(data, "schedule")));
    TRY(read_number(r, data, "micro_batch_size", 1, INT_MAX, &B));
    TRY(read_number(r, data, "seq_length", 1, INT_MAX, &T));
    TRY(read_number(r, data, "global_batch_size", 1, INT64_MAX, &t->global_batch));
    TRY(read_number(r, data, "lost", 0, INT64_MAX, &lost));
    t->B = (int)B;
    t->T = (int)T;
    t->lost = lost;
    t->clock_error_s = json_number_value(json_object_get(data, "clock_error_s"));
    return read_steps(r, json_object_get(data, "steps"));
}
