/* Internal: sums and maxima of a row in 16 lanes, joined by a fixed tree: they vectorise without leave to reassociate,
 * and their order depends on n alone. Two vectors of eight (GCC's vector extension, which clang has too); the rest of a
 * row goes through them padded with what changes nothing. */
#ifndef CB_COMPUTE_LANES_H
#define CB_COMPUTE_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { CB_LANES = 16 };

typedef float cb_f8 __attribute__((vector_size(32)));
typedef int32_t cb_i8 __attribute__((vector_size(32)));

typedef struct cb_lanes {
    cb_f8 a, b;
} cb_lanes;

/* x holds CB_LANES floats */
static inline void cb_lanes_load(cb_lanes *l, const float *x) {
    memcpy(&l->a, x, sizeof l->a);
    memcpy(&l->b, x + 8, sizeof l->b);
}

/* x holds n < CB_LANES floats, the other lanes become `pad` */
static inline void cb_lanes_load_part(cb_lanes *l, const float *x, int64_t n, float pad) {
    float part[CB_LANES];
    for (int i = 0; i < CB_LANES; i++) part[i] = pad;
    memcpy(part, x, (size_t)n * sizeof *x);
    cb_lanes_load(l, part);
}

static inline void cb_lanes_add(cb_lanes *sum, const cb_lanes *x) {
    sum->a += x->a;
    sum->b += x->b;
}

static inline void cb_lanes_add_product(cb_lanes *sum, const cb_lanes *x, const cb_lanes *y) {
    sum->a += x->a * y->a;
    sum->b += x->b * y->b;
}

/* NaN in x is passed over. */
static inline void cb_lanes_max(cb_lanes *max, const cb_lanes *x) {
    cb_i8 a = x->a > max->a, b = x->b > max->b;
    max->a = (cb_f8)(((cb_i8)x->a & a) | ((cb_i8)max->a & ~a));
    max->b = (cb_f8)(((cb_i8)x->b & b) | ((cb_i8)max->b & ~b));
}

static inline float cb_lanes_total(const cb_lanes *sum) {
    cb_f8 s = sum->a + sum->b;
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static inline float cb_row_sum(const float *x, int64_t n) {
    cb_lanes sum = {{0}, {0}}, v;
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        cb_lanes_load(&v, x + i);
        cb_lanes_add(&sum, &v);
    }
    if (i < n) {
        cb_lanes_load_part(&v, x + i, n - i, 0);
        cb_lanes_add(&sum, &v);
    }
    return cb_lanes_total(&sum);
}

static inline float cb_row_dot(const float *x, const float *y, int64_t n) {
    cb_lanes sum = {{0}, {0}}, v, w;
    int64_t i = 0;
    for (; i + CB_LANES <= n; i += CB_LANES) {
        cb_lanes_load(&v, x + i);
        cb_lanes_load(&w, y + i);
        cb_lanes_add_product(&sum, &v, &w);
    }
    if (i < n) {
        cb_lanes_load_part(&v, x + i, n - i, 0);
        cb_lanes_load_part(&w, y + i, n - i, 0);
        cb_lanes_add_product(&sum, &v, &w);
    }
    return cb_lanes_total(&sum);
}

/* NaN is passed over; -INFINITY for n = 0. */
static inline float cb_row_max(const float *x, int64_t n) {
    cb_lanes max, v;
    int64_t i = 0;
    cb_lanes_load_part(&max, x, 0, -INFINITY);
    for (; i + CB_LANES <= n; i += CB_LANES) {
        cb_lanes_load(&v, x + i);
        cb_lanes_max(&max, &v);
    }
    if (i < n) {
        cb_lanes_load_part(&v, x + i, n - i, -INFINITY);
        cb_lanes_max(&max, &v);
    }
    float best = -INFINITY;
    for (int l = 0; l < 8; l++) {
        best = max.a[l] > best ? max.a[l] : best;
        best = max.b[l] > best ? max.b[l] : best;
    }
    return best;
}

#endif
