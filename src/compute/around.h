/* A compute backend that stands around another and is told of each of its operations: to count their time, or to take
 * the place of what they would compute. */
#ifndef CB_COMPUTE_AROUND_H
#define CB_COMPUTE_AROUND_H

#include "compute/compute.h"

typedef enum cb_op_kind {
    CB_OP_PRODUCT,     /* matrix products, and their sums over shards */
    CB_OP_ATTENTION,   /* scores, softmax, values */
    CB_OP_ELEMENTWISE, /* norms, biases, GELU, residuals, embedding, loss: what memory and vector units bound */
    CB_OP_KINDS
} cb_op_kind;

typedef struct cb_op {
    cb_op_kind kind;
    const cb_gemm *gemm; /* (count) of a product */
    int count;
    const cb_attention *attention; /* of attention */
    bool backward;
} cb_op;

typedef struct cb_around cb_around;
struct cb_around {
    cb_compute compute; /* to be given to those who compute; first, so that the operations find the rest */
    cb_compute *inner;  /* NULL: nothing is computed, sums are 0 and all is finite */
    void (*begin)(cb_around *around); /* NULL: nothing */
    void (*end)(cb_around *around, const cb_op *op);
};

/* For compute.ops. All but cb_compute_ops.takes_bf16, which belongs to a backend itself. */
const cb_compute_ops *cb_around_ops(void);

#endif
