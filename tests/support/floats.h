/* For tests of arithmetic: rooms of floats with numbers that depend on a seed and the index only, and how far two rooms
 * are apart. */
#ifndef CB_TESTS_SUPPORT_FLOATS_H
#define CB_TESTS_SUPPORT_FLOATS_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Uniform in [-1, 1): the fractional part of a Weyl sequence, scrambled (splitmix64's finaliser). */
static inline float float_at(uint32_t seed, int64_t i) {
    uint64_t z = ((uint64_t)seed << 40) + (uint64_t)i + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)(z >> 40) * (2.0f / 16777216.0f) - 1.0f;
}

/* Allocates n floats (at least one); the caller frees. */
static inline float *floats_new(uint32_t seed, int64_t n, float scale) {
    float *x = calloc((size_t)(n > 0 ? n : 1), sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = scale * float_at(seed, i);
    return x;
}

/* The greatest |a - b| / (1 + |b|); equal infinities count as 0, NaN anywhere as infinite. */
static inline double floats_distance(const float *a, const float *b, int64_t n) {
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        if (a[i] == b[i]) continue;
        double d = fabs((double)a[i] - (double)b[i]) / (1 + fabs((double)b[i]));
        if (!(d <= worst)) worst = isnan(d) ? INFINITY : d;
    }
    return worst;
}

#endif
