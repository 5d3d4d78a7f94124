/* XXH3 as the project's digest; see hash.h. */
#include "base/hash.h"

#include <xxhash.h>

uint64_t cb_hash(const void *data, int64_t bytes) {
    return XXH3_64bits(data, (size_t)bytes);
}

uint64_t cb_hash_chain(uint64_t so_far, const void *more, int64_t bytes) {
    return XXH3_64bits_withSeed(more, (size_t)bytes, so_far);
}
