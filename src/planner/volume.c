/* Sizes and counts of what is sent; see volume.h. */
#include "planner/volume.h"

/* FSDP that keeps 32-bit gradients sums them over dp in 16 bits, unless asked otherwise; DeepSpeed's engine that keeps
 * 32-bit sums casts them to the bits of its weights. */
static double grad_bytes(const cb_job *job, const cb_regime *regime) {
    const cb_stack_traits *stack = cb_stack_traits_of(job->stack);
    bool in_16 = stack->engine || (stack->reduces_in_16 && !job->grads_32);
    return in_16 ? regime->activation : regime->grad;
}

static double weight_bytes(const cb_job *job, const cb_regime *regime) {
    bool in_8 = job->precision == CB_MATH_8 && cb_stack_traits_of(job->stack)->weights_in_8 && !job->rowwise8;
    return in_8 ? 1 : regime->activation;
}

/* nanotron adds up whole gradients under ZeRO 1 too, and so does DeepSpeed where it keeps 32-bit sums. */
static bool grads_whole(const cb_job *job, const cb_split *split) {
    const cb_stack_traits *stack = cb_stack_traits_of(job->stack);
    return split->zero == 0 || (split->zero == 1 && (stack->zero_waits || (stack->engine && job->grads_32)));
}

/* In a pipeline gradients are summed once a step, and weights gathered once. Without one ZeRO 2 sums each microbatch's;
 * FSDP gathers weights for each forward pass (and for each backward pass too under ZeRO 3), others after a step. */
static void count_over_dp(cb_volume *v, const cb_job *job, const cb_split *split) {
    bool beside = split->pp == 1;
    v->grads_whole = grads_whole(job, split);
    v->grads_each = beside && split->zero >= 2;
    bool forward_only = split->zero == 2 && cb_stack_traits_of(job->stack)->gathers_passes;
    v->weights_each = !beside || split->zero < 2 ? 0 : split->zero == 3 ? 2 : forward_only;
    v->weights_once = split->zero > 0 && v->weights_each == 0;
}

cb_volume cb_volume_of(const cb_job *job, const cb_split *split, const cb_regime *regime) {
    double rows = (double)split->micro_batch * (double)job->seq_length / split->cp;
    bool cut = split->sequence_parallel || cb_stack_traits_of(job->stack)->scatter_gather;
    cb_volume v = {.stream_bytes = rows * (double)job->model->channels * regime->activation,
                   .grad = grad_bytes(job, regime),
                   .tied_grad = regime->grad,
                   .weight = weight_bytes(job, regime),
                   .input_again = split->recompute == CB_AGAIN_LAYER};
    v.message_bytes = v.stream_bytes / (cut ? split->tp : 1);
    count_over_dp(&v, job, split);
    return v;
}
