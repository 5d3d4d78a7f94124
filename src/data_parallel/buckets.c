/* A queue of buckets and a few all-reduces under way; see buckets.h. Bucket i uses lane i mod CB_BUCKETS_UNDER_WAY, so every
 * dp rank starts the same bucket with the same sequence number. */
#include "data_parallel/buckets.h"

#include <stdlib.h>

void cb_buckets_init(cb_buckets *b, cb_group *group, int64_t bucket_elements) {
    *b = (cb_buckets){.group = group, .bucket_elements = bucket_elements};
}

void cb_buckets_free(cb_buckets *b) {
    free(b->queue);
    b->queue = NULL;
}

static cb_err enqueue(cb_buckets *b, float *data, int64_t count) {
    if (b->queued == b->capacity) {
        int capacity = b->capacity ? 2 * b->capacity : 64;
        cb_bucket *queue = realloc(b->queue, (size_t)capacity * sizeof *queue);
        if (!queue) return cb_fail(CB_ENOMEM, "no memory for a queue of %d gradient buckets", capacity);
        b->queue = queue;
        b->capacity = capacity;
    }
    b->queue[b->queued++] = (cb_bucket){data, count};
    return CB_OK;
}

static cb_err start_next(cb_buckets *b, int lane) {
    cb_bucket *next = &b->queue[b->started++];
    b->busy[lane] = true;
    return cb_all_reduce_start(&b->pending[lane], b->group, next->data, next->count, CB_F32, CB_SUM, b->scratch[lane]);
}

cb_err cb_buckets_progress(cb_buckets *b) {
    for (int lane = 0; lane < CB_BUCKETS_UNDER_WAY; lane++) {
        if (!b->busy[lane]) continue;
        bool done;
        TRY(cb_all_reduce_progress(&b->pending[lane], &done));
        if (!done) continue;
        TRY(cb_all_reduce_finish(&b->pending[lane]));
        b->busy[lane] = false;
    }
    while (b->started < b->queued && !b->busy[b->started % CB_BUCKETS_UNDER_WAY]) {
        TRY(start_next(b, b->started % CB_BUCKETS_UNDER_WAY));
    }
    return CB_OK;
}

cb_err cb_buckets_ready(cb_buckets *b, float *data, int64_t count) {
    if (b->group->size == 1) return CB_OK;
    for (int64_t at = 0; at < count; at += b->bucket_elements) {
        int64_t part = count - at < b->bucket_elements ? count - at : b->bucket_elements;
        TRY(enqueue(b, data + at, part));
    }
    return cb_buckets_progress(b);
}

static cb_err finish_lane(cb_buckets *b, int lane) {
    if (!b->busy[lane]) return CB_OK;
    b->busy[lane] = false;
    return cb_all_reduce_finish(&b->pending[lane]);
}

void cb_buckets_abandon(cb_buckets *b) {
    for (int lane = 0; lane < CB_BUCKETS_UNDER_WAY; lane++) cb_err_free(finish_lane(b, lane));
}

cb_err cb_buckets_finish(cb_buckets *b) {
    while (b->started < b->queued) {
        int lane = b->started % CB_BUCKETS_UNDER_WAY;
        TRY(finish_lane(b, lane));
        TRY(start_next(b, lane));
    }
    for (int i = 0; i < CB_BUCKETS_UNDER_WAY; i++) TRY(finish_lane(b, (b->started + i) % CB_BUCKETS_UNDER_WAY));
    b->queued = b->started = 0;
    return CB_OK;
}
