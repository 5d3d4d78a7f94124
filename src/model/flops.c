/* Counting: parameters, by the parameter table, and floating point operations of a training step. Per token, forward
 * plus backward cost 6 FLOPs for each weight of a matrix product (one multiply-add forward, two backward), and
 * attention's two products over the causal half of T keys cost 6 C T a layer. The head counts the true vocabulary:
 * padding is no useful work. Source: Narayanan et al., arXiv:2104.04473, appendix, with the causal half as
 * Megatron-LM's reporter has it. */
#include "model/model.h"
#include "model/params.h"

int64_t cb_model_parameters(const cb_model *model) {
    int64_t count = 0;
    for (int role = 0; role < CB_ROLES; role++) {
        cb_param param = cb_param_of(model, (cb_role)role, 0);
        count += param.file_rows * param.cols * (role < CB_LAYER_ROLES ? model->layers : 1);
    }
    return count;
}

double cb_model_layer_flops_per_token(const cb_model *model, int64_t seq_length) {
    double weights = 0, attention = 6.0 * (double)model->channels * (double)seq_length;
    for (int role = 0; role < CB_LAYER_ROLES; role++) {
        cb_param param = cb_param_of(model, (cb_role)role, 0);
        if (param.dims == 2) weights += (double)cb_param_elements(&param);
    }
    return 6 * weights + attention;
}

double cb_model_head_flops_per_token(const cb_model *model) {
    return 6.0 * (double)model->vocab * (double)model->channels;
}

double cb_model_flops_per_token(const cb_model *model, int64_t seq_length) {
    return model->layers * cb_model_layer_flops_per_token(model, seq_length) + cb_model_head_flops_per_token(model);
}
