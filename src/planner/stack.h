/* Software stacks: what a training program does that changes the time of a step. A fact about a program is a column
 * here; how much time it costs is in constants.h. */
#ifndef CB_PLANNER_STACK_H
#define CB_PLANNER_STACK_H

#include <stdbool.h>

typedef enum cb_stack {
    CB_MEGATRON_2021,  /* Megatron-LM before flash attention */
    CB_DEEPSPEED_2021, /* the same layers on DeepSpeed's pipeline engine */
    CB_MEGATRON_CORE,  /* Megatron-Core on TransformerEngine: NeMo, Megatron-Bridge */
    CB_FSDP,           /* PyTorch FSDP with flash attention, eager: llm-foundry */
    CB_TITAN,          /* PyTorch FSDP2, compiled: torchtitan */
    CB_STATIC_GRAPH,   /* a graph compiled beforehand, attention unfused: OneFlow */
    CB_NANOTRON,       /* eager PyTorch with flash attention and 3D parallelism; what nothing is known of */
    CB_CUBOID,         /* this program: f32 on processors */
    CB_STACKS
} cb_stack;

typedef struct cb_stack_traits {
    const char *name;    /* "megatron-2021" */
    bool flash;          /* attention in blocks that stay in the device's caches */
    bool compiled;       /* elementwise operations fused, launches few */
    bool vendor;         /* the vendor's own kernels for attention and norms */
    bool flash_2;        /* with kernels of the second generation: FlashAttention-2, the vendor's */
    bool tp_overlap;     /* collectives of tensor parallelism run beside the products they belong to */
    bool tp_backward;    /* only those of the backward pass do */
    bool dp_overlap;     /* gradients are reduced while backward runs */
    bool zero_waits;     /* ZeRO 1 adds up whole gradients after backward, and copies weights tensor by tensor */
    bool engine;         /* DeepSpeed's pipeline engine: a fixed cost per microbatch */
    bool scatter_gather; /* stages send each a tp-th of an activation and gather it from the fast links */
    bool sync_messages;  /* the host waits for the device around each message between stages */
    bool graph;          /* launched as a graph: the host does not wait for itself */
    bool prefetch;       /* weights that are cut over dp are gathered ahead of their layer */
    bool split_loss;     /* over a cut vocabulary, kernel by kernel, in 32 bits */
    bool weights_in_8;   /* gathered in 8 bits where products are */
    bool sums_apart;     /* a microbatch's gradients are added to the sum by a pass of its own, not by products */
    bool reduces_in_16;  /* gradients that are kept in 32 bits are sent in 16 */
    bool gathers_passes; /* ZeRO 2 gathers weights for each forward pass, not once a step */
    bool sums_in_32;     /* gradients of microbatches are added up in 32 bits, where weights have 16 */
    bool all_in_32;      /* it computes in 32 bits and nothing else */
    bool by_weights;     /* layers are placed over stages by their weights, the head's among them */
    int loss_bytes;      /* that the loss moves of a logit, where its kernels were counted; 0: see constants.h */
    int gathers;         /* collectives in which a layer's weights are brought together under ZeRO-3 */
} cb_stack_traits;

const cb_stack_traits *cb_stack_traits_of(cb_stack stack);
const char *const *cb_stack_names(void); /* NULL-ended, in the order of cb_stack */

#endif
