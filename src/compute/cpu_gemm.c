/* The `cpu` backend's matrix products, by oneDNN's sgemm (row-major). oneDNN promises no bits when the number of
 * threads changes: products small in m or n take its kernels without copying, which it cuts along k too. Those are cut
 * here, into tiles that depend on the shape alone, each computed by one thread. Large products are left whole: there
 * oneDNN cuts only m and n, and compute_test checks that the bits stay. Source of the limit: nocopy_checker_avx2
 * (0.0038) and nocopy_checker_avx512 (0.00196) in oneDNN 2.6, src/cpu/x64/gemm/gemm_driver.cpp. */
#include <dnnl.h>
#include <math.h>

#include "compute/cpu.h"

enum { TILE_M = 128, TILE_N = 384, SHORT_K = 64 };

#ifdef __AVX512F__
static const double large_limit = 0.0019;
#else
static const double large_limit = 0.0037;
#endif

/* C's rows i.. and columns j.. of m by n */
static void product(const cb_gemm *g, int64_t i, int64_t j, int64_t m, int64_t n) {
    const float *a = g->a + (g->ta ? i : i * g->lda), *b = g->b + (g->tb ? j * g->ldb : j);
    float *c = g->c + i * g->ldc + j;
    dnnl_status_t status =
        dnnl_sgemm(g->ta ? 'T' : 'N', g->tb ? 'T' : 'N', m, n, g->k, 1.0f, a, g->lda, b, g->ldb, g->beta, c, g->ldc);
    if (status == dnnl_success) return;
    for (int64_t r = 0; r < m; r++) { /* out of memory: NaN reaches the loss, where it is reported */
        for (int64_t s = 0; s < n; s++) c[r * g->ldc + s] = NAN;
    }
}

void cb_cpu_gemm_serial(const cb_gemm *g) {
    product(g, 0, 0, g->m, g->n);
}

void cb_cpu_gemm(cb_compute *c, const cb_gemm *g) {
    (void)c; /* only OpenMP asks for its threads */
    bool large = 1.0 / (double)g->m + 1.0 / (double)g->n < large_limit && g->k >= SHORT_K;
    if (large) {
        product(g, 0, 0, g->m, g->n);
        return;
    }
    int threads = c->threads;
    int64_t rows = (g->m + TILE_M - 1) / TILE_M, columns = (g->n + TILE_N - 1) / TILE_N;
    /* Even a single tile: inside a region of several threads oneDNN uses one. */
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (int64_t t = 0; t < rows * columns; t++) {
        int64_t i = t % rows * TILE_M, j = t / rows * TILE_N, m = g->m - i, n = g->n - j;
        product(g, i, j, m < TILE_M ? m : TILE_M, n < TILE_N ? n : TILE_N);
    }
}
