/* Two looks at the clock around each operation. See timed.h. */
#include "compute/timed.h"

#include "base/clock.h"

static void begin(cb_around *around) {
    ((cb_timed *)(void *)around)->begin_s = cb_now_s();
}

static void end(cb_around *around, const cb_op *op) {
    cb_timed *t = (cb_timed *)(void *)around;
    const cb_gemm *g = op->gemm;
    t->s[op->kind] += cb_now_s() - t->begin_s;
    if (g) t->product_flops += 2.0 * (double)g->m * (double)g->n * (double)g->k * op->count;
}

cb_timed cb_compute_timed(cb_compute *inner) {
    cb_compute compute = {.ops = cb_around_ops(), .threads = inner->threads};
    return (cb_timed){.around = {.compute = compute, .inner = inner, .begin = begin, .end = end}};
}
