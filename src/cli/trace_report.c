/* Working out what a traced step says; see trace_report.h. */
#include "cli/trace_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static cb_err find_step(cb_trace_report *r, int64_t number) {
    const cb_traced *t = r->traced;
    char there[128] = "";
    r->step = t->steps - 1;
    for (int i = 0; i < t->steps && number; i++) {
        if (t->step[i] != number) continue;
        r->step = i;
        return CB_OK;
    }
    if (!number) return CB_OK;
    for (int i = 0; i < t->steps; i++) {
        size_t used = strlen(there);
        bool last = i + 1 == t->steps, cut = used + 48 > sizeof there && !last;
        snprintf(there + used, sizeof there - used, "%s%s%lld", i ? last ? " and " : ", " : "", cut ? "... to " : "",
                 (long long)(cut ? t->step[t->steps - 1] : t->step[i]));
        if (cut) break;
    }
    return cb_fail(CB_EINVAL, "--step %lld: the trace has no such step; it has %s", (long long)number, there);
}

static cb_err allocate(cb_trace_report *r) {
    size_t ranks = (size_t)r->traced->mesh.ranks, stages = (size_t)r->traced->schedule.stages;
    r->use_s = calloc(ranks * CB_USES, sizeof *r->use_s);
    r->cost = calloc(3 * stages * (size_t)r->traced->schedule.chunks, sizeof *r->cost);
    r->name = calloc(ranks, sizeof *r->name);
    r->names = calloc(ranks, sizeof *r->names);
    r->stage_name = calloc(stages, sizeof *r->stage_name);
    r->stage_names = calloc(stages, sizeof *r->stage_names);
    if (r->use_s && r->cost && r->name && r->names && r->stage_name && r->stage_names) return CB_OK;
    return cb_fail(CB_ENOMEM, "no memory for a report on %zu ranks", ranks);
}

static cb_err simulate(cb_trace_report *r) {
    const cb_schedule *s = &r->traced->schedule;
    cb_span **spans = calloc((size_t)s->stages, sizeof *spans);
    if (!spans) return cb_fail(CB_ENOMEM, "no memory to simulate %d stages", s->stages);
    cb_err e = cb_schedule_simulate(s, &r->costs, spans, &r->simulated_s, NULL);
    if (!e) e = cb_timeline_of_schedule(s, spans, &r->simulated_event, &r->simulated.count);
    free(spans[0]);
    free(spans);
    r->simulated.events = r->simulated_event;
    return e;
}

/* The instructions of all ranks, from the step's begin on. */
static cb_err collect(cb_trace_report *r) {
    const cb_traced *t = r->traced;
    int64_t count = 0;
    for (int rank = 0; rank < t->mesh.ranks; rank++) count += t->rank[rank].step[r->step].instrs;
    r->measured_event = malloc((size_t)count * sizeof *r->measured_event);
    r->path = malloc((size_t)(r->criticals + 1) * sizeof *r->path);
    if (!r->measured_event || !r->path) return cb_fail(CB_ENOMEM, "no memory to draw %lld events", (long long)count);
    for (int rank = 0; rank < t->mesh.ranks; rank++) {
        const cb_traced_step *s = &t->rank[rank].step[r->step];
        for (int64_t i = 0; i < s->instrs; i++) {
            cb_event e = t->rank[rank].instr[s->instr + i];
            e.begin_s -= r->begin_s;
            e.end_s -= r->begin_s;
            r->measured_event[r->measured.count++] = e;
        }
    }
    for (int64_t i = 0; i < r->criticals; i++) {
        const cb_critical_part *part = &r->critical[i];
        bool works = part->use == CB_USE_COMPUTE || part->use == CB_USE_OPTIMIZER || part->use == CB_USE_DATA;
        r->path[i] = (cb_path_part){.row = part->rank,
                                    .waits = !works,
                                    .begin_s = part->begin_s - r->begin_s,
                                    .end_s = part->end_s - r->begin_s};
    }
    r->measured.events = r->measured_event;
    r->measured.path = r->path;
    r->measured.path_count = r->criticals;
    return CB_OK;
}

static void name_all(cb_trace_report *r) {
    const cb_traced *t = r->traced;
    for (int rank = 0; rank < t->mesh.ranks; rank++) {
        r->names[rank] = cb_mesh_name(&t->mesh, rank, r->name[rank]);
    }
    for (int stage = 0; stage < t->schedule.stages; stage++) {
        snprintf(r->stage_name[stage], sizeof r->stage_name[stage], "p%d", stage);
        r->stage_names[stage] = r->stage_name[stage];
    }
    snprintf(r->title[0], sizeof r->title[0], "%s simulated with the measured costs", t->schedule.name);
    snprintf(r->title[1], sizeof r->title[1], "%s measured, step %lld", t->schedule.name, (long long)t->step[r->step]);
    r->simulated.title = r->title[0];
    r->simulated.rows = t->schedule.stages;
    r->simulated.row_names = r->stage_names;
    r->measured.title = r->title[1];
    r->measured.rows = t->mesh.ranks;
    r->measured.row_names = r->names;
    r->simulated.span_s = r->measured.span_s = fmax(r->step_s, r->simulated_s);
}

cb_err cb_trace_report_make(cb_trace_report *r, const cb_traced *traced, int64_t step) {
    *r = (cb_trace_report){.traced = traced};
    TRY(find_step(r, step));
    r->begin_s = cb_traced_step_begin_s(traced, r->step);
    r->step_s = cb_traced_step_end_s(traced, r->step) - r->begin_s;
    cb_err e = allocate(r);
    if (!e) e = cb_traced_breakdown(traced, r->step, r->use_s);
    if (!e) e = cb_traced_critical(traced, r->step, &r->critical, &r->criticals);
    if (!e) e = cb_traced_costs(traced, r->step, r->cost, &r->costs);
    if (!e) e = simulate(r);
    if (!e) e = collect(r);
    if (!e) name_all(r);
    if (e) cb_trace_report_free(r);
    return e;
}

void cb_trace_report_free(cb_trace_report *r) {
    free(r->use_s);
    free(r->critical);
    free(r->cost);
    free(r->simulated_event);
    free(r->measured_event);
    free(r->path);
    free(r->name);
    free(r->names);
    free(r->stage_name);
    free(r->stage_names);
    *r = (cb_trace_report){0};
}

double cb_trace_report_critical_s(const cb_trace_report *r, cb_use use, int stage) {
    double sum_s = 0;
    for (int64_t i = 0; i < r->criticals; i++) {
        const cb_critical_part *part = &r->critical[i];
        bool counts = part->use == use && (stage < 0 || cb_traced_stage(r->traced, part->rank) == stage);
        if (counts) sum_s += part->end_s - part->begin_s;
    }
    return sum_s;
}

double cb_trace_report_mean_s(const cb_trace_report *r, cb_use use) {
    double sum_s = 0;
    for (int rank = 0; rank < r->traced->mesh.ranks; rank++) sum_s += r->use_s[(int64_t)rank * CB_USES + use];
    return sum_s / r->traced->mesh.ranks;
}
