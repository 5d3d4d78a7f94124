/* All-gather, reduce-scatter, broadcast, reduce and all-to-all: whole operations, by a pattern or by a meeting. Which
 * one is in the table (table.c). Here is what is around a pattern: memory, the own part, the last copy. */
#include <assert.h>
#include <stdlib.h>

#include "collectives/algorithms.h"
#include "collectives/table.h"

enum { ALIGNMENT = 64 };

typedef struct operation {
    cb_group *group;
    const cb_call *call;
    cb_course course;
    int64_t block_bytes, all_bytes; /* of count elements; of the operation's whole data */
    bool copies;                    /* the own part to its place, while the first messages travel */
    bool works;                     /* in: */
    char *work;                     /* (all_bytes) where a pattern changes what it sends, but from is the caller's */
} operation;

static int64_t aligned(int64_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool is_root(const operation *o) {
    return o->group->me == o->call->root;
}

/* Whether the member gets anything at all: the leaves of a tree only send. */
static bool receives(const cb_course *c) {
    bool found = false;
    for (int round = c->pattern->rounds(&c->shape); round-- > 0 && !found;)
        for (int i = c->pattern->steps(&c->shape, round, c->steps); i-- > 0;) found |= c->steps[i].from >= 0;
    return found;
}

/* Those who only send read from, as do straight patterns; all-gather, broadcast and the root of a reduce work in `to`.
 */
static bool needs_work(const operation *o) {
    const cb_pattern *pattern = o->course.pattern;
    if (pattern->traits & CB_STRAIGHT) return false;
    if (pattern->kind == CB_REDUCE) return !is_root(o) && receives(&o->course);
    return pattern->kind != CB_ALL_GATHER && pattern->kind != CB_BROADCAST;
}

/* The group's memory, at least so much: large memory that is new for every call has to be mapped anew page by page,
 * which takes longer than the operation. NULL: there is none. */
static char *room_of(cb_group *group, int64_t bytes) {
    if (group->room_bytes >= bytes) return group->room;
    free(group->room);
    group->room = aligned_alloc(ALIGNMENT, (size_t)aligned(bytes));
    group->room_bytes = group->room ? aligned(bytes) : 0;
    return group->room;
}

/* Requests, scratch, work: one after the other in the group's memory. */
static cb_err allocate(operation *o, cb_exchange *x) {
    cb_course *c = &o->course;
    const int most = cb_pattern_most_steps(c->pattern, c->shape.size);
    const int64_t reqs = aligned(2 * most * (int64_t)sizeof *x->reqs),
                  steps = aligned(most * (int64_t)sizeof *c->steps);
    c->steps = malloc((size_t)steps);
    if (!c->steps) return cb_fail(CB_ENOMEM, "no memory for the steps of %d members", c->shape.size);
    int64_t scratch = aligned(cb_pattern_scratch(c->pattern, &c->shape, c->steps) * cb_type_bytes(x->type));
    o->works = needs_work(o);
    int64_t work = o->works ? aligned(o->all_bytes) : 0;
    char *memory = room_of(o->group, reqs + scratch + work + ALIGNMENT);
    if (!memory)
        return cb_fail(CB_ENOMEM, "%s over %d ranks: no %lld bytes", cb_kind_name(x->kind), c->shape.size,
                       (long long)(reqs + scratch + work));
    x->reqs = (cb_req **)(void *)memory;
    x->room = 2 * most;
    c->scratch = memory + reqs;
    o->work = c->scratch + scratch;
    return CB_OK;
}

static void copy(void *to, const void *from, int64_t bytes) {
    cb_device_host()->copy(to, from, bytes);
}

static void copy_own(const operation *o) {
    const int64_t at = o->group->me * o->block_bytes;
    const char *from = (const char *)o->call->from + (o->call->kind == CB_ALL_TO_ALL ? at : 0);
    if (from != (char *)o->call->to + at) copy((char *)o->call->to + at, from, o->block_bytes);
}

/* Where a pattern finds its data, and the own part put into its place where it is sent from there. */
static void begin(operation *o) {
    cb_course *c = &o->course;
    const cb_call *call = o->call;
    c->from = c->data = o->works ? o->work : call->to;
    if (call->kind == CB_ALL_GATHER) {
        o->copies = c->pattern->traits & CB_STRAIGHT;
        if (o->copies)
            c->part = call->from;
        else
            copy_own(o);
    } else if (c->pattern->traits & CB_OWN_APART && (o->works || is_root(o))) {
        c->own = call->from;
    } else if (o->works || (call->kind == CB_REDUCE && is_root(o))) {
        copy(c->data, call->from, o->all_bytes);
    } else if (call->kind != CB_BROADCAST) {
        c->from = call->from;
        c->result = call->kind == CB_REDUCE_SCATTER ? call->to : NULL;
        o->copies = call->kind == CB_ALL_TO_ALL;
    }
}

/* What a pattern left in its work, put to where the caller wants it. */
static void end(const operation *o) {
    const int size = o->group->size, me = o->group->me;
    const int64_t block = o->block_bytes;
    if (!o->works) return;
    if (o->call->kind == CB_REDUCE_SCATTER) copy(o->call->to, o->work + me * block, block);
    for (int i = 0; i < size && o->call->kind == CB_ALL_TO_ALL; i++) /* at distance i: come from i before */
        copy((char *)o->call->to + cb_modulo(me - i, size) * block, o->work + (me + i) % size * block, block);
}

static cb_err run(operation *o, cb_exchange *x) {
    TRY(cb_group_announce(o->group, x->sequence, o->call));
    TRY(allocate(o, x));
    begin(o);
    for (int round = 0; round < o->course.pattern->rounds(&o->course.shape); round++) {
        TRY(cb_course_post(&o->course, round));
        if (round == 0 && o->copies) copy_own(o);
        TRY(cb_exchange_wait(x));
        cb_course_settle(&o->course, round);
    }
    end(o);
    return CB_OK;
}

static cb_err run_alone(const operation *o) {
    copy(o->call->to, o->call->from, o->block_bytes);
    return CB_OK;
}

static cb_err all_reduce_by(const cb_pattern *pattern, cb_group *group, const cb_call *c, void *scratch) {
    return cb_all_reduce_by(cb_all_reduce_way_of(pattern), group, c->to, c->count, c->type, c->op, scratch);
}

cb_err cb_algorithm_run(const cb_algorithm *algorithm, cb_group *group, const cb_call *call, void *scratch) {
    const cb_pattern *pattern = algorithm->pattern;
    assert(algorithm->kind == call->kind);
    if (call->kind == CB_ALL_REDUCE) return all_reduce_by(pattern, group, call, scratch);
    if (!pattern) return cb_exchange_meet_and_part(group, call);
    const int size = group->size;
    const int64_t E = cb_type_bytes(call->type);
    cb_exchange x = cb_exchange_begin(group, call->kind, call->type, false, NULL, 0);
    operation o = {.group = group, .call = call, .block_bytes = call->count * E};
    o.course = (cb_course){.pattern = pattern, .exchange = &x, .root = call->root, .op = call->op};
    o.course.shape = (cb_shape){size, cb_modulo(group->me - call->root, size), group->node, call->count};
    o.all_bytes = cb_pattern_elements(pattern, &o.course.shape) * E;
    cb_err e = cb_exchange_end(&x, size == 1 ? run_alone(&o) : run(&o, &x));
    free(o.course.steps);
    return e;
}

static cb_err by_choice(cb_group *group, const cb_call *call) {
    return cb_algorithm_run(cb_choose(call->kind, cb_group_means(group), group->size, call->count), group, call, NULL);
}

cb_err cb_all_gather(cb_group *group, void *to, const void *from, int64_t count, cb_type type) {
    cb_call call = {.kind = CB_ALL_GATHER, .type = type, .count = count, .from = from, .to = to};
    return by_choice(group, &call);
}

cb_err cb_reduce_scatter(cb_group *group, void *to, const void *from, int64_t count, cb_type type, cb_reduce_op op) {
    cb_call call = {.kind = CB_REDUCE_SCATTER, .type = type, .op = op, .count = count, .from = from, .to = to};
    return by_choice(group, &call);
}

cb_err cb_broadcast(cb_group *group, void *data, int64_t count, cb_type type, int root) {
    assert(root >= 0 && root < group->size);
    cb_call call = {.kind = CB_BROADCAST, .type = type, .root = root, .count = count, .from = data, .to = data};
    return by_choice(group, &call);
}

cb_err cb_reduce(cb_group *group, void *to, const void *from, int64_t count, cb_type type, cb_reduce_op op, int root) {
    assert(root >= 0 && root < group->size);
    cb_call call = {.kind = CB_REDUCE, .type = type, .op = op, .root = root, .count = count, .from = from, .to = to};
    return by_choice(group, &call);
}

cb_err cb_all_to_all(cb_group *group, void *to, const void *from, int64_t count, cb_type type) {
    cb_call call = {.kind = CB_ALL_TO_ALL, .type = type, .count = count, .from = from, .to = to};
    return by_choice(group, &call);
}
