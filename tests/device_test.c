/* device: the host's copy and its reductions, whose order is a balanced binary tree. The naive tree here works level by
 * level on whole operands, the device block by block and depth first; both must give the same bits. */
#include <stdlib.h>

#include "base/rng.h"
#include "device/device.h"
#include "support/test.h"

enum { MOST = 17, TYPES = 5 };

/* Random elements whose sums round (floats) or stay in range (integers); all types get the same draw. */
static void fill(void *to, int64_t count, cb_type type, uint32_t stream) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t word = cb_rng_u32((cb_rng_key){77, stream}, (uint64_t)i);
        double u = word * 0x1p-32, wide = ldexp(u - 0.5, (int)(word % 40));
        switch (type) {
        case CB_F32:
            ((float *)to)[i] = (float)wide;
            break;
        case CB_F64:
            ((double *)to)[i] = wide;
            break;
        case CB_I32:
            ((int32_t *)to)[i] = (int32_t)((u - 0.5) * 1e8);
            break;
        case CB_I64:
            ((int64_t *)to)[i] = (int64_t)((u - 0.5) * 1e17);
            break;
        case CB_U8:
            ((uint8_t *)to)[i] = (uint8_t)(u * 15);
            break;
        case CB_BF16: /* in collectives_algorithms_test */
        case CB_TYPES:
            break;
        }
    }
}

#define COMBINE(T)                                                          \
    ((T *)a)[i] = op == CB_SUM ? (T)(((const T *)a)[i] + ((const T *)b)[i]) \
                               : (((const T *)a)[i] > ((const T *)b)[i] ? ((const T *)a)[i] : ((const T *)b)[i])

static void combine(void *a, const void *b, int64_t i, cb_type type, cb_reduce_op op) {
    switch (type) {
    case CB_F32:
        COMBINE(float);
        break;
    case CB_F64:
        COMBINE(double);
        break;
    case CB_I32:
        COMBINE(int32_t);
        break;
    case CB_I64:
        COMBINE(int64_t);
        break;
    case CB_U8:
        COMBINE(uint8_t);
        break;
    case CB_BF16:
    case CB_TYPES:
        break;
    }
}

/* operands[0..n) are consumed; the result ends in operands[0]. */
static void naive_tree(void **operands, int n, int64_t count, cb_type type, cb_reduce_op op) {
    void *level[MOST];
    memcpy(level, operands, sizeof(void *) * (size_t)n);
    while (n > 1) {
        for (int i = 0; i + 1 < n; i += 2) {
            for (int64_t j = 0; j < count; j++) combine(level[i], level[i + 1], j, type, op);
            level[i / 2] = level[i];
        }
        if (n % 2) level[n / 2] = level[n - 1];
        n = (n + 1) / 2;
    }
    if (level[0] != operands[0]) memcpy(operands[0], level[0], (size_t)(count * cb_type_bytes(type)));
}

/* `to` is a buffer of its own where alias < 0, else operand `alias`. The other operands must not change. */
static bool reduces_like_the_tree(int n, int64_t count, cb_type type, cb_reduce_op op, int alias) {
    size_t bytes = (size_t)(count * cb_type_bytes(type)), room = bytes + 64;
    void *naive[MOST], *given[MOST], *kept[MOST];
    for (int k = 0; k < n; k++) {
        naive[k] = malloc(room), given[k] = malloc(room), kept[k] = malloc(room);
        fill(given[k], count, type, (uint32_t)k);
        memset((char *)given[k] + bytes, 0x5a, 64); /* a fence */
        memcpy(naive[k], given[k], room), memcpy(kept[k], given[k], room);
    }
    void *own = calloc(room, 1), *to = alias < 0 ? own : given[alias];
    naive_tree(naive, n, count, type, op);
    cb_device_host()->reduce(to, (const void *const *)given, n, count, type, op);
    bool ok = memcmp(to, naive[0], bytes) == 0;
    for (int k = 0; k < n; k++) {
        if (k != alias) ok &= memcmp(given[k], kept[k], room) == 0;
        ok &= memcmp((char *)given[k] + bytes, (char *)kept[k] + bytes, 64) == 0;
        free(naive[k]), free(given[k]), free(kept[k]);
    }
    free(own);
    return ok;
}

static void reduce_is_the_tree(void) {
    static const int64_t counts[] = {0, 1, 3, 1023, 1024, 1025, 2100}; /* around the block of 1024 */
    for (int n = 1; n <= MOST; n++)
        for (int type = 0; type < TYPES; type++)
            for (int op = 0; op < 2; op++)
                for (int c = 0; c < 7; c++)
                    CHECK(reduces_like_the_tree(n, counts[c], (cb_type)type, (cb_reduce_op)op, -1));
}

static void to_may_be_any_operand(void) {
    for (int n = 1; n <= MOST; n++)
        for (int type = 0; type < TYPES; type++)
            for (int op = 0; op < 2; op++)
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

static void max_of_negatives(void) {
    const double a = -3, b = -1, c = -INFINITY;
    const void *from[3] = {&a, &b, &c};
    double out = 0;
    cb_device_host()->reduce(&out, from, 3, 1, CB_F64, CB_MAX);
    CHECK(out == -1);
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
    static const char *const names[TYPES] = {"f32", "f64", "i32", "i64", "u8"};
    static const size_t sizes[TYPES] = {sizeof(float), sizeof(double), sizeof(int32_t), sizeof(int64_t), 1};
    for (int type = 0; type < TYPES; type++) {
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
    RUN(max_of_negatives);
    RUN(copies);
    RUN(types_have_sizes_and_names);
    return test_end();
}
