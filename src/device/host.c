/* Host memory as a device: copies and tree reductions. The order of every reduction is the balanced binary tree over the
 * operands, pairs of neighbours first, so it depends on their number only. */
#include <string.h>

#include "device/device.h"

enum { BLOCK = 1024 };

int64_t cb_type_bytes(cb_type type) {
    static const int64_t bytes[] = {4, 8, 4, 8, 1};
    return bytes[type];
}

const char *cb_type_name(cb_type type) {
    static const char *const names[] = {"f32", "f64", "i32", "i64", "u8"};
    return names[type];
}

static void copy(void *to, const void *from, int64_t bytes) {
    if (bytes > 0 && to != from) memcpy(to, from, (size_t)bytes);
}

/* One pairwise loop per type; a (n) = a op b. */
#define PAIR(suffix, T)                                                                                                \
    static void sum_##suffix(void *a, const void *b, int64_t n) {                                                      \
        T *x = a;                                                                                                      \
        const T *y = b;                                                                                                \
        for (int64_t i = 0; i < n; i++) x[i] = (T)(x[i] + y[i]);                                                       \
    }                                                                                                                  \
    static void max_##suffix(void *a, const void *b, int64_t n) {                                                      \
        T *x = a;                                                                                                      \
        const T *y = b;                                                                                                \
        for (int64_t i = 0; i < n; i++) x[i] = y[i] > x[i] ? y[i] : x[i];                                              \
    }
PAIR(f32, float)
PAIR(f64, double)
PAIR(i32, int32_t)
PAIR(i64, int64_t)
PAIR(u8, uint8_t)
#undef PAIR

typedef void (*pair_fn)(void *a, const void *b, int64_t n);
static const pair_fn pair_table[][2] = {
    {sum_f32, max_f32}, {sum_f64, max_f64}, {sum_i32, max_i32}, {sum_i64, max_i64}, {sum_u8, max_u8}};

/* Reduces operands first..first+span-1 at byte offset `at` into out; span is the power of two that covers them, n their number.
 * levels[depth] is a block of room for the right half. */
static void tree(char *out, const void *const *from, int first, int span, int n, int64_t at, int64_t count, int64_t bytes,
                 pair_fn pair, double levels[][BLOCK], int depth) {
    if (span == 1) {
        memcpy(out, (const char *)from[first] + at, (size_t)bytes);
        return;
    }
    int half = span / 2;
    if (first + half >= n) { /* a lone left half moves up unchanged */
        tree(out, from, first, half, n, at, count, bytes, pair, levels, depth);
        return;
    }
    char *right = (char *)levels[depth];
    tree(out, from, first, half, n, at, count, bytes, pair, levels, depth + 1);
    tree(right, from, first + half, half, n, at, count, bytes, pair, levels, depth + 1);
    pair(out, right, count);
}

static void reduce_block(char *to, const void *const *from, int n, int64_t at, int64_t count, int64_t bytes, pair_fn pair) {
    double room[BLOCK], levels[10][BLOCK]; /* 2^10 operands; 88 KiB of stack */
    int span = 1;
    while (span < n) span *= 2;
    tree((char *)room, from, 0, span, n, at, count, bytes, pair, levels, 0);
    memcpy(to + at, room, (size_t)bytes);
}

static void reduce(void *to, const void *const *from, int n, int64_t count, cb_type type, cb_reduce_op op) {
    int64_t size = cb_type_bytes(type);
    pair_fn pair = pair_table[type][op];
    if (n == 1) {
        copy(to, from[0], count * size);
        return;
    }
    if (n == 2 && to == from[0]) { /* the common case needs no room */
        pair(to, from[1], count);
        return;
    }
    for (int64_t i = 0; i < count; i += BLOCK) {
        int64_t part = count - i < BLOCK ? count - i : BLOCK;
        reduce_block(to, from, n, i * size, part, part * size, pair);
    }
}

static const cb_device host = {.name = "host", .copy = copy, .reduce = reduce};

const cb_device *cb_device_host(void) { return &host; }
