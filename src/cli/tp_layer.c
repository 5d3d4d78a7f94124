/* Operands of the tensor-parallel layer, and how they are cut; see tp_layer.h. The passes are in tp_variants.c. */
#include "cli/tp_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "mesh/shard.h"

typedef enum how_cut { WHOLE, ROWS, COLUMNS, PART, ALL_SHARDS } how_cut;

/* A tensor's global shape in letters, how it is cut, and for operands the numbers in it: tensors of one seed are one.
 */
static const struct {
    char rows, cols;
    how_cut cut;
    unsigned seed;
} tensors[CB_TP_TENSORS] = {
    [CB_TP_X] = {'M', 'C', WHOLE, 1},
    [CB_TP_X_PART] = {'M', 'C', PART, 1},
    [CB_TP_X_CUT] = {'M', 'C', COLUMNS, 1},
    [CB_TP_A] = {'F', 'C', ROWS, 2},
    [CB_TP_A_ROW] = {'F', 'C', COLUMNS, 2},
    [CB_TP_B] = {'C', 'F', COLUMNS, 3},
    [CB_TP_BIAS] = {'F', '1', ROWS, 6},
    [CB_TP_DY] = {'M', 'F', COLUMNS, 4},
    [CB_TP_DY_WHOLE] = {'M', 'F', WHOLE, 4},
    [CB_TP_DZ] = {'M', 'C', WHOLE, 5},
    [CB_TP_DZ_PART] = {'M', 'C', PART, 5},
    [CB_TP_Y] = {'M', 'F', COLUMNS, 0},
    [CB_TP_Y_GATHERED] = {'M', 'F', ALL_SHARDS, 0},
    [CB_TP_Y_WHOLE] = {'M', 'F', WHOLE, 0},
    [CB_TP_H] = {'M', 'F', COLUMNS, 0},
    [CB_TP_Z] = {'M', 'C', WHOLE, 0},
    [CB_TP_Z_PART] = {'M', 'C', PART, 0},
    [CB_TP_DX] = {'M', 'C', WHOLE, 0},
    [CB_TP_DX_PART] = {'M', 'C', PART, 0},
    [CB_TP_DX_CUT] = {'M', 'C', COLUMNS, 0},
    [CB_TP_DH] = {'M', 'F', COLUMNS, 0},
    [CB_TP_DA] = {'F', 'C', ROWS, 0},
    [CB_TP_DA_ROW] = {'F', 'C', COLUMNS, 0},
    [CB_TP_DB] = {'C', 'F', COLUMNS, 0},
    [CB_TP_WHOLE] = {'M', 'C', WHOLE, 0},
    [CB_TP_ROOM] = {'M', 'C', WHOLE, 0},
    [CB_TP_GATHERED] = {'M', 'C', WHOLE, 0},
};

static int64_t extent(const cb_tp_sizes *s, char letter) {
    return letter == 'M' ? s->M : letter == 'C' ? s->C : letter == 'F' ? s->F : 1;
}

/* A rank's tensor is `count` dense blocks, one after the other, of rows x cols each, from `row`, `col` of the whole on;
 * the next block begins cols further right. */
typedef struct blocks {
    int count;
    int64_t row, rows, col, cols, width; /* width: columns of the whole */
} blocks;

static blocks blocks_of(const cb_tp_layer *l, cb_tp_tensor t) {
    int64_t rows = extent(&l->size, tensors[t].rows), cols = extent(&l->size, tensors[t].cols), S = l->tp.shards;
    blocks b = {.count = 1, .rows = rows, .cols = cols, .width = cols};
    switch (tensors[t].cut) {
    case ROWS:
        b.row = l->tp.first * (rows / S);
        b.rows = l->tp.owned * (rows / S);
        break;
    case PART:
        b.rows = rows / l->size.tp;
        b.row = l->tp.first / l->tp.owned * b.rows;
        break;
    case COLUMNS:
        b.count = l->tp.owned;
        b.cols = cols / S;
        b.col = l->tp.first * b.cols;
        break;
    case ALL_SHARDS:
        b.count = l->tp.shards;
        b.cols = cols / S;
        break;
    default:
        break;
    }
    return b;
}

static int64_t elements(const blocks *b) {
    return b->count * b->rows * b->cols;
}

/* Where element i of a rank's tensor is in the whole. */
static int64_t place(const blocks *b, int64_t i) {
    int64_t block = i / (b->rows * b->cols), in = i % (b->rows * b->cols);
    return (b->row + in / b->cols) * b->width + b->col + block * b->cols + in % b->cols;
}

static void fill(cb_tp_layer *l, cb_tp_tensor t) {
    blocks b = blocks_of(l, t);
    cb_rng_key key = {.seed = tensors[t].seed, .stream = 0x7e45};
    bool is_weight = t == CB_TP_A || t == CB_TP_A_ROW || t == CB_TP_B;
    float scale = is_weight ? 2 / sqrtf((float)b.width) : 2;
    for (int64_t i = 0; i < elements(&b); i++) {
        l->at[t][i] = scale * ((float)cb_rng_u32(key, (uint64_t)place(&b, i)) * 0x1p-32F - 0.5F);
    }
}

static cb_err allocate(cb_tp_layer *l, bool shared) {
    const cb_tp_sizes *s = &l->size;
    int64_t wide = s->C > s->F ? s->C : s->F,
            scratch = cb_all_reduce_scratch_most(cb_means_plain(shared), s->tp, s->M * wide, s->type);
    bool all = true;
    for (int t = 0; t < CB_TP_TENSORS; t++) {
        blocks b = blocks_of(l, (cb_tp_tensor)t);
        l->at[t] = calloc((size_t)elements(&b), sizeof *l->at[t]);
        all &= l->at[t] != NULL;
    }
    l->sum_scratch = malloc((size_t)cb_gemm_sum_scratch_bytes(s->M, wide, l->tp.owned, l->tp.compute->threads) + 1);
    l->scratch = malloc((size_t)scratch + 1);
    l->wire_room = malloc((size_t)(s->M * wide) * sizeof *l->wire_room);
    l->tp.wire_room = l->wire_room;
    l->tp.sum_scratch = l->sum_scratch;
    l->tp.scratch = l->scratch;
    if (all && l->sum_scratch && l->scratch && l->wire_room) return CB_OK;
    return cb_fail(CB_ENOMEM, "no memory for a layer of %lld tokens, %lld inputs and %lld outputs at tp=%d",
                   (long long)s->M, (long long)s->C, (long long)s->F, s->tp);
}

cb_err cb_tp_layer_make(cb_tp_layer *l, const cb_tp_sizes *size, cb_group *group, cb_compute *compute, bool shared) {
    int owned = size->shards / size->tp;
    *l = (cb_tp_layer){.size = *size,
                       .tp = {.group = group,
                              .compute = compute,
                              .shards = size->shards,
                              .first = group->me * owned,
                              .owned = owned,
                              .wire = size->type}};
    TRY(allocate(l, shared));
    for (int t = 0; t < CB_TP_GIVEN; t++) fill(l, (cb_tp_tensor)t);
    return CB_OK;
}

void cb_tp_layer_free(cb_tp_layer *l) {
    for (int t = 0; t < CB_TP_TENSORS; t++) free(l->at[t]);
    free(l->sum_scratch);
    free(l->scratch);
    free(l->wire_room);
    *l = (cb_tp_layer){0};
}

static double error_of(const cb_tp_layer *cut, const cb_tp_layer *uncut, cb_tp_tensor t) {
    blocks mine = blocks_of(cut, t), all = blocks_of(uncut, t);
    double most = 0, worst = 0;
    for (int64_t i = 0; i < elements(&all); i++) most = fmax(most, fabs((double)uncut->at[t][i]));
    for (int64_t i = 0; i < elements(&mine); i++) {
        double apart = fabs((double)cut->at[t][i] - (double)uncut->at[t][place(&mine, i)]);
        if (!(apart <= worst)) worst = isnan(apart) ? INFINITY : apart;
    }
    return most > 0 ? worst / most : worst;
}

double cb_tp_layer_error(const cb_tp_layer *cut, const cb_tp_layer *uncut, const cb_tp_variant *v) {
    double worst = 0;
    for (int i = 0; i < v->results; i++) worst = fmax(worst, error_of(cut, uncut, v->result[i]));
    return worst;
}

cb_err cb_tp_layer_communicate(cb_tp_layer *l, const cb_tp_pass *pass) {
    cb_group *group = l->tp.group;
    const cb_type type = l->size.type;
    for (int i = 0; i < pass->comms; i++) {
        bool wide = pass->comm[i].wide;
        int64_t count = l->size.M * (wide ? l->size.F : l->size.C);
        float *whole = l->at[wide ? CB_TP_Y_WHOLE : CB_TP_ROOM], *part = l->at[wide ? CB_TP_Y : CB_TP_X_PART];
        switch (pass->comm[i].kind) {
        case CB_ALL_GATHER:
            TRY(cb_all_gather(group, whole, part, count / group->size, type));
            break;
        case CB_REDUCE_SCATTER:
            TRY(cb_reduce_scatter(group, l->at[CB_TP_DX_PART], whole, count / group->size, type, CB_SUM));
            break;
        default:
            TRY(cb_all_reduce(group, whole, count, type, CB_SUM, l->scratch));
        }
    }
    return CB_OK;
}

int64_t cb_tp_pass_flops(const cb_tp_pass *pass, const cb_tp_sizes *s) {
    return 2 * pass->products * s->M * s->C * (s->F / s->tp);
}

cb_err cb_tp_sizes_check(const cb_tp_sizes *s) {
    int64_t cut[] = {s->C, s->F}, all[] = {s->C, s->F, s->M};
    char divisors[256];
    if (s->C % s->tp || s->F % s->tp || s->M % s->tp) {
        cb_shard_common_divisors(all, 3, 64, divisors, sizeof divisors);
        return cb_fail(CB_EINVAL, "tp=%d does not divide the %lld inputs, %lld outputs and %lld tokens; tp can be %s",
                       s->tp, (long long)s->C, (long long)s->F, (long long)s->M, divisors);
    }
    bool divides = s->C % s->shards == 0 && s->F % s->shards == 0;
    if (divides && s->shards % s->tp == 0 && s->shards / s->tp <= CB_MOST_OWNED_SHARDS) return CB_OK;
    cb_shard_common_multiples(cut, 2, s->tp, (int64_t)s->tp * CB_MOST_OWNED_SHARDS, divisors, sizeof divisors);
    return cb_fail(CB_EINVAL,
                   "shards=%d is no multiple of tp=%d, at most %d a rank, that divides the %lld inputs and %lld "
                   "outputs; it can be %s",
                   s->shards, s->tp, CB_MOST_OWNED_SHARDS, (long long)s->C, (long long)s->F, divisors);
}
