/* Proving and simulating one schedule for `cuboid schedule`. See simulated.h. */
#include "cli/simulated.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

cb_err cb_costs_parse(const char *text, cb_costs *costs) {
    *costs = (cb_costs){.forward = 1, .backward = 1, .weight = 1};
    const struct {
        const char *name;
        double *value;
    } known[] = {{"F", &costs->forward},
                 {"B", &costs->backward},
                 {"W", &costs->weight},
                 {"comm", &costs->message},
                 {"step", &costs->step}};
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ","), i = 0;
        const size_t count = sizeof known / sizeof *known;
        while (i < count &&
               (strncmp(at, known[i].name, strlen(known[i].name)) != 0 || at[strlen(known[i].name)] != '='))
            i++;
        char *end = NULL;
        double value = i < count ? strtod(at + strlen(known[i].name) + 1, &end) : NAN;
        if (!(value >= 0 && value <= 1e9) || end != at + length || at[length - 1] == '=') {
            return cb_fail(CB_EUSAGE,
                           "--costs: '%.*s' is none of F=1, B=1, W=1, comm=0.1, step=0: milliseconds from 0 to 1e9",
                           (int)length, at);
        }
        *known[i].value = value;
        at += length + (at[length] == ',');
    }
    if (costs->forward + costs->backward + costs->weight > 0) return CB_OK;
    return cb_fail(CB_EUSAGE, "--costs %s: one of F, B and W has to take time", text);
}

/* Stages that are all alike. seconds (3, stages) */
static void fill_durations(const cb_simulated *s, const cb_costs *costs, double *seconds, cb_durations *d) {
    int p = s->schedule.stages;
    for (int r = 0; r < p; r++) {
        seconds[r] = costs->forward * 1e-3;
        seconds[p + r] = costs->backward * 1e-3;
        seconds[2 * p + r] = costs->weight * 1e-3;
    }
    *d = (cb_durations){.f_s = seconds,
                        .b_s = seconds + p,
                        .w_s = seconds + 2 * p,
                        .message_s = costs->message * 1e-3,
                        .step_s = costs->step * 1e-3};
}

static void measure_stage(cb_simulated *s, int stage, const cb_span *span) {
    const cb_instr_list *list = &s->schedule.list[stage];
    double begin_s = INFINITY, end_s = 0, work_s = 0;
    for (int i = 0; i < list->count; i++) {
        s->messages += list->at[i].kind == CB_SEND_F || list->at[i].kind == CB_SEND_B;
        if (list->at[i].kind > CB_W) continue;
        begin_s = fmin(begin_s, span[i].begin_s);
        end_s = fmax(end_s, span[i].end_s);
        work_s += span[i].end_s - span[i].begin_s;
    }
    s->work_s = fmax(s->work_s, work_s);
    s->own_s = fmax(s->own_s, end_s - begin_s - work_s);
    if (s->peak[stage] > s->most) s->most = s->peak[stage];
}

static cb_err simulate(cb_simulated *s, const cb_durations *durations, cb_span **spans) {
    TRY(cb_schedule_simulate(&s->schedule, durations, spans, &s->total_s, NULL));
    for (int r = 0; r < s->schedule.stages; r++) measure_stage(s, r, spans[r]);
    cb_err e = cb_timeline_of_schedule(&s->schedule, spans, &s->events, &s->timeline.count);
    free(spans[0]);
    return e;
}

static void make_title(cb_simulated *s) {
    const cb_schedule *it = &s->schedule;
    char pipeline[64] = "no pipeline"; /* of one stage, whatever the schedule is called */
    if (it->stages > 1) snprintf(pipeline, sizeof pipeline, "%s, %d stages", it->name, it->stages);
    int used = snprintf(s->title, sizeof s->title, "%s, %d microbatch%s", pipeline, it->micro_batches,
                        it->micro_batches == 1 ? "" : "es");
    if (it->chunks > 1) snprintf(s->title + used, sizeof s->title - (size_t)used, ", %d chunks", it->chunks);
    for (int r = 0; r < it->stages; r++) {
        snprintf(s->name[r], sizeof s->name[r], "p%d", r);
        s->names[r] = s->name[r];
    }
    s->timeline.title = s->title;
    s->timeline.rows = it->stages;
    s->timeline.row_names = s->names;
    s->timeline.events = s->events;
}

cb_err cb_simulated_make(cb_simulated *s, cb_schedule schedule, const cb_costs *costs) {
    cb_durations durations;
    double *seconds = calloc(3 * (size_t)schedule.stages, sizeof *seconds);
    *s = (cb_simulated){.schedule = schedule};
    if (!seconds) return cb_fail(CB_ENOMEM, "no memory to simulate %d stages", schedule.stages);
    fill_durations(s, costs, seconds, &durations);
    cb_err e = cb_simulated_make_uneven(s, schedule, &durations);
    free(seconds);
    return e;
}

cb_err cb_simulated_make_uneven(cb_simulated *s, cb_schedule schedule, const cb_durations *durations) {
    *s = (cb_simulated){.schedule = schedule};
    size_t p = (size_t)schedule.stages;
    cb_span **spans = calloc(p, sizeof *spans);
    s->peak = calloc(p, sizeof *s->peak);
    s->name = calloc(p, sizeof *s->name);
    s->names = calloc(p, sizeof *s->names);
    bool whole = spans && s->peak && s->name && s->names;
    cb_err e = whole ? CB_OK : cb_fail(CB_ENOMEM, "no memory to simulate %d stages", schedule.stages);
    if (!e && !schedule.is_lowered) e = cb_schedule_lower(&s->schedule);
    if (!e) e = cb_schedule_check(&s->schedule, INT_MAX, s->peak);
    if (!e) e = cb_schedule_least_window(&s->schedule, &s->window);
    if (!e) e = simulate(s, durations, spans);
    if (!e) make_title(s);
    free(spans);
    return e;
}

void cb_simulated_free(cb_simulated *s) {
    cb_schedule_free(&s->schedule);
    free(s->peak);
    free(s->events);
    free(s->name);
    free(s->names);
    *s = (cb_simulated){0};
}
