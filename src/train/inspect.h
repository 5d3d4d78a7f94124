/* A close look at one step: a hash of every tensor of the forward and backward passes, and one of them whole. For
 * finding where two runs part. */
#ifndef CB_TRAIN_INSPECT_H
#define CB_TRAIN_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

/* One shard of one tensor of one microbatch. Keys sort in the order of computation: forward by microbatch, layer and
 * tensor, then backward; they are the same in every layout. */
typedef struct cb_seen {
    uint64_t key, hash;
    int32_t layer, micro_batch, shard; /* micro_batch: within the global batch; layer: -1 embedding, L head */
    char tensor[36];
} cb_seen;

/* What to look at. */
typedef struct cb_inspect {
    int64_t step;
    bool list;              /* hash all tensors */
    uint64_t key;           /* 0, or the tensor to bring whole */
    int kind, param, shard; /* kind >= 0 (cb_digest_kind): the parameter's shard to bring whole */
} cb_inspect;

/* What was seen, on world rank 0; valid during the call. */
typedef struct cb_inspection {
    const cb_seen *seen; /* sorted by key */
    int64_t count;
    const float *data; /* the tensor brought whole, or NULL */
    int64_t elements;
} cb_inspection;

#endif
