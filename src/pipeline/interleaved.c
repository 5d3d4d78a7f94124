/* Interleaved 1F1B (Narayanan et al., "Efficient Large-Scale Language Model Training on GPU Clusters Using
 * Megatron-LM", SC 2021, section 2.2): each stage holds v chunks and microbatches pass them in groups of G: a group
 * goes through chunk 0 of every stage, then through chunk 1, .... Warm-up and groups as in Megatron-LM's schedules.py,
 * whose rule on G this is: p <= G <= m, and a last, smaller group has at least p too, or a stage would wait for what it
 * has yet to send. With G = p: bubble (p-1)(F+B)/v; stage r holds at most 2(p-1-r) + (v-1)G + 1 chunks. */
#include <stdio.h>

#include "pipeline/lists.h"

/* The k-th forward of every stage; the k-th backward takes the chunks from behind. */
static void place(const cb_schedule *schedule, int k, int *micro_batch, int *chunk) {
    int v = schedule->chunks, first = k / (schedule->group * v) * schedule->group;
    int size = schedule->micro_batches - first;
    if (size > schedule->group) size = schedule->group;
    int within = k - first * v;
    *micro_batch = first + within % size;
    *chunk = within / size;
}

cb_err cb_order_interleaved(const cb_schedule *schedule, int stage, cb_instr_list *list) {
    int v = schedule->chunks, total = schedule->micro_batches * v, micro_batch, chunk;
    int64_t ahead = 2 * (schedule->stages - stage - 1) + (int64_t)(v - 1) * schedule->group;
    int warm_up = ahead < total ? (int)ahead : total;
    for (int k = 0; k < total + warm_up; k++) {
        if (k < total) {
            place(schedule, k, &micro_batch, &chunk);
            TRY(cb_compute_push(list, CB_F, micro_batch, chunk));
        }
        if (k < warm_up) continue;
        place(schedule, k - warm_up, &micro_batch, &chunk);
        TRY(cb_compute_push(list, CB_B, micro_batch, v - 1 - chunk));
    }
    return CB_OK;
}

static bool is_legal(int stages, int micro_batches, int group) {
    int last = group > 0 ? micro_batches % group : 0;
    return group >= stages && group <= micro_batches && (last == 0 || last >= stages);
}

/* "4 or 8": the legal values next to `at`, below it and above; of the microbatches, or of the group; "" for none. */
static void nearest(const cb_schedule_spec *s, int group, bool of_group, char out[64]) {
    int at = of_group ? group : s->micro_batches, low = at, high = at;
    int most = of_group ? s->micro_batches : s->micro_batches + group + s->stages;
    if (high < s->stages) high = s->stages;
    while (low > 0 && !is_legal(s->stages, of_group ? s->micro_batches : low, of_group ? low : group)) low--;
    while (high <= most && !is_legal(s->stages, of_group ? s->micro_batches : high, of_group ? high : group)) high++;
    if (low > 0 && high <= most) {
        snprintf(out, 64, "%d or %d", low, high);
    } else if (low > 0 || high <= most) {
        snprintf(out, 64, "%d", low > 0 ? low : high);
    } else {
        out[0] = 0;
    }
}

cb_err cb_check_interleaved(const cb_schedule_spec *s) {
    char micro_batches[64], groups[64], group_can[128];
    int group = s->group ? s->group : s->stages, m = s->micro_batches;
    const char *plural = m == 1 ? "" : "es";
    if (is_legal(s->stages, m, group)) return CB_OK;
    nearest(s, group, true, groups);
    if (*groups)
        snprintf(group_can, sizeof group_can, "with %d microbatch%s the group can be %s", m, plural, groups);
    else
        snprintf(group_can, sizeof group_can, "with %d microbatch%s no group can be", m, plural);
    if (group < s->stages)
        return cb_fail(CB_EINVAL,
                       "schedule %s: groups of %d microbatch%s on %d stages; a group has at least as many microbatches "
                       "as there are stages; %s",
                       s->name, group, group == 1 ? "" : "es", s->stages, group_can);
    nearest(s, group, false, micro_batches);
    return cb_fail(
        CB_EINVAL,
        "schedule %s: %d microbatch%s in groups of %d on %d stages; a group has at least as many microbatches "
        "as there are stages, and so has the last one. Microbatches can be %s with this group; %s",
        s->name, m, plural, group, s->stages, micro_batches, group_can);
}
