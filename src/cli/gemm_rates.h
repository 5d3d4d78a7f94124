/* What the compute backend's matrix products reach by shape: the three products of a linear layer, called through
 * tensor_parallel/ as a rank of tp calls them, without its messages. */
#ifndef CB_CLI_GEMM_RATES_H
#define CB_CLI_GEMM_RATES_H

#include <stdbool.h>

#include "device/device.h"
#include "model/model.h"

typedef enum cb_gemm_pass {
    CB_GEMM_FORWARD,         /* y = x W^T */
    CB_GEMM_DATA_GRADIENT,   /* dx = dy W */
    CB_GEMM_WEIGHT_GRADIENT, /* dW += dy^T x */
    CB_GEMM_PASSES
} cb_gemm_pass;
const char *cb_gemm_pass_name(cb_gemm_pass pass); /* "forward" "data gradient" "weight gradient" */

/* A linear layer of the whole model. */
typedef struct cb_gemm_layer {
    const char *name;
    int64_t in, out;
    bool is_row; /* row-parallel: `in` is cut over tp, else `out` */
} cb_gemm_layer;

enum { CB_GEMM_LAYERS = 5 };
/* "qkv", "projection", "fc", "fc2" of a layer, and the "head" over the padded vocabulary. */
void cb_gemm_layers_of(const cb_model *model, cb_gemm_layer layers[CB_GEMM_LAYERS]);

typedef struct cb_gemm_setup {
    const char *compute;
    int threads;
    cb_type type;   /* of the operands: CB_F32 or CB_BF16, which are rounded in the time taken */
    int tp, shards; /* a rank computes shards / tp products; see docs/exactness.md */
    int64_t tokens; /* M: rows */
    int repeats;
} cb_gemm_setup;

/* (m, k) x (k, n): the shape on one rank, its shards together. */
typedef struct cb_gemm_rate {
    int64_t m, n, k;
    double flops;            /* 2 m n k */
    double median_s, best_s; /* of `repeats` samples, after one that warms up */
} cb_gemm_rate;

/* Times a layer's products with the same operands each time, so what fits the caches stays there. Must run on the
 * thread that made no other compute backend meanwhile (see cb_compute_create). Errors: CB_EINVAL where tp or shards do
 * not divide the cut size, with what would; CB_EUSAGE for a backend or threads that are not; CB_ENOMEM. */
CB_MUST_USE cb_err cb_gemm_rates(const cb_gemm_setup *setup, const cb_gemm_layer *layer,
                                 cb_gemm_rate rates[CB_GEMM_PASSES]);

#endif
