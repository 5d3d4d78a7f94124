/* A compute backend that counts the time of another's operations, by what they are for. For measurements: each
 * operation reads the clock twice. */
#ifndef CB_COMPUTE_TIMED_H
#define CB_COMPUTE_TIMED_H

#include "compute/compute.h"

typedef enum cb_op_kind {
    CB_OP_PRODUCT,     /* matrix products, and their sums over shards */
    CB_OP_ATTENTION,   /* scores, softmax, values */
    CB_OP_ELEMENTWISE, /* norms, biases, GELU, residuals, embedding, loss: what memory and vector units bound */
    CB_OP_KINDS
} cb_op_kind;

typedef struct cb_timed {
    cb_compute compute; /* give &compute to those who compute */
    cb_compute *inner;
    double s[CB_OP_KINDS]; /* so far */
    double product_flops;  /* of all products so far */
} cb_timed;

/* A backend with the operations and threads of `inner`, which has to live as long. */
cb_timed cb_compute_timed(cb_compute *inner);

#endif
