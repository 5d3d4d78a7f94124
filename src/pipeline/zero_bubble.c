/* ZB-H1 and ZB-H2 (Qi et al., "Zero Bubble Pipeline Parallelism", 2023): 1F1B with the backward split into the input
 * gradient B, which the stage before waits for, and the weight gradient W, for which nobody waits and which fills what
 * would be a bubble. ZB-H1 keeps 1F1B's warm-up: every stage holds at most min(m, p) microbatches (from F to W), bubble
 * (p-1)(F+B-W) for m >= p. ZB-H2 doubles the warm-up and holds 2p-1: a stage then waits (p-1)(F+B-2W) between its own
 * first and last instruction, m >= 2p-1; nothing if F = B = W. */
#include "pipeline/lists.h"

/* `depth` times 1F1B's warm-up. A stage keeps depth * r weight gradients for later, as many as its neighbour before has
 * more microbatches on their way: so all stages hold the same. After the last F there is no more reason to wait. */
static cb_err push_order(const cb_schedule *schedule, int stage, int depth, cb_instr_list *list) {
    int m = schedule->micro_batches, weights = 0;
    int64_t ahead = (int64_t)depth * (schedule->stages - stage - 1), kept = (int64_t)depth * stage;
    int warm_up = ahead < m ? (int)ahead : m;
    for (int i = 0; i < warm_up; i++) TRY(cb_compute_push(list, CB_F, i, 0));
    for (int i = 0; i < m; i++) {
        bool is_steady = i < m - warm_up;
        if (is_steady) TRY(cb_compute_push(list, CB_F, i + warm_up, 0));
        TRY(cb_compute_push(list, CB_B, i, 0));
        if (i + 1 - weights > (is_steady ? kept : 0)) TRY(cb_compute_push(list, CB_W, weights++, 0));
    }
    while (weights < m) TRY(cb_compute_push(list, CB_W, weights++, 0));
    return CB_OK;
}

cb_err cb_order_zb_h1(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    return push_order(schedule, stage, 1, list);
}

cb_err cb_order_zb_h2(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    return push_order(schedule, stage, 2, list);
}
