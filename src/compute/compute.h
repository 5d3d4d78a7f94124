/* The arithmetic of a layer, f32, on host memory. Two backends behind one table: `ref`, plain loops, the oracle; `cpu`,
 * oneDNN's products and vectorised loops. Calls are synchronous. No sum's order depends on the number of threads.
 * Shapes: M = B*T rows; matrices row-major; weights (N, K) = (out, in). dX means d(loss)/dX. Not collective. */
#ifndef CB_COMPUTE_COMPUTE_H
#define CB_COMPUTE_COMPUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "device/device.h"

typedef struct cb_compute cb_compute;

/* C (m, n) = op(A) op(B) + beta C; op is transposition where ta/tb. ld*: elements from row to row as stored. beta: 0
 * or 1. type: of A and B, CB_F32 or, on a compute with bf16 products, CB_BF16; sums and C are f32. */
typedef struct cb_gemm {
    bool ta, tb;
    int64_t m, n, k;
    const void *a, *b;
    float *c;
    int64_t lda, ldb, ldc;
    float beta;
    cb_type type;
} cb_gemm;

/* Causal self-attention of one shard of heads. qkv (B*T, 3*H*D): in each row q of all heads, then k, then v; out (B*T,
 * H*D), or NULL: the probabilities alone; probs (B, H, T, T): zero above the diagonal, for backward. scale is
 * 1/sqrt(D). */
typedef struct cb_attention {
    int B, T, H, D;
    const float *qkv;
    float *out, *probs;
    /* backward only */
    const float *dout;
    float *dqkv;
    float *scratch; /* cb_attention_scratch_bytes */
} cb_attention;

typedef struct cb_adamw {
    float lr, beta1, beta2, eps, weight_decay; /* decay is decoupled: p -= lr * weight_decay * p */
    float grad_scale;                          /* the gradient is multiplied by this first (clipping) */
    float correction1, correction2;            /* 1 - beta^t, computed in double by the caller */
} cb_adamw;

typedef struct cb_compute_ops {
    const char *name;
    /* The products below take CB_BF16 operands, on this processor. */
    bool (*takes_bf16)(void);
    /* `count` products of one shape: those of a layer's shards. Their outputs are apart. */
    void (*gemm)(cb_compute *c, const cb_gemm *g, int count);
    /* g[0].c = the sum of `count` products of one shape (beta 0) as the balanced binary tree over them (see tree_sum);
     * the c of the others is not used. scratch: cb_gemm_sum_scratch_bytes. */
    void (*gemm_sum)(cb_compute *c, const cb_gemm *g, int count, float *scratch);
    /* y (M,N) += b (N), b may be NULL */
    void (*bias_add)(cb_compute *c, float *y, const float *b, int64_t M, int64_t N);
    /* db (N) += sum of dy's rows, rows in ascending order */
    void (*bias_grad)(cb_compute *c, float *db, const float *dy, int64_t M, int64_t N);
    /* x (M,N) += b (N) in place (the pre-activation is kept), y = gelu_tanh(x) */
    void (*bias_gelu)(cb_compute *c, float *y, float *x, const float *b, int64_t M, int64_t N);
    /* dx = dy * gelu'(x); dx may be dy */
    void (*gelu_backward)(cb_compute *c, float *dx, const float *x, const float *dy, int64_t n);
    /* y (M,C), mean (M), rstd (M) */
    void (*layernorm)(cb_compute *c, float *y, float *mean, float *rstd, const float *x, const float *w, const float *b,
                      int64_t M, int64_t C, float eps);
    /* dx (M,C) += ; dw, db (C) += */
    void (*layernorm_backward)(cb_compute *c, float *dx, float *dw, float *db, const float *dy, const float *x,
                               const float *w, const float *mean, const float *rstd, int64_t M, int64_t C);
    void (*attention)(cb_compute *c, const cb_attention *a);
    void (*attention_backward)(cb_compute *c, const cb_attention *a);
    /* out (M,C) = x + (p + b): residual stream plus row-parallel result plus its bias. out may be x or p. */
    void (*residual)(cb_compute *c, float *out, const float *x, const float *p, const float *b, int64_t M, int64_t C);
    /* x (M,C) = row tokens[i]-begin of table (count,C), or zero where the token is not in begin..begin+count-1 */
    void (*embedding)(cb_compute *c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count,
                      int64_t M, int64_t C);
    /* dtable += rows of dx, in ascending order of i */
    void (*embedding_backward)(cb_compute *c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin,
                               int64_t count, int64_t M, int64_t C);
    /* x (B,T,C) += wpe (T,C) */
    void (*positions)(cb_compute *c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C);
    /* dwpe (T,C) += sum over B of dx (B,T,C), in ascending order */
    void (*positions_backward)(cb_compute *c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C);
    /* Cross-entropy on a shard of the vocabulary; columns >= valid are padding and take no part. logits (M, ld). */
    /* max (M) = maximum over the valid columns; -INFINITY where valid is 0 */
    void (*ce_max)(cb_compute *c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid);
    /* logits become exp(logits - max) (0 in padding), sum (M) = their row sums, target_logit (M) = logit - max of
     * targets[i] where it lies in begin..begin+valid-1, else 0 */
    void (*ce_exp)(cb_compute *c, float *logits, float *sum, float *target_logit, const float *max,
                   const int32_t *targets, int64_t begin, int64_t M, int64_t ld, int64_t valid);
    /* exps (M, ld) become dlogits = (exps / sum - [column is the target]) * scale */
    void (*ce_backward)(cb_compute *c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M,
                        int64_t ld, int64_t valid, float scale);
    void (*adamw)(cb_compute *c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h);
    /* sum of squares in f64: blocks of 4096 elements (order in a block: the backend's), then the blocks in order */
    double (*sum_squares)(cb_compute *c, const float *x, int64_t n);
    void (*zero)(cb_compute *c, float *x, int64_t n);
    /* y += x */
    void (*accumulate)(cb_compute *c, float *y, const float *x, int64_t n);
    /* to = tree sum of from[0..n) (see cb_device.reduce); to may be from[0] */
    void (*tree_sum)(cb_compute *c, float *to, float *const *from, int n, int64_t count);
    /* index of the first value that is NaN or infinite, or -1 */
    int64_t (*first_nonfinite)(cb_compute *c, const float *x, int64_t n);
} cb_compute_ops;

struct cb_compute {
    const cb_compute_ops *ops;
    int threads;                          /* used by each call; the calling thread owns them */
    void (*destroy)(cb_compute *compute); /* NULL: nothing beside this struct */
};

/* backend: "cpu" or "ref". Must be called on the thread that will call the operations (it sets that thread's OpenMP
 * width; of several on one thread the last created has its width). threads: 1 to CB_MOST_THREADS.
 * Error CB_EUSAGE: unknown name, with the known ones; threads out of range. */
CB_MUST_USE cb_err cb_compute_create(cb_compute **compute, const char *backend, int threads);
/* The same, but products round their operands to bf16 and sum in f32, as mixed precision does; by the processor's own
 * bf16 products where the backend has them. Takes memory for the rounded operands as products need it; without it they
 * are NaN. For measurements: the trainer's memory is counted beforehand. */
CB_MUST_USE cb_err cb_compute_create_bf16(cb_compute **compute, const char *backend, int threads);
/* The one or the other by the operands' type: CB_F32 or CB_BF16. */
CB_MUST_USE cb_err cb_compute_create_for(cb_compute **compute, const char *backend, int threads, cb_type type);
void cb_compute_destroy(cb_compute *compute); /* NULL is allowed */
const char *cb_compute_backends(void);        /* "cpu, ref" */

enum { CB_MOST_THREADS = 16 };

/* Scratch of gemm_sum with outputs (m, n), bytes, whatever the backend. */
int64_t cb_gemm_sum_scratch_bytes(int64_t m, int64_t n, int count, int threads);

/* Scratch of attention_backward, bytes: threads * 2 * 64 * (T + 16) floats, whatever the backend. */
int64_t cb_attention_scratch_bytes(int B, int T, int H, int D, int threads);

/* The f32 rate that a large square product (n, n, n) reaches now with these threads: FLOPs per second, best of
 * `repeats`. */
double cb_compute_measure_rate(cb_compute *compute, int64_t n, int repeats);

#endif
