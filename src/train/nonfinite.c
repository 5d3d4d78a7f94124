/* When loss or gradient norm is not finite: which tensor was the first. Weights are scanned, then the step's forward
 * passes are run again with every tensor watched, then the gradients are scanned. All ranks agree on the earliest
 * finding: in the order weights, forward by microbatch, block and tensor, backward from the last parameter to the
 * first. */
#include <stdio.h>
#include <string.h>

#include "train/rank.h"

enum { TEXT = 192 };

typedef struct finding {
    int64_t key; /* smaller: earlier; INT64_MAX: nothing found */
    char text[TEXT];
} finding;

typedef struct watcher {
    cb_rank *rank;
    finding *first;
    int64_t seen;
} watcher;

#define KEY_NONE INT64_MAX
#define KEY_FORWARD (INT64_C(1) << 40)
#define KEY_BACKWARD (INT64_C(1) << 60)

static void watch(void *arg, int layer, const char *tensor, const float *data, int64_t count, int pieces) {
    (void)pieces;
    watcher *w = arg;
    cb_rank *rank = w->rank;
    w->seen++;
    if (w->first->key != KEY_NONE) return;
    int64_t at = rank->compute->ops->first_nonfinite(rank->compute, data, count);
    if (at < 0) return;
    int mb = rank->forward_now;
    char where[16] = "";
    if (layer >= 0 && layer < rank->run->model.layers) snprintf(where, sizeof where, "h.%d.", layer);
    w->first->key = KEY_FORWARD + ((int64_t)mb << 32) + ((int64_t)rank->chunk[rank->chunk_now].block << 20) + w->seen;
    snprintf(w->first->text, TEXT, "%s%s in the forward pass of microbatch %d, stage %d, element %lld on rank %d (%s)",
             where, tensor, mb, rank->p, (long long)at, cb_comm_rank(rank->comm), rank->name);
}

static void scan_params(cb_rank *rank, finding *first, bool gradients) {
    for (int k = 0; k < rank->held_count && first->key == KEY_NONE; k++) {
        cb_held *h = &rank->held[gradients ? rank->held_count - 1 - k : k];
        int64_t at = rank->compute->ops->first_nonfinite(rank->compute, gradients ? h->g : h->w, h->count);
        if (at < 0) continue;
        first->key = gradients ? KEY_BACKWARD - h->param.id : h->param.id;
        snprintf(first->text, TEXT, "%s%s, stage %d, element %lld on rank %d (%s)",
                 gradients ? "gradient of " : "weight ", h->param.name, rank->p, (long long)at,
                 cb_comm_rank(rank->comm), rank->name);
    }
}

static cb_err scan_forward(cb_rank *rank, finding *first) {
    watcher w = {rank, first, 0};
    cb_chunks_free_slots(rank);
    rank->transformer.watch = watch;
    rank->transformer.watch_arg = &w;
    cb_err e = cb_rank_execute_forward(rank, rank->run->micro_batches);
    rank->transformer.watch = NULL;
    return e;
}

/* The earliest finding of all ranks reaches everyone. */
static cb_err agree(cb_rank *rank, const finding *mine, char *text, int text_bytes) {
    int64_t best = -mine->key;
    TRY(cb_all_reduce(&rank->world, &best, 1, CB_I64, CB_MAX, NULL));
    if (-best == KEY_NONE) {
        snprintf(text, (size_t)text_bytes, "no single tensor: a sum overflowed");
        return CB_OK;
    }
    int64_t owner = mine->key == -best ? rank->world.me : -1;
    TRY(cb_all_reduce(&rank->world, &owner, 1, CB_I64, CB_MAX, NULL));
    char shared[TEXT];
    memcpy(shared, mine->text, TEXT);
    TRY(cb_broadcast(&rank->world, shared, TEXT, CB_U8, (int)owner));
    snprintf(text, (size_t)text_bytes, "%s", shared);
    return CB_OK;
}

cb_err cb_rank_explain_nonfinite(cb_rank *rank, char *text, int text_bytes) {
    finding first = {.key = KEY_NONE};
    scan_params(rank, &first, false);
    TRY(scan_forward(rank, &first));
    scan_params(rank, &first, true);
    return agree(rank, &first, text, text_bytes);
}
