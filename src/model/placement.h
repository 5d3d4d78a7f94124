/* Which stage holds which layers. Never drops a layer: places all, or refuses. The first stage also holds the embeddings,
 * the last the final norm and the head (a copy of the tied matrix when it is not also the first). Pure. */
#ifndef CB_MODEL_PLACEMENT_H
#define CB_MODEL_PLACEMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "mesh/shard.h"
#include "model/model.h"

enum { CB_MAX_STAGES = 512 };

typedef struct cb_placement {
    int stages;
    int first[CB_MAX_STAGES + 1]; /* stage s holds layers first[s] .. first[s+1]-1 */
} cb_placement;

/* spec: "auto" - the contiguous placement with the smallest largest stage, in FLOPs of a step, the head counted (ties: fewest
 * layers on the last stage that still reach the minimum, then as even as possible, larger stages first); "even" - layers
 * only, sizes differ by at most one, larger first; or a list "6,6" whose sum is L. Every stage holds at least one layer.
 * Error CB_EINVAL: more stages than layers, a list of wrong length or sum, with the numbers. */
CB_MUST_USE cb_err cb_placement_make(cb_placement *placement, const cb_model *model, int stages, int64_t seq_length,
                                     const char *spec);
int cb_placement_layers(const cb_placement *placement, int stage);
int cb_placement_stage_of(const cb_placement *placement, int layer);
/* FLOPs of one token through the stage, forward + backward. */
double cb_placement_flops_per_token(const cb_placement *placement, const cb_model *model, int stage, int64_t seq_length);
/* A table of what each stage holds: layers, embedding/head, parameters, share of FLOPs. */
void cb_placement_print(const cb_placement *placement, const cb_model *model, int64_t seq_length, FILE *to);

#endif
