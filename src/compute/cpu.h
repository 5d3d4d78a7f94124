/* Internal: the operations of the `cpu` backend by file, and how its loops are spread over threads. Every loop gives
 * each element to one thread and sums in an order that depends on sizes alone, so the bits do not depend on the
 * threads. */
#ifndef CB_COMPUTE_CPU_H
#define CB_COMPUTE_CPU_H

#include "compute/backend.h"

/* Threads worth waking for that many elements. */
static inline int cb_cpu_width(const cb_compute *c, int64_t elements) {
    return elements < 16384 ? 1 : c->threads;
}

/* Whether this processor multiplies bf16, and one such product, on the calling thread: false if it failed. */
bool cb_cpu_takes_bf16(void);
bool cb_cpu_product_bf16(const cb_gemm *g);

void cb_cpu_gemm(cb_compute *c, const cb_gemm *g, int count);
void cb_cpu_gemm_sum(cb_compute *c, const cb_gemm *g, int count, float *scratch);
/* The same on the calling thread, which is in a parallel region where there are several. */
void cb_cpu_gemm_serial(const cb_gemm *g);

void cb_cpu_attention(cb_compute *c, const cb_attention *a);
void cb_cpu_attention_backward(cb_compute *c, const cb_attention *a);

void cb_cpu_layernorm(cb_compute *c, float *y, float *mean, float *rstd, const float *x, const float *w, const float *b,
                      int64_t M, int64_t C, float eps);
void cb_cpu_layernorm_backward(cb_compute *c, float *dx, float *dw, float *db, const float *dy, const float *x,
                               const float *w, const float *mean, const float *rstd, int64_t M, int64_t C);

void cb_cpu_bias_add(cb_compute *c, float *y, const float *b, int64_t M, int64_t N);
void cb_cpu_bias_grad(cb_compute *c, float *db, const float *dy, int64_t M, int64_t N);
void cb_cpu_bias_gelu(cb_compute *c, float *y, float *x, const float *b, int64_t M, int64_t N);
void cb_cpu_gelu_backward(cb_compute *c, float *dx, const float *x, const float *dy, int64_t n);
void cb_cpu_residual(cb_compute *c, float *out, const float *x, const float *p, const float *b, int64_t M, int64_t C);

void cb_cpu_embedding(cb_compute *c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count,
                      int64_t M, int64_t C);
void cb_cpu_embedding_backward(cb_compute *c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin,
                               int64_t count, int64_t M, int64_t C);
void cb_cpu_positions(cb_compute *c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C);
void cb_cpu_positions_backward(cb_compute *c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C);

void cb_cpu_ce_max(cb_compute *c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid);
void cb_cpu_ce_exp(cb_compute *c, float *logits, float *sum, float *target_logit, const float *max,
                   const int32_t *targets, int64_t begin, int64_t M, int64_t ld, int64_t valid);
void cb_cpu_ce_backward(cb_compute *c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M,
                        int64_t ld, int64_t valid, float scale);

void cb_cpu_adamw(cb_compute *c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h);
double cb_cpu_sum_squares(cb_compute *c, const float *x, int64_t n);
void cb_cpu_zero(cb_compute *c, float *x, int64_t n);
void cb_cpu_accumulate(cb_compute *c, float *y, const float *x, int64_t n);
void cb_cpu_tree_sum(cb_compute *c, float *to, float *const *from, int n, int64_t count);
int64_t cb_cpu_first_nonfinite(cb_compute *c, const float *x, int64_t n);

#endif
