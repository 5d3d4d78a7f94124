/* Inside of the time model: the sizes that a layout gives the kernels and collectives of a rank, and the time of each
 * kind of them. All sizes are of one rank and one microbatch; times are of one layer unless said. Pure. */
#ifndef CB_PLANNER_TERMS_H
#define CB_PLANNER_TERMS_H

#include "planner/volume.h"

typedef struct cb_both {
    double forward_s, backward_s;
} cb_both;

typedef struct cb_terms {
    const cb_job *job;
    const cb_split *split;
    const cb_constants *constants;
    const cb_model *model;
    const cb_accelerator *device;
    const cb_stack_traits *stack;
    cb_regime regime;
    cb_volume volume;
    cb_precision other; /* of matrix products outside of the layers' own: 16 bits, or 32 where all is */
    double rows;        /* tokens: micro_batch * T / cp */
    double channels;    /* C */
    double qkv;         /* outputs of the qkv product on a rank */
    double heads;       /* on a rank */
    double head_width;
    double ffn; /* on a rank, F/tp */
    double fc;  /* outputs of the first MLP product: ffn, or twice that where gated */
    double layer_params, head_params, embedding_params; /* on a rank */
} cb_terms;

cb_terms cb_terms_of(const cb_job *job, const cb_split *split, const cb_constants *constants);

/* gemm.c: (m, k) x (k, n); wide: the size that tensor parallelism cut, whose alignment decides the kernel. */
double cb_gemm_s(const cb_terms *t, double m, double n, double k, double wide, cb_precision precision);
double cb_alignment_share(const cb_terms *t, double size);
cb_both cb_layer_gemms(const cb_terms *t);

/* attention.c */
cb_both cb_attention(const cb_terms *t);

/* kernels.c: what memory's bandwidth bounds */
double cb_stream_s(const cb_terms *t, double bytes); /* reading and writing so many bytes */
cb_both cb_elementwise(const cb_terms *t);
cb_both cb_embedding(const cb_terms *t);
cb_both cb_head(const cb_terms *t); /* final norm, logits, loss */
double cb_optimizer_s(const cb_terms *t, double params);

/* network.c */
typedef struct cb_group {
    int size, stride; /* its ranks are `stride` apart */
} cb_group;
double cb_all_reduce_s(const cb_terms *t, cb_group group, double bytes);
double cb_all_gather_s(const cb_terms *t, cb_group group, double bytes); /* or reduce-scatter; bytes of the whole */
/* Between neighbouring stages: of the slowest border and on average over borders. */
typedef struct cb_border {
    double worst_s, mean_s;
} cb_border;
cb_border cb_stage_border(const cb_terms *t);

/* layer.c: a pass of one layer, all that it waits for included, split by cause */
typedef struct cb_pass {
    double by_cause_s[CB_CAUSES];
    double total_s; /* of the device */
    double host_s;  /* to launch it */
} cb_pass;
/* Device and host run side by side, the host ahead; where neither is much faster, both are waited for now and then. */
double cb_together_s(const cb_terms *t, double device_s, double host_s);
/* Computation, with what goes on over dp beside it and slows it. */
double cb_beside_s(const cb_terms *t, double compute_s, double other_s);
cb_both cb_over_dp(const cb_terms *t, double params); /* of a microbatch, for each pass; see cb_volume.grads_each */
typedef struct cb_layer {
    cb_pass forward, backward; /* backward with recomputation */
    double weight_s;           /* share of backward that weight gradients take: what zero-bubble schedules move */
    cb_both fsdp;              /* gathers and scatters of weights that run beside each pass */
} cb_layer;
cb_layer cb_layer_time(const cb_terms *t);

/* pipeline_time.c: seconds lost to fill and drain, from the sums of forward, input and weight gradient over all stages
 * and the same of the slowest. */
double cb_pipeline_bubble_s(cb_split_schedule schedule, int stages, int chunks, double micro_batches,
                            const cb_stage_times *all, const cb_stage_times *slowest);

#endif
