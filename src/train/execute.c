/* Runs a stage's instruction list. Every message and every product follows from the list; the only decision taken here
 * is to post a receive early, when the next instruction's buffer is free, so that it travels while this one computes.
 */
#include "train/rank.h"

static int64_t stream_bytes(const cb_rank *rank) {
    return 4 * (int64_t)rank->run->B * rank->run->T * rank->run->model.channels;
}

/* Where a forward writes: the slot of the next block where that is here too, else the buffer that is sent. */
static cb_err forward_target(cb_rank *rank, cb_chunk *chunk, int micro_batch, float **out) {
    cb_slot *next;
    *out = NULL;
    if (chunk->last) return CB_OK;
    if (!chunk->next_here) return cb_ring_advance(rank, chunk->out, out);
    TRY(cb_chunk_take_slot(chunk + 1, micro_batch, &next));
    *out = cb_slot_layer(next, 0)[CB_ACT_X];
    return CB_OK;
}

static cb_err forward(cb_rank *rank, cb_chunk *chunk, int micro_batch, float *out) {
    cb_slot *slot = cb_chunk_slot(chunk, micro_batch);
    if (chunk->first) TRY(cb_chunk_take_slot(chunk, micro_batch, &slot));
    rank->forward_now = micro_batch;
    rank->chunk_now = chunk->index;
    return cb_stage_forward(rank, chunk, slot, out);
}

/* The gradient of the chunk's output, in the buffer to work in: received, or handed over on this stage, or about to
 * begin. */
static cb_err backward_source(cb_rank *rank, cb_chunk *chunk, int micro_batch, float **dx) {
    cb_ring *ring = chunk->grad;
    *dx = ring->buffer[CB_RING_NOW];
    if (!chunk->last && !chunk->next_here) return CB_OK;
    TRY(cb_ring_advance(rank, ring, dx));
    if (chunk->last) return CB_OK;
    cb_turn *turn = cb_chunk_turn(chunk, micro_batch);
    cb_device_host()->copy(*dx, turn->gradient, stream_bytes(rank));
    turn->micro_batch = -1;
    return CB_OK;
}

static cb_err backward(cb_rank *rank, cb_chunk *chunk, int micro_batch, float *dx) {
    cb_slot *slot = cb_chunk_slot(chunk, micro_batch);
    cb_hold *hold = NULL;
    cb_turn *turn;
    rank->backward_now = micro_batch;
    rank->chunk_now = chunk->index;
    if (chunk->holds) TRY(cb_chunk_take_hold(chunk, micro_batch, &hold));
    TRY(cb_stage_backward(rank, chunk, slot, hold, dx));
    if (!hold) slot->micro_batch = -1;
    if (!chunk->prev_here) return CB_OK;
    TRY(cb_chunk_take_turn(chunk - 1, micro_batch, &turn));
    cb_device_host()->copy(turn->gradient, dx, stream_bytes(rank));
    return CB_OK;
}

static cb_err weight_gradients(cb_rank *rank, cb_chunk *chunk, int micro_batch) {
    cb_slot *slot = cb_chunk_slot(chunk, micro_batch);
    cb_hold *hold = cb_chunk_hold(chunk, micro_batch);
    TRY(cb_stage_weight_gradients(rank, chunk, slot, hold));
    hold->micro_batch = slot->micro_batch = -1;
    return CB_OK;
}

/* Where a computation works or writes to. Before receives are posted ahead, which take the buffer after it. */
static cb_err take_buffer(cb_rank *rank, cb_instr in, float **buffer) {
    cb_chunk *chunk = &rank->chunk[in.chunk];
    *buffer = NULL;
    if (in.kind == CB_F) return forward_target(rank, chunk, in.micro_batch, buffer);
    return in.kind == CB_B ? backward_source(rank, chunk, in.micro_batch, buffer) : CB_OK;
}

static cb_err compute(cb_rank *rank, cb_instr in, const cb_instr_list *list, int index) {
    cb_chunk *chunk = &rank->chunk[in.chunk];
    float *buffer;
    TRY(take_buffer(rank, in, &buffer));
    TRY(cb_post_ahead(rank, list, index));
    TRY(cb_rings_look(rank));
    if (in.kind == CB_F) return forward(rank, chunk, in.micro_batch, buffer);
    if (in.kind == CB_B) return backward(rank, chunk, in.micro_batch, buffer);
    return weight_gradients(rank, chunk, in.micro_batch);
}

static cb_err run_instr(cb_rank *rank, cb_instr in, const cb_instr_list *list, int index) {
    cb_chunk *chunk = &rank->chunk[in.chunk];
    switch (in.kind) {
    case CB_F:
    case CB_B:
    case CB_W:
        return compute(rank, in, list, index);
    case CB_RECV_F:
        return cb_receive_forward(rank, chunk, in.micro_batch);
    case CB_SEND_F:
        return cb_send_forward(rank, chunk, in.micro_batch);
    case CB_RECV_B:
        return cb_receive_backward(rank, chunk, in.micro_batch);
    case CB_SEND_B:
        return cb_send_backward(rank, chunk, in.micro_batch);
    case CB_REDUCE_TIED:
        return cb_rank_reduce_tied(rank);
    case CB_REDUCE_GRADS:
        return cb_rank_reduce_grads(rank);
    case CB_STEP:
        return cb_rank_step(rank);
    default:
        return cb_fail(CB_EUNSUPPORTED, "instruction kind %d has no executor", (int)in.kind);
    }
}

static cb_err run_all(cb_rank *rank, const cb_schedule *schedule) {
    const cb_instr_list *list = &schedule->list[rank->p];
    for (int i = 0; i < list->count; i++) {
        cb_instr in = list->at[i];
        double begin_s = cb_tracer_now(&rank->tracer);
        cb_err e = run_instr(rank, in, list, i);
        char text[24];
        if (e) return cb_err_context(e, "step %lld, %s", (long long)rank->step + 1, cb_instr_text(schedule, in, text));
        if (schedule->forward_only && in.kind == CB_F) {
            cb_chunk_slot(&rank->chunk[in.chunk], in.micro_batch)->micro_batch = -1;
        }
        cb_tracer_instr(rank, in, begin_s);
    }
    return cb_rings_drain(rank);
}

cb_err cb_rank_execute(cb_rank *rank, const cb_schedule *schedule) {
    rank->micro_batches_now = schedule->micro_batches;
    for (int i = 0; i < cb_rank_parts(rank); i++) rank->part_loss[i] = 0;
    return run_all(rank, schedule);
}
