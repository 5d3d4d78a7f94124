/* Orders with two chunks per stage are written as phases: "F1 B1 W1" so many times, each word the next microbatch of
 * its kind and chunk. See lists.h. */
#include "pipeline/lists.h"

/* The phases are made for a least number of microbatches; of fewer, what is not there is left out, which takes no wait
 * away that the rest needs. */
static cb_err push_next(cb_phases *at, cb_instr_kind kind, int chunk) {
    int micro_batch = at->next[kind][chunk]++;
    return micro_batch < at->micro_batches ? cb_compute_push(at->list, kind, micro_batch, chunk) : CB_OK;
}

cb_err cb_phase_push(cb_phases *at, int times, const char *words) {
    for (int i = 0; i < times; i++) {
        for (const char *word = words; *word; word += word[2] ? 3 : 2) {
            TRY(push_next(at, *word == 'F' ? CB_F : *word == 'B' ? CB_B : CB_W, word[1] - '0'));
        }
    }
    return CB_OK;
}
