/* Which tensors a file of weights holds, and where: the parameter table in file terms. Pure. */
#ifndef CB_CHECKPOINT_LAYOUT_H
#define CB_CHECKPOINT_LAYOUT_H

#include "checkpoint/safetensors.h"
#include "model/params.h"

/* dims and shape in a file: (cols, rows) where transposed, true vocabulary rows only; name and dtype "F32". begin and
 * end are left 0. */
cb_tensor_info cb_layout_info(const cb_param *param);
/* All tensors of the model in the order of the table, one after the other: entry i is parameter i. *infos is to be
 * freed. */
CB_MUST_USE cb_err cb_layout_make(const cb_model *model, cb_tensor_info **infos, int *count);

#endif
