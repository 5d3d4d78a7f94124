/* All-reduce: the common course of its ways, which are patterns (all_reduce_*.c) or a meeting. An operation runs through
 * phases, the rounds of its pattern, and a phase is over when all its messages are through. start and progress test, finish waits: both
 * take the same path through `advance`, so split and blocking calls do the same sums. Cost: see the ways; chosen in
 * cost.c. */
#include <assert.h>
#include <stdlib.h>

#include "collectives/algorithms.h"

enum { FAILED = -1, ALIGNMENT = 64 };

/* NULL: the meeting. */
static const cb_pattern *const patterns[CB_ALL_REDUCE_WAYS] = {
    [CB_BY_DIRECT] = &cb_all_reduce_direct,
    [CB_BY_BLOCKS] = &cb_all_reduce_blocks,
    [CB_BY_DOUBLING] = &cb_all_reduce_doubling,
    [CB_BY_TREE] = &cb_all_reduce_tree,
    [CB_BY_MEETING] = NULL,
    [CB_BY_RING] = &cb_all_reduce_ring,
    [CB_BY_RABENSEIFNER] = &cb_all_reduce_rabenseifner,
    [CB_BY_BINARY_TREE] = &cb_all_reduce_binary_tree,
    [CB_BY_DOUBLE_TREE] = &cb_all_reduce_double_tree,
    [CB_BY_HIERARCHY] = &cb_all_reduce_hierarchical,
};

const cb_pattern *cb_all_reduce_pattern(cb_all_reduce_way way) {
    return patterns[way];
}

cb_all_reduce_way cb_all_reduce_way_of(const cb_pattern *pattern) {
    int way = 0;
    while (patterns[way] != pattern) way++;
    return (cb_all_reduce_way)way;
}

static cb_call call_of(const cb_pending *p) {
    return (cb_call){.kind = CB_ALL_REDUCE,
                     .type = p->exchange.type,
                     .op = p->op,
                     .count = p->count,
                     .from = p->data,
                     .to = p->data};
}

static cb_err post(cb_pending *p) {
    if (p->course.pattern) return cb_course_post(&p->course, p->phase);
    cb_call call = call_of(p);
    return cb_exchange_meet(&p->exchange, &call);
}

static bool is_done(const cb_pending *p) {
    return p->phase == p->phases;
}

/* Ends the operation, well or not, and gives back what it owns. */
static cb_err release(cb_pending *p, cb_err e) {
    e = cb_exchange_end(&p->exchange, e);
    free(p->owned);
    p->owned = NULL;
    p->phase = e ? FAILED : p->phases;
    return e;
}

/* From a phase whose messages are all through to the next one. */
static cb_err advance(cb_pending *p) {
    if (p->course.pattern) cb_course_settle(&p->course, p->phase);
    p->phase++;
    return is_done(p) ? CB_OK : post(p);
}

static cb_err already_failed(const cb_pending *p) {
    return cb_fail(CB_EPEER, "all-reduce %u over %s failed before", p->exchange.sequence,
                   cb_purpose_name(p->exchange.group->purpose));
}

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* One allocation: requests, steps, and after them the scratch if the caller gave none. */
static cb_err allocate(cb_pending *p, int size, cb_type type) {
    const size_t most = (size_t)cb_pattern_most_steps(p->course.pattern, size);
    const size_t reqs = aligned(2 * most * sizeof(cb_req *)), steps = aligned(most * sizeof(cb_step));
    int64_t scratch = p->scratch ? 0 : cb_all_reduce_scratch_by(p->way, size, p->count, type);
    size_t bytes = reqs + steps + aligned((size_t)scratch);
    p->owned = aligned_alloc(ALIGNMENT, bytes);
    if (!p->owned)
        return cb_fail(CB_ENOMEM, "all-reduce of %lld elements over %d ranks: no %zu bytes for scratch and requests",
                       (long long)p->count, size, bytes);
    p->exchange.reqs = p->owned;
    p->exchange.room = (int)(2 * most);
    p->course.steps = (cb_step *)(void *)((char *)p->owned + reqs);
    p->course.scratch = p->scratch ? p->scratch : (char *)p->owned + reqs + steps;
    return CB_OK;
}

/* How the operation goes, if there is anybody to do it with. */
static cb_err prepare(cb_pending *p, cb_group *group) {
    p->exchange.reqs = &p->visit;
    if (group->size == 1) return CB_OK;
    p->phases = 1;
    if (p->way == CB_BY_MEETING) return CB_OK;
    p->course = (cb_course){.pattern = patterns[p->way],
                            .exchange = &p->exchange,
                            .shape = {group->size, group->me, group->node, p->count},
                            .from = p->data,
                            .data = p->data,
                            .op = p->op};
    p->phases = p->course.pattern->rounds(&p->course.shape);
    cb_call call = call_of(p);
    TRY(cb_group_announce(group, p->exchange.sequence, &call));
    return allocate(p, group->size, p->exchange.type);
}

/* Posts the first messages, and stays in the operation. */
static cb_err begin(cb_pending *p, cb_group *group, cb_type type) {
    p->exchange = cb_exchange_begin(group, CB_ALL_REDUCE, type, p->way == CB_BY_MEETING, NULL, 1);
    cb_err e = prepare(p, group);
    if (!e && !is_done(p)) e = post(p);
    return e ? release(p, e) : CB_OK;
}

static cb_err finish(cb_pending *p) {
    cb_err e = CB_OK;
    while (!e && !is_done(p)) {
        e = cb_exchange_wait(&p->exchange);
        if (!e) e = advance(p);
    }
    return release(p, e);
}

cb_err cb_all_reduce_start_by(cb_all_reduce_way way, cb_pending *p, cb_group *group, void *data, int64_t count,
                              cb_type type, cb_reduce_op op, void *scratch) {
    assert(count >= 0);
    *p = (cb_pending){.data = data, .scratch = scratch, .count = count, .op = op, .way = way};
    TRY(begin(p, group, type));
    cb_exchange_pause(&p->exchange);
    return CB_OK;
}

cb_err cb_all_reduce_start(cb_pending *pending, cb_group *group, void *data, int64_t count, cb_type type,
                           cb_reduce_op op, void *scratch) {
    cb_all_reduce_way way = cb_all_reduce_choose(cb_group_means(group), group->size, count);
    return cb_all_reduce_start_by(way, pending, group, data, count, type, op, scratch);
}

cb_err cb_all_reduce_progress(cb_pending *p, bool *done) {
    if (p->phase == FAILED) return already_failed(p);
    cb_err e = CB_OK;
    bool through = true;
    cb_exchange_resume(&p->exchange);
    while (!e && !is_done(p)) {
        e = cb_exchange_test(&p->exchange, &through);
        if (!e && !through) break;
        if (!e) e = advance(p);
    }
    if (done) *done = is_done(p);
    if (e || is_done(p)) return release(p, e);
    cb_exchange_pause(&p->exchange);
    return CB_OK;
}

cb_err cb_all_reduce_finish(cb_pending *p) {
    if (p->phase == FAILED) return already_failed(p);
    cb_exchange_resume(&p->exchange);
    return finish(p);
}

cb_err cb_all_reduce(cb_group *group, void *data, int64_t count, cb_type type, cb_reduce_op op, void *scratch) {
    cb_all_reduce_way way = cb_all_reduce_choose(cb_group_means(group), group->size, count);
    return cb_all_reduce_by(way, group, data, count, type, op, scratch);
}

cb_err cb_all_reduce_by(cb_all_reduce_way way, cb_group *group, void *data, int64_t count, cb_type type,
                        cb_reduce_op op, void *scratch) {
    cb_pending p = {.data = data, .scratch = scratch, .count = count, .op = op, .way = way};
    TRY(begin(&p, group, type));
    return finish(&p);
}
