/* 64-bit digests of bytes (XXH3, Yann Collet), for comparing tensors and runs. Not for security. */
#ifndef CB_BASE_HASH_H
#define CB_BASE_HASH_H

#include <stdint.h>

uint64_t cb_hash(const void *data, int64_t bytes);
/* The digest of `more` after what is in `so_far`. */
uint64_t cb_hash_chain(uint64_t so_far, const void *more, int64_t bytes);

#endif
