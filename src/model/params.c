/* The parameter table: one row per role, from which every entry is made on the fly, and the pieces of a tensor that a
 * rank holds. Names and the transposed storage of Conv1D are Hugging Face's GPT-2; the cuts are Megatron's:
 * column-parallel layers (c_attn, c_fc) by rows of (out, in), row-parallel layers (the two c_proj) by columns. With
 * fewer heads of keys and values than of queries c_attn's rows are, as Megatron's, group by group its queries, key and
 * value, so that one contiguous cut serves all three. Sources: Shoeybi et al., arXiv:1909.08053, section 3; Radford et
 * al. 2019 for the scaled start of the projections. */
#include "model/params.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"

typedef enum size_of { ONE, CHANNELS, QKV, FC, FFN, VOCAB, POSITIONS } size_of;
typedef enum start { ZERO, UNIT, NORMAL, RESIDUAL } start; /* RESIDUAL: normal, std / sqrt(2 L) */
/* Which models have it: all, or a set of these. */
typedef enum need {
    ALWAYS = 0,
    BIASES = 1,
    NORM_BIASES = 2,
    LEARNED = 4,
    EMBED_NORM = 8,
    UNTIED = 16,
    QKV_BIASES = 32
} need;

typedef struct row {
    const char *name;
    size_of rows, cols;
    cb_owner owner;
    cb_cut cut;
    start start;
    unsigned needs;
} row;

/* Rows of ONE column are vectors; matrices are (out, in). Owners are the owner of a tied embedding. */
static const row role_rows[CB_ROLES] = {
    [CB_LN1_W] = {"ln_1.weight", CHANNELS, ONE, CB_OWNER_LAYER, CB_CUT_NONE, UNIT, ALWAYS},
    [CB_LN1_B] = {"ln_1.bias", CHANNELS, ONE, CB_OWNER_LAYER, CB_CUT_NONE, ZERO, NORM_BIASES},
    [CB_QKV_W] = {"attn.c_attn.weight", QKV, CHANNELS, CB_OWNER_LAYER, CB_CUT_ROWS, NORMAL, ALWAYS},
    [CB_QKV_B] = {"attn.c_attn.bias", QKV, ONE, CB_OWNER_LAYER, CB_CUT_ROWS, ZERO, QKV_BIASES},
    [CB_PROJ_W] = {"attn.c_proj.weight", CHANNELS, CHANNELS, CB_OWNER_LAYER, CB_CUT_COLS, RESIDUAL, ALWAYS},
    [CB_PROJ_B] = {"attn.c_proj.bias", CHANNELS, ONE, CB_OWNER_LAYER, CB_CUT_NONE, ZERO, BIASES},
    [CB_LN2_W] = {"ln_2.weight", CHANNELS, ONE, CB_OWNER_LAYER, CB_CUT_NONE, UNIT, ALWAYS},
    [CB_LN2_B] = {"ln_2.bias", CHANNELS, ONE, CB_OWNER_LAYER, CB_CUT_NONE, ZERO, NORM_BIASES},
    [CB_FC_W] = {"mlp.c_fc.weight", FC, CHANNELS, CB_OWNER_LAYER, CB_CUT_ROWS, NORMAL, ALWAYS},
    [CB_FC_B] = {"mlp.c_fc.bias", FC, ONE, CB_OWNER_LAYER, CB_CUT_ROWS, ZERO, BIASES},
    [CB_FC2_W] = {"mlp.c_proj.weight", CHANNELS, FFN, CB_OWNER_LAYER, CB_CUT_COLS, RESIDUAL, ALWAYS},
    [CB_FC2_B] = {"mlp.c_proj.bias", CHANNELS, ONE, CB_OWNER_LAYER, CB_CUT_NONE, ZERO, BIASES},
    [CB_WTE] = {"wte.weight", VOCAB, CHANNELS, CB_OWNER_BOTH, CB_CUT_ROWS, NORMAL, ALWAYS},
    [CB_WPE] = {"wpe.weight", POSITIONS, CHANNELS, CB_OWNER_FIRST, CB_CUT_NONE, NORMAL, LEARNED},
    [CB_EMBED_NORM_W] = {"ln_e.weight", CHANNELS, ONE, CB_OWNER_FIRST, CB_CUT_NONE, UNIT, EMBED_NORM},
    [CB_EMBED_NORM_B] = {"ln_e.bias", CHANNELS, ONE, CB_OWNER_FIRST, CB_CUT_NONE, ZERO, EMBED_NORM | NORM_BIASES},
    [CB_LNF_W] = {"ln_f.weight", CHANNELS, ONE, CB_OWNER_LAST, CB_CUT_NONE, UNIT, ALWAYS},
    [CB_LNF_B] = {"ln_f.bias", CHANNELS, ONE, CB_OWNER_LAST, CB_CUT_NONE, ZERO, NORM_BIASES},
    [CB_HEAD_W] = {"lm_head.weight", VOCAB, CHANNELS, CB_OWNER_LAST, CB_CUT_ROWS, NORMAL, UNTIED},
};

static int64_t size_in(const cb_model *model, size_of size) {
    switch (size) {
    case ONE:
        return 1;
    case CHANNELS:
        return model->channels;
    case QKV:
        return cb_model_qkv_width(model);
    case FC:
        return cb_model_fc_width(model);
    case FFN:
        return model->ffn;
    case VOCAB:
        return model->vocab_padded;
    case POSITIONS:
        return model->positions;
    }
    return 0;
}

static bool has_role(const cb_model *model, int role) {
    unsigned met = (model->unbiased ? 0 : BIASES) | (model->unbiased || model->norm == CB_RMSNORM ? 0 : NORM_BIASES) |
                   (model->position == CB_LEARNED ? LEARNED : 0) | (model->embed_norm ? EMBED_NORM : 0) |
                   (model->untied ? UNTIED : 0) | (model->unbiased && !model->biased_qkv ? 0 : QKV_BIASES);
    return (role_rows[role].needs & ~met) == 0;
}

/* Roles from..to-1 that the model has. */
static int roles_between(const cb_model *model, int from, int to) {
    int count = 0;
    for (int role = from; role < to; role++) count += has_role(model, role);
    return count;
}

int cb_params_count(const cb_model *model) {
    return roles_between(model, 0, CB_LAYER_ROLES) * model->layers + roles_between(model, CB_LAYER_ROLES, CB_ROLES);
}

/* Model order: what the first stage has, the layers, what the last stage has. */
static int id_of(const cb_model *model, int role, int layer) {
    int before = roles_between(model, CB_WTE, CB_LNF_W), of_layer = roles_between(model, 0, CB_LAYER_ROLES);
    if (!has_role(model, role)) return -1;
    if (role < CB_LAYER_ROLES) return before + of_layer * layer + roles_between(model, 0, role);
    if (role < CB_LNF_W) return roles_between(model, CB_WTE, role);
    return before + of_layer * model->layers + roles_between(model, CB_LNF_W, role);
}

/* The index-th role from `from` on that the model has. */
static cb_role role_at(const cb_model *model, int from, int index) {
    int role = from;
    while (!has_role(model, role) || index-- > 0) role++;
    return (cb_role)role;
}

static int parts_of(const cb_model *model, cb_role role) {
    if (role == CB_QKV_W || role == CB_QKV_B) return cb_model_kv_heads(model) == model->heads ? 3 : 1;
    return model->gated && (role == CB_FC_W || role == CB_FC_B) ? 2 : 1;
}

static double std_of(const cb_model *model, start how) {
    if (how == RESIDUAL) return model->init_std / sqrt(2.0 * model->layers);
    return how == NORMAL ? model->init_std : 0;
}

cb_param cb_param_of(const cb_model *model, cb_role role, int layer) {
    assert(role < CB_LAYER_ROLES ? layer >= 0 && layer < model->layers : role < CB_ROLES);
    const row *r = &role_rows[role];
    bool of_layer = role < CB_LAYER_ROLES, matrix = r->cols != ONE;
    int64_t global_rows = has_role(model, role) ? size_in(model, r->rows) : 0;
    cb_param param = {
        .id = id_of(model, role, layer),
        .layer = of_layer ? layer : -1,
        .role = role,
        .rows = global_rows,
        .cols = size_in(model, r->cols),
        .file_rows = r->rows == VOCAB && global_rows ? model->vocab : global_rows,
        .dims = matrix ? 2 : 1,
        .file_transposed = matrix && of_layer,
        .owner = role == CB_WTE && model->untied ? CB_OWNER_FIRST : r->owner,
        .cut = r->cut,
        .parts = parts_of(model, role),
        .init = r->start >= NORMAL ? CB_INIT_NORMAL
                : r->start == UNIT ? CB_INIT_ONE
                                   : CB_INIT_ZERO,
        .init_std = std_of(model, r->start),
        .decay = matrix,
    };
    if (of_layer)
        snprintf(param.name, sizeof param.name, "h.%d.%s", layer, r->name);
    else
        snprintf(param.name, sizeof param.name, "%s", r->name);
    return param;
}

cb_param cb_param_at(const cb_model *model, int id) {
    assert(id >= 0 && id < cb_params_count(model));
    int of_layer = roles_between(model, 0, CB_LAYER_ROLES), in_layers = id - roles_between(model, CB_WTE, CB_LNF_W);
    int after_layers = in_layers - of_layer * model->layers;
    if (in_layers < 0) return cb_param_of(model, role_at(model, CB_WTE, id), -1);
    if (after_layers >= 0) return cb_param_of(model, role_at(model, CB_LNF_W, after_layers), -1);
    return cb_param_of(model, role_at(model, 0, in_layers % of_layer), in_layers / of_layer);
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
    bool is_first = cb_placement_is_first(placement, stage), is_last = cb_placement_is_last(placement, stage);
    switch (param->owner) {
    case CB_OWNER_LAYER:
        return cb_placement_stage_of(placement, param->layer) == stage;
    case CB_OWNER_FIRST:
        return is_first;
    case CB_OWNER_LAST:
        return is_last;
    case CB_OWNER_BOTH:
        return is_first || is_last;
    }
    return false;
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
