/* How many shards S a model's cut dimensions can be divided into. Pure. */
#ifndef CB_MODEL_SHARDS_H
#define CB_MODEL_SHARDS_H

#include <stdbool.h>

#include "mesh/shard.h"
#include "model/model.h"

enum { CB_DEFAULT_SHARDS = 8 };

bool cb_power_of_two(int64_t n);
/* S divides heads, MLP width and padded vocabulary. */
bool cb_model_has_shards(const cb_model *model, int64_t shards);
/* A rank of tp can own a whole number of S shards of the model, at most CB_MOST_OWNED_SHARDS, and the sum over them is
 * a whole binary tree (or S = tp). */
bool cb_model_allows_shards(const cb_model *model, int tp, int64_t shards);
/* The largest power of two up to CB_DEFAULT_SHARDS, and at least tp, that the model has; tp where that is no power of
 * two. */
int cb_model_default_shards(const cb_model *model, int tp);

#endif
