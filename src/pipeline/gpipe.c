/* GPipe (Huang et al., "GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism", NeurIPS 2019):
 * all forwards, then all backwards. A stage holds the activations of all m microbatches; bubble (p-1)(F+B). */
#include "pipeline/lists.h"

cb_err cb_order_gpipe(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    (void)stage;
    for (int i = 0; i < schedule->micro_batches; i++) TRY(cb_compute_push(list, CB_F, i, 0));
    for (int i = 0; i < schedule->micro_batches; i++) TRY(cb_compute_push(list, CB_B, i, 0));
    return CB_OK;
}
