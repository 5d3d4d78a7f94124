/* The `cpu` backend's matrix products, by oneDNN's sgemm (row-major), cut into tiles that depend on the shape alone,
 * each computed by one thread: oneDNN's own threads would cut products otherwise for another number of them, which
 * changes the last bits. The products of all shards of a layer are one loop over tiles, so that small shards keep all
 * threads busy, and sums over shards are taken tile by tile while they lie in the cache. */
#include <assert.h>
#include <dnnl.h>
#include <math.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "compute/cpu.h"

/* Large enough for sgemm to reach its rate, small enough that products of 1,024 rows keep several threads busy; those
 * of sums are smaller, because a few of them must stay in a core's second-level cache. Measured: docs/exactness.md. */
typedef struct tile_size {
    int64_t m, n;
} tile_size;
static const tile_size large_tile = {512, 512}, small_tile = {256, 512}, sum_tile = {192, 384};
enum { LARGE_TILES = 8 };

static tile_size tile_for(const cb_gemm *g) {
    return g->m * g->n < LARGE_TILES * large_tile.m * large_tile.n ? small_tile : large_tile;
}

typedef struct tile {
    int64_t i, j, m, n; /* rows i.. and columns j.. of m by n */
} tile;

static int64_t tiles_down(const cb_gemm *g, tile_size size) {
    return (g->m + size.m - 1) / size.m;
}

static int64_t tile_count(const cb_gemm *g, tile_size size) {
    return tiles_down(g, size) * ((g->n + size.n - 1) / size.n);
}

static tile tile_at(const cb_gemm *g, tile_size size, int64_t t) {
    int64_t i = t % tiles_down(g, size) * size.m, j = t / tiles_down(g, size) * size.n;
    return (tile){i, j, g->m - i < size.m ? g->m - i : size.m, g->n - j < size.n ? g->n - j : size.n};
}

static const void *operand(const cb_gemm *g, const void *from, int64_t elements) {
    return (const char *)from + elements * cb_type_bytes(g->type);
}

static bool multiply(const cb_gemm *g) {
    if (g->type == CB_BF16) return cb_cpu_product_bf16(g);
    return dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', g->m, g->n, g->k, 1.0f, g->a, g->lda, g->b, g->ldb, g->beta,
                      g->c, g->ldc) == dnnl_success;
}

/* c (t.m, t.n) = that tile of the product, + beta c. The calling thread has one thread only: see cb_compute_create. */
static void product(const cb_gemm *g, tile t, float *c, int64_t ldc) {
    cb_gemm one = *g;
    one.m = t.m;
    one.n = t.n;
    one.a = operand(g, g->a, g->ta ? t.i : t.i * g->lda);
    one.b = operand(g, g->b, g->tb ? t.j * g->ldb : t.j);
    one.c = c;
    one.ldc = ldc;
    if (multiply(&one)) return;
    for (int64_t r = 0; r < t.m; r++) { /* out of memory: NaN reaches the loss, where it is reported */
        for (int64_t s = 0; s < t.n; s++) c[r * ldc + s] = NAN;
    }
}

void cb_cpu_gemm_serial(const cb_gemm *g) {
    product(g, (tile){0, 0, g->m, g->n}, g->c, g->ldc);
}

/* Threads worth waking for `count` products. */
static int width_for(const cb_compute *c, const cb_gemm *g, int count) {
    return (double)g->m * (double)g->n * (double)g->k * count < 1 << 18 ? 1 : c->threads;
}

void cb_cpu_gemm(cb_compute *c, const cb_gemm *g, int count) {
    tile_size size = tile_for(g);
    int64_t tiles = tile_count(g, size);
    int width = width_for(c, g, count);
#pragma omp parallel for schedule(dynamic) num_threads(width) if (width > 1)
    for (int64_t t = 0; t < count * tiles; t++) {
        const cb_gemm *one = &g[t / tiles];
        tile at = tile_at(one, size, t % tiles);
        product(one, at, one->c + at.i * one->ldc + at.j, one->ldc);
    }
}

/* to (at.m, at.n; ld) = left + right, both dense */
static void add(float *to, int64_t ld, const float *left, const float *right, tile at) {
    for (int64_t i = 0; i < at.m; i++) {
        for (int64_t j = 0; j < at.n; j++) to[i * ld + j] = left[i * at.n + j] + right[i * at.n + j];
    }
}

/* One tile of the sum. Counting up in binary: room is a stack of the sums of finished subtrees, each larger than the
 * one after it; product s joins as many as s has ones at its end, and the last product all. */
static void sum_of_tiles(const cb_gemm *g, int count, tile at, float *room) {
    int64_t size = at.m * at.n;
    float *to = g->c + at.i * g->ldc + at.j, *top = room; /* top: the first place that is free */
    if (count == 1) product(g, at, to, g->ldc);
    for (int s = 0; s < count && count > 1; s++, top += size) {
        product(&g[s], at, top, at.n);
        for (int ones = s; top > room && ((ones & 1) || s == count - 1); ones >>= 1, top -= size) {
            bool last = s == count - 1 && top - size == room;
            add(last ? to : top - size, last ? g->ldc : at.n, top - size, top, at);
        }
    }
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Of one thread: the stack's places, of the largest tile. */
static int64_t room_floats(int64_t m, int64_t n, int count) {
    int places = 1;
    while (1 << (places - 1) < count) places++;
    return count == 1 ? 0 : places * least(m, sum_tile.m) * least(n, sum_tile.n);
}

int64_t cb_gemm_sum_scratch_bytes(int64_t m, int64_t n, int count, int threads) {
    return threads * room_floats(m, n, count) * (int64_t)sizeof(float);
}

static int thread_number(void) {
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

void cb_cpu_gemm_sum(cb_compute *c, const cb_gemm *g, int count, float *scratch) {
    assert(g->beta == 0);
    int64_t tiles = tile_count(g, sum_tile);
    int width = width_for(c, g, count);
#pragma omp parallel for schedule(dynamic) num_threads(width) if (width > 1)
    for (int64_t t = 0; t < tiles; t++) {
        sum_of_tiles(g, count, tile_at(g, sum_tile, t), scratch + thread_number() * room_floats(g->m, g->n, count));
    }
}
