/* Lists of layouts; see verify.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verify.h"

char *cb_layout_text(const cb_layout *l, char out[64]) {
    snprintf(out, 64, "dp %d x tp %d x pp %d%s%s", l->dp, l->tp, l->pp, l->pp > 1 ? " " : "",
             l->pp > 1 ? l->schedule : "");
    return out;
}

int cb_layouts_all(const cb_model *model, int shards, int data_shards, int most_ranks, cb_layout *out, int most) {
    int count = 0;
    for (int dp = 1; dp <= most_ranks; dp++) {
        for (int tp = 1; dp * tp <= most_ranks; tp++) {
            if (data_shards % dp || shards % tp) continue;
            for (int pp = 1; dp * tp * pp <= most_ranks && pp <= model->layers; pp++) {
                const char *const *names = cb_schedule_names();
                for (int s = 0; names[s] && (pp > 1 || s == 0) && count < most; s++) {
                    out[count++] = (cb_layout){dp, tp, pp, names[s], NULL};
                }
            }
        }
    }
    return count;
}

static const char *known_schedule(const char *name, size_t length) {
    for (const char *const *names = cb_schedule_names(); *names; names++) {
        if (strlen(*names) == length && strncmp(*names, name, length) == 0) return *names;
    }
    return NULL;
}

cb_err cb_layouts_parse(const char *text, const char *schedule, cb_layout *out, int most, int *count) {
    *count = 0;
    for (const char *at = text; *at;) {
        cb_layout l = {.schedule = schedule};
        int used = 0;
        size_t length = strcspn(at, ",");
        bool ok = sscanf(at, "%dx%dx%d%n", &l.dp, &l.tp, &l.pp, &used) == 3 && l.dp > 0 && l.tp > 0 && l.pp > 0;
        if (ok && at[used] == ':')
            l.schedule = known_schedule(at + used + 1, length - (size_t)used - 1);
        else if (ok)
            ok = (size_t)used == length;
        if (!ok || !l.schedule || *count == most) {
            return cb_fail(CB_EUSAGE,
                           "--layouts: '%.*s' is not DPxTPxPP or DPxTPxPP:SCHEDULE, such as 2x2x2 or 1x1x4:gpipe",
                           (int)length, at);
        }
        out[(*count)++] = l;
        at += length + (at[length] == ',');
    }
    return CB_OK;
}
