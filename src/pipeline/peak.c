/* How much a stage holds at once: its list walked once, counting what has begun and what has ended. See schedule.h. */
#include <assert.h>

#include "pipeline/schedule.h"

/* The kind in whose instruction `kind` takes place. */
static cb_instr_kind done_in(const cb_schedule *schedule, cb_instr_kind kind) {
    return kind == CB_W && !schedule->split_backward ? CB_B : kind;
}

/* chunk: -1 counts all of them */
static int peak(const cb_schedule *schedule, int stage, int chunk, cb_instr_kind from, cb_instr_kind until) {
    const cb_instr_list *list = &schedule->list[stage];
    int live = 0, most = 0;
    from = done_in(schedule, from);
    until = done_in(schedule, until);
    for (int i = 0; i < list->count; i++) {
        cb_instr it = list->at[i];
        if (it.kind > CB_W || (chunk >= 0 && it.chunk != chunk)) continue;
        if (it.kind == from && ++live > most) most = live;
        if (it.kind == until) live--;
    }
    return most;
}

int cb_schedule_peak_of_chunk(const cb_schedule *schedule, int stage, int chunk, cb_instr_kind from,
                              cb_instr_kind until) {
    assert(stage >= 0 && stage < schedule->stages && chunk >= 0 && chunk < schedule->chunks);
    return peak(schedule, stage, chunk, from, until);
}

int cb_schedule_peak(const cb_schedule *schedule, int stage) {
    assert(stage >= 0 && stage < schedule->stages);
    return peak(schedule, stage, -1, CB_F, schedule->forward_only ? CB_F : CB_W);
}
