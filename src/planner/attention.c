/* The time of attention between the projections. In blocks (Dao, arXiv:2307.08691): two products forward and five
 * backward over the causal half, at a share of the peak that few rows lower. Unfused: batched products over the whole
 * square, and probabilities that memory carries. */
#include <math.h>

#include "planner/terms.h"

static double square_flops(const cb_terms *t) {
    double sequence = (double)t->job->seq_length;
    return 4 * t->split->micro_batch * t->heads * sequence * sequence * t->head_width / t->split->cp;
}

static cb_both in_blocks(const cb_terms *t) {
    const cb_constants *c = t->constants;
    const cb_accelerator *device = t->device;
    double share = c->flash[device->family] * (t->stack->vendor ? c->flash_vendor : 1);
    double blocks = t->rows * t->heads / 128; /* of 128 rows of one head */
    double forward_s =
        square_flops(t) / 2 / (device->peak_flops[CB_MATH_16] * share) * (1 + c->flash_rows_half / blocks);
    return (cb_both){forward_s + c->kernel_s, 2.5 * c->flash_backward * forward_s + c->kernel_s};
}

static cb_both unfused(const cb_terms *t) {
    const cb_constants *c = t->constants;
    double sequence = (double)t->job->seq_length, squares = t->split->micro_batch * t->heads;
    double scores = squares * sequence * sequence / t->split->cp;
    int bits = 0;
    while (bits < 6 && fmod(t->head_width, (double)(2 << bits)) == 0) bits++;
    double aligned = bits >= 6 ? 1 : pow(c->misaligned, bits >= 3 ? (6 - bits) / 3.0 : 3.5);
    double share = c->scores_gemm * 1.25 * t->head_width / (t->head_width + 32) * aligned;
    double products_s = square_flops(t) / (t->device->peak_flops[CB_MATH_16] * share);
    double moved_s = cb_stream_s(t, 4 * (2 * squares * sequence * t->head_width + scores));
    double products = products_s > moved_s ? products_s : moved_s;
    double scores_s = cb_stream_s(t, 2 * c->scores_bytes * scores);
    return (cb_both){products + 4.5 * scores_s, 2 * products + 6.5 * scores_s};
}

cb_both cb_attention(const cb_terms *t) {
    return t->stack->flash ? in_blocks(t) : unfused(t);
}
