/* Activations and gradients between neighbouring blocks on different stages. Activations are received into the slot of
 * their microbatch, gradients into a ring's buffer, where the backward works on them and from where they are sent on.
 */
#include "train/rank.h"

/* note: the microbatch and the sending or receiving chunk of the block that is earlier in the model, alike on both
 * sides. */
static cb_msg stage_msg(const cb_rank *rank, bool backward, int peer, int note, float *data) {
    return (cb_msg){.peer = peer,
                    .tag = cb_tag_stage(backward, note),
                    .purpose = CB_FOR_PP,
                    .kind = CB_SENDRECV,
                    .type = CB_F32,
                    .count = (int64_t)rank->run->B * rank->run->T * rank->run->model.channels,
                    .data = data,
                    .note = note};
}

/* Of the border after a block. */
static int note_of(const cb_rank *rank, int micro_batch, int block) {
    return micro_batch * rank->chunks + block / rank->pp_group.size;
}

static bool is_posted(const cb_ahead *ahead, const cb_chunk *chunk, int micro_batch) {
    return ahead->micro_batch == micro_batch && ahead->chunk == chunk->index;
}

/* Posts the receive of a microbatch's activations. Without a free slot it does nothing. */
static cb_err post_forward(cb_rank *rank, cb_chunk *chunk, int micro_batch) {
    if (is_posted(&rank->ahead_f, chunk, micro_batch)) return CB_OK;
    cb_slot *slot = cb_chunk_slot(chunk, -1);
    if (!slot) return CB_OK;
    slot->micro_batch = micro_batch;
    cb_msg msg = stage_msg(rank, false, chunk->prev_rank, note_of(rank, micro_batch, chunk->block - 1),
                           cb_slot_layer(slot, 0)[CB_ACT_X]);
    TRY(cb_comm_irecv(rank->comm, &msg, &rank->ahead_f.req));
    rank->ahead_f.micro_batch = micro_batch;
    rank->ahead_f.chunk = chunk->index;
    return CB_OK;
}

/* Posts the receive of a microbatch's gradient into the ring's next buffer, if its last send is through (or waits for
 * that). */
static cb_err post_backward(cb_rank *rank, cb_chunk *chunk, int micro_batch, bool wait) {
    cb_ring *ring = chunk->grad;
    bool through = true;
    if (is_posted(&rank->ahead_b, chunk, micro_batch)) return CB_OK;
    if (wait)
        TRY(cb_comm_wait(rank->comm, &ring->sent[CB_RING_NEXT]));
    else
        TRY(cb_comm_test(rank->comm, &ring->sent[CB_RING_NEXT], &through));
    if (!through) return CB_OK;
    cb_msg msg =
        stage_msg(rank, true, chunk->next_rank, note_of(rank, micro_batch, chunk->block), ring->buffer[CB_RING_NEXT]);
    TRY(cb_comm_irecv(rank->comm, &msg, &rank->ahead_b.req));
    rank->ahead_b.micro_batch = micro_batch;
    rank->ahead_b.chunk = chunk->index;
    return CB_OK;
}

/* Looks from instruction `after` + 1 to the next computation for receives that can be posted now. */
cb_err cb_post_ahead(cb_rank *rank, const cb_instr_list *list, int after) {
    for (int j = after + 1; j < list->count; j++) {
        cb_instr next = list->at[j];
        if (next.kind == CB_RECV_F)
            TRY(post_forward(rank, &rank->chunk[next.chunk], next.micro_batch));
        else if (next.kind == CB_RECV_B)
            TRY(post_backward(rank, &rank->chunk[next.chunk], next.micro_batch, false));
        else if (next.kind != CB_SEND_F && next.kind != CB_SEND_B)
            break;
    }
    return CB_OK;
}

cb_err cb_receive_forward(cb_rank *rank, cb_chunk *chunk, int micro_batch) {
    TRY(post_forward(rank, chunk, micro_batch));
    if (!is_posted(&rank->ahead_f, chunk, micro_batch))
        return cb_fail(CB_EINVAL,
                       "no slot is free for microbatch %d in chunk %d: the schedule holds more than its peak",
                       micro_batch, chunk->index);
    rank->ahead_f.micro_batch = -1;
    return cb_comm_wait(rank->comm, &rank->ahead_f.req);
}

cb_err cb_ring_advance(cb_rank *rank, cb_ring *ring, float **buffer) {
    *buffer = ring->buffer[CB_RING_NOW];
    if (ring->size == 1) return CB_OK; /* nothing is sent from it */
    TRY(cb_comm_wait(rank->comm, &ring->sent[CB_RING_NEXT]));
    float *used = ring->buffer[CB_RING_NOW];
    cb_req *sent = ring->sent[CB_RING_NOW];
    int place = sent ? ring->size - 1 : CB_RING_NEXT;
    for (int i = 0; i < place; i++) {
        ring->buffer[i] = ring->buffer[i + 1];
        ring->sent[i] = ring->sent[i + 1];
    }
    ring->buffer[place] = used;
    ring->sent[place] = sent;
    *buffer = ring->buffer[CB_RING_NOW];
    return CB_OK;
}

cb_err cb_receive_backward(cb_rank *rank, cb_chunk *chunk, int micro_batch) {
    float *buffer;
    TRY(post_backward(rank, chunk, micro_batch, true));
    rank->ahead_b.micro_batch = -1;
    TRY(cb_comm_wait(rank->comm, &rank->ahead_b.req));
    return cb_ring_advance(rank, chunk->grad, &buffer);
}

static cb_err send(cb_rank *rank, cb_ring *ring, bool backward, int peer, int note) {
    cb_msg msg = stage_msg(rank, backward, peer, note, ring->buffer[CB_RING_NOW]);
    return cb_comm_isend(rank->comm, &msg, &ring->sent[CB_RING_NOW]);
}

cb_err cb_send_forward(cb_rank *rank, cb_chunk *chunk, int micro_batch) {
    return send(rank, chunk->out, false, chunk->next_rank, note_of(rank, micro_batch, chunk->block));
}

cb_err cb_send_backward(cb_rank *rank, cb_chunk *chunk, int micro_batch) {
    return send(rank, chunk->grad, true, chunk->prev_rank, note_of(rank, micro_batch, chunk->block - 1));
}

static cb_err drain(cb_rank *rank, cb_ring *ring) {
    for (int i = 0; i < ring->size; i++) TRY(cb_comm_wait(rank->comm, &ring->sent[i]));
    return CB_OK;
}

cb_err cb_rings_drain(cb_rank *rank) {
    for (int r = 0; r < CB_RINGS; r++) {
        TRY(drain(rank, &rank->out[r]));
        TRY(drain(rank, &rank->grad[r]));
    }
    return CB_OK;
}

static cb_err look(cb_rank *rank, cb_ring *ring) {
    bool through;
    for (int i = 0; i < ring->size; i++) TRY(cb_comm_test(rank->comm, &ring->sent[i], &through));
    return CB_OK;
}

cb_err cb_rings_look(cb_rank *rank) {
    for (int r = 0; r < CB_RINGS; r++) {
        TRY(look(rank, &rank->out[r]));
        TRY(look(rank, &rank->grad[r]));
    }
    return CB_OK;
}

static void abandon(cb_rank *rank, cb_ring *ring) {
    for (int i = 0; i < ring->size; i++) cb_err_free(cb_comm_wait(rank->comm, &ring->sent[i]));
}

void cb_rings_abandon(cb_rank *rank) {
    for (int r = 0; r < CB_RINGS; r++) {
        abandon(rank, &rank->out[r]);
        abandon(rank, &rank->grad[r]);
    }
    cb_err_free(cb_comm_wait(rank->comm, &rank->ahead_f.req));
    cb_err_free(cb_comm_wait(rank->comm, &rank->ahead_b.req));
}
