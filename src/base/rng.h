/* Counter-based random numbers (Philox4x32-10, Salmon et al., SC'11): a value is a pure function of (key, counter), so
 * what a rank draws for a global element does not depend on which rank draws it. */
#ifndef CB_BASE_RNG_H
#define CB_BASE_RNG_H

#include <stdint.h>

typedef struct cb_rng_key {
    uint32_t seed, stream; /* stream: e.g. the number of the tensor in the model's table */
} cb_rng_key;

/* Philox4x32-10 itself: all four counter words, both key words. Source: Random123, philox4x32-10. */
void cb_rng_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);

/* The four 32-bit words of block `counter`. Key words (seed, stream), counter words (lo, hi, 0, 0). */
void cb_rng_block(cb_rng_key key, uint64_t counter, uint32_t out[4]);
uint32_t cb_rng_u32(cb_rng_key key, uint64_t index);   /* word index%4 of block index/4 */
uint64_t cb_rng_u64(cb_rng_key key, uint64_t index);   /* words of block `index` */
double cb_rng_uniform(cb_rng_key key, uint64_t index); /* [0, 1), 53 bits, from block `index` */

/* out[i] = N(0, 1) for element first + i of the stream (Box-Muller, one block per four elements). */
void cb_rng_normal(cb_rng_key key, uint64_t first, int64_t n, float *out);

/* A permutation of 0..n-1 evaluated at i without memory (balanced Feistel network with cycle walking). n >= 1. */
uint64_t cb_rng_permute(cb_rng_key key, uint64_t n, uint64_t i);

#endif
