/* Internal: scalar functions written so that loops of them vectorise: no branches, no calls, no tables. NaN stays NaN.
 * cb_expf: at most 1.009 ulp from exp, all inputs tried, with subnormal results, 0 and infinity where due.
 */
#ifndef CB_COMPUTE_VMATH_H
#define CB_COMPUTE_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* a b + c, in one rounding where the processor can do so. */
static inline float cb_madd(float a, float b, float c) {
#ifdef __FMA__
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

static inline float cb_float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t cb_bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2)/2, with ln 2 in two parts (Cody and Waite, 1980).
 * The polynomial has the least maximal relative error on that range (Remez exchange). */
typedef struct cb_exp_parts {
    float p;   /* exp(r) */
    int32_t n; /* defined, if meaningless, where x is NaN; p is NaN there */
} cb_exp_parts;

static inline cb_exp_parts cb_exp_split(float x) {
    const float round_by = 12582912.0f; /* 1.5 * 2^23: adding it leaves the integer in the low bits */
    float shifted = cb_madd(x, 1.44269504088896341f, round_by), n = shifted - round_by;
    float r = cb_madd(n, -0.693145751953125f, x);
    r = cb_madd(n, -1.42860682030941723e-6f, r);
    float p = 0.0013814560370519757f; /* (exp(r) - 1 - r) / r^2, to 2^-28 of exp(r) */
    p = cb_madd(p, r, 0.008368735201656818f);
    p = cb_madd(p, r, 0.04166838899254799f);
    p = cb_madd(p, r, 0.1666652113199234f);
    p = cb_madd(p, r, 0.4999999403953552f);
    p = cb_madd(p, r * r, r) + 1.0f;
    return (cb_exp_parts){p, (int32_t)(cb_bits_of_float(shifted) - cb_bits_of_float(round_by))};
}

static inline float cb_power_of_2(int32_t n) {
    return cb_float_of_bits((uint32_t)(n + 127) << 23);
}

/* exp of x between least and 89. 2^n is two factors, so that n may leave the range of normal exponents. */
static inline float cb_exp_from(float least, float x) {
    x = 89.0f < x ? 89.0f : x; /* the comparison is false for NaN, which stays */
    x = least > x ? least : x;
    cb_exp_parts e = cb_exp_split(x);
    return e.p * cb_power_of_2(e.n >> 1) * cb_power_of_2(e.n - (e.n >> 1));
}

static inline float cb_expf(float x) {
    return cb_exp_from(-104.0f, x);
}

/* -2 sqrt(2/pi) (x + 0.044715 x^3): gelu(x) = x / (1 + exp(this)), the same as x/2 (1 + tanh(-this/2)) */
static inline float cb_gelu_exponent(float x) {
    return x * cb_madd(x * x, -0.0713548162726f, -1.5957691216057308f);
}

/* Less than exp(-80) is nothing beside 1, and subnormal numbers are slow. */
static inline float cb_gelu(float x) {
    return x / (1.0f + cb_exp_from(-80.0f, cb_gelu_exponent(x)));
}

/* x, or limit with the sign of x where |x| is larger; the comparison is of integers, which compilers do not make a
 * branch of. Loses NaN. */
static inline float cb_clip(float x, float limit) {
    uint32_t bits = cb_bits_of_float(x), size = bits & 0x7fffffffu, most = cb_bits_of_float(limit);
    return cb_float_of_bits((bits & 0x80000000u) | (size < most ? size : most));
}

/* gelu'(x) = s + x s (1 - s) (-exponent'), s = 1 / (1 + e), 1 - s = e s. Beyond 9.6 it is 0 or 1 to 1e-31, and e^2
 * would overflow not far off. NaN also for infinities. */
static inline float cb_gelu_slope(float x) {
    float near = cb_clip(x, 9.6f), lost = x - x; /* 0 or NaN */
    cb_exp_parts parts = cb_exp_split(cb_gelu_exponent(near));
    float e = parts.p * cb_power_of_2(parts.n), s = 1.0f / (1.0f + e);
    float rise = near * cb_madd(near * near, 3 * 0.0713548162726f, 1.5957691216057308f);
    return cb_madd(rise * s, e * s, s) + lost;
}

#endif
