/* device: the host's copy and its reductions, whose order is a balanced binary tree. The naive tree here works level by
 * level on whole operands, the device block by block and depth first; both must give the same bits. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "device/device.h"
#include "support/reduction.h"
#include "support/test.h"

enum { MOST = 17, SALT = 77 };

/* `to` is a buffer of its own where alias < 0, else operand `alias`. The other operands must not change. */
static bool reduces_like_the_tree(int n, int64_t count, cb_type type, cb_reduce_op op, int alias) {
    size_t bytes = (size_t)(count * cb_type_bytes(type)), room = bytes + 64;
    void *given[MOST], *own = calloc(room, 1), *to = own;
    uint8_t fence[64];
    memset(fence, 0x5a, sizeof fence);
    for (int k = 0; k < n; k++) {
        given[k] = elements_fill(malloc(room), type, SALT, k, 0, count);
        memcpy((char *)given[k] + bytes, fence, sizeof fence);
        if (k == alias) to = given[k];
    }
    cb_device_host()->reduce(to, (const void *const *)given, n, count, type, op);
    bool ok = is_tree_of(to, type, op, SALT, n, 0, count);
    for (int k = 0; k < n; k++) {
        if (k != alias) ok &= are_elements_of(given[k], type, SALT, k, 0, count);
        ok &= memcmp((char *)given[k] + bytes, fence, sizeof fence) == 0;
        free(given[k]);
    }
    free(own);
    return ok;
}

static void reduce_is_the_tree(void) {
    static const int64_t counts[] = {0, 1, 3, 1023, 1024, 1025, 2100}; /* around the block of 1024 */
    for (int n = 1; n <= MOST; n++)
        for (int type = 0; type < CB_TYPES; type++)
            for (int op = 0; op < CB_REDUCE_OPS; op++)
                for (int c = 0; c < 7; c++)
                    CHECK(reduces_like_the_tree(n, counts[c], (cb_type)type, (cb_reduce_op)op, -1));
}

static void to_may_be_any_operand(void) {
    for (int n = 1; n <= MOST; n++)
        for (int type = 0; type < CB_TYPES; type++)
            for (int op = 0; op < CB_REDUCE_OPS; op++)
                for (int alias = 0; alias < n; alias++)
                    CHECK(reduces_like_the_tree(n, n % 4 == 3 ? 1100 : 33, (cb_type)type, (cb_reduce_op)op, alias));
}

/* The order shows: with these floats a sum from left to right gives another result. */
static void the_order_is_visible(void) {
    static const float a = 1e8F, b = 1, c = 1, d = -1e8F;
    const void *from[4] = {&a, &b, &c, &d};
    float tree, line = 1;
    const float four[4] = {1, 0x1p-24F, 0x1p-24F, 0x1p-24F};
    cb_device_host()->reduce(&tree, from, 4, 1, CB_F32, CB_SUM);
    CHECK(tree == (a + b) + (c + d));
    const void *small[4];
    for (int i = 0; i < 4; i++) small[i] = &four[i];
    cb_device_host()->reduce(&tree, small, 4, 1, CB_F32, CB_SUM);
    for (int i = 1; i < 4; i++) line += four[i];
    CHECK(line == 1 && tree == 1 + 0x1p-23F); /* pairs of small ones are not lost */
}

static void many_operands(void) {
    enum { N = 1000 };
    int32_t values[N], sum, largest;
    const void *from[N];
    for (int i = 0; i < N; i++) values[i] = i * i % 977, from[i] = &values[i];
    for (int n = 1; n <= N; n += n < 70 ? 1 : 93) {
        int32_t want = 0, most = 0;
        for (int i = 0; i < n; i++) want += values[i], most = values[i] > most ? values[i] : most;
        cb_device_host()->reduce(&sum, from, n, 1, CB_I32, CB_SUM);
        cb_device_host()->reduce(&largest, from, n, 1, CB_I32, CB_MAX);
        CHECK_INT(sum, want);
        CHECK_INT(largest, most);
    }
}

static void extremes_of_negatives(void) {
    const double a = -3, b = -1, c = -INFINITY;
    const void *from[3] = {&a, &b, &c};
    double out = 0;
    cb_device_host()->reduce(&out, from, 3, 1, CB_F64, CB_MAX);
    CHECK(out == -1);
    cb_device_host()->reduce(&out, from, 2, 1, CB_F64, CB_MIN);
    CHECK(out == -3);
    cb_device_host()->reduce(&out, from, 3, 1, CB_F64, CB_MIN);
    CHECK(out == -INFINITY);
}

/* All numbers of bf16, what lies halfway between neighbours, and what lies just beside that. */
static void bf16_rounds_to_nearest(void) {
    int wrong = 0;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t low = (uint16_t)bits, narrow;
        float number = bf16_value(low), back;
        cb_bf16_widen_all(&back, &low, 1);
        cb_bf16_narrow_all(&narrow, &number, 1);
        if (isnan(number)) {
            wrong += !isnan(back) || !isnan(bf16_value(narrow));
            continue;
        }
        wrong += memcmp(&back, &number, sizeof back) != 0 || narrow != low;
        if (isinf(bf16_value((uint16_t)(low + 1))) || isinf(number)) continue; /* beyond it lies none */
        float half = (float)(((double)number + bf16_value((uint16_t)(low + 1))) / 2);
        float beside[3] = {nextafterf(half, 0), half, nextafterf(half, half < 0 ? -INFINITY : INFINITY)};
        uint16_t got[3];
        cb_bf16_narrow_all(got, beside, 3);
        for (int i = 0; i < 3; i++) wrong += got[i] != bf16_nearest(beside[i]);
    }
    CHECK_INT(wrong, 0);
    float largest = FLT_MAX;
    uint16_t infinite;
    cb_bf16_narrow_all(&infinite, &largest, 1);
    CHECK(isinf(bf16_value(infinite)));
}

/* Of bf16 a sum is taken in f32 and rounded in each pair; in f32 to the end these four would make 1 + 0x1p-6. */
static void bf16_is_rounded_in_each_pair(void) {
    const uint16_t one = bf16_nearest(1), half = bf16_nearest(0x1p-8F); /* of the distance from 1 to the next */
    const void *from[4] = {&one, &half, &half, &half};
    uint16_t sum;
    cb_device_host()->reduce(&sum, from, 2, 1, CB_BF16, CB_SUM);
    CHECK(bf16_value(sum) == 1); /* a tie, to even */
    cb_device_host()->reduce(&sum, from, 4, 1, CB_BF16, CB_SUM);
    CHECK(bf16_value(sum) == 1 + 0x1p-7F);
}

static void copies(void) {
    char from[64], to[64];
    for (int i = 0; i < 64; i++) from[i] = (char)i;
    for (int n = 0; n < 64; n++) {
        memset(to, 0x77, sizeof to);
        cb_device_host()->copy(to, from, n);
        CHECK(memcmp(to, from, (size_t)n) == 0 && to[n] == 0x77);
    }
    cb_device_host()->copy(to, to, 64); /* onto itself: nothing */
    cb_device_host()->copy(NULL, NULL, 0);
    CHECK(to[62] == 62 && to[63] == 0x77);
}

static void types_have_sizes_and_names(void) {
    static const char *const names[CB_TYPES] = {"f32", "f64", "i32", "i64", "u8", "bf16"};
    static const size_t sizes[CB_TYPES] = {sizeof(float), sizeof(double), sizeof(int32_t), sizeof(int64_t), 1, 2};
    for (int type = 0; type < CB_TYPES; type++) {
        CHECK_STR(cb_type_name((cb_type)type), names[type]);
        CHECK_INT(cb_type_bytes((cb_type)type), sizes[type]);
    }
    CHECK_STR(cb_device_host()->name, "host");
}

int main(void) {
    RUN(reduce_is_the_tree);
    RUN(to_may_be_any_operand);
    RUN(the_order_is_visible);
    RUN(many_operands);
    RUN(extremes_of_negatives);
    RUN(bf16_rounds_to_nearest);
    RUN(bf16_is_rounded_in_each_pair);
    RUN(copies);
    RUN(types_have_sizes_and_names);
    return test_end();
}
