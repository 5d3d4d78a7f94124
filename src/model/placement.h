/* Which stage holds which layers: the model is cut into blocks of consecutive layers, and a stage holds one block, or one for
 * each of its chunks (virtual stages). Never drops a layer: places all, or refuses. The stage of the first block also holds
 * the embeddings, that of the last the final norm and the head (a copy of the tied matrix where they are two). Pure. */
#ifndef CB_MODEL_PLACEMENT_H
#define CB_MODEL_PLACEMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "mesh/chunks.h"
#include "model/model.h"

enum { CB_MAX_STAGES = 512, CB_MAX_CHUNKS = 64 };

typedef struct cb_placement {
    int stages, chunks; /* stages * chunks blocks, at most CB_MAX_STAGES */
    cb_chunk_placing placing;
    int first[CB_MAX_STAGES + 1]; /* block b holds layers first[b] .. first[b+1]-1 */
} cb_placement;

/* A chunk's layers: first .. first + layers - 1. */
typedef struct cb_chunk_layers {
    int first, layers;
} cb_chunk_layers;

/* One chunk per stage. spec: "auto" - the contiguous placement with the smallest largest stage, in FLOPs of a step, the head
 * counted (ties: fewest layers on the last stage that still reach the minimum, then as even as possible, larger stages first);
 * "even" - layers only, sizes differ by at most one, larger first; or a list "6,6" whose sum is L. Every stage holds at least
 * one layer. Error CB_EINVAL: more stages than layers, a list of wrong length or sum, with the numbers. */
CB_MUST_USE cb_err cb_placement_make(cb_placement *placement, const cb_model *model, int stages, int64_t seq_length,
                                     const char *spec);
/* The same for blocks that lie on stages as grid says: spec speaks of blocks, a list is in the model's order. */
CB_MUST_USE cb_err cb_placement_make_chunks(cb_placement *placement, const cb_model *model, const cb_chunk_grid *grid,
                                            int64_t seq_length, const char *spec);
int cb_placement_blocks(const cb_placement *placement);
int cb_placement_layers(const cb_placement *placement, int stage);
cb_chunk_layers cb_placement_chunk(const cb_placement *placement, int stage, int chunk);
int cb_placement_stage_of(const cb_placement *placement, int layer);
/* The stage holds the model's first block, its last. */
bool cb_placement_is_first(const cb_placement *placement, int stage);
bool cb_placement_is_last(const cb_placement *placement, int stage);
/* The block that is a stage's chunk; and where it lies. */
int cb_placement_block(const cb_placement *placement, int stage, int chunk);
void cb_placement_of_block(const cb_placement *placement, int block, int *stage, int *chunk);
/* The stage of the block before (step -1) or after (+1) a chunk's, -1 where there is none; *chunk_out: which of its chunks. */
int cb_placement_neighbour(const cb_placement *placement, int stage, int chunk, int step, int *chunk_out);
/* FLOPs of one token through the stage, forward + backward. */
double cb_placement_flops_per_token(const cb_placement *placement, const cb_model *model, int stage, int64_t seq_length);
/* A table of what each stage holds: layers, embedding/head, parameters, share of FLOPs. */
void cb_placement_print(const cb_placement *placement, const cb_model *model, int64_t seq_length, FILE *to);

#endif
