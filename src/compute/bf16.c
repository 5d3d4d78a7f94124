/* Products of bf16 operands and f32 sums, before a backend: what mixed precision computes. Both operands of every
 * product are rounded first; the backend multiplies them as bf16, or, where it cannot on this processor, as the f32
 * that they are equal to. Everything else is the backend's. An operand that several products of a call share is rounded
 * once for each. */
#include <math.h>
#include <stdlib.h>

#include "compute/compute.h"

typedef struct narrowed {
    cb_compute compute; /* first, so that the operations find it */
    cb_compute_ops ops;
    cb_compute *real;
    bool as_bf16;
    char *room; /* grows */
    int64_t room_bytes;
    cb_gemm *gemm; /* (count) the same products of rounded operands; grows */
    int gemms;
} narrowed;

enum { LINE = 64 };

static int64_t rows_of_a(const cb_gemm *g) {
    return g->ta ? g->k : g->m;
}
static int64_t rows_of_b(const cb_gemm *g) {
    return g->tb ? g->n : g->k;
}
static int64_t columns_of_a(const cb_gemm *g) {
    return g->ta ? g->m : g->k;
}
static int64_t columns_of_b(const cb_gemm *g) {
    return g->tb ? g->k : g->n;
}

static int64_t operand_bytes(const narrowed *w, int64_t rows, int64_t columns) {
    int64_t bytes = rows * columns * (w->as_bf16 ? (int64_t)sizeof(uint16_t) : (int64_t)sizeof(float));
    return (bytes + LINE - 1) / LINE * LINE;
}

static bool make_room(narrowed *w, int64_t bytes, int count) {
    if (bytes > w->room_bytes) {
        free(w->room);
        w->room = aligned_alloc(LINE, (size_t)bytes);
        w->room_bytes = w->room ? bytes : 0;
    }
    if (count > w->gemms) {
        free(w->gemm);
        w->gemm = malloc((size_t)count * sizeof *w->gemm);
        w->gemms = w->gemm ? count : 0;
    }
    return w->room && w->gemm;
}

/* to (rows, columns), dense = from, rounded */
static void round_operand(const narrowed *w, char *to, const float *from, int64_t rows, int64_t columns, int64_t ld) {
#pragma omp parallel for num_threads(w->compute.threads) if (w->compute.threads > 1)
    for (int64_t i = 0; i < rows; i++) {
        const float *row = from + i * ld;
        if (w->as_bf16) {
            cb_bf16_narrow_all((uint16_t *)(void *)to + i * columns, row, columns);
        } else {
            float *rounded = (float *)(void *)to + i * columns;
            for (int64_t j = 0; j < columns; j++) rounded[j] = cb_bf16_widen(cb_bf16_narrow(row[j]));
        }
    }
}

static void forget(const cb_gemm *g, int count) {
    for (int s = 0; s < count; s++)
        for (int64_t i = 0; i < g[s].m * g[s].n; i++) g[s].c[i / g[s].n * g[s].ldc + i % g[s].n] = NAN;
}

/* w->gemm = g with rounded operands; false without memory: then all results are NaN. */
static bool round_all(narrowed *w, const cb_gemm *g, int count) {
    const int64_t a = operand_bytes(w, rows_of_a(g), columns_of_a(g)),
                  b = operand_bytes(w, rows_of_b(g), columns_of_b(g));
    if (!make_room(w, count * (a + b), count)) {
        forget(g, count);
        return false;
    }
    for (int s = 0; s < count; s++) {
        char *to = w->room + s * (a + b);
        const bool same_a = s > 0 && g[s].a == g[s - 1].a, same_b = s > 0 && g[s].b == g[s - 1].b;
        if (!same_a) round_operand(w, to, g[s].a, rows_of_a(g), columns_of_a(g), g[s].lda);
        if (!same_b) round_operand(w, to + a, g[s].b, rows_of_b(g), columns_of_b(g), g[s].ldb);
        w->gemm[s] = g[s];
        w->gemm[s].a = same_a ? w->gemm[s - 1].a : to;
        w->gemm[s].b = same_b ? w->gemm[s - 1].b : to + a;
        w->gemm[s].lda = columns_of_a(g);
        w->gemm[s].ldb = columns_of_b(g);
        w->gemm[s].type = w->as_bf16 ? CB_BF16 : CB_F32;
    }
    return true;
}

static narrowed *of(cb_compute *c) {
    return (narrowed *)(void *)c;
}

static void gemm(cb_compute *c, const cb_gemm *g, int count) {
    narrowed *w = of(c);
    if (round_all(w, g, count)) w->real->ops->gemm(w->real, w->gemm, count);
}

static void gemm_sum(cb_compute *c, const cb_gemm *g, int count, float *scratch) {
    narrowed *w = of(c);
    if (round_all(w, g, count)) w->real->ops->gemm_sum(w->real, w->gemm, count, scratch);
}

static void destroy(cb_compute *c) {
    narrowed *w = of(c);
    cb_compute_destroy(w->real);
    free(w->room);
    free(w->gemm);
    free(w);
}

cb_err cb_compute_create_for(cb_compute **compute, const char *backend, int threads, cb_type type) {
    return (type == CB_BF16 ? cb_compute_create_bf16 : cb_compute_create)(compute, backend, threads);
}

cb_err cb_compute_create_bf16(cb_compute **compute, const char *backend, int threads) {
    cb_compute *real;
    *compute = NULL;
    TRY(cb_compute_create(&real, backend, threads));
    narrowed *w = malloc(sizeof *w);
    if (!w) {
        cb_compute_destroy(real);
        return cb_fail(CB_ENOMEM, "no memory for %zu bytes of compute backend", sizeof *w);
    }
    *w = (narrowed){.ops = *real->ops, .real = real, .as_bf16 = real->ops->takes_bf16()};
    w->ops.gemm = gemm;
    w->ops.gemm_sum = gemm_sum;
    w->compute = (cb_compute){.ops = &w->ops, .threads = threads, .destroy = destroy};
    *compute = &w->compute;
    return CB_OK;
}
