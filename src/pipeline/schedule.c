/* Making schedules: the table of generators, the placement of virtual stages and the pairing of messages. A further
 * schedule is one more function of type cb_order_fn and one more row here. See schedule.h. */
#include "pipeline/schedule.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "pipeline/lists.h"

typedef struct generator {
    cb_order_fn *order;
    cb_check_sizes *check;                 /* NULL: every number of stages and microbatches */
    int chunks, least_chunks, most_chunks; /* as many unless said, and the limits */
    bool split_backward, forward_only;
    cb_chunk_placing placing;
} generator;

/* all_names[i] is made by generators[i]; arrays of their own because users want lists that end with NULL. */
static const char *const all_names[] = {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2", "zb-v", "dualpipe-v", NULL};
static const generator generators[] = {
    {.order = cb_order_gpipe, .chunks = 1},
    {.order = cb_order_one_f_one_b, .chunks = 1},
    {.order = cb_order_interleaved,
     .check = cb_check_interleaved,
     .chunks = 2,
     .least_chunks = 2,
     .most_chunks = INT_MAX / 64},
    {.order = cb_order_zb_h1, .chunks = 1, .split_backward = true},
    {.order = cb_order_zb_h2, .chunks = 1, .split_backward = true},
    {.order = cb_order_zb_v, .chunks = 2, .split_backward = true, .placing = CB_CHUNKS_V},
    {.order = cb_order_dualpipe_v, .chunks = 2, .split_backward = true, .placing = CB_CHUNKS_V},
};
static const generator forward = {
    .order = cb_order_forward, .chunks = 1, .least_chunks = 1, .most_chunks = INT_MAX / 64, .forward_only = true};

_Static_assert(sizeof all_names / sizeof *all_names == sizeof generators / sizeof *generators + 1,
               "a name for each generator");

const char *const *cb_schedule_names(void) {
    return all_names;
}

static int index_of(const char *name, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0) return i;
    }
    return -1;
}

static void join(const char *const *names, char out[256]) {
    out[0] = 0;
    for (int i = 0, used = 0; names[i] && used < 256; i++) {
        used += snprintf(out + used, 256 - (size_t)used, "%s%s", i ? ", " : "", names[i]);
    }
}

static cb_err unknown_name(const char *name, const char *const *names) {
    char all[256], near[256];
    join(names, all);
    return cb_fail(CB_EUSAGE, "there is no schedule '%s'%s There are %s", name, cb_args_suggest(name, names, near),
                   all);
}

static cb_err fill(cb_schedule *schedule, cb_order_fn *order) {
    schedule->list = calloc((size_t)schedule->stages, sizeof *schedule->list);
    if (!schedule->list) return cb_fail(CB_ENOMEM, "not enough memory for the lists of %d stages", schedule->stages);
    for (int stage = 0; stage < schedule->stages; stage++) TRY(order(schedule, stage, &schedule->list[stage]));
    return CB_OK;
}

static cb_err check_chunks(const generator *row, const cb_schedule_spec *spec) {
    int least = row->least_chunks ? row->least_chunks : row->chunks;
    int most = row->most_chunks ? row->most_chunks : row->chunks;
    if (spec->chunks == 0 || (spec->chunks >= least && spec->chunks <= most)) return CB_OK;
    if (most > least) {
        return cb_fail(CB_EINVAL, "schedule %s: %d chunks per stage; it has at least %d%s", spec->name, spec->chunks,
                       least, spec->chunks == 1 ? " (with 1 it would be 1f1b)" : "");
    }
    return cb_fail(CB_EINVAL, "schedule %s: %d chunks per stage; it has %d%s", spec->name, spec->chunks, row->chunks,
                   row->chunks == 1 ? " (interleaved has 2 or more)" : "");
}

static cb_err check_spec(const generator *row, const cb_schedule_spec *spec) {
    if (spec->stages < 1 || spec->micro_batches < 1) {
        return cb_fail(CB_EINVAL, "schedule %s: %d stages and %d microbatches; each must be at least 1", spec->name,
                       spec->stages, spec->micro_batches);
    }
    TRY(check_chunks(row, spec));
    /* Per microbatch and chunk a list grows to seven instructions: F, B, W and four messages. */
    int chunks = spec->chunks ? spec->chunks : row->chunks, most = INT_MAX / 8 / chunks;
    if (spec->micro_batches > most) {
        return cb_fail(CB_EINVAL, "schedule %s: %d microbatches; at most %d", spec->name, spec->micro_batches, most);
    }
    if (spec->stages > INT_MAX / 8 / chunks) {
        return cb_fail(CB_EINVAL, "schedule %s: %d stages; at most %d", spec->name, spec->stages, INT_MAX / 8 / chunks);
    }
    if (spec->group && !row->check) {
        return cb_fail(CB_EINVAL, "schedule %s: groups of %d microbatches; only interleaved has groups", spec->name,
                       spec->group);
    }
    return row->check ? row->check(spec) : CB_OK;
}

static cb_err make(cb_schedule *schedule, const generator *row, const cb_schedule_spec *spec) {
    TRY(check_spec(row, spec));
    *schedule = (cb_schedule){.stages = spec->stages,
                              .micro_batches = spec->micro_batches,
                              .chunks = spec->chunks ? spec->chunks : row->chunks,
                              .group = !row->check   ? 0
                                       : spec->group ? spec->group
                                                     : spec->stages,
                              .placing = row->placing,
                              .split_backward = row->split_backward,
                              .forward_only = row->forward_only};
    snprintf(schedule->name, sizeof schedule->name, "%s", spec->name);
    cb_err e = fill(schedule, row->order);
    if (e) cb_schedule_free(schedule);
    return e;
}

cb_err cb_schedule_make_spec(cb_schedule *schedule, const cb_schedule_spec *spec) {
    *schedule = (cb_schedule){0};
    if (strcmp(spec->name, "forward") == 0) return make(schedule, &forward, spec);
    int i = index_of(spec->name, all_names);
    return i < 0 ? unknown_name(spec->name, all_names) : make(schedule, &generators[i], spec);
}

cb_err cb_schedule_make(cb_schedule *schedule, const char *name, int stages, int micro_batches) {
    cb_schedule_spec spec = {.name = name, .stages = stages, .micro_batches = micro_batches};
    return cb_schedule_make_spec(schedule, &spec);
}

cb_err cb_schedule_make_forward(cb_schedule *schedule, const cb_chunk_grid *grid, int micro_batches) {
    cb_schedule_spec spec = {
        .name = "forward", .stages = grid->stages, .micro_batches = micro_batches, .chunks = grid->chunks};
    generator row = forward;
    row.placing = grid->placing;
    *schedule = (cb_schedule){0};
    return make(schedule, &row, &spec);
}

cb_chunk_grid cb_schedule_grid(const cb_schedule *schedule) {
    return (cb_chunk_grid){schedule->stages, schedule->chunks, schedule->placing};
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

int cb_virtual_stage(const cb_schedule *schedule, int stage, int chunk) {
    cb_chunk_grid grid = cb_schedule_grid(schedule);
    return cb_chunk_block(&grid, stage, chunk);
}

void cb_virtual_stage_place(const cb_schedule *schedule, int virtual_stage, int *stage, int *chunk) {
    cb_chunk_grid grid = cb_schedule_grid(schedule);
    cb_chunk_of_block(&grid, virtual_stage, stage, chunk);
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
