/* DualPipe-V: DualPipe (DeepSeek-AI, "DeepSeek-V3 Technical Report", 2024) cut in half (Qi et al., Sea AI Lab, 2025),
 * its phases as in dualpipev.py of DeepSeek's repository DualPipe. Two chunks per stage in a V, as in ZB-V. In the
 * steady state forwards and whole backwards of the two chunks take turns, F0 with B1 W1 and F1 with B0 W0, so that
 * one's messages can hide behind the other's computation; here such a pair is done one after the other. The Ws of the
 * last backwards wait until the stage would have nothing to do. Held: 2p+1 chunks; bubble (p-1)(F+2B-W)/2 for F = B. */
#include "pipeline/lists.h"

/* The oldest W that is due; the two chunks take turns as their Bs did. */
static cb_err push_weight(cb_phases *at, int *chunk) {
    if (at->next[CB_W][*chunk] == at->next[CB_B][*chunk]) *chunk = 1 - *chunk;
    TRY(cb_phase_push(at, 1, *chunk ? "W1" : "W0"));
    *chunk = 1 - *chunk;
    return CB_OK;
}

static cb_err push_cool_down(cb_phases *at, int stage, int behind, int rounds) {
    int half = (stage + 1) / 2, chunk = stage % 2; /* the first chunk whose W is put off */
    TRY(cb_phase_push(at, half, "B1 W1 B0 W0"));
    if (chunk == 0) TRY(cb_phase_push(at, 1, "B1 W1 B0"));
    TRY(cb_phase_push(at, stage + 1 - half - (chunk == 0), "B1 B0"));
    for (int i = 0; i < behind; i++) {
        TRY(push_weight(at, &chunk));
        TRY(cb_phase_push(at, 1, "B0"));
    }
    while (at->next[CB_W][0] + at->next[CB_W][1] < 2 * rounds) TRY(push_weight(at, &chunk));
    return CB_OK;
}

cb_err cb_order_dualpipe_v(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    cb_phases at = {.list = list, .micro_batches = schedule->micro_batches};
    int p = schedule->stages, behind = p - 1 - stage; /* stages that the first chunk has behind it */
    int rounds = at.micro_batches > 2 * p ? at.micro_batches : 2 * p;
    TRY(cb_phase_push(&at, 2 * behind, "F0"));
    TRY(cb_phase_push(&at, stage + 1, "F0 F1"));
    TRY(cb_phase_push(&at, behind, "B1 W1 F1"));
    TRY(cb_phase_push(&at, rounds - p - behind, "F0 B1 W1 F1 B0 W0"));
    TRY(cb_phase_push(&at, behind, "B1 W1 F1 B0 W0"));
    return push_cool_down(&at, stage, behind, rounds);
}
