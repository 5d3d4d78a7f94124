/* All-reduce: the common course of its ways (all_reduce_*.c). A way is a row of functions; an operation runs
 * through phases, and a phase is over when all its messages are through. start and progress test, finish waits: both
 * take the same path through `advance`, so split and blocking calls do the same sums. Cost: see the ways; chosen in
 * cost.c. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "collectives/algorithms.h"

enum { FAILED = -1, ALIGNMENT = 64 };

static const cb_all_reduce_algorithm *const ways[CB_ALL_REDUCE_WAYS] = {
    [CB_BY_DIRECT] = &cb_all_reduce_direct,
    [CB_BY_BLOCKS] = &cb_all_reduce_blocks,
    [CB_BY_DOUBLING] = &cb_all_reduce_doubling,
    [CB_BY_TREE] = &cb_all_reduce_tree,
    [CB_BY_MEETING] = &cb_all_reduce_shared,
};

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
    ways[p->way]->settle(p);
    p->phase++;
    return is_done(p) ? CB_OK : ways[p->way]->post(p);
}

static cb_err already_failed(const cb_pending *p) {
    return cb_fail(CB_EPEER, "all-reduce %u over %s failed before", p->exchange.sequence,
                   cb_purpose_name(p->exchange.group->purpose));
}

/* One allocation: the requests, and after them the scratch if the caller gave none. */
static cb_err allocate(cb_pending *p, int size, cb_type type) {
    size_t reqs_bytes = (size_t)(2 * size) * sizeof(cb_req *);
    reqs_bytes = (reqs_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    int64_t scratch_bytes = p->scratch ? 0 : cb_all_reduce_scratch_by(p->way, size, p->count, type);
    size_t bytes = reqs_bytes + ((size_t)scratch_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    p->owned = aligned_alloc(ALIGNMENT, bytes);
    if (!p->owned)
        return cb_fail(CB_ENOMEM, "all-reduce of %lld elements over %d ranks: no %zu bytes for scratch and requests",
                       (long long)p->count, size, bytes);
    if (!p->scratch) p->scratch = (char *)p->owned + reqs_bytes;
    return CB_OK;
}

/* When a recorded operation holds up its rank: from here on, */
static void note_wait(cb_pending *p) {
    if (p->exchange.event) p->exchange.event->wait_s = cb_now_s();
}

/* no more, as its first messages are posted, */
static void note_posted(cb_pending *p) {
    if (!p->exchange.event) return;
    p->exchange.event->posted_s = cb_now_s();
    p->exchange.event->wait_s = INFINITY;
}

/* no more, as it was moved on and is not through. */
static void note_moved(cb_pending *p) {
    cb_comm_event *event = p->exchange.event;
    if (!event) return;
    event->beside_s += cb_now_s() - event->wait_s;
    event->wait_s = INFINITY;
}

cb_err cb_all_reduce_start_by(cb_all_reduce_way way, cb_pending *p, cb_group *group, void *data, int64_t count,
                              cb_type type, cb_reduce_op op, void *scratch) {
    assert(count >= 0);
    int size = group->size;
    *p = (cb_pending){.data = data, .scratch = scratch, .count = count, .op = op, .way = way, .phase = FAILED};
    p->exchange = cb_exchange_begin(group, CB_ALL_REDUCE, type, NULL, 2 * size);
    p->exchange.reqs = &p->visit;
    if (size > 1) {
        if (way != CB_BY_MEETING) {
            TRY(allocate(p, size, type));
            p->exchange.reqs = p->owned;
        }
        p->phases = ways[way]->phases(size);
    }
    p->phase = 0;
    cb_err e = is_done(p) ? CB_OK : ways[way]->post(p);
    note_posted(p);
    return e ? release(p, e) : CB_OK;
}

cb_err cb_all_reduce_start(cb_pending *pending, cb_group *group, void *data, int64_t count, cb_type type,
                           cb_reduce_op op, void *scratch) {
    cb_all_reduce_way way = cb_all_reduce_choose(group->board, group->size, count);
    return cb_all_reduce_start_by(way, pending, group, data, count, type, op, scratch);
}

cb_err cb_all_reduce_progress(cb_pending *p, bool *done) {
    if (p->phase == FAILED) return already_failed(p);
    cb_err e = CB_OK;
    bool through = true;
    note_wait(p);
    while (!e && !is_done(p)) {
        e = cb_exchange_test(&p->exchange, &through);
        if (!e && !through) break;
        if (!e) e = advance(p);
    }
    if (done) *done = is_done(p);
    if (e || is_done(p)) return release(p, e);
    note_moved(p);
    return CB_OK;
}

cb_err cb_all_reduce_finish(cb_pending *p) {
    if (p->phase == FAILED) return already_failed(p);
    cb_err e = CB_OK;
    note_wait(p);
    while (!e && !is_done(p)) {
        e = cb_exchange_wait(&p->exchange);
        if (!e) e = advance(p);
    }
    return release(p, e);
}

cb_err cb_all_reduce(cb_group *group, void *data, int64_t count, cb_type type, cb_reduce_op op, void *scratch) {
    cb_pending pending;
    TRY(cb_all_reduce_start(&pending, group, data, count, type, op, scratch));
    return cb_all_reduce_finish(&pending);
}
