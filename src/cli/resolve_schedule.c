/* Which schedule a run has: one known by name, or the lists of a file; and the layers placed as its chunks lie. */
#include <string.h>

#include "base/file.h"
#include "cli/options.h"

static cb_err read_lists(cb_options *o, cb_resolved *r) {
    const char *slash = strrchr(o->schedule_file, '/');
    if (o->chunks || o->group) {
        return cb_fail(CB_EUSAGE, "--schedule-file %s: how many chunks there are is in the file; leave out --virtual and --group",
                       o->schedule_file);
    }
    TRY(cb_file_read_text(o->schedule_file, "--schedule-file", CB_MOST_SCHEDULE_TEXT, &r->schedule_text));
    r->run.schedule = o->schedule = slash ? slash + 1 : o->schedule_file; /* in the echo too */
    r->run.schedule_text = r->schedule_text;
    return CB_OK;
}

cb_err cb_options_resolve_schedule(cb_options *o, cb_resolved *r) {
    r->run.schedule = o->schedule;
    r->run.chunks = (int)o->chunks;
    r->run.group = (int)o->group;
    if (o->schedule_file) TRY(read_lists(o, r));
    TRY(cb_run_place(&r->run, o->layers_per_stage));
    o->chunks = r->run.placement.chunks; /* for the echo: the schedule's, or the file's */
    return CB_OK;
}
