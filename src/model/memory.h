/* The memory of a rank, by kind, before anything is allocated. The trainer's arenas have exactly these sizes, so predicted and
 * used bytes agree to the byte. Pure. */
#ifndef CB_MODEL_MEMORY_H
#define CB_MODEL_MEMORY_H

#include "model/params.h"
#include "model/recompute.h"

typedef enum cb_memory_kind {
    CB_MEM_PARAMS,      /* f32 weights */
    CB_MEM_GRADS,       /* f32 gradients; one stage alone keeps the tied embedding's two halves apart */
    CB_MEM_OPTIMIZER,   /* Adam's m and v, f32 */
    CB_MEM_ACTIVATIONS, /* one slot per live microbatch */
    CB_MEM_WORKSPACE,   /* gradients of activations, partial sums of shards, activations computed again */
    CB_MEM_COMM,        /* stage boundaries, pieces of all-reduces */
    CB_MEM_KINDS
} cb_memory_kind;

const char *cb_memory_kind_name(cb_memory_kind kind);

/* Of one chunk, at most at once, as the schedule has it. */
typedef struct cb_live {
    int slots; /* microbatches with activations: from F to the end of B, of W where it is split off */
    int holds; /* between B and W; 0 where the backward is whole */
    int turns; /* gradients that wait for a B, from the next block where that lies on the same stage */
} cb_live;

typedef struct cb_memory_spec {
    const cb_model *model;
    const cb_placement *placement;
    int stage;
    int tp, dp;
    int shards;        /* S, a multiple of tp */
    int data_parts;    /* of the global batch that a rank owns: D / dp, a power of two; 0: one */
    int B, T;
    cb_live live[CB_MAX_CHUNKS]; /* (chunks) */
    cb_recompute recompute;
    int window;        /* sends outstanding per direction */
    int64_t bucket_elements; /* of a gradient reduction */
    int64_t attention_scratch_bytes, sum_scratch_bytes; /* of the compute backend */
    int64_t tp_scratch_bytes, bucket_scratch_bytes; /* of the all-reduces over tp and over dp: see collectives/cost.h */
} cb_memory_spec;

typedef struct cb_memory {
    int64_t bytes[CB_MEM_KINDS];
    int64_t total;
} cb_memory;

cb_memory cb_memory_predict(const cb_memory_spec *spec);

cb_act_sizes cb_memory_act_sizes(const cb_memory_spec *spec);
bool cb_memory_first(const cb_memory_spec *spec); /* the stage holds the model's first block */
bool cb_memory_last(const cb_memory_spec *spec);

/* Pieces of the workspace, bytes. */
int64_t cb_workspace_stream_bytes(const cb_memory_spec *spec);  /* (M, C) */
int64_t cb_workspace_wide_bytes(const cb_memory_spec *spec);    /* (owned, M, max(3C, F)/S): gradient of FC or QKV */
int64_t cb_workspace_heads_bytes(const cb_memory_spec *spec);   /* (owned, M, C/S): gradient of ATT */
int64_t cb_workspace_rows_bytes(const cb_memory_spec *spec);    /* (owned + 1, 2, M): softmax's maxima and sums */

/* Further gradient buffers that hold the sums of finished parts of the batch: log2(data_parts). */
int cb_memory_part_levels(const cb_memory_spec *spec);

/* Chunks that send to the same stages share rings of buffers: all of a loop; in a V those that go down and those that go up. */
enum { CB_RINGS = 2 };
int cb_ring_of(const cb_placement *placement, int chunk);
/* Buffers of a ring that activations leave from forward and gradients backward: as many as sends may be outstanding and one
 * to work in; where no chunk sends gradients on, one to work in and one to receive into. 0: no chunk uses it. */
int cb_ring_out(const cb_memory_spec *spec, int ring);
int cb_ring_grad(const cb_memory_spec *spec, int ring);

enum { CB_BUCKETS_UNDER_WAY = 2 };

#endif
