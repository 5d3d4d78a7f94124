/* Logs with digests, read and compared; see verify_logs.h. */
#include "cli/verify_logs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/digest_log.h"
#include "cli/identity.h"
#include "cli/verify_run.h"

void cb_digest_log_free(cb_digest_log *log) {
    json_decref(log->identity);
    free(log->entry);
    *log = (cb_digest_log){0};
}

static cb_err add_entry(cb_digest_log *log, int64_t step, const char *digest) {
    cb_digest_entry *more = realloc(log->entry, (size_t)(log->count + 1) * sizeof *more);
    if (!more) return cb_fail(CB_ENOMEM, "no memory for %lld digests", (long long)log->count);
    log->entry = more;
    more[log->count++] = (cb_digest_entry){.step = step, .digest = strtoull(digest, NULL, 16)};
    return CB_OK;
}

static cb_err take_line(cb_digest_log *log, const char *path, int64_t number, const char *line) {
    json_error_t why;
    json_t *j = json_loads(line, 0, &why);
    why.line = (int)number; /* of the file: the text is one line of it */
    if (!j) return cb_json_syntax(path, &why);
    json_t *run = json_object_get(j, "run"), *step = json_object_get(j, "step"), *digest = json_object_get(j, "digest");
    cb_err e = CB_OK;
    if (run && !log->identity) log->identity = json_incref(run);
    if (json_is_integer(step) && json_is_string(digest))
        e = add_entry(log, json_integer_value(step), json_string_value(digest));
    json_decref(j);
    return e;
}

cb_err cb_digest_log_read(cb_digest_log *log, const char *path) {
    *log = (cb_digest_log){0};
    FILE *file = fopen(path, "r");
    if (!file) return cb_fail(CB_EIO, "cannot read the log %s: %s", path, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    cb_err e = CB_OK;
    for (int64_t number = 1; !e && getline(&line, &room, file) > 0; number++) e = take_line(log, path, number, line);
    free(line);
    fclose(file);
    if (!e && (!log->identity || log->count == 0)) {
        e = cb_fail(CB_EFORMAT, "%s holds no digests; `cuboid train --digest-every N --log FILE` writes them", path);
    }
    return e;
}

/* Digests of the steps that both have; the first unlike one is the error. */
static cb_err compare(const cb_digest_log *a, const cb_digest_log *b, const char *path) {
    int64_t both = 0, last = 0;
    for (int64_t i = 0, j = 0; i < a->count && j < b->count;) {
        if (a->entry[i].step < b->entry[j].step)
            i++;
        else if (a->entry[i].step > b->entry[j].step)
            j++;
        else {
            if (a->entry[i].digest != b->entry[j].digest) {
                return cb_fail(CB_EMISMATCH, "step %lld: digest %016llx, in %s %016llx", (long long)a->entry[i].step,
                               (unsigned long long)a->entry[i].digest, path, (unsigned long long)b->entry[j].digest);
            }
            both++;
            last = a->entry[i].step;
            i++;
            j++;
        }
    }
    if (both == 0) return cb_fail(CB_EINVAL, "no step has a digest in both runs");
    printf("the same bits: %lld digest%s, the last of step %lld\n", (long long)both, both == 1 ? "" : "s", (long long)last);
    return CB_OK;
}

static cb_err compare_logs(const char *path, const char *other) {
    cb_digest_log a, b = {0};
    cb_err e = cb_digest_log_read(&a, other);
    if (!e) e = cb_digest_log_read(&b, path);
    if (!e) e = cb_identity_compare(a.identity, b.identity);
    if (!e) e = compare(&a, &b, path);
    cb_digest_log_free(&a);
    cb_digest_log_free(&b);
    return e;
}

static cb_err refuse_unlike(const cb_options *options, const cb_layout *layout, const cb_digest_log *theirs) {
    cb_options own;
    cb_resolved resolved = {0};
    json_t *ours = NULL;
    cb_err e = cb_layout_resolve(options, layout, &own, &resolved);
    if (!e) ours = cb_identity_json(&own, &resolved.run);
    if (!e) e = ours ? cb_identity_compare(ours, theirs->identity) : cb_fail(CB_ENOMEM, "no memory for a comparison");
    json_decref(ours);
    cb_resolved_free(&resolved);
    return e;
}

/* Trains now and compares. */
static cb_err compare_run(cb_options *o, const char *path) {
    cb_digest_log theirs, ours = {0};
    cb_trace trace = {0};
    cb_layout layout = {o->dp > 0 ? (int)o->dp : 1, (int)o->tp, (int)o->pp, o->schedule, NULL};
    cb_err e = cb_digest_log_read(&theirs, path);
    if (!e) e = refuse_unlike(o, &layout, &theirs);
    if (!e) e = cb_trace_run(&trace, o, &layout);
    char digest[24];
    for (int64_t i = 0; !e && i < trace.steps; i++) {
        snprintf(digest, sizeof digest, "%016llx", (unsigned long long)trace.state[i]);
        e = add_entry(&ours, i + 1, digest);
    }
    if (!e) e = compare(&ours, &theirs, path);
    cb_trace_free(&trace);
    cb_digest_log_free(&ours);
    cb_digest_log_free(&theirs);
    return e;
}

cb_err cb_verify_against(cb_options *options, const char *path) {
    return options->log ? compare_logs(path, options->log) : compare_run(options, path);
}
