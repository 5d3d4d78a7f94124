/* Sizes of activations; see activations.h. */
#include "model/activations.h"

const char *cb_act_name(cb_act act) {
    static const char *const names[CB_ACTS] = {
        [CB_ACT_X] = "input",          [CB_ACT_LN1] = "ln_1",           [CB_ACT_LN1_MEAN] = "ln_1.mean",
        [CB_ACT_LN1_RSTD] = "ln_1.rstd", [CB_ACT_QKV] = "attn.c_attn",    [CB_ACT_PROBS] = "attn.probs",
        [CB_ACT_ATT] = "attn.heads",   [CB_ACT_MID] = "attn.residual",  [CB_ACT_LN2] = "ln_2",
        [CB_ACT_LN2_MEAN] = "ln_2.mean", [CB_ACT_LN2_RSTD] = "ln_2.rstd", [CB_ACT_FC] = "mlp.c_fc",
        [CB_ACT_GELU] = "mlp.gelu",    [CB_ACT_DMID] = "attn.residual.grad", [CB_ACT_DOUT] = "output.grad", [CB_ACT_HEAD_X] = "head.input",  [CB_ACT_LNF] = "ln_f",
        [CB_ACT_LNF_MEAN] = "ln_f.mean", [CB_ACT_LNF_RSTD] = "ln_f.rstd", [CB_ACT_EXPS] = "logits",
        [CB_ACT_EXP_SUM] = "softmax.sum", [CB_ACT_TARGETS] = "targets",   [CB_ACT_TOKENS] = "tokens",
    };
    return names[act];
}

bool cb_act_is_cut(cb_act act) {
    static const bool cut[CB_ACTS] = {[CB_ACT_QKV] = true, [CB_ACT_PROBS] = true, [CB_ACT_ATT] = true,
                                      [CB_ACT_FC] = true,  [CB_ACT_GELU] = true,  [CB_ACT_EXPS] = true};
    return cut[act];
}

int64_t cb_act_bytes(const cb_act_sizes *sizes, cb_act act) {
    const cb_act_sizes *z = sizes;
    const cb_model *m = z->model;
    int64_t M = (int64_t)z->B * z->T;
    switch (act) {
    case CB_ACT_X:
    case CB_ACT_LN1:
    case CB_ACT_MID:
    case CB_ACT_LN2:
    case CB_ACT_DMID:
    case CB_ACT_DOUT:
    case CB_ACT_HEAD_X:
    case CB_ACT_LNF: return 4 * M * m->channels;
    case CB_ACT_QKV: return 4 * M * cb_model_qkv_width(m) / z->shards * z->owned;
    case CB_ACT_ATT: return 4 * M * m->channels / z->shards * z->owned;
    case CB_ACT_PROBS: return 4 * M * z->T * (m->heads / z->shards) * z->owned;
    case CB_ACT_FC: return 4 * M * cb_model_fc_width(m) / z->shards * z->owned;
    case CB_ACT_GELU: return 4 * M * m->ffn / z->shards * z->owned;
    case CB_ACT_EXPS: return 4 * M * (m->vocab_padded / z->shards) * z->owned;
    default: return 4 * M; /* one number per row */
    }
}

cb_act_set cb_act_own(bool first_block, bool last_block) {
    cb_act_set set = 0;
    for (int a = CB_LAYER_ACTS; a < CB_ACTS; a++) {
        if (a == CB_ACT_TOKENS ? first_block : last_block) set |= CB_ACT_BIT(a);
    }
    return set;
}
