/* Evaluation: every microbatch forward, and nothing is kept. A stage with v chunks takes a new microbatch every v-th turn
 * and passes it on one turn later: block b of microbatch k has turn v k + b, so a message is always for a later turn, and
 * where two blocks meet on one stage it goes on at once. */
#include "pipeline/lists.h"

cb_err cb_order_forward(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    int v = schedule->chunks, last = v * (schedule->micro_batches + schedule->stages);
    for (int turn = 0; turn < last; turn++) {
        for (int chunk = 0; chunk < v; chunk++) {
            int ahead = turn - cb_virtual_stage(schedule, stage, chunk);
            if (ahead < 0 || ahead % v || ahead / v >= schedule->micro_batches) continue;
            TRY(cb_compute_push(list, CB_F, ahead / v, chunk));
        }
    }
    return CB_OK;
}
