/* How much a stage holds at once: its list walked once, counting what has begun and what has ended. See schedule.h. */
#include <assert.h>

#include "pipeline/schedule.h"

/* The kind in whose instruction `kind` takes place. */
static cb_instr_kind done_in(const cb_schedule *schedule, cb_instr_kind kind) {
    return kind == CB_W && !schedule->split_backward ? CB_B : kind;
}

/* chunk -1: of any chunk */
static bool is_of(const cb_schedule *schedule, cb_instr instr, cb_instr of) {
    return instr.kind == done_in(schedule, of.kind) && (of.chunk < 0 || instr.chunk == of.chunk);
}

int cb_schedule_peak_between(const cb_schedule *schedule, int stage, cb_instr from, cb_instr until) {
    assert(stage >= 0 && stage < schedule->stages);
    const cb_instr_list *list = &schedule->list[stage];
    int live = 0, most = 0;
    for (int i = 0; i < list->count; i++) {
        if (is_of(schedule, list->at[i], from) && ++live > most) most = live;
        if (is_of(schedule, list->at[i], until)) live--;
    }
    return most;
}

int cb_schedule_peak_of_chunk(const cb_schedule *schedule, int stage, int chunk, cb_instr_kind from,
                              cb_instr_kind until) {
    assert(chunk >= 0 && chunk < schedule->chunks);
    return cb_schedule_peak_between(schedule, stage, (cb_instr){.kind = from, .chunk = chunk},
                                    (cb_instr){.kind = until, .chunk = chunk});
}

int cb_schedule_peak(const cb_schedule *schedule, int stage) {
    cb_instr_kind last = schedule->forward_only ? CB_F : CB_W;
    return cb_schedule_peak_between(schedule, stage, (cb_instr){.kind = CB_F, .chunk = -1},
                                    (cb_instr){.kind = last, .chunk = -1});
}
