/* What a trace file says beside its events: the run's layout and schedule, the steps, how exact its clocks are. */
#include <stdlib.h>
#include <string.h>

#include "trace/analysis.h"
#include "trace/format.h"

static json_t *mesh_json(const cb_mesh *mesh) {
    char order[32] = "";
    json_t *o = json_object();
    for (int i = 0; i < CB_DIMS; i++) {
        size_t used = strlen(order);
        snprintf(order + used, sizeof order - used, "%s%s", i ? "-" : "", cb_dim_name(mesh->order[i]));
        json_object_set_new(o, cb_dim_name((cb_dim)i), json_integer(mesh->size[i]));
    }
    json_object_set_new(o, "order", json_string(order));
    return o;
}

static json_t *schedule_json(const cb_schedule *schedule) {
    char *text;
    cb_err e = cb_schedule_text(schedule, true, &text);
    if (e) {
        cb_err_free(e);
        return NULL;
    }
    json_t *o = json_pack("{s:s,s:i,s:i,s:i,s:s}", "name", schedule->name, "stages", schedule->stages, "micro_batches",
                          schedule->micro_batches, "chunks", schedule->chunks, "lists", text);
    free(text);
    return o;
}

/* Of a step; null without memory. */
static json_t *costs_json(const cb_traced *traced, int step) {
    cb_durations durations;
    double *cost = calloc(3 * (size_t)traced->schedule.stages * (size_t)traced->schedule.chunks, sizeof *cost);
    cb_err e = cost ? cb_traced_costs(traced, step, cost, &durations) : CB_OK;
    json_t *o = cost && !e ? cb_durations_json(&traced->schedule, &durations) : json_null();
    cb_err_free(e);
    free(cost);
    return o;
}

static json_t *steps_json(const cb_traced *traced) {
    json_t *steps = json_array();
    for (int i = 0; i < traced->steps; i++) {
        double time_s = cb_traced_step_end_s(traced, i) - cb_traced_step_begin_s(traced, i);
        json_array_append_new(steps, json_pack("{s:I,s:f,s:o}", "step", (json_int_t)traced->step[i], "time_s", time_s,
                                               "costs", costs_json(traced, i)));
    }
    return steps;
}

json_t *cb_traced_metadata(const cb_traced *traced) {
    json_t *schedule = schedule_json(&traced->schedule);
    if (!schedule) return NULL;
    return json_pack("{s:s,s:i,s:s,s:o,s:o,s:i,s:i,s:I,s:o,s:f,s:I}", "format", CB_TRACE_FORMAT, "version",
                     CB_TRACE_VERSION, "model", traced->model, "mesh", mesh_json(&traced->mesh), "schedule", schedule,
                     "micro_batch_size", traced->B, "seq_length", traced->T, "global_batch_size",
                     (json_int_t)traced->global_batch, "steps", steps_json(traced), "clock_error_s",
                     traced->clock_error_s, "lost", (json_int_t)traced->lost);
}
