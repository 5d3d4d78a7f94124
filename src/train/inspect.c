/* A step with every tensor watched; see inspect.h. The watch hook hashes each tensor, shard by shard, on the rank that
 * counts it; afterwards rank 0 gathers the hashes of all, and the one tensor that was asked for whole. */
#include "train/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "train/digest.h"
#include "train/rank.h"

typedef struct looker {
    cb_rank *rank;
    cb_seen *seen;
    int64_t count, capacity;
    int last_layer, last_micro_batch, ordinal; /* tensors of a layer are numbered as they come */
    bool last_backward;
    float *data; /* the tensor asked for, if this rank has it */
    int64_t elements;
    cb_err error;
} looker;

enum { ORDINAL_BITS = 8, LAYER_BITS = 20, SHARD_BITS = 8, BATCH_BITS = 26 };

static uint64_t make_key(const looker *w, int layer, int micro_batch, bool backward, int shard) {
    int layers = w->rank->run->model.layers;
    uint64_t key = backward, place = (uint64_t)(backward ? layers + 1 - layer : layer + 2);
    key = key << BATCH_BITS | (uint64_t)micro_batch;
    key = key << LAYER_BITS | place;
    key = key << ORDINAL_BITS | (uint64_t)w->ordinal;
    return key << SHARD_BITS | (uint64_t)shard;
}

static void number(looker *w, int layer, int micro_batch, bool backward) {
    bool again = layer == w->last_layer && micro_batch == w->last_micro_batch && backward == w->last_backward;
    w->ordinal = again ? w->ordinal + 1 : 0;
    w->last_layer = layer;
    w->last_micro_batch = micro_batch;
    w->last_backward = backward;
}

static void keep(looker *w, const float *data, int64_t count) {
    w->data = malloc((size_t)(count > 0 ? count : 1) * sizeof *data);
    if (!w->data) return;
    memcpy(w->data, data, (size_t)count * sizeof *data);
    w->elements = count;
}

static void add(looker *w, cb_seen seen) {
    if (w->count == w->capacity) {
        int64_t capacity = w->capacity ? 2 * w->capacity : 1024;
        cb_seen *more = realloc(w->seen, (size_t)capacity * sizeof *more);
        if (!more && !w->error) w->error = cb_fail(CB_ENOMEM, "no memory for %lld hashes", (long long)capacity);
        if (!more) return;
        w->seen = more;
        w->capacity = capacity;
    }
    w->seen[w->count++] = seen;
}

static void look(void *arg, int layer, const char *tensor, const float *data, int64_t count, int pieces) {
    looker *w = arg;
    cb_rank *rank = w->rank;
    const cb_inspect *what = rank->run->inspect;
    bool backward = strncmp(tensor, "gradient", 8) == 0;
    int micro_batch = rank->d * rank->run->micro_batches + (backward ? rank->backward_now : rank->forward_now);
    number(w, layer, micro_batch, backward);
    if (pieces == 0 && rank->t > 0) return; /* whole on every tp rank: the first one tells */
    int n = pieces ? pieces : 1, first = pieces ? rank->tp.first : 0;
    for (int s = 0; s < n; s++) {
        const float *piece = data + s * (count / n);
        cb_seen seen = {.layer = layer, .micro_batch = micro_batch, .shard = first + s};
        seen.key = make_key(w, layer, micro_batch, backward, first + s);
        snprintf(seen.tensor, sizeof seen.tensor, "%s", tensor);
        if (what->key && seen.key == what->key) keep(w, piece, count / n);
        if (!what->list) continue;
        seen.hash = cb_hash(piece, count / n * 4);
        add(w, seen);
    }
}

/* The parameter's shard asked for, if this rank is the one that counts it. */
static void keep_parameter(looker *w) {
    cb_rank *rank = w->rank;
    const cb_inspect *what = rank->run->inspect;
    for (int i = 0; i < rank->held_count && what->kind >= 0; i++) {
        const cb_held *h = &rank->held[i];
        if (h->param.id != what->param || !cb_rank_counts(rank, h) || rank->d > 0) continue;
        bool cut = h->param.cut != CB_CUT_NONE;
        int64_t n = h->count / (cut ? rank->tp.owned : 1);
        int s = cut ? what->shard - rank->tp.first : 0;
        if (s < 0 || (cut && s >= rank->tp.owned)) continue;
        keep(w, cb_held_data(h, (cb_digest_kind)what->kind) + s * n, n);
    }
}

static int by_key(const void *a, const void *b) {
    uint64_t x = ((const cb_seen *)a)->key, y = ((const cb_seen *)b)->key;
    return (x > y) - (x < y);
}

static cb_err send_all(cb_rank *rank, const looker *w) {
    int64_t sizes[2] = {w->count * (int64_t)sizeof *w->seen, w->elements};
    TRY(cb_send(&rank->world, sizes, 2, CB_I64, 0));
    if (sizes[0]) TRY(cb_send(&rank->world, w->seen, sizes[0], CB_U8, 0));
    return sizes[1] ? cb_send(&rank->world, w->data, sizes[1], CB_F32, 0) : CB_OK;
}

static cb_err receive_from(cb_rank *rank, looker *w, int r) {
    int64_t sizes[2];
    TRY(cb_recv(&rank->world, sizes, 2, CB_I64, r));
    cb_seen *more = realloc(w->seen, (size_t)(w->count + 1) * sizeof *more + (size_t)sizes[0]);
    if (!more) return cb_fail(CB_ENOMEM, "no memory for the hashes of rank %d", r);
    w->seen = more;
    if (sizes[0]) TRY(cb_recv(&rank->world, more + w->count, sizes[0], CB_U8, r));
    w->count += sizes[0] / (int64_t)sizeof *more;
    if (!sizes[1]) return CB_OK;
    free(w->data);
    w->data = malloc((size_t)sizes[1] * sizeof *w->data);
    w->elements = sizes[1];
    if (!w->data) return cb_fail(CB_ENOMEM, "no memory for a tensor of %lld elements", (long long)sizes[1]);
    return cb_recv(&rank->world, w->data, sizes[1], CB_F32, r);
}

static cb_err gather(cb_rank *rank, looker *w) {
    if (w->error) return w->error;
    if (rank->world.me != 0) return send_all(rank, w);
    for (int r = 1; r < rank->world.size; r++) TRY(receive_from(rank, w, r));
    if (w->count) qsort(w->seen, (size_t)w->count, sizeof *w->seen, by_key);
    cb_inspection inspection = {w->seen, w->count, w->data, w->elements};
    if (rank->run->observer.on_inspect) rank->run->observer.on_inspect(rank->run->observer.arg, &inspection);
    return CB_OK;
}

cb_err cb_rank_inspected_step(cb_rank *rank) {
    looker w = {.rank = rank, .last_layer = -2};
    rank->transformer.watch = look;
    rank->transformer.watch_arg = &w;
    cb_err e = cb_rank_execute(rank, &rank->schedule);
    rank->transformer.watch = NULL;
    if (!e) {
        keep_parameter(&w);
        e = gather(rank, &w);
    }
    free(w.data);
    free(w.seen);
    return e;
}
