/* A run's schedule: by name or from the lists themselves, and the layers placed as its chunks lie. */
#include "train/run.h"

/* Gradients are sums over microbatches in ascending order, whatever the schedule: that is what gives the same bits. */
static cb_err check_ascending(const cb_schedule *schedule, int stage) {
    const cb_instr_list *list = &schedule->list[stage];
    for (int i = 0; i < list->count; i++) {
        for (int j = i + 1; j < list->count; j++) {
            cb_instr a = list->at[i], b = list->at[j];
            if (a.kind != b.kind || a.chunk != b.chunk) continue;
            if (a.micro_batch <= b.micro_batch) break; /* the next of its kind: later ones are compared with that */
            char before[24], after[24];
            return cb_fail(CB_EINVAL,
                           "schedule %s: stage %d does %s before %s; to train, each of F, B and W takes a chunk's "
                           "microbatches in ascending order",
                           schedule->name, stage, cb_instr_text(schedule, a, before), cb_instr_text(schedule, b, after));
        }
    }
    return CB_OK;
}

static cb_err check_read(const cb_run *run, const cb_schedule *schedule) {
    int stages = run->mesh.size[CB_PP];
    if (schedule->stages != stages || schedule->micro_batches != run->micro_batches) {
        return cb_fail(CB_EINVAL,
                       "schedule %s has %d stages and %d microbatches; this run has pp=%d and %d microbatches per replica",
                       schedule->name, schedule->stages, schedule->micro_batches, stages, run->micro_batches);
    }
    if (schedule->is_lowered) {
        return cb_fail(CB_EINVAL,
                       "schedule %s has messages or the end of the step in its lists; to train, leave them out (as "
                       "`cuboid schedule --list` without --lowered): they follow from F, B and W",
                       schedule->name);
    }
    for (int stage = 0; stage < stages; stage++) TRY(check_ascending(schedule, stage));
    return CB_OK;
}

static cb_err make_any(const cb_run *run, cb_schedule *schedule) {
    if (!run->schedule_text) {
        cb_schedule_spec spec = {.name = run->schedule,
                                 .stages = run->mesh.size[CB_PP],
                                 .micro_batches = run->micro_batches,
                                 .chunks = run->chunks,
                                 .group = run->group};
        return cb_schedule_make_spec(schedule, &spec);
    }
    TRY(cb_schedule_read(schedule, run->schedule, run->schedule_text));
    return check_read(run, schedule);
}

static cb_err make(const cb_run *run, cb_schedule *schedule) {
    *schedule = (cb_schedule){0};
    cb_err e = make_any(run, schedule);
    if (!e && schedule->forward_only)
        e = cb_fail(CB_EINVAL, "schedule %s has no B: there is nothing to train", run->schedule);
    if (e) cb_schedule_free(schedule);
    return e;
}

cb_err cb_run_schedule(const cb_run *run, cb_schedule *schedule) {
    TRY(make(run, schedule));
    cb_err e = cb_schedule_lower(schedule);
    if (e) cb_schedule_free(schedule);
    return e;
}

cb_err cb_run_place(cb_run *run, const char *spec) {
    cb_schedule schedule;
    TRY(make(run, &schedule));
    cb_chunk_grid grid = cb_schedule_grid(&schedule);
    cb_schedule_free(&schedule);
    return cb_placement_make_chunks(&run->placement, &run->model, &grid, run->T, spec);
}
