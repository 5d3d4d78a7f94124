/* How the blocks of a pipeline lie on its stages: a stage holds `chunks` of them (virtual stages), and a microbatch
 * passes all stages * chunks blocks in ascending order. Schedules and the placement of layers read the same two
 * functions. Sources: Narayanan et al., SC 2021 (loop); Qi et al. 2024, "Pipeline Parallelism with Controllable Memory"
 * (V). Pure. */
#ifndef CB_MESH_CHUNKS_H
#define CB_MESH_CHUNKS_H

/* Which of the blocks, in order, is chunk c of stage r: */
typedef enum cb_chunk_placing {
    CB_CHUNKS_LOOP, /* c * stages + r: each round goes from the first stage to the last */
    CB_CHUNKS_V,    /* each round turns back where the one before ended: r and 2 * stages - 1 - r, ... */
} cb_chunk_placing;

typedef struct cb_chunk_grid {
    int stages, chunks;
    cb_chunk_placing placing;
} cb_chunk_grid;

int cb_chunk_block(const cb_chunk_grid *grid, int stage, int chunk);
void cb_chunk_of_block(const cb_chunk_grid *grid, int block, int *stage, int *chunk);

#endif
