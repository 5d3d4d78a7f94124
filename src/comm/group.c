/* Groups and tags; see group.h. A tag is purpose (3 bits) | sequence (14 bits) | phase (4 bits); phase 15 is kept for
 * messages between stages, whose sequence field is backward (1 bit) | note (13 bits). */
#include "comm/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "comm/comm_backend.h"

enum { PHASE_BITS = 4, SEQUENCE_BITS = 14, STAGE_PHASE = (1 << PHASE_BITS) - 1 };

static cb_err check_members(const cb_comm *comm, cb_purpose purpose, const int *ranks, int size) {
    int world = cb_comm_size(comm);
    const char *name = cb_purpose_name(purpose);
    if (size < 1 || size > world)
        return cb_fail(CB_EINVAL, "a %s group of %d ranks in a world of %d", name, size, world);
    for (int i = 0; i < size; i++) {
        if (ranks[i] < 0 || ranks[i] >= world)
            return cb_fail(CB_EINVAL, "member %d of a %s group is rank %d; the world has ranks 0 to %d", i, name,
                           ranks[i], world - 1);
        for (int j = 0; j < i; j++) {
            if (ranks[i] == ranks[j])
                return cb_fail(CB_EINVAL, "rank %d is member %d and member %d of a %s group", ranks[i], j, i, name);
        }
    }
    return CB_OK;
}

/* Launchers put ranks on machines one after the other, as many on each. */
static int node_of(const cb_comm *comm, const int *ranks, int size) {
    int here = cb_comm_local_size(comm), node = 0;
    if (here < 1) return 0;
    while (node < size && ranks[node] / here == ranks[0] / here) node++;
    for (int i = 0; i < size; i++)
        if (ranks[i] / here != ranks[i / node * node] / here) return 0;
    return node > 1 && node < size ? node : 0;
}

cb_err cb_group_make(cb_group *group, cb_comm *comm, cb_purpose purpose, const int *ranks, int size) {
    *group = (cb_group){.comm = comm, .purpose = purpose, .size = size, .me = -1};
    TRY(check_members(comm, purpose, ranks, size));
    for (int i = 0; i < size; i++) {
        if (ranks[i] == cb_comm_rank(comm)) group->me = i;
    }
    if (group->me < 0)
        return cb_fail(CB_EINVAL, "rank %d is not in the %s group of %d ranks (first: rank %d) that it makes",
                       cb_comm_rank(comm), cb_purpose_name(purpose), size, ranks[0]);
    group->ranks = malloc((size_t)size * sizeof *ranks);
    if (!group->ranks)
        return cb_fail(CB_ENOMEM, "no memory for a %s group of %d ranks", cb_purpose_name(purpose), size);
    memcpy(group->ranks, ranks, (size_t)size * sizeof *ranks);
    group->node = node_of(comm, ranks, size);
    return comm->ops->join ? comm->ops->join(comm, purpose, ranks, size, &group->board) : CB_OK;
}

cb_err cb_group_announce(cb_group *group, unsigned sequence, const cb_call *call) {
    cb_comm *comm = group->comm;
    return comm->ops->announce ? comm->ops->announce(comm, group, sequence, call) : CB_OK;
}

cb_err cb_group_meet(cb_group *group, const cb_call *call, const cb_work *work, int note, cb_req **req) {
    assert(group->board);
    cb_msg msg = {.peer = -1,
                  .purpose = group->purpose,
                  .kind = call->kind,
                  .type = call->type,
                  .count = call->count,
                  .note = note};
    cb_comm *comm = group->comm;
    TRY(comm->ops->meet(comm, group->board, group->me, &msg, call, work, req));
    (*req)->event = NULL;
    (*req)->counted = false;
    return CB_OK;
}

void cb_group_count(cb_group *group, cb_kind kind, const cb_traffic *sent) {
    cb_traffic *traffic = &group->comm->traffic[group->purpose][kind];
    traffic->messages += sent->messages;
    traffic->bytes += sent->bytes;
}

void cb_group_free(cb_group *group) {
    if (group->board) group->comm->ops->leave(group->comm, group->board);
    free(group->ranks);
    free(group->room);
    *group = (cb_group){0};
}

static int tag(cb_purpose purpose, unsigned sequence, int phase) {
    unsigned wrapped = sequence & ((1u << SEQUENCE_BITS) - 1);
    return (int)((((unsigned)purpose << SEQUENCE_BITS) | wrapped) << PHASE_BITS) | phase;
}

int cb_tag_collective(cb_purpose purpose, unsigned sequence, int phase) {
    return tag(purpose, sequence, phase);
}

int cb_tag_stage(int backward, int note) {
    unsigned low = (unsigned)note & ((1u << (SEQUENCE_BITS - 1)) - 1);
    return tag(CB_FOR_PP, ((unsigned)(backward != 0) << (SEQUENCE_BITS - 1)) | low, STAGE_PHASE);
}
