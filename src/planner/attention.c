/* The time of attention between the projections. In blocks (Dao, arXiv:2307.08691): two products forward and five
 * backward over the causal half, at a share of the peak that few rows lower. Unfused: batched products over the whole
 * square, and probabilities that memory carries. */
#include "planner/terms.h"

static double square_flops(const cb_terms *t) {
    double sequence = (double)t->job->seq_length;
    return 4 * t->split->micro_batch * t->heads * sequence * sequence * t->head_width / t->split->cp;
}

/* Kernels are written for a generation; what has none of its own runs the nearest's. */
static cb_accelerator_family known(cb_accelerator_family family) {
    switch (family) {
    case CB_BLACKWELL_ULTRA:
        return CB_BLACKWELL;
    case CB_CDNA:
        return CB_HOPPER;
    case CB_VOLTA:
    case CB_PROCESSOR:
        return CB_AMPERE;
    default:
        return family;
    }
}

static cb_both in_blocks(const cb_terms *t) {
    const cb_constants *c = t->constants;
    const cb_accelerator *device = t->device;
    double share = c->flash[known(device->family)] * (t->stack->flash_2 ? c->flash_vendor : 1);
    double blocks = t->rows * t->heads / 128; /* of 128 rows of one head */
    double forward_s =
        square_flops(t) / 2 / (device->peak_flops[t->other] * share) * (1 + c->flash_rows_half / blocks);
    return (cb_both){forward_s + c->kernel_s, 2.5 * c->flash_backward * forward_s + c->kernel_s};
}

/* Batched products of a width that 8 does not divide cannot use the tensor cores: a quarter of the rate. */
static double width_share(const cb_terms *t) {
    double aligned = cb_alignment_share(t, t->head_width);
    return (int64_t)t->head_width % 8 == 0 ? aligned : aligned / 4;
}

static cb_both unfused(const cb_terms *t) {
    const cb_constants *c = t->constants;
    double sequence = (double)t->job->seq_length, squares = t->split->micro_batch * t->heads;
    double scores = squares * sequence * sequence / t->split->cp;
    double share = c->scores_gemm * t->head_width / (t->head_width + c->depth_half) * width_share(t);
    double products_s = square_flops(t) / (t->device->peak_flops[t->other] * share);
    double moved_s = cb_stream_s(t, 2 * t->regime.activation * (2 * squares * sequence * t->head_width + scores));
    double products = products_s > moved_s ? products_s : moved_s;
    double scores_s = cb_stream_s(t, t->regime.activation * c->scores_bytes * scores);
    return (cb_both){products + 4.5 * scores_s, 2 * products + 6.5 * scores_s};
}

cb_both cb_attention(const cb_terms *t) {
    return t->stack->flash ? in_blocks(t) : unfused(t);
}
