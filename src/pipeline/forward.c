/* Evaluation: every microbatch forward, in order, and nothing is kept. */
#include "pipeline/lists.h"

cb_err cb_order_forward(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    (void)stage;
    for (int i = 0; i < schedule->micro_batches; i++) TRY(cb_compute_push(list, CB_F, i, 0));
    return CB_OK;
}
