/* The text form of instructions and schedules, for people, errors and tests. */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/lists.h"

const char *cb_kind_word(cb_instr_kind kind) {
    static const char *const words[CB_INSTR_KINDS] = {
        [CB_F] = "F",
        [CB_B] = "B",
        [CB_W] = "W",
        [CB_RECV_F] = "recvF",
        [CB_SEND_F] = "sendF",
        [CB_RECV_B] = "recvB",
        [CB_SEND_B] = "sendB",
        [CB_REDUCE_TIED] = "tied",
        [CB_REDUCE_GRADS] = "grads",
        [CB_STEP] = "step",
    };
    return words[kind];
}

char *cb_instr_text(const cb_schedule *schedule, cb_instr instr, char out[24]) {
    if ((unsigned)instr.kind >= CB_INSTR_KINDS) {
        snprintf(out, 24, "kind %d", (int)instr.kind);
    } else if (instr.kind >= CB_REDUCE_GRADS) {
        snprintf(out, 24, "%s", cb_kind_word(instr.kind));
    } else if (schedule->chunks == 1) {
        snprintf(out, 24, "%s%d", cb_kind_word(instr.kind), instr.micro_batch);
    } else {
        /* Microbatches times chunks fit an int, so both never have all their digits and 24 characters are enough. */
        int used = snprintf(out, 24, "%s%d", cb_kind_word(instr.kind), instr.micro_batch);
        snprintf(out + used, (size_t)(24 - used), ".%d", instr.chunk);
    }
    return out;
}

static void print_stage(const cb_schedule *schedule, int stage, bool all, FILE *to) {
    fprintf(to, "%d:", stage);
    const cb_instr_list *list = &schedule->list[stage];
    for (int i = 0; i < list->count; i++) {
        char text[24];
        if (all || list->at[i].kind <= CB_W) fprintf(to, " %s", cb_instr_text(schedule, list->at[i], text));
    }
    fputc('\n', to);
}

cb_err cb_schedule_text(const cb_schedule *schedule, bool all, char **text) {
    *text = NULL;
    size_t length;
    FILE *to = open_memstream(text, &length);
    if (!to) return cb_fail(CB_ENOMEM, "not enough memory for the text of a schedule");
    if (schedule->placing == CB_CHUNKS_V) fputs("placing v\n", to);
    for (int stage = 0; stage < schedule->stages; stage++) print_stage(schedule, stage, all, to);
    bool failed = ferror(to) != 0;
    failed |= fclose(to) != 0;
    if (!failed) return CB_OK;
    free(*text);
    *text = NULL;
    return cb_fail(CB_ENOMEM, "not enough memory for the text of a schedule of %d stages and %d microbatches",
                   schedule->stages, schedule->micro_batches);
}
