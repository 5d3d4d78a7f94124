/* The ways to cut a linear layer, as passes over the library's layers; see tp_layer.h. Sources: Shoeybi et al.,
 * arXiv:1909.08053, section 3; Korthikanti et al., arXiv:2205.05198, section 4.2. */
#include "cli/tp_layer.h"

static cb_linear linear_a(cb_tp_layer *l) {
    return (cb_linear){.in = l->size.C, .out = l->size.F, .w = l->at[CB_TP_A], .dw = l->at[CB_TP_DA]};
}

static cb_linear linear_a_row(cb_tp_layer *l) {
    return (cb_linear){.in = l->size.C, .out = l->size.F, .w = l->at[CB_TP_A_ROW], .dw = l->at[CB_TP_DA_ROW]};
}

static cb_linear linear_b(cb_tp_layer *l) {
    return (cb_linear){.in = l->size.F, .out = l->size.C, .w = l->at[CB_TP_B], .dw = l->at[CB_TP_DB]};
}

static cb_err column_forward(cb_tp_layer *l) {
    cb_linear a = linear_a(l);
    cb_column_forward(&l->tp, &a, l->at[CB_TP_Y], l->at[CB_TP_X], l->size.M);
    return CB_OK;
}

static cb_err column_backward(cb_tp_layer *l) {
    cb_linear a = linear_a(l);
    return cb_column_backward(&l->tp, &a, l->at[CB_TP_DX], l->at[CB_TP_DY], l->at[CB_TP_X], l->size.M);
}

/* Backward every rank has all of dy and takes its columns: the column-parallel backward as it is. */
static cb_err gathered_forward(cb_tp_layer *l) {
    TRY(column_forward(l));
    return cb_tp_gather(&l->tp, l->at[CB_TP_Y_GATHERED], l->at[CB_TP_Y], l->size.M * l->size.F / l->size.tp);
}

static cb_err row_forward(cb_tp_layer *l) {
    cb_linear a = linear_a_row(l);
    return cb_row_forward(&l->tp, &a, l->at[CB_TP_Y_WHOLE], l->at[CB_TP_X_CUT], l->size.M);
}

static cb_err row_backward(cb_tp_layer *l) {
    cb_linear a = linear_a_row(l);
    cb_row_backward(&l->tp, &a, l->at[CB_TP_DX_CUT], l->at[CB_TP_DY_WHOLE], l->at[CB_TP_X_CUT], l->size.M);
    return CB_OK;
}

static void gelu(cb_tp_layer *l) {
    int64_t M = l->size.M, F = l->size.F / l->tp.shards;
    for (int s = 0; s < l->tp.owned; s++) {
        l->tp.compute->ops->bias_gelu(l->tp.compute, l->at[CB_TP_H] + s * M * F, l->at[CB_TP_Y] + s * M * F,
                                      l->at[CB_TP_BIAS] + s * F, M, F);
    }
}

static void gelu_backward(cb_tp_layer *l) {
    l->tp.compute->ops->gelu_backward(l->tp.compute, l->at[CB_TP_DH], l->at[CB_TP_Y], l->at[CB_TP_DH],
                                      l->size.M * l->size.F / l->size.tp);
}

static cb_err pair_forward(cb_tp_layer *l) {
    cb_linear b = linear_b(l);
    TRY(column_forward(l));
    gelu(l);
    return cb_row_forward(&l->tp, &b, l->at[CB_TP_Z], l->at[CB_TP_H], l->size.M);
}

static cb_err pair_backward(cb_tp_layer *l) {
    cb_linear a = linear_a(l), b = linear_b(l);
    cb_row_backward(&l->tp, &b, l->at[CB_TP_DH], l->at[CB_TP_DZ], l->at[CB_TP_H], l->size.M);
    gelu_backward(l);
    return cb_column_backward(&l->tp, &a, l->at[CB_TP_DX], l->at[CB_TP_DH], l->at[CB_TP_X], l->size.M);
}

static cb_err sequence_forward(cb_tp_layer *l) {
    cb_linear a = linear_a(l), b = linear_b(l);
    TRY(cb_sequence_column_forward(&l->tp, &a, l->at[CB_TP_Y], l->at[CB_TP_WHOLE], l->at[CB_TP_X_PART], l->size.M));
    gelu(l);
    return cb_sequence_row_forward(&l->tp, &b, l->at[CB_TP_Z_PART], l->at[CB_TP_H], l->at[CB_TP_ROOM], l->size.M);
}

static cb_err sequence_backward(cb_tp_layer *l) {
    cb_linear a = linear_a(l), b = linear_b(l);
    TRY(cb_sequence_row_backward(&l->tp, &b, l->at[CB_TP_DH], l->at[CB_TP_GATHERED], l->at[CB_TP_DZ_PART],
                                 l->at[CB_TP_H], l->size.M));
    gelu_backward(l);
    return cb_sequence_column_backward(&l->tp, &a, l->at[CB_TP_DX_PART], l->at[CB_TP_DH], l->at[CB_TP_WHOLE],
                                       l->at[CB_TP_ROOM], l->size.M);
}

/* With products counted in those of the layer: a backward pass has two for each of the forward's. */
static const cb_tp_variant variants[CB_TP_VARIANTS] = {
    {.name = "column",
     .meaning = "A cut by columns, Yi = X Ai left cut",
     .pass = {{column_forward, column_forward, 0, {{0}}, 1, false},
              {column_backward, column_backward, 1, {{CB_ALL_REDUCE, false}}, 2, true}},
     .results = 3,
     .result = {CB_TP_Y, CB_TP_DX, CB_TP_DA}},
    {.name = "gathered",
     .meaning = "the same, Y gathered on all ranks",
     .pass = {{gathered_forward, column_forward, 1, {{CB_ALL_GATHER, true}}, 1, false},
              {column_backward, column_backward, 1, {{CB_ALL_REDUCE, false}}, 2, true}},
     .results = 3,
     .result = {CB_TP_Y_GATHERED, CB_TP_DX, CB_TP_DA}},
    {.name = "row",
     .meaning = "A cut by rows, X by columns, Y = the sum of Xi Ai",
     .pass = {{row_forward, row_forward, 1, {{CB_ALL_REDUCE, true}}, 1, false},
              {row_backward, row_backward, 0, {{0}}, 2, false}},
     .results = 3,
     .result = {CB_TP_Y_WHOLE, CB_TP_DX_CUT, CB_TP_DA_ROW}},
    {.name = "pair",
     .meaning = "an MLP: columns, GELU, rows; one all-reduce",
     .pass = {{pair_forward, pair_forward, 1, {{CB_ALL_REDUCE, false}}, 2, false},
              {pair_backward, pair_backward, 1, {{CB_ALL_REDUCE, false}}, 4, true}},
     .results = 4,
     .result = {CB_TP_Z, CB_TP_DX, CB_TP_DA, CB_TP_DB}},
    {.name = "sequence",
     .meaning = "the same between ranks' own rows of X and Z",
     .pass = {{sequence_forward, pair_forward, 2, {{CB_ALL_GATHER, false}, {CB_REDUCE_SCATTER, false}}, 2, false},
              {sequence_backward, pair_backward, 2, {{CB_ALL_GATHER, false}, {CB_REDUCE_SCATTER, false}}, 4, false}},
     .results = 4,
     .result = {CB_TP_Z_PART, CB_TP_DX_PART, CB_TP_DA, CB_TP_DB}},
};

const cb_tp_variant *cb_tp_variant_at(int index) {
    return &variants[index];
}
