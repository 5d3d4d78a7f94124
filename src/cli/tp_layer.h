/* The tensor-parallel linear layer taken apart: five ways to cut Y = X A, each a forward and a backward pass of the
 * library's layers on operands that every rank makes for itself, so that what ranks compute can be held against the
 * uncut layer. Sizes: M tokens, C inputs, F outputs; S shards. */
#ifndef CB_CLI_TP_LAYER_H
#define CB_CLI_TP_LAYER_H

#include "tensor_parallel/tensor_parallel.h"

typedef struct cb_tp_sizes {
    int64_t M, C, F;
    int tp, shards;
    cb_type type; /* CB_F32, or CB_BF16: of the products' operands and of what travels; sums of products are f32 */
} cb_tp_sizes;

/* Operands and results. *_PART: a rank's rows of M; *_CUT: a rank's columns. */
typedef enum cb_tp_tensor {
    CB_TP_X,
    CB_TP_X_PART,
    CB_TP_X_CUT,
    CB_TP_A,     /* (F, C), rows cut */
    CB_TP_A_ROW, /* the same, columns cut */
    CB_TP_B,     /* (C, F), columns cut */
    CB_TP_BIAS,  /* (F), added with the GELU */
    CB_TP_DY,
    CB_TP_DY_WHOLE,
    CB_TP_DZ,
    CB_TP_DZ_PART,
    CB_TP_GIVEN, /* those before are operands */
    CB_TP_Y = CB_TP_GIVEN,
    CB_TP_Y_GATHERED, /* (S, M, F/S) */
    CB_TP_Y_WHOLE,
    CB_TP_H, /* GELU of Y, which becomes the pre-activation */
    CB_TP_Z,
    CB_TP_Z_PART,
    CB_TP_DX,
    CB_TP_DX_PART,
    CB_TP_DX_CUT,
    CB_TP_DH,
    CB_TP_DA,
    CB_TP_DA_ROW,
    CB_TP_DB,
    CB_TP_WHOLE, /* gathered for the sequence-parallel form, and its working room */
    CB_TP_ROOM,
    CB_TP_GATHERED,
    CB_TP_TENSORS
} cb_tp_tensor;

/* What one rank holds. */
typedef struct cb_tp_layer {
    cb_tp_sizes size;
    cb_tp tp;
    float *at[CB_TP_TENSORS];
    float *sum_scratch, *scratch;
    uint16_t *wire_room;
} cb_tp_layer;

/* An operation of a pass: of an (M, C) or (M, F) tensor. */
typedef struct cb_tp_comm {
    cb_kind kind;
    bool wide; /* F */
} cb_tp_comm;
enum { CB_TP_MOST_COMMS = 2, CB_TP_MOST_RESULTS = 5 };

typedef struct cb_tp_pass {
    cb_err (*run)(cb_tp_layer *layer);
    cb_err (*alone)(cb_tp_layer *layer); /* the same products, for a group of one rank */
    int comms;
    cb_tp_comm comm[CB_TP_MOST_COMMS];
    int products; /* matrix products of the size of the layer's */
    bool hides;   /* an operation is begun before a product that does not need it: it can be hidden */
} cb_tp_pass;

typedef struct cb_tp_variant {
    const char *name, *meaning;
    cb_tp_pass pass[2]; /* forward, backward */
    int results;
    cb_tp_tensor result[CB_TP_MOST_RESULTS]; /* to be held against the uncut layer's */
} cb_tp_variant;

enum { CB_TP_VARIANTS = 5 };
const cb_tp_variant *cb_tp_variant_at(int index);

/* tp divides C, F and M; shards is a multiple of tp that divides C and F. Error CB_EINVAL with what would work. */
CB_MUST_USE cb_err cb_tp_sizes_check(const cb_tp_sizes *size);
/* Operands of this rank of `group`, results 0. shared: its ranks meet on one memory. Error CB_ENOMEM. */
CB_MUST_USE cb_err cb_tp_layer_make(cb_tp_layer *layer, const cb_tp_sizes *size, cb_group *group, cb_compute *compute,
                                    bool shared);
void cb_tp_layer_free(cb_tp_layer *layer);
/* The greatest |cut - uncut| over the greatest |uncut|, of a variant's results on this rank. uncut: of tp = 1, S = 1. */
double cb_tp_layer_error(const cb_tp_layer *cut, const cb_tp_layer *uncut, const cb_tp_variant *variant);
/* The operations of a pass alone, over the layer's group. *Collective over tp.* */
CB_MUST_USE cb_err cb_tp_layer_communicate(cb_tp_layer *layer, const cb_tp_pass *pass);
/* FLOPs of a pass on one rank. */
int64_t cb_tp_pass_flops(const cb_tp_pass *pass, const cb_tp_sizes *size);

#endif
