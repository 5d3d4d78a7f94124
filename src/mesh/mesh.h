/* The grid of ranks: rank <-> coordinates for any order string, and the groups of ranks along dimensions.
 * Default order tp-cp-ep-dp-pp, the first runs fastest: rank = t + tp*(c + cp*(e + ep*(d + dp*p))).
 * Source: Megatron-LM core/parallel_state.py, RankGenerator. Pure. */
#ifndef CB_MESH_MESH_H
#define CB_MESH_MESH_H

#include "base/err.h"

typedef enum cb_dim { CB_TP, CB_CP, CB_EP, CB_DP, CB_PP, CB_DIMS } cb_dim;
#define CB_MASK(dim) (1u << (dim))
#define CB_MASK_ALL ((1u << CB_DIMS) - 1u)
#define CB_DEFAULT_ORDER "tp-cp-ep-dp-pp"

typedef struct cb_mesh {
    int size[CB_DIMS];
    cb_dim order[CB_DIMS]; /* order[0] runs fastest */
    int ranks;
} cb_mesh;

const char *cb_dim_name(cb_dim dim); /* "tp" */

/* sizes >= 1. order: names joined by '-'; a dimension that is left out must have size 1 and is put last.
 * Error CB_EINVAL: unknown or repeated name, a size below 1, more than 2^30 ranks. */
CB_MUST_USE cb_err cb_mesh_make(cb_mesh *mesh, const int size[CB_DIMS], const char *order);
int cb_mesh_rank(const cb_mesh *mesh, const int coord[CB_DIMS]);
void cb_mesh_coords(const cb_mesh *mesh, int rank, int coord[CB_DIMS]);
/* Ranks that differ from `rank` only in the dimensions of mask, in order (fastest first). ranks holds cb_mesh_group_size.
 * Returns this rank's index in it. */
int cb_mesh_group(const cb_mesh *mesh, unsigned mask, int rank, int *ranks);
int cb_mesh_group_size(const cb_mesh *mesh, unsigned mask);
/* "d0 p1 t3" (with c and e only where their size is not 1). out holds at least 48 characters. Returns out. */
char *cb_mesh_name(const cb_mesh *mesh, int rank, char out[48]);

#endif
