/* All state of one rank, in one struct: nothing else is mutable. */
#ifndef CB_TRAIN_RANK_H
#define CB_TRAIN_RANK_H

#include "base/arena.h"
#include "checkpoint/weights.h"
#include "data_parallel/buckets.h"
#include "train/run.h"
#include "train/tracer.h"
#include "transformer/transformer.h"

/* A parameter as this rank holds it. */
typedef struct cb_held {
    cb_param param;
    int64_t count; /* local elements */
    float *w, *g, *m, *v;
} cb_held;

/* One live microbatch's activations in one chunk. */
typedef struct cb_slot {
    int micro_batch;     /* -1: free */
    float **layer;       /* (layers * CB_LAYER_ACTS) */
    float *own[CB_ACTS]; /* those of head and entrance */
} cb_slot;

/* What a microbatch holds in one chunk from B until W beside its slot. */
typedef struct cb_hold {
    int micro_batch; /* -1: free */
    float **layer;   /* (layers * CB_LAYER_ACTS), NULL where the slot has it */
} cb_hold;

/* A gradient that waits for a chunk's B, from the next block on the same stage. */
typedef struct cb_turn {
    int micro_batch; /* -1: free */
    float *gradient; /* (M, C) */
} cb_turn;

/* Buffers that messages between stages leave from: the first is in use, the others follow in the order in which they will
 * be. A buffer is free again when its send is through; one that nothing was sent from is free at once and goes in front, or
 * fewer sends than the schedule's window could be on their way. */
typedef struct cb_ring {
    float **buffer; /* (size) */
    cb_req **sent;  /* (size) */
    int size;
} cb_ring;
enum { CB_RING_NOW, CB_RING_NEXT };

/* A receive posted ahead of the instruction that needs it. */
typedef struct cb_ahead {
    cb_req *req;
    int micro_batch, chunk; /* micro_batch -1: none posted */
} cb_ahead;

/* One of the stage's blocks of layers. */
typedef struct cb_chunk {
    int index, block;           /* which of the stage's, which of the model's */
    int begin, layers;          /* in rank->layer: begin .. begin + layers - 1 */
    bool first, last;           /* the model's first block, its last */
    bool prev_here, next_here;  /* the block before, after is on this stage too: chunk index - 1, + 1 */
    int prev_rank, next_rank;   /* world ranks that hold those blocks, -1: none, or here */
    cb_slot *slot;
    cb_hold *hold;
    cb_turn *turn;
    int slots, holds, turns;
    cb_ring *out, *grad; /* activations forward, gradients backward */
} cb_chunk;

struct cb_rank {
    const cb_run *run;
    cb_comm *comm;
    char name[48]; /* "d0 p1 t3" */
    int t, d, p;
    bool first, last; /* this stage holds the model's first block, its last */
    cb_group tp_group, dp_group, pp_group, emb_group, world;
    cb_compute *compute;

    cb_arena arena[CB_MEM_KINDS];
    cb_memory predicted;
    cb_held *held;
    int held_count;
    int layers;
    cb_layer *layer;        /* (layers), chunk by chunk */
    cb_embedding embedding; /* first block */
    cb_head head;           /* last block */
    int64_t grad_count;     /* elements of the gradients, gaps of the arena included */
    float *part_sum[16];    /* sums of finished parts of the batch, as large as the gradients; see parts.c */
    float *second_tied;     /* gradient of the table as head, where one stage is first and last; else NULL */

    cb_tp tp;
    cb_transformer transformer;
    cb_buckets buckets;
    cb_schedule schedule;             /* of a training step, lowered */
    float *shared_act[CB_LAYER_ACTS]; /* working copies of the activations that some layer does not keep; else NULL */
    cb_chunk *chunk; /* (chunks) */
    int chunks;
    cb_ring out[CB_RINGS], grad[CB_RINGS];
    cb_ahead ahead_f, ahead_b;

    /* of the step under way */
    int64_t step;
    int64_t sample; /* number of this rank's first sample */
    const cb_sampler *sampler;
    int micro_batches_now; /* of the list being executed */
    double *part_loss;     /* last stage: nats over the tokens of each of this rank's parts so far */
    cb_step_report report;
    bool agreed;                   /* the error that this rank returns is the same on all */
    int forward_now, backward_now; /* microbatch of the forward, of the backward under way */
    int chunk_now;                 /* and the chunk of either */
    uint64_t loss_chain;           /* hash of the losses and norms of all steps so far */
    uint64_t *digest_table;
    cb_digest digest;
    double *norms; /* (parameters * S + 2) sums of squares by parameter and shard, then loss and stop */

    cb_traffic train_traffic[CB_PURPOSES][CB_KINDS]; /* of all training steps so far */
    cb_tracer tracer;
    int logits_fd; /* -1: none */
};

/* rank.c: coordinates, groups, compute. stage.c: memory, parameters, pointers. */
CB_MUST_USE cb_err cb_rank_create(cb_rank *rank, const cb_run *run, cb_comm *comm);
void cb_rank_destroy(cb_rank *rank);
CB_MUST_USE cb_err cb_stage_create(cb_rank *rank);
void cb_stage_destroy(cb_rank *rank);
cb_held *cb_rank_held(cb_rank *rank, cb_role role, int layer); /* NULL: not on this stage */

/* chunks.c: this stage's chunks, with room for the microbatches that the schedule keeps alive in each. */
CB_MUST_USE cb_err cb_chunks_create(cb_rank *rank, const cb_memory_spec *spec);
void cb_chunks_destroy(cb_rank *rank);
float **cb_slot_layer(const cb_slot *slot, int layer); /* counted in the chunk */
/* Of a microbatch; NULL: it has none. take: a free one becomes the microbatch's; CB_EINVAL: the schedule has more than its
 * peak. */
cb_slot *cb_chunk_slot(cb_chunk *chunk, int micro_batch);
cb_hold *cb_chunk_hold(cb_chunk *chunk, int micro_batch);
CB_MUST_USE cb_err cb_chunk_take_slot(cb_chunk *chunk, int micro_batch, cb_slot **slot);
CB_MUST_USE cb_err cb_chunk_take_hold(cb_chunk *chunk, int micro_batch, cb_hold **hold);
CB_MUST_USE cb_err cb_chunk_take_turn(cb_chunk *chunk, int micro_batch, cb_turn **turn);
cb_turn *cb_chunk_turn(cb_chunk *chunk, int micro_batch);
void cb_chunks_free_slots(cb_rank *rank); /* all of them, where passes were cut short */

/* stage_run.c: one microbatch through one chunk. hold: NULL where the backward is whole; else the four matrices' gradients of
 * each layer, and the head's, are left to cb_stage_weight_gradients. Collective over tp. */
CB_MUST_USE cb_err cb_stage_forward(cb_rank *rank, const cb_chunk *chunk, cb_slot *slot, float *out);
CB_MUST_USE cb_err cb_stage_backward(cb_rank *rank, const cb_chunk *chunk, cb_slot *slot, const cb_hold *hold, float *dx);
CB_MUST_USE cb_err cb_stage_weight_gradients(cb_rank *rank, const cb_chunk *chunk, cb_slot *slot, const cb_hold *hold);

/* hand_over.c: gradients got a microbatch's share. At the end of a part of the batch they join the sum of parts; after the last
 * part they are final and their reduction over dp begins. */
typedef enum cb_share { CB_SHARE_ALL, CB_SHARE_WITH_B, CB_SHARE_WITH_W } cb_share; /* of a layer's parameters: W: its matrices */
CB_MUST_USE cb_err cb_hand_over(cb_rank *rank, float *g, int64_t count, int micro_batch);
/* The parameters from role `from` to role `to` of a layer, which are neighbours in memory. */
CB_MUST_USE cb_err cb_hand_over_roles(cb_rank *rank, cb_role from, cb_role to, int layer, int micro_batch);
CB_MUST_USE cb_err cb_hand_over_layer(cb_rank *rank, int layer, int micro_batch, cb_share share);

/* messages.c: activations and gradients between blocks. Receives are posted ahead where their buffer is free; a send goes from
 * the ring's buffer in use. */
CB_MUST_USE cb_err cb_post_ahead(cb_rank *rank, const cb_instr_list *list, int after);
CB_MUST_USE cb_err cb_receive_forward(cb_rank *rank, cb_chunk *chunk, int micro_batch);
CB_MUST_USE cb_err cb_receive_backward(cb_rank *rank, cb_chunk *chunk, int micro_batch);
CB_MUST_USE cb_err cb_send_forward(cb_rank *rank, cb_chunk *chunk, int micro_batch);
CB_MUST_USE cb_err cb_send_backward(cb_rank *rank, cb_chunk *chunk, int micro_batch);
/* The ring's next buffer, once its last send is through, becomes the one in use. */
CB_MUST_USE cb_err cb_ring_advance(cb_rank *rank, cb_ring *ring, float **buffer);
CB_MUST_USE cb_err cb_rings_look(cb_rank *rank); /* which sends are through; never waits */
CB_MUST_USE cb_err cb_rings_drain(cb_rank *rank);
void cb_rings_abandon(cb_rank *rank); /* after the world was aborted: lets go of all messages */

/* parts.c: how many parts of the batch this rank owns; to which one a microbatch belongs, and whether it is its last.
 */
int cb_rank_parts(const cb_rank *rank);
int cb_part_of(const cb_rank *rank, int micro_batch);
bool cb_part_ends(const cb_rank *rank, int micro_batch);
/* Part `part` is complete in the gradients g (count). True: it was the last, and g is the sum of all parts of this
 * rank. Else the part is put aside and g is zero for the next one. */
bool cb_part_close(cb_rank *rank, float *g, int64_t count, int part);
/* The tree sum of the parts' losses. */
double cb_part_loss(cb_rank *rank);

/* execute.c: runs this stage's instruction list. */
CB_MUST_USE cb_err cb_rank_execute(cb_rank *rank, const cb_schedule *schedule);

/* step.c: reductions and the optimizer; loss and norm agreed between all ranks into rank->report. */
CB_MUST_USE cb_err cb_rank_reduce_tied(cb_rank *rank);
CB_MUST_USE cb_err cb_rank_reduce_grads(cb_rank *rank);
CB_MUST_USE cb_err cb_rank_step(cb_rank *rank);
/* Sum over dp, then found on every rank: x[i] summed over dp tree-wise, and taken from the ranks that hold it over tp,
 * pp. */
CB_MUST_USE cb_err cb_rank_agree(cb_rank *rank, double *x, int64_t count);

/* nonfinite.c: which tensor was the first that was not finite, agreed between all ranks, as text. *Collective over
 * world.* */
CB_MUST_USE cb_err cb_rank_explain_nonfinite(cb_rank *rank, char *text, int text_bytes);

/* digest.c: hashes of this step's gradients and of the state after it, agreed between all ranks, into rank->digest and
 * the report. *Collective over tp and pp.* */
CB_MUST_USE cb_err cb_rank_digest(cb_rank *rank);
void cb_rank_chain_loss(cb_rank *rank);
const float *cb_held_data(const cb_held *held, cb_digest_kind kind);
/* Is this rank the one of tp x pp that counts the parameter (norms, digests)? */
bool cb_rank_counts(const cb_rank *rank, const cb_held *held);
/* replicas.c: CB_EMISMATCH naming tensor and ranks if copies of a parameter differ. *Collective over world.* */
CB_MUST_USE cb_err cb_rank_check_replicas(cb_rank *rank);
/* inspect.c: executes the step's list with every tensor watched. *Collective over world.* */
CB_MUST_USE cb_err cb_rank_inspected_step(cb_rank *rank);

/* loop.c. Weights from the generator or from run->init; one step, after which rank->held[].g are the whole batch's
 * gradients before clipping and rank->report tells the rest; weights into run->save. *Collective over world.* */
CB_MUST_USE cb_err cb_rank_initialise(cb_rank *rank);
CB_MUST_USE cb_err cb_rank_train_step(cb_rank *rank, int64_t step);
CB_MUST_USE cb_err cb_rank_save(cb_rank *rank);
CB_MUST_USE cb_err cb_rank_train(cb_rank *rank);
/* Forward only, over `micro_batches` of the rank's sampler from its first sample on; the loss goes to rank->part_loss.
 */
CB_MUST_USE cb_err cb_rank_execute_forward(cb_rank *rank, int micro_batches);
CB_MUST_USE cb_err cb_rank_evaluate(cb_rank *rank, double *val_loss);
/* launch.c: a rank's life from creation to destruction. *refusal: an error that all ranks have alike, written by rank 0
 * of a process; anything else that goes wrong is returned, and ends the world. *Collective over world.* */
CB_MUST_USE cb_err cb_rank_live(cb_comm *comm, const cb_run *run, cb_err *refusal);
/* summary.c: everything about all ranks to rank 0's observer. *Collective over world.* */
CB_MUST_USE cb_err cb_rank_summarise(cb_rank *rank, int64_t steps, double train_s, double val_loss);
/* pin.c: binds the calling thread, and the threads it will make, to its cores, if there are enough for all. */
void cb_rank_pin(int local_rank, int local_ranks, int threads);

#endif
