/* What ranks send each other, as sizes and counts: the one source of traffic (flows.c) and of the time that it takes
 * (layer.c, estimate.c, network.c). Pure. Sources, besides those of flows.h: Megatron-LM of 2021, model/distributed.py
 * (gradients are summed over dp in the bits in which they are added up); DeepSpeed, engine.py and pipe/engine.py
 * (communication_data_type, _exec_reduce_tied_grads). */
#ifndef CB_PLANNER_VOLUME_H
#define CB_PLANNER_VOLUME_H

#include "planner/device_memory.h"

typedef struct cb_volume {
    double stream_bytes;            /* the residual stream of a microbatch, (rows, C), whole */
    double message_bytes;           /* what of it a rank sends to the next stage */
    double tied_grad;               /* bytes of a tied parameter's gradient, between the first and the last stage */
    double grad, weight;            /* bytes of a parameter's gradient and weight over dp */
    bool grads_whole;               /* gradients by all-reduce, else by reduce-scatter */
    bool grads_each;                /* for each microbatch, beside its layers; else once a step */
    int weights_each, weights_once; /* gathers of each weight: of a microbatch, of a step */
    bool input_again;               /* a layer's forward collectives run once more before its backward */
} cb_volume;
cb_volume cb_volume_of(const cb_job *job, const cb_split *split, const cb_regime *regime);

#endif
