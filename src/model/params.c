/* The parameter table of the GPT-2 family: one row per role, from which every entry is made on the fly, and the pieces
 * of a tensor that a rank holds. Names and the transposed storage of Conv1D are Hugging Face's GPT-2; the cuts are
 * Megatron's: column-parallel layers (c_attn, c_fc) by rows of (out, in), row-parallel layers (the two c_proj) by
 * columns. Sources: Shoeybi et al., arXiv:1909.08053, section 3; Radford et al. 2019 for the scaled start of the
 * projections. */
#include "model/params.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

typedef enum size_of { ONE, CHANNELS, QKV, FFN, VOCAB, POSITIONS } size_of;
typedef enum start { ZERO, UNIT, NORMAL, RESIDUAL } start; /* RESIDUAL: normal, std / sqrt(2 L) */

typedef struct row {
    const char *name;
    size_of rows, cols;
    cb_cut cut;
    int parts;
    start start;
} row;

/* GPT-2. Rows of ONE column are vectors; matrices are (out, in). */
static const row gpt2_rows[CB_ROLES] = {
    [CB_LN1_W] = {"ln_1.weight", CHANNELS, ONE, CB_CUT_NONE, 1, UNIT},
    [CB_LN1_B] = {"ln_1.bias", CHANNELS, ONE, CB_CUT_NONE, 1, ZERO},
    [CB_QKV_W] = {"attn.c_attn.weight", QKV, CHANNELS, CB_CUT_ROWS, 3, NORMAL},
    [CB_QKV_B] = {"attn.c_attn.bias", QKV, ONE, CB_CUT_ROWS, 3, ZERO},
    [CB_PROJ_W] = {"attn.c_proj.weight", CHANNELS, CHANNELS, CB_CUT_COLS, 1, RESIDUAL},
    [CB_PROJ_B] = {"attn.c_proj.bias", CHANNELS, ONE, CB_CUT_NONE, 1, ZERO},
    [CB_LN2_W] = {"ln_2.weight", CHANNELS, ONE, CB_CUT_NONE, 1, UNIT},
    [CB_LN2_B] = {"ln_2.bias", CHANNELS, ONE, CB_CUT_NONE, 1, ZERO},
    [CB_FC_W] = {"mlp.c_fc.weight", FFN, CHANNELS, CB_CUT_ROWS, 1, NORMAL},
    [CB_FC_B] = {"mlp.c_fc.bias", FFN, ONE, CB_CUT_ROWS, 1, ZERO},
    [CB_FC2_W] = {"mlp.c_proj.weight", CHANNELS, FFN, CB_CUT_COLS, 1, RESIDUAL},
    [CB_FC2_B] = {"mlp.c_proj.bias", CHANNELS, ONE, CB_CUT_NONE, 1, ZERO},
    [CB_WTE] = {"wte.weight", VOCAB, CHANNELS, CB_CUT_ROWS, 1, NORMAL},
    [CB_WPE] = {"wpe.weight", POSITIONS, CHANNELS, CB_CUT_NONE, 1, NORMAL},
    [CB_LNF_W] = {"ln_f.weight", CHANNELS, ONE, CB_CUT_NONE, 1, UNIT},
    [CB_LNF_B] = {"ln_f.bias", CHANNELS, ONE, CB_CUT_NONE, 1, ZERO},
};

static int64_t size_in(const cb_model *model, size_of size) {
    switch (size) {
    case ONE:
        return 1;
    case CHANNELS:
        return model->channels;
    case QKV:
        return 3 * model->channels;
    case FFN:
        return model->ffn;
    case VOCAB:
        return model->vocab_padded;
    case POSITIONS:
        return model->positions;
    }
    return 0;
}

int cb_params_count(const cb_model *model) {
    return CB_LAYER_ROLES * model->layers + (CB_ROLES - CB_LAYER_ROLES);
}

/* Model order: wte, wpe, the layers, ln_f. */
static int id_of(const cb_model *model, cb_role role, int layer) {
    if (role < CB_LAYER_ROLES) return 2 + CB_LAYER_ROLES * layer + (int)role;
    if (role <= CB_WPE) return (int)role - CB_WTE;
    return 2 + CB_LAYER_ROLES * model->layers + ((int)role - CB_LNF_W);
}

cb_param cb_param_of(const cb_model *model, cb_role role, int layer) {
    assert(role < CB_LAYER_ROLES ? layer >= 0 && layer < model->layers : role < CB_ROLES);
    const row *r = &gpt2_rows[role];
    bool of_layer = role < CB_LAYER_ROLES, matrix = r->cols != ONE, normal = r->start >= NORMAL;
    cb_param param = {
        .id = id_of(model, role, layer),
        .layer = of_layer ? layer : -1,
        .role = role,
        .rows = size_in(model, r->rows),
        .cols = size_in(model, r->cols),
        .file_rows = size_in(model, r->rows),
        .dims = matrix ? 2 : 1,
        .file_transposed = matrix && of_layer,
        .cut = r->cut,
        .parts = r->parts,
        .init = normal             ? CB_INIT_NORMAL
                : r->start == UNIT ? CB_INIT_ONE
                                   : CB_INIT_ZERO,
        .init_std = normal ? model->init_std : 0,
        .decay = matrix,
    };
    if (r->start == RESIDUAL) param.init_std /= sqrt(2.0 * model->layers);
    if (role == CB_WTE) param.file_rows = model->vocab;
    if (of_layer)
        snprintf(param.name, sizeof param.name, "h.%d.%s", layer, r->name);
    else
        snprintf(param.name, sizeof param.name, "%s", r->name);
    return param;
}

cb_param cb_param_at(const cb_model *model, int id) {
    assert(id >= 0 && id < cb_params_count(model));
    int in_layers = id - 2, after_layers = in_layers - CB_LAYER_ROLES * model->layers;
    if (in_layers < 0) return cb_param_of(model, (cb_role)(CB_WTE + id), -1);
    if (after_layers >= 0) return cb_param_of(model, (cb_role)(CB_LNF_W + after_layers), -1);
    return cb_param_of(model, (cb_role)(in_layers % CB_LAYER_ROLES), in_layers / CB_LAYER_ROLES);
}

int64_t cb_param_elements(const cb_param *param) {
    return param->rows * param->cols;
}

int64_t cb_param_shard_elements(const cb_param *param, int shards) {
    return param->cut == CB_CUT_NONE ? cb_param_elements(param) : cb_param_elements(param) / shards;
}

int64_t cb_param_local_elements(const cb_param *param, int shards, int owned) {
    int64_t elements = cb_param_shard_elements(param, shards);
    return param->cut == CB_CUT_NONE ? elements : elements * owned;
}

/* Piece `part` of one shard, at local element `offset`. */
static cb_block piece(const cb_param *param, int shards, int shard, int part, int64_t offset) {
    cb_block block = {offset, 0, 0, param->rows, param->cols};
    if (param->cut == CB_CUT_ROWS) {
        block.rows = param->rows / ((int64_t)param->parts * shards);
        block.row = ((int64_t)part * shards + shard) * block.rows;
    } else if (param->cut == CB_CUT_COLS) {
        block.cols = param->cols / shards;
        block.col = shard * block.cols;
    }
    return block;
}

int cb_param_blocks(const cb_param *param, int shards, int first, int owned, cb_block *out) {
    assert(first >= 0 && owned >= 1 && first + owned <= shards);
    assert(param->cut != CB_CUT_ROWS || param->rows % ((int64_t)param->parts * shards) == 0);
    assert(param->cut != CB_CUT_COLS || param->cols % shards == 0);
    int count = 0;
    int64_t offset = 0;
    int pieces = param->cut == CB_CUT_NONE ? 1 : owned;
    for (int shard = first; shard < first + pieces; shard++)
        for (int part = 0; part < param->parts; part++) {
            out[count] = piece(param, shards, shard, part, offset);
            offset += out[count].rows * out[count].cols;
            count++;
        }
    return count;
}

bool cb_param_on_stage(const cb_param *param, const cb_placement *placement, int stage) {
    bool is_first = stage == 0, is_last = stage == placement->stages - 1;
    if (param->layer >= 0) return cb_placement_stage_of(placement, param->layer) == stage;
    switch (param->role) {
    case CB_WTE:
        return is_first || is_last; /* the last stage's copy is the head */
    case CB_WPE:
        return is_first;
    default:
        return is_last;
    }
}

static void fill(float *to, int64_t n, float value) {
    for (int64_t i = 0; i < n; i++) to[i] = value;
}

/* n normal values from the global element `first` on. */
static void draw(const cb_param *param, uint32_t seed, int64_t first, int64_t n, float *to) {
    cb_rng_normal((cb_rng_key){seed, (uint32_t)param->id}, (uint64_t)first, n, to);
    float std = (float)param->init_std;
    for (int64_t i = 0; i < n; i++) to[i] *= std;
}

/* Rows that no file has (the padding of the vocabulary) stay zero. A block of whole rows is one run of the stream. */
static void draw_block(const cb_param *param, uint32_t seed, const cb_block *block, float *to) {
    int64_t rows = param->file_rows - block->row;
    if (rows > block->rows) rows = block->rows;
    if (rows < 0) rows = 0;
    if (block->cols == param->cols) {
        draw(param, seed, block->row * param->cols, rows * param->cols, to);
    } else {
        for (int64_t i = 0; i < rows; i++)
            draw(param, seed, (block->row + i) * param->cols + block->col, block->cols, to + i * block->cols);
    }
    fill(to + rows * block->cols, (block->rows - rows) * block->cols, 0);
}

void cb_param_initialise(const cb_model *model, const cb_param *param, uint32_t seed, int shards, int first, int owned,
                         float *to) {
    (void)model;
    if (param->init != CB_INIT_NORMAL) {
        fill(to, cb_param_local_elements(param, shards, owned), param->init == CB_INIT_ONE);
        return;
    }
    int pieces = param->cut == CB_CUT_NONE ? 1 : owned; /* shard by shard: a fixed number of blocks at a time */
    int64_t shard_elements = cb_param_shard_elements(param, shards);
    cb_block blocks[3];
    assert(param->parts <= 3);
    for (int i = 0; i < pieces; i++) {
        int count = cb_param_blocks(param, shards, first + i, 1, blocks);
        for (int b = 0; b < count; b++) draw_block(param, seed, &blocks[b], to + i * shard_elements + blocks[b].offset);
    }
}
