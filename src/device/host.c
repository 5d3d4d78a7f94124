/* Host memory as a device: copies and tree reductions. The order of every reduction is the balanced binary tree over
 * the operands, pairs of neighbours first, so it depends on their number only. */
#include <string.h>

#include "device/device.h"

enum { BLOCK = 1024 };

int64_t cb_type_bytes(cb_type type) {
    static const int64_t bytes[] = {4, 8, 4, 8, 1, 2};
    return bytes[type];
}

const char *cb_type_name(cb_type type) {
    static const char *const names[] = {"f32", "f64", "i32", "i64", "u8", "bf16"};
    return names[type];
}

const char *cb_reduce_op_name(cb_reduce_op op) {
    static const char *const names[] = {"sum", "max", "min"};
    return names[op];
}

static void copy(void *to, const void *from, int64_t bytes) {
    if (bytes > 0 && to != from) memcpy(to, from, (size_t)bytes);
}

/* One pairwise loop per type; out (n) = a op b. out may be a or b. */
#define PAIR(suffix, T)                                                            \
    static void sum_##suffix(void *out, const void *a, const void *b, int64_t n) { \
        T *to = out;                                                               \
        const T *x = a, *y = b;                                                    \
        for (int64_t i = 0; i < n; i++) to[i] = (T)(x[i] + y[i]);                  \
    }                                                                              \
    static void max_##suffix(void *out, const void *a, const void *b, int64_t n) { \
        T *to = out;                                                               \
        const T *x = a, *y = b;                                                    \
        for (int64_t i = 0; i < n; i++) to[i] = y[i] > x[i] ? y[i] : x[i];         \
    }                                                                              \
    static void min_##suffix(void *out, const void *a, const void *b, int64_t n) { \
        T *to = out;                                                               \
        const T *x = a, *y = b;                                                    \
        for (int64_t i = 0; i < n; i++) to[i] = y[i] < x[i] ? y[i] : x[i];         \
    }
PAIR(f32, float)
PAIR(f64, double)
PAIR(i32, int32_t)
PAIR(i64, int64_t)
PAIR(u8, uint8_t)
#undef PAIR

/* bf16: sums are taken in f32 and rounded in every pair. */
static void sum_bf16(void *out, const void *a, const void *b, int64_t n) {
    const uint16_t *x = a, *y = b;
    for (int64_t i = 0; i < n; i++) ((uint16_t *)out)[i] = cb_bf16_narrow(cb_bf16_widen(x[i]) + cb_bf16_widen(y[i]));
}

static void max_bf16(void *out, const void *a, const void *b, int64_t n) {
    const uint16_t *x = a, *y = b;
    for (int64_t i = 0; i < n; i++) ((uint16_t *)out)[i] = cb_bf16_widen(y[i]) > cb_bf16_widen(x[i]) ? y[i] : x[i];
}

static void min_bf16(void *out, const void *a, const void *b, int64_t n) {
    const uint16_t *x = a, *y = b;
    for (int64_t i = 0; i < n; i++) ((uint16_t *)out)[i] = cb_bf16_widen(y[i]) < cb_bf16_widen(x[i]) ? y[i] : x[i];
}

void cb_bf16_narrow_all(uint16_t *to, const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = cb_bf16_narrow(from[i]);
}

void cb_bf16_widen_all(float *to, const uint16_t *from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = cb_bf16_widen(from[i]);
}

typedef void (*pair_fn)(void *out, const void *a, const void *b, int64_t n);
static const pair_fn pair_table[CB_TYPES][CB_REDUCE_OPS] = {
    [CB_F32] = {sum_f32, max_f32, min_f32}, [CB_F64] = {sum_f64, max_f64, min_f64},
    [CB_I32] = {sum_i32, max_i32, min_i32}, [CB_I64] = {sum_i64, max_i64, min_i64},
    [CB_U8] = {sum_u8, max_u8, min_u8},     [CB_BF16] = {sum_bf16, max_bf16, min_bf16}};

/* One block of a reduction: count elements at byte offset `at` of each of n operands. */
typedef struct block {
    const void *const *from;
    int n;
    int64_t at, count;
    pair_fn pair;
} block;

/* Reduces operands first..first+span-1 (span a power of two, the first at least there) and returns where the result
 * lies: an operand itself where there is only one, else out. levels[depth] is room for the right half. */
static const void *tree(const block *b, void *out, int first, int span, double levels[][BLOCK], int depth) {
    if (span == 1) return (const char *)b->from[first] + b->at;
    int half = span / 2;
    const void *left = tree(b, out, first, half, levels, depth + 1);
    if (first + half >= b->n) return left; /* a lone left half moves up unchanged */
    const void *right = tree(b, levels[depth], first + half, half, levels, depth + 1);
    b->pair(out, left, right, b->count);
    return out;
}

/* Nothing is written to `to`, which may be an operand, before all operands are read. */
static void reduce_block(char *to, const block *b) {
    double room[BLOCK], levels[10][BLOCK]; /* 2^10 operands; 88 KiB of stack */
    int half = 1;
    while (2 * half < b->n) half *= 2;
    const void *left = tree(b, room, 0, half, levels, 1);
    const void *right = tree(b, levels[0], half, half, levels, 1);
    b->pair(to + b->at, left, right, b->count);
}

static void reduce(void *to, const void *const *from, int n, int64_t count, cb_type type, cb_reduce_op op) {
    int64_t size = cb_type_bytes(type);
    if (n == 1) {
        copy(to, from[0], count * size);
        return;
    }
    if (n == 2) {
        pair_table[type][op](to, from[0], from[1], count);
        return;
    }
    block b = {.from = from, .n = n, .pair = pair_table[type][op]};
    for (int64_t i = 0; i < count; i += BLOCK) {
        b.at = i * size;
        b.count = count - i < BLOCK ? count - i : BLOCK;
        reduce_block(to, &b);
    }
}

static const cb_device host = {.name = "host", .copy = copy, .reduce = reduce};

const cb_device *cb_device_host(void) {
    return &host;
}
