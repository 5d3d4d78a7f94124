/* Tensor parallelism (Shoeybi et al. 2019, "Megatron-LM"): column- and row-parallel linear layers, vocabulary-parallel
 * embedding and cross-entropy. A cut dimension consists of S shards; this rank owns `owned` of them, S/tp, and computes
 * them one by one with the same shapes wherever they live; a sum over the cut dimension is the binary tree over the
 * shards, its lower levels inside the rank, its upper ones between ranks. Cut tensors hold the owned shards one after
 * the other, each dense. */
#ifndef CB_TENSOR_PARALLEL_TENSOR_PARALLEL_H
#define CB_TENSOR_PARALLEL_TENSOR_PARALLEL_H

#include "collectives/collectives.h"
#include "compute/compute.h"

typedef struct cb_tp {
    cb_group *group; /* the tp ranks */
    cb_compute *compute;
    int shards, first, owned; /* S; this rank's shards are first .. first+owned-1 */
    float *sum_scratch;       /* of gemm_sum over the owned shards with outputs (M, C) */
    float *scratch;           /* of an all-reduce of (M, C) over the group */
    cb_type wire;             /* in which sums over ranks and gathered rows travel: CB_F32, or CB_BF16, rounded */
    uint16_t *wire_room;      /* of CB_BF16: (M, C) */
} cb_tp;

/* A linear layer: global sizes, local weights (out, in) and bias, and their gradients. */
typedef struct cb_linear {
    int64_t in, out;
    const float *w, *b; /* b may be NULL: none, or added by the caller */
    float *dw, *db;     /* dw NULL: the backward leaves the weight gradient to a later call */
} cb_linear;

/* y (owned, M, out/S) = x (M, in) W^T + b, one product per shard. Not collective (f: identity forward). */
void cb_column_forward(cb_tp *tp, const cb_linear *linear, float *y, const float *x, int64_t M);
/* dx (M, in) = sum over shards of dy W; dW += dy^T x; db += rows of dy. The all-reduce of dx runs while dW is computed.
 * *Collective over tp.* */
CB_MUST_USE cb_err cb_column_backward(cb_tp *tp, const cb_linear *linear, float *dx, const float *dy, const float *x,
                                      int64_t M);
/* dW += dy^T x alone, for a backward that left it out. Not collective. */
void cb_column_weight_gradient(cb_tp *tp, const cb_linear *linear, const float *dy, const float *x, int64_t M);
/* y (M, out) = sum over shards of x W^T, without the bias, which is added once after the sum. x (owned, M, in/S).
 * *Collective over tp.* */
CB_MUST_USE cb_err cb_row_forward(cb_tp *tp, const cb_linear *linear, float *y, const float *x, int64_t M);
/* dx (owned, M, in/S) = dy W; dW += dy^T x; db += rows of dy (the same on every rank). Not collective. */
void cb_row_backward(cb_tp *tp, const cb_linear *linear, float *dx, const float *dy, const float *x, int64_t M);
/* dW += dy^T x alone. Not collective. */
void cb_row_weight_gradient(cb_tp *tp, const cb_linear *linear, const float *dy, const float *x, int64_t M);

/* Sequence parallelism (Korthikanti et al., arXiv:2205.05198): outside of a pair of cut matrices a rank of tp has M/tp
 * of the rows, those from t M/tp on, called `part` below. An all-gather before the column-parallel layer and a
 * reduce-scatter after the row-parallel one send as many bytes as the all-reduce that they replace, and what lies
 * between pairs is computed and kept once, not tp times. The sums are those of the all-reduce, bit for bit. */
/* whole (size*count) = all ranks' part (count), as the wire carries it. *Collective over tp.* */
CB_MUST_USE cb_err cb_tp_gather(cb_tp *tp, float *whole, const float *part, int64_t count);
/* part (count) = this rank's block of the sum over ranks of whole (size*count). *Collective over tp.* */
CB_MUST_USE cb_err cb_tp_reduce_scatter(cb_tp *tp, float *part, const float *whole, int64_t count);
/* CB_EINVAL where tp does not divide M rows. */
CB_MUST_USE cb_err cb_sequence_check(const cb_tp *tp, int64_t M);
/* whole (M, in) = all ranks' part (M/tp, in); y as cb_column_forward of it. whole is what backward needs.
 * *Collective over tp.* */
CB_MUST_USE cb_err cb_sequence_column_forward(cb_tp *tp, const cb_linear *linear, float *y, float *whole,
                                              const float *part, int64_t M);
/* dpart (M/tp, in) = this rank's rows of the sum over shards of dy W; dW, db as cb_column_backward. room (M, in).
 * *Collective over tp.* */
CB_MUST_USE cb_err cb_sequence_column_backward(cb_tp *tp, const cb_linear *linear, float *dpart, const float *dy,
                                               const float *whole, float *room, int64_t M);
/* part (M/tp, out) = this rank's rows of what cb_row_forward has. room (M, out). *Collective over tp.* */
CB_MUST_USE cb_err cb_sequence_row_forward(cb_tp *tp, const cb_linear *linear, float *part, const float *x, float *room,
                                           int64_t M);
/* whole (M, out) = all ranks' dpart (M/tp, out); the rest as cb_row_backward of it. *Collective over tp.* */
CB_MUST_USE cb_err cb_sequence_row_backward(cb_tp *tp, const cb_linear *linear, float *dx, float *whole,
                                            const float *dpart, const float *x, int64_t M);

/* A table of V rows cut over shards. */
typedef struct cb_vocab {
    int64_t vocab, vocab_padded, channels;
    const float *table; /* (owned * V/S, C) */
    float *dtable;      /* NULL: cb_vocab_backward leaves it to a later call */
} cb_vocab;

/* True rows of owned shard s (0 .. owned-1), the rest is padding; and its first row in the whole vocabulary. */
int64_t cb_vocab_shard_valid(const cb_tp *tp, const cb_vocab *vocab, int s);
int64_t cb_vocab_shard_begin(const cb_tp *tp, const cb_vocab *vocab, int s);

/* x (M, C) = rows of the table. *Collective over tp.* */
CB_MUST_USE cb_err cb_vocab_embed(cb_tp *tp, const cb_vocab *vocab, float *x, const int32_t *tokens, int64_t M);
/* dtable += dx. Not collective. */
void cb_vocab_embed_backward(cb_tp *tp, const cb_vocab *vocab, const int32_t *tokens, const float *dx, int64_t M);

/* logits (owned, M, V/S) = h (M, C) table^T. Not collective. */
void cb_vocab_logits(cb_tp *tp, const cb_vocab *vocab, float *logits, const float *h, int64_t M);
/* logits become exponentials; sum (M) over the whole vocabulary; *loss = sum over rows of -log softmax[target], f64,
 * rows in order. rows: ((owned + 1) * 2 * M) workspace. No rank sees the whole vocabulary's logits. *Collective over
 * tp.* */
CB_MUST_USE cb_err cb_vocab_cross_entropy(cb_tp *tp, const cb_vocab *vocab, float *logits, float *sum,
                                          const int32_t *targets, int64_t M, float *rows, double *loss);
/* exps become dlogits * scale; dh (M, C) = dlogits table, reduced over shards while dtable += dlogits^T h is computed.
 * *Collective over tp.* */
CB_MUST_USE cb_err cb_vocab_backward(cb_tp *tp, const cb_vocab *vocab, float *dh, float *exps, const float *sum,
                                     const int32_t *targets, const float *h, int64_t M, float scale);
/* dtable += dlogits^T h alone; dlogits: what cb_vocab_backward left in exps. Not collective. */
void cb_vocab_weight_gradient(cb_tp *tp, const cb_vocab *vocab, const float *dlogits, const float *h, int64_t M);

#endif
