/* Requests without an allocation per message: slabs cut into items, a queue of free ones, a ring of those in use. The
 * queue is first in, first out and kept at least QUARANTINE long, so that a handle used after its end is found out. */
#include <stddef.h>
#include <stdlib.h>

#include "comm/comm_backend.h"

enum { SLAB_ITEMS = 32, QUARANTINE = 16 };

struct cb_slab {
    struct cb_slab *next;
    max_align_t items[];
};

static size_t rounded(size_t bytes) {
    return (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
}

void cb_pool_init(cb_pool *pool, size_t item_bytes) {
    *pool = (cb_pool){.item_bytes = rounded(item_bytes)};
    pool->in_use.prev = pool->in_use.next = &pool->in_use;
}

static void enqueue(cb_pool *pool, cb_req *req) {
    req->in_use = false;
    req->next = NULL;
    if (pool->free_last)
        pool->free_last->next = req;
    else
        pool->free_first = req;
    pool->free_last = req;
    pool->free++;
}

static bool grow(cb_pool *pool) {
    struct cb_slab *slab = calloc(1, sizeof *slab + SLAB_ITEMS * pool->item_bytes);
    if (!slab) return false;
    slab->next = pool->slabs;
    pool->slabs = slab;
    for (size_t i = 0; i < SLAB_ITEMS; i++)
        enqueue(pool, (cb_req *)(void *)((char *)slab->items + i * pool->item_bytes));
    return true;
}

cb_req *cb_pool_take(cb_pool *pool, const cb_msg *msg, bool is_send) {
    if (pool->free <= QUARANTINE && !grow(pool) && pool->free == 0) return NULL;
    cb_req *req = pool->free_first;
    pool->free_first = req->next;
    if (!pool->free_first) pool->free_last = NULL;
    pool->free--;
    pool->used++;
    req->msg = *msg;
    req->is_send = is_send;
    req->in_use = true;
    req->next = &pool->in_use;
    req->prev = pool->in_use.prev;
    req->prev->next = req->next->prev = req;
    return req;
}

void cb_pool_give(cb_pool *pool, cb_req *req) {
    req->prev->next = req->next;
    req->next->prev = req->prev;
    pool->used--;
    enqueue(pool, req);
}

void cb_pool_destroy(cb_pool *pool) {
    while (pool->slabs) {
        struct cb_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        free(slab);
    }
    cb_pool_init(pool, pool->item_bytes);
}

cb_err cb_pool_check_empty(const cb_pool *pool, int rank) {
    if (pool->used == 0) return CB_OK;
    const cb_req *first = pool->in_use.next;
    char what[96];
    if (first->msg.peer < 0)
        return cb_fail(CB_EMISMATCH, "rank %d ended with %d operation%s or messages under way, the first %s", rank,
                       pool->used, pool->used > 1 ? "s" : "", cb_msg_describe(&first->msg, what));
    return cb_fail(CB_EMISMATCH, "rank %d ended with %d message%s under way, the first %s rank %d (%s)", rank,
                   pool->used, pool->used > 1 ? "s" : "", first->is_send ? "to" : "from", first->msg.peer,
                   cb_msg_describe(&first->msg, what));
}
