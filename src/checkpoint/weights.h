/* Weights in and out as a Hugging Face GPT-2 directory: config.json and model.safetensors with global tensors. Saving:
 * every rank writes its own slices into a file beside, renamed when whole. Loading: any layout reads its own slices. */
#ifndef CB_CHECKPOINT_WEIGHTS_H
#define CB_CHECKPOINT_WEIGHTS_H

#include "comm/group.h"
#include "model/params.h"

/* A local parameter: shards first..first+owned-1 of `shards`, dense, as cb_param_blocks lays them out. */
typedef struct cb_local_tensor {
    cb_param param;
    int shards, first, owned;
    float *data;
} cb_local_tensor;

/* tensors: those that this rank is the one to write (of each shard exactly one rank in the world; the tied copy and
 * replicas are left out by the caller; bytes missing or written twice are found by their sum). dir is made if missing.
 * Writes dir/model.safetensors.partial and config.json.partial, then renames both; a failure removes them and leaves
 * what was there. *Collective over world.* Errors, the same on every rank: CB_EIO with the path (also: disk full),
 * CB_EINVAL where the ranks' tensors are not the whole model. */
CB_MUST_USE cb_err cb_weights_save(cb_group *world, const char *dir, const cb_model *model,
                                   const cb_local_tensor *tensors, int count);
/* Fills tensors[i].data. Accepts model.safetensors or model.safetensors.index.json, names with or without
 * "transformer.", F32, F16 and BF16. Padded vocabulary rows become zero. Passed over: attention masks (attn.bias,
 * attn.masked_bias) and an lm_head.weight that equals wte.weight. Not collective. Errors: CB_EIO; CB_EFORMAT: a missing
 * tensor, one that the model has no place for (more layers, say), a wrong shape, with names and shapes;
 * CB_EUNSUPPORTED: an untied head. */
CB_MUST_USE cb_err cb_weights_load(const char *dir, const cb_model *model, cb_local_tensor *tensors, int count);

#endif
