/* Gradient reduction over data-parallel ranks, in buckets, while backward still runs: a range of gradients is handed over as
 * soon as the last microbatch's backward has finished it; buckets start in order, a few are under way at once, and each call
 * moves them on. Sums are element by element in the tree over dp ranks, so the cutting into buckets changes no bit. */
#ifndef CB_DATA_PARALLEL_BUCKETS_H
#define CB_DATA_PARALLEL_BUCKETS_H

#include "collectives/collectives.h"
#include "model/memory.h"

typedef struct cb_bucket {
    float *data;
    int64_t count;
} cb_bucket;

typedef struct cb_buckets {
    cb_group *group; /* the dp ranks */
    int64_t bucket_elements;
    float *scratch[CB_BUCKETS_UNDER_WAY];
    cb_pending pending[CB_BUCKETS_UNDER_WAY];
    bool busy[CB_BUCKETS_UNDER_WAY];
    cb_bucket *queue;
    int queued, started, capacity;
} cb_buckets;

void cb_buckets_init(cb_buckets *buckets, cb_group *group, int64_t bucket_elements);
void cb_buckets_free(cb_buckets *buckets);

/* data (count) is final on this rank: sum it over dp from now on. All dp ranks hand over the same ranges in the same order.
 * Never waits. */
CB_MUST_USE cb_err cb_buckets_ready(cb_buckets *buckets, float *data, int64_t count);
/* Starts and moves on what can be, without waiting. */
CB_MUST_USE cb_err cb_buckets_progress(cb_buckets *buckets);
/* All ranges handed over are summed on return. *Collective over dp.* */
CB_MUST_USE cb_err cb_buckets_finish(cb_buckets *buckets);
/* After the world was aborted: lets go of what was under way. */
void cb_buckets_abandon(cb_buckets *buckets);

#endif
