/* The parameter table in file terms; see layout.h. */
#include "checkpoint/layout.h"

#include <stdio.h>
#include <stdlib.h>

cb_tensor_info cb_layout_info(const cb_param *param) {
    cb_tensor_info info = {.dtype = "F32", .dims = param->dims};
    snprintf(info.name, sizeof info.name, "%s", param->name);
    bool transposed = param->dims == 2 && param->file_transposed;
    info.shape[0] = transposed ? param->cols : param->file_rows;
    if (param->dims == 2) info.shape[1] = transposed ? param->file_rows : param->cols;
    return info;
}

cb_err cb_layout_make(const cb_model *model, cb_tensor_info **infos, int *count) {
    *count = cb_params_count(model);
    *infos = calloc((size_t)*count, sizeof **infos);
    if (!*infos) return cb_fail(CB_ENOMEM, "no memory for the entries of %d tensors", *count);
    int64_t at = 0;
    for (int i = 0; i < *count; i++) {
        cb_param param = cb_param_at(model, i);
        (*infos)[i] = cb_layout_info(&param);
        (*infos)[i].begin = at;
        at += param.file_rows * param.cols * (int64_t)sizeof(float);
        (*infos)[i].end = at;
    }
    return CB_OK;
}
