/* See chunks.h. */
#include "mesh/chunks.h"

#include <stdbool.h>

/* In every second round of a V the stages count from behind. */
static bool is_backwards(const cb_chunk_grid *grid, int chunk) {
    return grid->placing == CB_CHUNKS_V && chunk % 2 == 1;
}

int cb_chunk_block(const cb_chunk_grid *grid, int stage, int chunk) {
    return chunk * grid->stages + (is_backwards(grid, chunk) ? grid->stages - 1 - stage : stage);
}

void cb_chunk_of_block(const cb_chunk_grid *grid, int block, int *stage, int *chunk) {
    *chunk = block / grid->stages;
    *stage = block % grid->stages;
    if (is_backwards(grid, *chunk)) *stage = grid->stages - 1 - *stage;
}
