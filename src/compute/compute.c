/* Chooses a backend, sizes its scratch, and measures the rate that a step is compared with. */
#include "compute/compute.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/arena.h"
#include "base/clock.h"
#include "compute/backend.h"

const char *cb_compute_backends(void) {
    return "cpu, ref";
}

cb_err cb_compute_create(cb_compute **compute, const char *backend, int threads) {
    const cb_compute_ops *tables[] = {&cb_cpu_ops, &cb_ref_ops}, *ops = NULL;
    *compute = NULL;
    for (int i = 0; i < 2; i++) {
        if (strcmp(tables[i]->name, backend) == 0) ops = tables[i];
    }
    if (!ops) return cb_fail(CB_EUSAGE, "compute backend \"%s\" is unknown; known: %s", backend, cb_compute_backends());
    if (threads < 1 || threads > CB_MOST_THREADS) {
        return cb_fail(CB_EUSAGE, "%d threads per rank asked for; possible are 1 to %d, and more ranks", threads,
                       CB_MOST_THREADS);
    }
    cb_compute *c = malloc(sizeof *c);
    if (!c) return cb_fail(CB_ENOMEM, "no memory for %zu bytes of compute backend", sizeof *c);
    *c = (cb_compute){.ops = ops, .threads = threads};
#ifdef _OPENMP
    omp_set_num_threads(1); /* what oneDNN takes for itself; our loops name their width */
#endif
    *compute = c;
    return CB_OK;
}

void cb_compute_destroy(cb_compute *compute) {
    if (compute && compute->destroy)
        compute->destroy(compute);
    else
        free(compute);
}

/* See CB_ATTENTION_PAD. */
int64_t cb_attention_block_bytes(int T) {
    return cb_aligned((int64_t)CB_ATTENTION_BLOCK * (T + CB_ATTENTION_PAD) * (int64_t)sizeof(float));
}

int64_t cb_attention_scratch_bytes(int B, int T, int H, int D, int threads) {
    (void)B, (void)H, (void)D;
    return threads * 2 * cb_attention_block_bytes(T);
}

double cb_compute_measure_rate(cb_compute *c, int64_t n, int repeats) {
    assert(n > 0 && repeats > 0);
    float *room = malloc((size_t)(3 * n * n) * sizeof *room);
    if (!room) return 0;
    for (int64_t i = 0; i < 2 * n * n; i++) room[i] = (float)(i % 7) - 3.0f;
    cb_gemm g = {.tb = true,
                 .m = n,
                 .n = n,
                 .k = n,
                 .a = room,
                 .b = room + n * n,
                 .c = room + 2 * n * n,
                 .lda = n,
                 .ldb = n,
                 .ldc = n};
    double best = 0;
    for (int i = 0; i <= repeats; i++) { /* the first warms up: threads start, code is generated, pages appear */
        double start = cb_now_s();
        c->ops->gemm(c, &g, 1);
        double took = cb_now_s() - start;
        if (i > 0 && (best == 0 || took < best)) best = took;
    }
    free(room);
    return best > 0 ? 2.0 * (double)n * (double)n * (double)n / best : 0;
}
