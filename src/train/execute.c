/* Runs a stage's instruction list. Every message and every product follows from the list; the only decision taken here
 * is to post a receive early, when the next instruction's buffer is free, so that it travels while this one computes.
 */
#include "train/rank.h"

static int64_t stream_count(const cb_rank *rank) {
    return (int64_t)rank->run->B * rank->run->T * rank->run->model.channels;
}

static cb_msg stage_msg(const cb_rank *rank, bool backward, int peer, int micro_batch, float *data) {
    return (cb_msg){.peer = peer,
                    .tag = cb_tag_stage(backward, micro_batch),
                    .purpose = CB_FOR_PP,
                    .kind = CB_SENDRECV,
                    .type = CB_F32,
                    .count = stream_count(rank),
                    .data = data,
                    .note = micro_batch};
}

static cb_slot *find_slot(cb_rank *rank, int micro_batch) {
    for (int i = 0; i < rank->slots; i++) {
        if (rank->slot[i].micro_batch == micro_batch) return &rank->slot[i];
    }
    return NULL;
}

static cb_slot *take_slot(cb_rank *rank, int micro_batch) {
    cb_slot *slot = find_slot(rank, -1);
    if (slot) slot->micro_batch = micro_batch;
    return slot;
}

/* Posts the receive of a microbatch's activations. Without a free slot it does nothing: *posted tells. */
static cb_err post_forward(cb_rank *rank, int micro_batch, bool *posted) {
    *posted = rank->ahead_f.micro_batch == micro_batch;
    if (*posted) return CB_OK;
    cb_slot *slot = take_slot(rank, micro_batch);
    if (!slot) return CB_OK;
    cb_msg msg = stage_msg(rank, false, rank->prev_rank, micro_batch, cb_slot_layer(slot, 0)[CB_ACT_X]);
    TRY(cb_comm_irecv(rank->comm, &msg, &rank->ahead_f.req));
    rank->ahead_f.micro_batch = micro_batch;
    *posted = true;
    return CB_OK;
}

/* The ring's next buffer becomes the one in use. */
static float *advance(cb_ring *ring) {
    ring->now = ring->next;
    ring->next = (ring->next + 1) % ring->size;
    return ring->buffer[ring->now];
}

/* Posts the receive of a microbatch's gradient into the ring's next buffer, if its last send is through (or waits for
 * that). */
static cb_err post_backward(cb_rank *rank, int micro_batch, bool wait) {
    cb_ring *ring = &rank->grad;
    bool through = true;
    if (rank->ahead_b.micro_batch == micro_batch) return CB_OK;
    if (wait)
        TRY(cb_comm_wait(rank->comm, &ring->sent[ring->next]));
    else
        TRY(cb_comm_test(rank->comm, &ring->sent[ring->next], &through));
    if (!through) return CB_OK;
    cb_msg msg = stage_msg(rank, true, rank->next_rank, micro_batch, ring->buffer[ring->next]);
    TRY(cb_comm_irecv(rank->comm, &msg, &rank->ahead_b.req));
    rank->ahead_b.micro_batch = micro_batch;
    return CB_OK;
}

/* Looks from instruction i + 1 to the next computation for receives that can be posted now. */
static cb_err post_ahead(cb_rank *rank, const cb_instr_list *list, int i) {
    for (int j = i + 1; j < list->count; j++) {
        cb_instr next = list->at[j];
        bool posted;
        if (next.kind == CB_RECV_F)
            TRY(post_forward(rank, next.micro_batch, &posted));
        else if (next.kind == CB_RECV_B)
            TRY(post_backward(rank, next.micro_batch, false));
        else if (next.kind != CB_SEND_F && next.kind != CB_SEND_B)
            break;
    }
    return CB_OK;
}

static cb_err receive_forward(cb_rank *rank, int micro_batch) {
    bool posted;
    TRY(post_forward(rank, micro_batch, &posted));
    if (!posted)
        return cb_fail(CB_EINVAL, "no slot is free for microbatch %d: the schedule holds more than its peak",
                       micro_batch);
    rank->ahead_f.micro_batch = -1;
    return cb_comm_wait(rank->comm, &rank->ahead_f.req);
}

static cb_err receive_backward(cb_rank *rank, int micro_batch) {
    TRY(post_backward(rank, micro_batch, true));
    rank->ahead_b.micro_batch = -1;
    TRY(cb_comm_wait(rank->comm, &rank->ahead_b.req));
    advance(&rank->grad);
    return CB_OK;
}

static cb_err forward(cb_rank *rank, int micro_batch) {
    cb_slot *slot = rank->first ? take_slot(rank, micro_batch) : find_slot(rank, micro_batch);
    if (!slot)
        return cb_fail(CB_EINVAL, "no slot for microbatch %d: the schedule holds more than its peak", micro_batch);
    cb_ring *out = &rank->out;
    rank->forward_now = micro_batch;
    if (rank->last) return cb_stage_forward(rank, slot, NULL);
    TRY(cb_comm_wait(rank->comm, &out->sent[out->next]));
    return cb_stage_forward(rank, slot, advance(out));
}

static cb_err backward(cb_rank *rank, int micro_batch) {
    cb_slot *slot = find_slot(rank, micro_batch);
    cb_ring *ring = &rank->grad;
    rank->backward_now = micro_batch;
    if (rank->last) { /* where gradients begin; elsewhere they were received into the buffer in use */
        TRY(cb_comm_wait(rank->comm, &ring->sent[ring->next]));
        advance(ring);
    }
    TRY(cb_stage_backward(rank, slot, ring->buffer[ring->now]));
    slot->micro_batch = -1;
    return CB_OK;
}

static cb_err send(cb_rank *rank, cb_ring *ring, bool back, int micro_batch) {
    cb_msg msg = stage_msg(rank, back, back ? rank->prev_rank : rank->next_rank, micro_batch, ring->buffer[ring->now]);
    return cb_comm_isend(rank->comm, &msg, &ring->sent[ring->now]);
}

static cb_err run_instr(cb_rank *rank, cb_instr in) {
    switch (in.kind) {
    case CB_F:
        return forward(rank, in.micro_batch);
    case CB_B:
        return backward(rank, in.micro_batch);
    case CB_RECV_F:
        return receive_forward(rank, in.micro_batch);
    case CB_SEND_F:
        return send(rank, &rank->out, false, in.micro_batch);
    case CB_RECV_B:
        return receive_backward(rank, in.micro_batch);
    case CB_SEND_B:
        return send(rank, &rank->grad, true, in.micro_batch);
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

static cb_err drain(cb_rank *rank, cb_ring *ring) {
    for (int i = 0; i < ring->size; i++) TRY(cb_comm_wait(rank->comm, &ring->sent[i]));
    return CB_OK;
}

static cb_err run_all(cb_rank *rank, const cb_schedule *schedule) {
    const cb_instr_list *list = &schedule->list[rank->p];
    for (int i = 0; i < list->count; i++) {
        cb_instr in = list->at[i];
        double begin_s = cb_tracer_now(&rank->tracer);
        if (in.kind == CB_F || in.kind == CB_B) TRY(post_ahead(rank, list, i));
        cb_err e = run_instr(rank, in);
        char text[24];
        if (e) return cb_err_context(e, "step %lld, %s", (long long)rank->step + 1, cb_instr_text(schedule, in, text));
        if (schedule->forward_only && in.kind == CB_F) find_slot(rank, in.micro_batch)->micro_batch = -1;
        cb_tracer_instr(rank, in, begin_s);
    }
    TRY(drain(rank, &rank->out));
    return drain(rank, &rank->grad);
}

cb_err cb_rank_execute(cb_rank *rank, const cb_schedule *schedule) {
    rank->micro_batches_now = schedule->micro_batches;
    for (int i = 0; i < cb_rank_parts(rank); i++) rank->part_loss[i] = 0;
    return run_all(rank, schedule);
}
