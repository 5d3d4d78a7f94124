/* Lists of layouts; see verify.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/verify.h"

char *cb_layout_text(const cb_layout *l, char out[64]) {
    snprintf(out, 64, "dp %d x tp %d x pp %d%s%s", l->dp, l->tp, l->pp, l->pp > 1 ? " " : "",
             l->pp > 1 ? l->schedule : "");
    return out;
}

/* The schedule has a layer for each of its chunks, and allows these sizes. */
static bool is_legal(const cb_layouts_spec *spec, const char *name, int dp, int pp) {
    cb_schedule schedule;
    cb_schedule_spec sizes = {.name = name, .stages = pp, .micro_batches = spec->micro_batches / dp};
    cb_err e = cb_schedule_make_spec(&schedule, &sizes);
    bool legal = !e && schedule.stages * schedule.chunks <= spec->model->layers;
    cb_err_free(e);
    cb_schedule_free(&schedule);
    return legal;
}

/* Every schedule of one dp x tp x pp. Returns how many were added. */
static int add(const cb_layouts_spec *spec, int dp, int tp, int pp, cb_layout *out, int most) {
    int count = 0;
    for (int s = 0; spec->schedules[s] && (pp > 1 || s == 0) && count < most; s++) {
        if (pp > 1 && !is_legal(spec, spec->schedules[s], dp, pp)) continue;
        out[count++] = (cb_layout){dp, tp, pp, pp > 1 ? spec->schedules[s] : "gpipe", NULL};
    }
    return count;
}

int cb_layouts_all(const cb_layouts_spec *spec, cb_layout *out, int most) {
    int count = 0;
    for (int dp = 1; dp <= spec->most_ranks; dp++) {
        for (int tp = 1; dp * tp <= spec->most_ranks; tp++) {
            if (spec->data_shards % dp || spec->shards % tp) continue;
            for (int pp = 1; dp * tp * pp <= spec->most_ranks && pp <= spec->model->layers; pp++) {
                count += add(spec, dp, tp, pp, out + count, most - count);
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

/* `name` in `text`, which is what the option has or a part of it. */
static cb_err unknown_schedule(const char *option, const char *text, size_t text_length, const char *name,
                               size_t length) {
    char word[64], near[256];
    snprintf(word, sizeof word, "%.*s", (int)(length < 63 ? length : 63), name);
    return cb_fail(CB_EUSAGE, "%s: '%.*s': there is no schedule '%s'%s", option, (int)text_length, text, word,
                   cb_args_suggest(word, cb_schedule_names(), near));
}

cb_err cb_layouts_schedules(const char *text, const char **out, int most) {
    bool all = strcmp(text, "all") == 0;
    int count = 0;
    for (const char *const *names = cb_schedule_names(); all && *names && count + 1 < most; names++) out[count++] = *names;
    for (const char *at = text; !all && *at;) {
        size_t length = strcspn(at, ",");
        const char *name = known_schedule(at, length);
        if (!name) return unknown_schedule("--schedules", at, length, at, length);
        if (count + 1 == most) return cb_fail(CB_EUSAGE, "--schedules: more than %d names", most - 1);
        out[count++] = name;
        at += length + (at[length] == ',');
    }
    out[count] = NULL;
    return CB_OK;
}

static cb_err wrong_layout(const char *at, size_t length) {
    const char *colon = memchr(at, ':', length);
    size_t named = colon ? length - (size_t)(colon + 1 - at) : 0;
    if (named > 0 && !known_schedule(colon + 1, named))
        return unknown_schedule("--layouts", at, length, colon + 1, named);
    return cb_fail(CB_EUSAGE, "--layouts: '%.*s' is not DPxTPxPP or DPxTPxPP:SCHEDULE, such as 2x2x2 or 1x1x4:gpipe",
                   (int)length, at);
}

/* One of the list; *named: with its schedule. */
static bool read_layout(const char *at, size_t length, cb_layout *l, bool *named) {
    int used = 0;
    if (sscanf(at, "%dx%dx%d%n", &l->dp, &l->tp, &l->pp, &used) != 3 || l->dp < 1 || l->tp < 1 || l->pp < 1) return false;
    *named = at[used] == ':';
    if (*named) l->schedule = known_schedule(at + used + 1, length - (size_t)used - 1);
    return *named ? l->schedule != NULL : (size_t)used == length;
}

cb_err cb_layouts_parse(const char *text, const char *schedule, const cb_layouts_spec *spec, cb_layout *out, int most,
                        int *count) {
    *count = 0;
    if (!*text) return wrong_layout(text, 0);
    for (const char *at = text; *at;) {
        cb_layout l = {.schedule = schedule};
        size_t length = strcspn(at, ",");
        bool named = false;
        if (!read_layout(at, length, &l, &named) || *count == most) return wrong_layout(at, length);
        if (spec && !named)
            *count += add(spec, l.dp, l.tp, l.pp, out + *count, most - *count);
        else
            out[(*count)++] = l;
        at += length + (at[length] == ',');
    }
    return *count ? CB_OK : cb_fail(CB_EUSAGE, "--layouts %s: none of --schedules goes with these sizes", text);
}
