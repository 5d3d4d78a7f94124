/* Digests of a run's state that do not depend on the layout: one 64-bit hash for every shard of every parameter, in the
 * model's order. With the same S they compare, whatever the mesh. See docs/exactness.md. */
#ifndef CB_TRAIN_DIGEST_H
#define CB_TRAIN_DIGEST_H

#include <stdint.h>

typedef enum cb_digest_kind {
    CB_DIGEST_GRADIENT, /* of the whole batch, before clipping */
    CB_DIGEST_WEIGHT,   /* after the step */
    CB_DIGEST_M,
    CB_DIGEST_V,
    CB_DIGEST_KINDS
} cb_digest_kind;
const char *cb_digest_kind_name(cb_digest_kind kind); /* "gradient of ", "weight ", ... */

typedef struct cb_digest {
    int params, shards;
    const uint64_t *hash; /* (CB_DIGEST_KINDS, params, shards); an uncut parameter has shard 0 only, the others are 0 */
    uint64_t state;       /* of weights, optimizer state and the losses of all steps so far */
} cb_digest;

static inline uint64_t cb_digest_at(const cb_digest *digest, int kind, int param, int shard) {
    return digest->hash[((int64_t)kind * digest->params + param) * digest->shards + shard];
}

#endif
