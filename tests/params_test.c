/* The parameter table: order, names, shapes; the pieces of every rank tile every tensor once, by the rule written out
 * here element by element; starting values do not depend on who holds them. */
#include "base/rng.h"
#include "model/params.h"
#include "support/test.h"

#include <stdlib.h>

enum { MOST_SHARDS = 8, MOST_BLOCKS = 3 * MOST_SHARDS };

static cb_model preset(const char *name) {
    cb_model model;
    CHECK_OK(cb_model_preset(&model, name));
    return model;
}

/* An MLP width that is not 4 C and a vocabulary whose padding is more than one shard. */
static cb_model odd_model(void) {
    cb_model model = {.name = "odd",
                      .vocab = 100,
                      .positions = 10,
                      .channels = 16,
                      .ffn = 40,
                      .layers = 2,
                      .heads = 8,
                      .norm_eps = 1e-5,
                      .init_std = 0.5};
    cb_model_pad_vocab(&model, 128);
    CHECK_OK(cb_model_check(&model));
    return model;
}

/* The count of every family, by the formulas of docs/notation.md. */
static void ids_and_names_of(const char *name, int of_layer, int others) {
    cb_model model = preset(name);
    model.layers = 12;
    CHECK_INT(cb_params_count(&model), of_layer * 12 + others);
    for (int id = 0; id < cb_params_count(&model); id++) {
        cb_param param = cb_param_at(&model, id), again = cb_param_of(&model, param.role, param.layer);
        CHECK_INT(param.id, id);
        CHECK_INT(again.id, id);
        CHECK_STR(again.name, param.name);
        CHECK(param.rows > 0 && param.cols > 0 && (param.cols == 1) == (param.dims == 1));
        for (int other = 0; other < id; other++) {
            cb_param before = cb_param_at(&model, other);
            CHECK(strcmp(before.name, param.name) != 0);
        }
    }
}

static void ids_and_names(void) {
    ids_and_names_of("toy-12", 12, 4);
    ids_and_names_of("bloom-176b", 12, 5); /* the embedding's norm for the positions */
    ids_and_names_of("llama-3-8b", 6, 3);  /* matrices and norms; embedding, last norm, head */
}

/* What a family does not have has no rows and no number. */
static void families(void) {
    cb_model llama = preset("llama-3-8b"), gpt = preset("gpt2-124m");
    cb_param none = cb_param_of(&llama, CB_QKV_B, 0), head = cb_param_of(&llama, CB_HEAD_W, -1);
    CHECK(none.id == -1 && none.rows == 0 && cb_param_elements(&none) == 0);
    CHECK(head.id == cb_params_count(&llama) - 1 && head.rows == 128256 && head.owner == CB_OWNER_LAST);
    CHECK_INT(cb_param_of(&llama, CB_WTE, -1).owner, CB_OWNER_FIRST);
    CHECK_INT(cb_param_of(&gpt, CB_WTE, -1).owner, CB_OWNER_BOTH);
    CHECK_INT(cb_param_of(&gpt, CB_HEAD_W, -1).id, -1);
    CHECK_INT(cb_param_of(&llama, CB_QKV_W, 0).rows, 4096 + 2 * 1024);
    CHECK_INT(cb_param_of(&llama, CB_QKV_W, 0).parts, 1);
    CHECK_INT(cb_param_of(&llama, CB_FC_W, 0).parts, 2);
    CHECK_INT(cb_param_of(&llama, CB_FC_W, 0).rows, 2 * 14336);
}

static void check_row(const cb_model *model, int id, const char *name, int64_t rows, int64_t cols, bool transposed,
                      cb_cut cut, int parts) {
    cb_param param = cb_param_at(model, id);
    CHECK_STR(param.name, name);
    CHECK_INT(param.rows, rows);
    CHECK_INT(param.cols, cols);
    CHECK_INT(param.file_transposed, transposed);
    CHECK_INT(param.cut, cut);
    CHECK_INT(param.parts, parts);
    CHECK_INT(param.decay, param.dims == 2);
    CHECK_INT(param.file_rows, id == 0 ? model->vocab : rows);
}

/* GPT-2's tensors as Hugging Face names them; a file holds c_attn, c_fc and c_proj as (in, out). */
static void gpt2_table(void) {
    cb_model m = preset("gpt2-124m");
    check_row(&m, 0, "wte.weight", 50304, 768, false, CB_CUT_ROWS, 1);
    check_row(&m, 1, "wpe.weight", 1024, 768, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 11 + 0, "h.11.ln_1.weight", 768, 1, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 11 + 1, "h.11.ln_1.bias", 768, 1, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 11 + 2, "h.11.attn.c_attn.weight", 2304, 768, true, CB_CUT_ROWS, 3);
    check_row(&m, 2 + 12 * 11 + 3, "h.11.attn.c_attn.bias", 2304, 1, false, CB_CUT_ROWS, 3);
    check_row(&m, 2 + 12 * 11 + 4, "h.11.attn.c_proj.weight", 768, 768, true, CB_CUT_COLS, 1);
    check_row(&m, 2 + 12 * 11 + 5, "h.11.attn.c_proj.bias", 768, 1, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 11 + 6, "h.11.ln_2.weight", 768, 1, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 11 + 7, "h.11.ln_2.bias", 768, 1, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 11 + 8, "h.11.mlp.c_fc.weight", 3072, 768, true, CB_CUT_ROWS, 1);
    check_row(&m, 2 + 12 * 11 + 9, "h.11.mlp.c_fc.bias", 3072, 1, false, CB_CUT_ROWS, 1);
    check_row(&m, 2 + 12 * 11 + 10, "h.11.mlp.c_proj.weight", 768, 3072, true, CB_CUT_COLS, 1);
    check_row(&m, 2 + 12 * 11 + 11, "h.11.mlp.c_proj.bias", 768, 1, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 12 + 0, "ln_f.weight", 768, 1, false, CB_CUT_NONE, 1);
    check_row(&m, 2 + 12 * 12 + 1, "ln_f.bias", 768, 1, false, CB_CUT_NONE, 1);
    int64_t held = 0;
    for (int id = 0; id < cb_params_count(&m); id++) {
        cb_param param = cb_param_at(&m, id);
        held += cb_param_elements(&param);
    }
    CHECK_INT(held, cb_model_parameters(&m) + (50304 - 50257) * 768);
}

/* The rule itself: the shard that an element belongs to, -1 where every rank has it. */
static int shard_of(const cb_param *param, int shards, int64_t row, int64_t col) {
    if (param->cut == CB_CUT_ROWS)
        return (int)(row % (param->rows / param->parts) / (param->rows / param->parts / shards));
    if (param->cut == CB_CUT_COLS) return (int)(col / (param->cols / shards));
    return -1;
}

/* Marks the elements of the blocks in `times` (one count per global element); false where a block is not where the rule
 * puts it, or the local tensor has gaps. */
static bool mark(const cb_param *param, int shards, int first, int owned, unsigned char *times) {
    cb_block blocks[MOST_BLOCKS];
    int count = cb_param_blocks(param, shards, first, owned, blocks);
    int64_t next = 0, shard_elements = cb_param_shard_elements(param, shards);
    bool fits = count <= param->parts * owned;
    for (int b = 0; b < count; b++) {
        cb_block k = blocks[b];
        fits = fits && k.offset == next && k.row >= 0 && k.row + k.rows <= param->rows && k.col + k.cols <= param->cols;
        for (int64_t i = 0; fits && i < k.rows * k.cols; i++) {
            int64_t row = k.row + i / k.cols, col = k.col + i % k.cols;
            int shard = shard_of(param, shards, row, col);
            fits = shard < 0 || shard == first + (k.offset + i) / shard_elements;
            times[row * param->cols + col]++;
        }
        next += k.rows * k.cols;
    }
    return fits && next == cb_param_local_elements(param, shards, owned);
}

/* All ranks that own `owned` consecutive shards each: every element once, or on every rank where the tensor is not cut.
 */
static bool tiles(const cb_param *param, int shards, int owned) {
    int64_t elements = cb_param_elements(param);
    unsigned char *times = calloc(1, (size_t)elements);
    bool fits = true;
    for (int first = 0; first < shards; first += owned) fits = mark(param, shards, first, owned, times) && fits;
    int expected = param->cut == CB_CUT_NONE ? shards / owned : 1;
    for (int64_t i = 0; i < elements; i++) fits = fits && times[i] == expected;
    free(times);
    return fits;
}

static void pieces_tile(const cb_model *model) {
    for (int id = 0; id < cb_params_count(model); id++) {
        cb_param param = cb_param_at(model, id);
        unsigned char *scratch = calloc(1, (size_t)cb_param_elements(&param));
        for (int shards = 1; shards <= MOST_SHARDS; shards *= 2) {
            for (int owned = 1; owned <= shards; owned *= 2) CHECK(tiles(&param, shards, owned));
            for (int first = 0; first < shards; first++)
                for (int owned = 1; first + owned <= shards; owned++)
                    CHECK(mark(&param, shards, first, owned, scratch));
        }
        free(scratch);
    }
}

static void pieces_tile_every_tensor(void) {
    cb_model tiny = preset("test-tiny"), odd = odd_model();
    tiny.layers = 2;
    pieces_tile(&tiny);
    pieces_tile(&odd);
}

/* Worked by hand: c_attn of C = 16 in 4 shards, the second: rows 4-7 of each of q, k, v. */
static void pieces_of_qkv(void) {
    cb_model model = odd_model();
    cb_param weight = cb_param_of(&model, CB_QKV_W, 1);
    cb_block blocks[6];
    CHECK_INT(cb_param_blocks(&weight, 4, 1, 2, blocks), 6);
    static const int64_t rows[6] = {4, 20, 36, 8, 24, 40};
    for (int i = 0; i < 6; i++) {
        CHECK_INT(blocks[i].row, rows[i]);
        CHECK(blocks[i].rows == 4 && blocks[i].col == 0 && blocks[i].cols == 16 && blocks[i].offset == 64 * i);
    }
    cb_param fc2 = cb_param_of(&model, CB_FC2_W, 0);
    CHECK_INT(cb_param_blocks(&fc2, 4, 3, 1, blocks), 1);
    CHECK(blocks[0].row == 0 && blocks[0].rows == 16 && blocks[0].col == 30 && blocks[0].cols == 10);
}

/* Values of the whole tensor, one shard. */
static float *whole(const cb_model *model, const cb_param *param, uint32_t seed) {
    float *values = malloc((size_t)cb_param_elements(param) * sizeof *values);
    cb_param_initialise(model, param, seed, 1, 0, 1, values);
    return values;
}

/* Bit for bit the whole tensor's values at the pieces. */
static bool same_pieces(const cb_param *param, int shards, int first, int owned, const float *local,
                        const float *global) {
    cb_block blocks[MOST_BLOCKS];
    int count = cb_param_blocks(param, shards, first, owned, blocks);
    for (int b = 0; b < count; b++)
        for (int64_t row = 0; row < blocks[b].rows; row++)
            if (memcmp(local + blocks[b].offset + row * blocks[b].cols,
                       global + (blocks[b].row + row) * param->cols + blocks[b].col,
                       (size_t)blocks[b].cols * sizeof(float)))
                return false;
    return true;
}

static void start_is_independent_of_shards(void) {
    cb_model models[2] = {preset("test-pad"), odd_model()};
    models[0].layers = 1;
    for (int m = 0; m < 2; m++)
        for (int id = 0; id < cb_params_count(&models[m]); id++) {
            cb_param param = cb_param_at(&models[m], id);
            float *global = whole(&models[m], &param, 42),
                  *local = malloc((size_t)cb_param_elements(&param) * sizeof *local);
            for (int shards = 1; shards <= MOST_SHARDS; shards *= 2)
                for (int first = 0; first < shards; first++)
                    for (int owned = 1; first + owned <= shards; owned++) {
                        memset(local, 0xff, (size_t)cb_param_elements(&param) * sizeof *local);
                        cb_param_initialise(&models[m], &param, 42, shards, first, owned, local);
                        CHECK(same_pieces(&param, shards, first, owned, local, global));
                    }
            free(global);
            free(local);
        }
}

/* Element i is std times normal value i of the stream (seed, id); padded rows are zero. */
static void start_is_the_stream(void) {
    cb_model model = odd_model();
    cb_param wte = cb_param_of(&model, CB_WTE, -1), proj = cb_param_of(&model, CB_PROJ_W, 1);
    float *values = whole(&model, &wte, 7), stream[128 * 16];
    cb_rng_normal((cb_rng_key){7, 0}, 0, 128 * 16, stream);
    for (int i = 0; i < 128 * 16; i++) CHECK(values[i] == (i < 100 * 16 ? stream[i] * 0.5f : 0));
    free(values);
    CHECK_NEAR(proj.init_std, 0.5 / 2, 0); /* sqrt(2 L) = 2 */
    CHECK_INT(proj.id, 2 + 12 + CB_PROJ_W);
    values = whole(&model, &proj, 7);
    cb_rng_normal((cb_rng_key){7, 18}, 0, 16 * 16, stream);
    for (int i = 0; i < 16 * 16; i++) CHECK(values[i] == stream[i] * 0.25f);
    free(values);
}

static void check_moments(const cb_model *model, cb_role role, double std) {
    cb_param param = cb_param_of(model, role, 0);
    float *values = whole(model, &param, 1234);
    int64_t n = param.file_rows * param.cols;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i], squares += (double)values[i] * values[i];
    CHECK_NEAR(sum / (double)n, 0, 5 * std / sqrt((double)n)); /* five standard errors */
    CHECK_NEAR(sqrt(squares / (double)n) / std, 1, 5 / sqrt(2.0 * (double)n) + 1e-9);
    for (int64_t i = n; i < cb_param_elements(&param); i++) CHECK(values[i] == 0);
    free(values);
}

static void start_of_each_role(void) {
    cb_model model = preset("test-pad"); /* 4 layers: 0.02 / sqrt(8) for the projections into the residual stream */
    check_moments(&model, CB_WTE, 0.02);
    check_moments(&model, CB_WPE, 0.02);
    check_moments(&model, CB_QKV_W, 0.02);
    check_moments(&model, CB_FC_W, 0.02);
    check_moments(&model, CB_PROJ_W, 0.02 / sqrt(8));
    check_moments(&model, CB_FC2_W, 0.02 / sqrt(8));
    static const cb_role ones[] = {CB_LN1_W, CB_LN2_W, CB_LNF_W};
    static const cb_role zeros[] = {CB_LN1_B, CB_LN2_B, CB_LNF_B, CB_QKV_B, CB_PROJ_B, CB_FC_B, CB_FC2_B};
    for (int i = 0; i < 10; i++) {
        cb_param param = cb_param_of(&model, i < 3 ? ones[i] : zeros[i - 3], 0);
        float *values = whole(&model, &param, 1);
        for (int64_t k = 0; k < cb_param_elements(&param); k++) CHECK(values[k] == (i < 3 ? 1 : 0));
        free(values);
    }
}

int main(void) {
    RUN(ids_and_names);
    RUN(families);
    RUN(gpt2_table);
    RUN(pieces_tile_every_tensor);
    RUN(pieces_of_qkv);
    RUN(start_is_independent_of_shards);
    RUN(start_is_the_stream);
    RUN(start_of_each_role);
    return test_end();
}
