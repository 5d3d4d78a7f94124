/* For tests of the collectives: data that every rank can compute for every other, and the balanced tree in its plainest
 * form, element by element. Values differ so much in size that another order of sums gives other bits. */
#ifndef CB_TESTS_SUPPORT_REDUCTION_H
#define CB_TESTS_SUPPORT_REDUCTION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

typedef union value {
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t bf16;
} value;

/* bf16 as the upper half of an f32, rounded to the nearest, ties to even: by the definition, through doubles. */
static inline float bf16_value(uint16_t bits) {
    union {
        uint32_t u;
        float f;
    } wide = {.u = (uint32_t)bits << 16};
    return wide.f;
}

static inline uint16_t bf16_nearest(float x) {
    union {
        float f;
        uint32_t u;
    } wide = {.f = x};
    uint16_t down = (uint16_t)(wide.u >> 16), up = (uint16_t)(down + 1);
    double below = (double)x - bf16_value(down), above = (double)bf16_value(up) - x;
    if (below < 0) below = -below;
    if (above < 0) above = -above;
    return below < above || (below == above && down % 2 == 0) ? down : up;
}

static inline value bf16_combine(cb_reduce_op op, value a, value b) {
    float x = bf16_value(a.bf16), y = bf16_value(b.bf16);
    if (op == CB_SUM)
        a.bf16 = bf16_nearest(x + y);
    else if (op == CB_MAX ? y > x : y < x)
        a.bf16 = b.bf16;
    return a;
}

#define COMBINE(op, x, y) ((op) == CB_SUM ? (x) + (y) : (op) == CB_MAX ? ((y) > (x) ? (y) : (x)) : (y) < (x) ? (y) : (x))

static inline uint64_t mix(uint64_t x) { /* the finaliser of splitmix64 (Steele, Lea, Flood 2014) */
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Element i of what `member` holds in round `salt`. */
static inline value value_of(cb_type type, int salt, int member, int64_t i) {
    uint64_t h = mix(mix((uint64_t)salt * 1000003u + (uint64_t)member) + (uint64_t)i);
    double sign = h & 1 ? -1 : 1, scale = (double)(1 << (h >> 1) % 20);
    value v = {.i64 = 0};
    switch (type) {
    case CB_F32:
        v.f32 = h % 17 == 0 ? (float)(sign * 0.0) : (float)(sign * scale * (double)(h >> 40));
        break;
    case CB_F64:
        v.f64 = h % 17 == 0 ? sign * 0.0 : sign * scale * (double)(h >> 11);
        break;
    case CB_I32:
        v.i32 = (int32_t)(h >> 44) - (1 << 19);
        break;
    case CB_I64:
        v.i64 = (int64_t)(h >> 20) - ((int64_t)1 << 43);
        break;
    case CB_U8:
        v.u8 = (uint8_t)(h >> 50);
        break;
    case CB_BF16:
        v.bf16 = bf16_nearest((float)(sign * scale * (double)(h >> 40)));
        break;
    case CB_TYPES:
        break;
    }
    return v;
}

static inline value combine(cb_type type, cb_reduce_op op, value a, value b) {
    switch (type) {
    case CB_F32:
        a.f32 = COMBINE(op, a.f32, b.f32);
        break;
    case CB_F64:
        a.f64 = COMBINE(op, a.f64, b.f64);
        break;
    case CB_I32:
        a.i32 = COMBINE(op, a.i32, b.i32);
        break;
    case CB_I64:
        a.i64 = COMBINE(op, a.i64, b.i64);
        break;
    case CB_U8:
        a.u8 = (uint8_t)COMBINE(op, a.u8, b.u8);
        break;
    case CB_BF16:
        a = bf16_combine(op, a, b);
        break;
    case CB_TYPES:
        break;
    }
    return a;
}

/* Pairs of neighbours, then pairs of pairs; a lone last one moves up unchanged. */
static inline value tree_of(cb_type type, cb_reduce_op op, int salt, int size, int64_t i) {
    value level[512];
    for (int m = 0; m < size; m++) level[m] = value_of(type, salt, m, i);
    for (int n = size; n > 1; n = (n + 1) / 2)
        for (int m = 0; m < (n + 1) / 2; m++)
            level[m] = 2 * m + 1 < n ? combine(type, op, level[2 * m], level[2 * m + 1]) : level[2 * m];
    return level[0];
}

/* Exactly count elements of the heap, so that the address sanitizer sees a step past the end; never NULL. */
static inline void *elements_new(cb_type type, int64_t count) {
    return malloc((size_t)(count * cb_type_bytes(type)) + !count);
}

static inline void *elements_fill(void *to, cb_type type, int salt, int member, int64_t first, int64_t count) {
    const int64_t bytes = cb_type_bytes(type);
    for (int64_t i = 0; i < count; i++) {
        value v = value_of(type, salt, member, first + i);
        memcpy((char *)to + i * bytes, &v, (size_t)bytes);
    }
    return to;
}

static inline void *elements_of(cb_type type, int salt, int member, int64_t count) {
    return elements_fill(elements_new(type, count), type, salt, member, 0, count);
}

static inline bool are_elements_of(const void *data, cb_type type, int salt, int member, int64_t first, int64_t count) {
    const int64_t bytes = cb_type_bytes(type);
    for (int64_t i = 0; i < count; i++) {
        value v = value_of(type, salt, member, first + i);
        if (memcmp((const char *)data + i * bytes, &v, (size_t)bytes) != 0) return false;
    }
    return true;
}

/* Elements first .. first+count-1 of the tree over `size` members, bit for bit. */
static inline bool is_tree_of(const void *data, cb_type type, cb_reduce_op op, int salt, int size, int64_t first,
                              int64_t count) {
    const int64_t bytes = cb_type_bytes(type);
    for (int64_t i = 0; i < count; i++) {
        value v = tree_of(type, op, salt, size, first + i);
        if (memcmp((const char *)data + i * bytes, &v, (size_t)bytes) != 0) return false;
    }
    return true;
}

#endif
