/* Two looks at the clock around each operation. See timed.h. */
#include "compute/timed.h"

static void begin(cb_around *around) {
    cb_timed *t = (cb_timed *)(void *)around;
    t->begin_s = t->now_s();
}

static void end(cb_around *around, const cb_op *op) {
    cb_timed *t = (cb_timed *)(void *)around;
    const cb_gemm *g = op->gemm;
    t->s[op->kind] += t->now_s() - t->begin_s;
    if (g) t->product_flops += 2.0 * (double)g->m * (double)g->n * (double)g->k * op->count;
}

cb_timed cb_compute_timed(cb_compute *inner, double (*now_s)(void)) {
    cb_compute compute = {.ops = cb_around_ops(), .threads = inner->threads};
    return (cb_timed){.around = {.compute = compute, .inner = inner, .begin = begin, .end = end}, .now_s = now_s};
}
