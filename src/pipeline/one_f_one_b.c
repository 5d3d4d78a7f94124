/* 1F1B (Narayanan et al., "PipeDream", SOSP 2019; with a flush at the end of the step, as here: Narayanan et al.,
 * "Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM", SC 2021, section 2.2): stage r of
 * p runs p-r-1 forwards ahead, then forward and backward in turns, then the backwards that are left. A stage holds at
 * most min(m, p-r) microbatches; bubble (p-1)(F+B), as GPipe. */
#include "pipeline/lists.h"

cb_err cb_order_one_f_one_b(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    int m = schedule->micro_batches, warm_up = schedule->stages - stage - 1;
    if (warm_up > m) warm_up = m;
    for (int i = 0; i < warm_up; i++) TRY(cb_compute_push(list, CB_F, i, 0));
    for (int i = warm_up; i < m; i++) {
        TRY(cb_compute_push(list, CB_F, i, 0));
        TRY(cb_compute_push(list, CB_B, i - warm_up, 0));
    }
    for (int i = m - warm_up; i < m; i++) TRY(cb_compute_push(list, CB_B, i, 0));
    return CB_OK;
}
