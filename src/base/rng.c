/* Counter-based random numbers; see rng.h. Every value is a function of (key, counter) alone: no state, and nothing
 * that depends on who asks, in which order or how many at a time. Source: Salmon, Moraes, Dror, Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC'11, and the known answers of its library Random123. */
#include "base/rng.h"

#include <assert.h>
#include <math.h>

enum { PHILOX_ROUNDS = 10, FEISTEL_ROUNDS = 8 };

void cb_rng_philox(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u; /* the Weyl constants: golden ratio and sqrt(3) - 1 */
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void cb_rng_block(cb_rng_key key, uint64_t counter, uint32_t out[4]) {
    const uint32_t k[2] = {key.seed, key.stream};
    const uint32_t words[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
    cb_rng_philox(k, words, out);
}

uint32_t cb_rng_u32(cb_rng_key key, uint64_t index) {
    uint32_t words[4];
    cb_rng_block(key, index / 4, words);
    return words[index % 4];
}

uint64_t cb_rng_u64(cb_rng_key key, uint64_t index) {
    uint32_t words[4];
    cb_rng_block(key, index, words);
    return words[0] | (uint64_t)words[1] << 32;
}

double cb_rng_uniform(cb_rng_key key, uint64_t index) {
    return (double)(cb_rng_u64(key, index) >> 11) * 0x1p-53;
}

/* Two normal values from two words. The first word becomes (0, 1) without its ends, so the logarithm is finite; the
 * largest magnitude is sqrt(66 log 2) = 6.77. In double, rounded to float once. */
static void box_muller(uint32_t a, uint32_t b, float out[2]) {
    double radius = sqrt(-2.0 * log(((double)a + 0.5) * 0x1p-32));
    double angle = 2.0 * 3.14159265358979323846 * ((double)b * 0x1p-32);
    out[0] = (float)(radius * cos(angle));
    out[1] = (float)(radius * sin(angle));
}

void cb_rng_normal(cb_rng_key key, uint64_t first, int64_t n, float *out) {
    for (int64_t i = 0; i < n;) {
        uint64_t element = first + (uint64_t)i;
        uint32_t words[4];
        float four[4]; /* always the whole block: element e is the same whatever `first` is */
        cb_rng_block(key, element / 4, words);
        box_muller(words[0], words[1], four);
        box_muller(words[2], words[3], four + 2);
        for (uint64_t j = element % 4; j < 4 && i < n; j++) out[i++] = four[j];
    }
}

/* One pass of the Feistel network over 2*half bits: a bijection of [0, 4^half) whatever the round function is. */
static uint64_t feistel(cb_rng_key key, int half, uint64_t value) {
    uint64_t mask = ((uint64_t)1 << half) - 1, left = value >> half, right = value & mask;
    for (uint64_t round = 0; round < FEISTEL_ROUNDS; round++) {
        uint64_t mixed = left ^ (cb_rng_u64(key, round << 32 | right) & mask);
        left = right;
        right = mixed;
    }
    return left << half | right;
}

uint64_t cb_rng_permute(cb_rng_key key, uint64_t n, uint64_t i) {
    assert(n >= 1 && i < n);
    int half = 0; /* the least with 4^half >= n, so fewer than 4 passes are expected */
    while (half < 32 && (n - 1) >> (2 * half)) half++;
    if (half == 0) return 0;
    /* Cycle walking: leave [0, n) and walk on until back inside. i itself lies on the cycle, so this ends. */
    do {
        i = feistel(key, half, i);
    } while (i >= n);
    return i;
}
