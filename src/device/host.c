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

/* The loops over two operands, a type and an operation each. out (n) = a op b, and the same into two places at once,
 * where a copy afterwards would read it again; every out may be a or b. bf16: sums are taken in f32 and rounded in
 * every pair. */
#define PAIR(op, suffix, T, result)                                                                \
    static void op##_##suffix(void *out, const void *a, const void *b, int64_t n) {                \
        T *to = out;                                                                               \
        const T *x = a, *y = b;                                                                    \
        for (int64_t i = 0; i < n; i++) to[i] = (T)(result);                                       \
    }                                                                                              \
    static void op##_##suffix##_twice(void *const *out, const void *a, const void *b, int64_t n) { \
        T *to = out[0], *too = out[1];                                                             \
        const T *x = a, *y = b;                                                                    \
        SIMD for (int64_t i = 0; i < n; i++) too[i] = to[i] = (T)(result);                         \
    }
#define SIMD _Pragma("omp simd")
#define PAIRS(suffix, T)                            \
    PAIR(sum, suffix, T, x[i] + y[i])               \
    PAIR(max, suffix, T, y[i] > x[i] ? y[i] : x[i]) \
    PAIR(min, suffix, T, y[i] < x[i] ? y[i] : x[i])
PAIRS(f32, float)
PAIRS(f64, double)
PAIRS(i32, int32_t)
PAIRS(i64, int64_t)
PAIRS(u8, uint8_t)
PAIR(sum, bf16, uint16_t, cb_bf16_narrow(cb_bf16_widen(x[i]) + cb_bf16_widen(y[i])))
PAIR(max, bf16, uint16_t, cb_bf16_widen(y[i]) > cb_bf16_widen(x[i]) ? y[i] : x[i])
PAIR(min, bf16, uint16_t, cb_bf16_widen(y[i]) < cb_bf16_widen(x[i]) ? y[i] : x[i])
#undef PAIRS
#undef PAIR

typedef struct pair {
    void (*once)(void *out, const void *a, const void *b, int64_t n);
    void (*twice)(void *const *out, const void *a, const void *b, int64_t n);
} pair;
#define OPS(suffix)                                                                   \
    {                                                                                 \
        {sum_##suffix, sum_##suffix##_twice}, {max_##suffix, max_##suffix##_twice}, { \
            min_##suffix, min_##suffix##_twice                                        \
        }                                                                             \
    }
static const pair pair_table[CB_TYPES][CB_REDUCE_OPS] = {
    [CB_F32] = OPS(f32), [CB_F64] = OPS(f64), [CB_I32] = OPS(i32),
    [CB_I64] = OPS(i64), [CB_U8] = OPS(u8),   [CB_BF16] = OPS(bf16)};
#undef OPS

void cb_bf16_narrow_all(uint16_t *to, const float *from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = cb_bf16_narrow(from[i]);
}

void cb_bf16_widen_all(float *to, const uint16_t *from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = cb_bf16_widen(from[i]);
}

/* One block of a reduction: count elements at byte offset `at` of each of n operands. */
typedef struct block {
    const void *const *from;
    int n;
    int64_t at, count;
    pair pair;
} block;

/* Reduces operands first..first+span-1 (span a power of two, the first at least there) and returns where the result
 * lies: an operand itself where there is only one, else out. levels[depth] is room for the right half. */
static const void *tree(const block *b, void *out, int first, int span, double levels[][BLOCK], int depth) {
    if (span == 1) return (const char *)b->from[first] + b->at;
    int half = span / 2;
    const void *left = tree(b, out, first, half, levels, depth + 1);
    if (first + half >= b->n) return left; /* a lone left half moves up unchanged */
    const void *right = tree(b, levels[depth], first + half, half, levels, depth + 1);
    b->pair.once(out, left, right, b->count);
    return out;
}

/* Nothing is written to `to`, which may be an operand, before all operands are read. */
static void reduce_block(char *to, const block *b) {
    double room[BLOCK], levels[10][BLOCK]; /* 2^10 operands; 88 KiB of stack */
    int half = 1;
    while (2 * half < b->n) half *= 2;
    const void *left = tree(b, room, 0, half, levels, 1);
    const void *right = tree(b, levels[0], half, half, levels, 1);
    b->pair.once(to + b->at, left, right, b->count);
}

static void reduce(void *to, const void *const *from, int n, int64_t count, cb_type type, cb_reduce_op op) {
    int64_t size = cb_type_bytes(type);
    if (n == 1) {
        copy(to, from[0], count * size);
        return;
    }
    block b = {.from = from, .n = n, .pair = pair_table[type][op]};
    for (int64_t i = 0; i < count; i += BLOCK) {
        b.at = i * size;
        b.count = count - i < BLOCK ? count - i : BLOCK;
        reduce_block(to, &b);
    }
}

static void reduce_to_all(void *const *to, const void *const *from, int n, int64_t count, cb_type type,
                          cb_reduce_op op) {
    if (n == 2) {
        pair_table[type][op].twice(to, from[0], from[1], count);
        return;
    }
    reduce(to[0], from, n, count, type, op);
    for (int i = 1; i < n; i++) copy(to[i], to[0], count * cb_type_bytes(type));
}

static const cb_device host = {.name = "host", .copy = copy, .reduce = reduce, .reduce_to_all = reduce_to_all};

const cb_device *cb_device_host(void) {
    return &host;
}
