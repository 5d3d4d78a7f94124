/* How a dimension is cut: who owns which block, as pure functions. */
#ifndef CB_MESH_SHARD_H
#define CB_MESH_SHARD_H

#include <stdint.h>

/* A rank owns at most this many shards of a cut dimension: they are summed in one go. */
enum { CB_MOST_OWNED_SHARDS = 64 };

typedef struct cb_range {
    int64_t begin, count;
} cb_range;

/* Block i of n over `total` elements: sizes differ by at most one, the larger first. */
cb_range cb_shard_block(int64_t total, int n, int i);
/* Index of the block that holds `element`. */
int cb_shard_owner(int64_t total, int n, int64_t element);
/* Writes the divisors of every one of values[0..n) up to limit, ascending, as "1, 2, 3, 4, 6 or 12" (for messages). */
char *cb_shard_common_divisors(const int64_t *values, int n, int64_t limit, char *out, int out_size);
/* Of these the multiples of `factor`, at least 1. */
char *cb_shard_common_multiples(const int64_t *values, int n, int64_t factor, int64_t limit, char *out, int out_size);

#endif
