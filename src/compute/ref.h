/* Internal: the operations of the `ref` backend that are not in ref.c. */
#ifndef CB_COMPUTE_REF_H
#define CB_COMPUTE_REF_H

#include "compute/backend.h"

void cb_ref_attention(cb_compute *c, const cb_attention *a);
void cb_ref_attention_backward(cb_compute *c, const cb_attention *a);

void cb_ref_embedding(cb_compute *c, float *x, const int32_t *tokens, const float *table, int64_t begin, int64_t count,
                      int64_t M, int64_t C);
void cb_ref_embedding_backward(cb_compute *c, float *dtable, const int32_t *tokens, const float *dx, int64_t begin,
                               int64_t count, int64_t M, int64_t C);
void cb_ref_positions(cb_compute *c, float *x, const float *wpe, int64_t B, int64_t T, int64_t C);
void cb_ref_positions_backward(cb_compute *c, float *dwpe, const float *dx, int64_t B, int64_t T, int64_t C);

void cb_ref_ce_max(cb_compute *c, float *max, const float *logits, int64_t M, int64_t ld, int64_t valid);
void cb_ref_ce_exp(cb_compute *c, float *logits, float *sum, float *target_logit, const float *max,
                   const int32_t *targets, int64_t begin, int64_t M, int64_t ld, int64_t valid);
void cb_ref_ce_backward(cb_compute *c, float *exps, const float *sum, const int32_t *targets, int64_t begin, int64_t M,
                        int64_t ld, int64_t valid, float scale);

void cb_ref_adamw(cb_compute *c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h);
double cb_ref_sum_squares(cb_compute *c, const float *x, int64_t n);

#endif
