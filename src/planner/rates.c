/* Rates of a step: tokens, and the shares of the peak that useful and computed FLOPs are; see docs/notation.md. */
#include "planner/planner.h"

/* `cuboid train` computes again what its own policies do not keep. */
static double own_flops_again(const cb_job *job, const cb_split *split) {
    cb_recompute recompute = {split->recompute == CB_AGAIN_LAYER       ? CB_RECOMPUTE_FULL
                              : split->recompute == CB_AGAIN_ATTENTION ? CB_RECOMPUTE_SELECTIVE
                                                                       : CB_RECOMPUTE_NONE,
                              0};
    return job->model->layers * cb_recompute_layer_flops_per_token(&recompute, job->model, 0, job->seq_length);
}

static double recomputed_flops_per_token(const cb_job *job, const cb_split *split) {
    const cb_model *model = job->model;
    if (job->stack == CB_CUBOID) return own_flops_again(job, split);
    double layer = cb_model_layer_flops_per_token(model, job->seq_length) / 3;
    double attention = 2.0 * (double)model->channels * (double)job->seq_length;
    switch (split->recompute) {
    case CB_AGAIN_LAYER:
        return model->layers * layer;
    case CB_AGAIN_CHEAP:
        return model->layers * (layer - attention) / 2;
    case CB_AGAIN_ATTENTION:
        return cb_stack_traits_of(job->stack)->flash ? 0 : model->layers * attention;
    default:
        return 0;
    }
}

const char *cb_mfu_formula(void) {
    return "6 W + 6 L C T";
}

/* Of the FLOPs above. */
const char *cb_hfu_formula(const cb_job *job, const cb_split *split) {
    bool own = job->stack == CB_CUBOID;
    switch (split->recompute) {
    case CB_AGAIN_LAYER:
        return own ? "MFU's + 2 (Wl - L C F) + 2 L C T: forward again, but for the MLP's second product"
                   : "MFU's + 2 Wl + 2 L C T: the layers' forward again";
    case CB_AGAIN_CHEAP:
        return "MFU's + Wl: half of the layers' products again";
    case CB_AGAIN_ATTENTION:
        if (own) return "MFU's + L C T: attention's scores again";
        return cb_stack_traits_of(job->stack)->flash ? "MFU's: nothing is computed again"
                                                     : "MFU's + 2 L C T: attention again";
    default:
        return "MFU's: nothing is computed again";
    }
}

void cb_estimate_rates(const cb_job *job, const cb_split *split, cb_estimate *e) {
    double tokens = (double)job->seq_length * (double)job->global_batch;
    double peak = job->cluster->devices * job->cluster->device.peak_flops[job->precision];
    e->tokens_per_s = tokens / e->step_s;
    e->model_flops = tokens * cb_model_flops_per_token(job->model, job->seq_length);
    e->hardware_flops = e->model_flops + tokens * recomputed_flops_per_token(job, split);
    e->mfu = e->model_flops / (e->step_s * peak);
    e->hfu = e->hardware_flops / (e->step_s * peak);
}
