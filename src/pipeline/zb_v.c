/* ZB-V (Qi et al., "Pipeline Parallelism with Controllable Memory", 2024, and "Zero Bubble Pipeline Parallelism",
 * 2023): two chunks per stage in a V, blocks r and 2p-1-r, so the backward of a microbatch begins on the stage where
 * its forward ended and first and last block share stage 0. Backward split. The order by phases as in PyTorch's
 * ScheduleZBVZeroBubble. A stage holds at most 2p chunks, p microbatches; with F = B = W and m >= 2p-1 it never waits
 * between its own first and last instruction. */
#include "pipeline/lists.h"

typedef struct progress {
    cb_instr_list *list;
    int micro_batches;
    int next[CB_W + 1][2]; /* (kind, chunk): the microbatch that comes next */
} progress;

/* The next of this kind and chunk. The phases are those of 2p-1 microbatches or more; of fewer, what is not there is
 * left out. */
static cb_err push(progress *at, cb_instr_kind kind, int chunk) {
    int micro_batch = at->next[kind][chunk]++;
    return micro_batch < at->micro_batches ? cb_compute_push(at->list, kind, micro_batch, chunk) : CB_OK;
}

static cb_err push_backward(progress *at, int chunk) {
    TRY(push(at, CB_B, chunk));
    return push(at, CB_W, chunk);
}

static cb_err push_warm_up(progress *at, int stages, int stage) {
    for (int i = 0; i < 2 * (stages - stage) - 1; i++) TRY(push(at, CB_F, 0));
    for (int i = 0; i < stage; i++) {
        TRY(push(at, CB_F, 1));
        TRY(push(at, CB_F, 0));
    }
    for (int i = 0; i < stages - stage; i++) {
        TRY(push(at, CB_F, 1));
        TRY(push_backward(at, 1));
    }
    return CB_OK;
}

static cb_err push_cool_down(progress *at, int stages, int stage) {
    for (int i = 0; i < stage; i++) {
        TRY(push(at, CB_B, 0));
        TRY(push(at, CB_B, 1));
    }
    for (int i = 0; i < stages - stage; i++) TRY(push_backward(at, 0));
    for (int chunk = 1; chunk >= 0; chunk--) {
        while (at->next[CB_W][chunk] < at->micro_batches) TRY(push(at, CB_W, chunk));
    }
    return CB_OK;
}

cb_err cb_order_zb_v(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    progress at = {.list = list, .micro_batches = schedule->micro_batches};
    int p = schedule->stages, rounds = schedule->micro_batches > 2 * p - 1 ? schedule->micro_batches : 2 * p - 1;
    TRY(push_warm_up(&at, p, stage));
    while (at.next[CB_F][1] < rounds) {
        if (at.next[CB_F][0] < rounds) TRY(push(&at, CB_F, 0));
        TRY(push_backward(&at, 0));
        TRY(push(&at, CB_F, 1));
        TRY(push_backward(&at, 1));
    }
    return push_cool_down(&at, p, stage);
}
