/* The parameter table: for each tensor its name, global shape, how tensor parallelism cuts it, who owns it, how it starts,
 * whether it decays, how it is written. Trainer, planner, checkpoint and docs read this table. Matrices are stored (out, in),
 * row-major. A cut dimension is divided into S shards (S = tp here; more shards than ranks later); a rank owns S/tp
 * consecutive ones and stores them one after the other, each dense. Pure. */
#ifndef CB_MODEL_PARAMS_H
#define CB_MODEL_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"
#include "model/placement.h"

typedef enum cb_role {
    /* of a layer, in forward order */
    CB_LN1_W, CB_LN1_B, CB_QKV_W, CB_QKV_B, CB_PROJ_W, CB_PROJ_B,
    CB_LN2_W, CB_LN2_B, CB_FC_W, CB_FC_B, CB_FC2_W, CB_FC2_B,
    CB_LAYER_ROLES,
    /* of the model */
    CB_WTE = CB_LAYER_ROLES, CB_WPE, CB_EMBED_NORM_W, CB_EMBED_NORM_B,
    CB_LNF_W, CB_LNF_B, CB_HEAD_W,
    CB_ROLES
} cb_role;

typedef enum cb_cut { CB_CUT_NONE, CB_CUT_ROWS, CB_CUT_COLS } cb_cut;
typedef enum cb_owner {
    CB_OWNER_LAYER, CB_OWNER_FIRST, CB_OWNER_LAST,
    CB_OWNER_BOTH, /* the first stage and, as a copy, the last: the tied embedding */
} cb_owner;
typedef enum cb_init { CB_INIT_ZERO, CB_INIT_ONE, CB_INIT_NORMAL } cb_init;

typedef struct cb_param {
    char name[48]; /* Hugging Face's GPT-2 name, "h.0.attn.c_attn.weight", for every family */
    int id;        /* index in the table: model order; keys the random generator and the order of sums; -1: not of the model */
    int layer;     /* -1: of the model */
    cb_role role;
    int64_t rows, cols;  /* global shape as stored; a vector is (n, 1); wte has vocab_padded rows */
    int64_t file_rows;   /* rows that exist in a file: rows, or the true vocabulary for wte */
    int dims;            /* 1 or 2: dimensions in a file */
    bool file_transposed; /* a file holds (cols, rows): GPT-2's Conv1D */
    cb_owner owner;
    cb_cut cut;
    int parts;           /* CB_CUT_ROWS: rows are this many equal parts, each cut (q, k, v: 3; gate, up: 2), else 1 */
    cb_init init;
    double init_std;
    bool decay;          /* weight decay: matrices only */
} cb_param;

/* A dense piece of a local tensor: rows x cols elements at local element `offset`, row-major, being the global rows
 * row..row+rows-1 and columns col..col+cols-1. */
typedef struct cb_block {
    int64_t offset, row, col, rows, cols;
} cb_block;

/* Number of parameters in the table, GPT-2's 12 L + 4: in the order wte, wpe, the embedding's norm, layers 0..L-1, lnf, head. */
int cb_params_count(const cb_model *model);
/* Entry `id` of the table, made on the fly. */
cb_param cb_param_at(const cb_model *model, int id);
/* A role that the model does not have (a bias without biases) is a parameter of no rows, id -1. */
cb_param cb_param_of(const cb_model *model, cb_role role, int layer);

int64_t cb_param_elements(const cb_param *param); /* global, padded */
/* Elements of one of `shards` shards (all of them where the parameter is not cut). */
int64_t cb_param_shard_elements(const cb_param *param, int shards);
/* Elements held by a rank that owns `owned` of `shards` shards. */
int64_t cb_param_local_elements(const cb_param *param, int shards, int owned);
/* The dense pieces of shards first..first+owned-1, in local order. out holds parts * owned blocks. Returns their number. */
int cb_param_blocks(const cb_param *param, int shards, int first, int owned, cb_block *out);
/* Does the stage hold this parameter? A tied wte is on the first stage and, as a copy, on the last. */
bool cb_param_on_stage(const cb_param *param, const cb_placement *placement, int stage);
/* Starting values of the pieces of shards first..first+owned-1, each a pure function of (seed, id, global element); padded
 * vocabulary rows are zero. to: (local elements) f32. */
void cb_param_initialise(const cb_model *model, const cb_param *param, uint32_t seed, int shards, int first, int owned,
                         float *to);

#endif
