/* Making schedules: the table of generators, the placement of virtual stages and the pairing of messages. A further
 * schedule is one more function of type cb_order and one more row here. See schedule.h. */
#include "pipeline/schedule.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "pipeline/lists.h"

typedef struct generator {
    cb_order *order;
    int chunks;
    bool split_backward, forward_only;
} generator;

/* generators[i] makes names[i]; two arrays because users of cb_schedule_names want a list that ends with NULL. */
static const char *const names[] = {"gpipe", "1f1b", NULL};
static const generator generators[] = {
    {.order = cb_order_gpipe, .chunks = 1},
    {.order = cb_order_one_f_one_b, .chunks = 1},
};
static const generator forward = {.order = cb_order_forward, .chunks = 1, .forward_only = true};

_Static_assert(sizeof names / sizeof *names == sizeof generators / sizeof *generators + 1, "a name for each generator");

const char *const *cb_schedule_names(void) {
    return names;
}

static const generator *find_generator(const char *name) {
    if (strcmp(name, "forward") == 0) return &forward;
    for (int i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0) return &generators[i];
    }
    return NULL;
}

static cb_err unknown_name(const char *name) {
    const char *nearest = cb_args_nearest(name, names);
    char all[256] = "";
    for (int i = 0, used = 0; names[i] && used < (int)sizeof all; i++) {
        used += snprintf(all + used, sizeof all - (size_t)used, "%s%s", i ? ", " : "", names[i]);
    }
    if (nearest) {
        return cb_fail(CB_EUSAGE, "there is no schedule '%s'; did you mean '%s'? (there are %s)", name, nearest, all);
    }
    return cb_fail(CB_EUSAGE, "there is no schedule '%s'; there are %s", name, all);
}

static cb_err fill(cb_schedule *schedule, cb_order *order) {
    schedule->list = calloc((size_t)schedule->stages, sizeof *schedule->list);
    if (!schedule->list) return cb_fail(CB_ENOMEM, "not enough memory for the lists of %d stages", schedule->stages);
    for (int stage = 0; stage < schedule->stages; stage++) TRY(order(schedule, stage, &schedule->list[stage]));
    return CB_OK;
}

cb_err cb_schedule_make(cb_schedule *schedule, const char *name, int stages, int micro_batches) {
    *schedule = (cb_schedule){0};
    const generator *row = find_generator(name);
    if (!row) return unknown_name(name);
    if (stages < 1 || micro_batches < 1) {
        return cb_fail(CB_EINVAL, "schedule %s: %d stages and %d microbatches; each must be at least 1", name, stages,
                       micro_batches);
    }
    /* Per microbatch and chunk a list grows to seven instructions: F, B, W and four messages. */
    if (micro_batches > INT_MAX / 8 / row->chunks) {
        return cb_fail(CB_EINVAL, "schedule %s: %d microbatches; at most %d", name, micro_batches,
                       INT_MAX / 8 / row->chunks);
    }
    *schedule = (cb_schedule){.stages = stages,
                              .micro_batches = micro_batches,
                              .chunks = row->chunks,
                              .split_backward = row->split_backward,
                              .forward_only = row->forward_only};
    snprintf(schedule->name, sizeof schedule->name, "%s", name);
    cb_err e = fill(schedule, row->order);
    if (e) cb_schedule_free(schedule);
    return e;
}

void cb_schedule_free(cb_schedule *schedule) {
    for (int stage = 0; schedule->list && stage < schedule->stages; stage++) free(schedule->list[stage].at);
    free(schedule->list);
    *schedule = (cb_schedule){0};
}

cb_err cb_instr_push(cb_instr_list *list, cb_instr instr) {
    if (list->count == list->capacity) {
        int capacity = list->capacity ? 2 * list->capacity : 16;
        cb_instr *at = realloc(list->at, (size_t)capacity * sizeof *at);
        if (!at) return cb_fail(CB_ENOMEM, "not enough memory for a stage's list of %d instructions", capacity);
        list->at = at;
        list->capacity = capacity;
    }
    list->at[list->count++] = instr;
    return CB_OK;
}

cb_err cb_compute_push(cb_instr_list *list, cb_instr_kind kind, int micro_batch, int chunk) {
    return cb_instr_push(list, (cb_instr){.kind = kind, .micro_batch = micro_batch, .chunk = chunk, .peer = -1});
}

/* Interleaved placement (Narayanan et al., 2021, section 2.2), of which one chunk per stage is the plain pipeline.
 * Another placement (the V of zero-bubble schedules) changes these two functions and nothing else. */
int cb_virtual_stage(const cb_schedule *schedule, int stage, int chunk) {
    return chunk * schedule->stages + stage;
}

void cb_virtual_stage_place(const cb_schedule *schedule, int virtual_stage, int *stage, int *chunk) {
    *stage = virtual_stage % schedule->stages;
    *chunk = virtual_stage / schedule->stages;
}

/* Receive and send of a message lie on neighbouring virtual stages. */
static bool message_partner(const cb_schedule *schedule, int stage, cb_instr instr, int *partner_stage,
                            cb_instr *partner) {
    static const struct {
        cb_instr_kind other;
        int step;
    } pair[CB_INSTR_KINDS] = {
        [CB_RECV_F] = {CB_SEND_F, -1},
        [CB_SEND_F] = {CB_RECV_F, +1},
        [CB_RECV_B] = {CB_SEND_B, +1},
        [CB_SEND_B] = {CB_RECV_B, -1},
    };
    int virtual_stage = cb_virtual_stage(schedule, stage, instr.chunk) + pair[instr.kind].step;
    if (virtual_stage < 0 || virtual_stage >= schedule->stages * schedule->chunks) return false;
    *partner = (cb_instr){.kind = pair[instr.kind].other, .micro_batch = instr.micro_batch, .peer = stage};
    cb_virtual_stage_place(schedule, virtual_stage, partner_stage, &partner->chunk);
    return *partner_stage != stage;
}

static bool tied_partner(const cb_schedule *schedule, int stage, cb_instr instr, int *partner_stage,
                         cb_instr *partner) {
    int first, last, chunk;
    cb_virtual_stage_place(schedule, 0, &first, &chunk);
    cb_virtual_stage_place(schedule, schedule->stages * schedule->chunks - 1, &last, &chunk);
    *partner = instr;
    *partner_stage = stage == first ? last : first;
    return first != last && (stage == first || stage == last);
}

bool cb_instr_partner(const cb_schedule *schedule, int stage, cb_instr instr, int *partner_stage, cb_instr *partner) {
    cb_instr unused;
    if (!partner) partner = &unused;
    switch (instr.kind) {
    case CB_RECV_F:
    case CB_SEND_F:
    case CB_RECV_B:
    case CB_SEND_B:
        return message_partner(schedule, stage, instr, partner_stage, partner);
    case CB_REDUCE_TIED:
        return tied_partner(schedule, stage, instr, partner_stage, partner);
    default:
        return false;
    }
}

bool cb_schedule_awaits(const cb_schedule *schedule, int stage, int index, int *stage_out, int *index_out) {
    assert(index >= 0 && index < schedule->list[stage].count);
    cb_instr instr = schedule->list[stage].at[index], send;
    if (instr.kind != CB_RECV_F && instr.kind != CB_RECV_B) return false;
    if (!cb_instr_partner(schedule, stage, instr, stage_out, &send)) return false;
    const cb_instr_list *list = &schedule->list[*stage_out];
    for (int i = 0; i < list->count; i++) {
        const cb_instr *it = &list->at[i];
        if (it->kind == send.kind && it->micro_batch == send.micro_batch && it->chunk == send.chunk) {
            *index_out = i;
            return true;
        }
    }
    return false;
}
