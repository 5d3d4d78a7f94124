/* ZB-V (Qi et al., "Pipeline Parallelism with Controllable Memory", 2024, and "Zero Bubble Pipeline Parallelism",
 * 2023): two chunks per stage in a V, blocks r and 2p-1-r, so the backward of a microbatch begins on the stage where
 * its forward ended and first and last block share stage 0. Backward split. The order by phases as in PyTorch's
 * ScheduleZBVZeroBubble. A stage holds at most 2p chunks, p microbatches; with F = B = W and m >= 2p-1 it never waits
 * between its own first and last instruction. */
#include "pipeline/lists.h"

cb_err cb_order_zb_v(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    cb_phases at = {.list = list, .micro_batches = schedule->micro_batches};
    int p = schedule->stages, behind = p - 1 - stage; /* stages that the first chunk has behind it */
    int rounds = at.micro_batches > 2 * p - 1 ? at.micro_batches : 2 * p - 1;
    TRY(cb_phase_push(&at, 2 * behind + 1, "F0"));
    TRY(cb_phase_push(&at, stage, "F1 F0"));
    TRY(cb_phase_push(&at, behind + 1, "F1 B1 W1"));
    TRY(cb_phase_push(&at, rounds - p - behind, "F0 B0 W0 F1 B1 W1"));
    TRY(cb_phase_push(&at, behind, "B0 W0 F1 B1 W1"));
    TRY(cb_phase_push(&at, stage, "B0 B1"));
    TRY(cb_phase_push(&at, behind + 1, "B0 W0"));
    TRY(cb_phase_push(&at, rounds - at.next[CB_W][1], "W1"));
    return cb_phase_push(&at, rounds - at.next[CB_W][0], "W0");
}
