/* Collectives of ranks that share one memory: pieces of a meeting's work (comm/meeting.h), done on the members' data
 * where they lie. A piece of an all-reduce reads its elements of all p operands, reduces them in tree order in the
 * cache and writes the result to all p: no scratch, and every operand crosses the memory bus once in each direction,
 * which is the least possible. Which member does a piece changes nothing.
 *
 * Cost of an all-reduce: alpha (to meet and to part) + beta*2n, n read and n written by each of p members that share
 * memory's bandwidth, + gamma*n*(p-1)/p. Any count; groups of 2 to CB_MOST_AT_A_MEETING.
 *
 * What is counted as sent: the pieces of a member's data that others need, whoever carries them, as if they were sent
 * directly (all_reduce_blocks.c, reduce_scatter_direct.c, all_gather_direct.c); for a broadcast one message per
 * receiver. */
#include <stddef.h>

#include "collectives/algorithms.h"

enum { MOST_PIECE_BYTES = 16384, LEAST_PIECE_BYTES = 1024, CACHE_BYTES = 1 << 18 };

/* Elements of a piece: one of each of `size` operands shall stay in the cache of a core together. */
static int64_t piece_elements(int size, cb_type type) {
    int64_t bytes = CACHE_BYTES / size / LEAST_PIECE_BYTES * LEAST_PIECE_BYTES;
    if (bytes > MOST_PIECE_BYTES) bytes = MOST_PIECE_BYTES;
    if (bytes < LEAST_PIECE_BYTES) bytes = LEAST_PIECE_BYTES;
    return bytes / cb_type_bytes(type);
}

static int64_t pieces_of(int size, int64_t count, cb_type type) {
    if (count * cb_type_bytes(type) <= LEAST_PIECE_BYTES) return count > 0;
    int64_t each = piece_elements(size, type);
    return (count + each - 1) / each;
}

int64_t cb_meeting_pieces(int size, int64_t count, cb_type type) {
    return pieces_of(size, count, type);
}

/* A piece of a block of count elements, in bytes from the block's start. */
typedef struct span {
    int64_t begin_bytes, count, bytes;
} span;

static span span_of(const cb_meeting *m, int64_t piece) {
    const cb_call *call = cb_meeting_call(m, 0);
    int64_t each = piece_elements(cb_meeting_size(m), call->type), E = cb_type_bytes(call->type);
    int64_t left = call->count - piece * each, count = left < each ? left : each;
    return (span){piece * each * E, count, count * E};
}

/* to = the reduction of all members' `from`, at the same place in each */
static void reduce_at(const cb_meeting *m, char *to, int64_t from_bytes, int64_t count) {
    const void *operands[CB_MOST_AT_A_MEETING];
    const cb_call *call = cb_meeting_call(m, 0);
    int size = cb_meeting_size(m);
    for (int i = 0; i < size; i++) operands[i] = (const char *)cb_meeting_call(m, i)->from + from_bytes;
    cb_device_host()->reduce(to, operands, size, count, call->type, call->op);
}

static void all_reduce_piece(const cb_meeting *m, int64_t piece) {
    const void *from[CB_MOST_AT_A_MEETING];
    void *to[CB_MOST_AT_A_MEETING];
    span s = span_of(m, piece);
    const cb_call *call = cb_meeting_call(m, 0);
    for (int i = 0; i < cb_meeting_size(m); i++) {
        from[i] = (const char *)cb_meeting_call(m, i)->from + s.begin_bytes;
        to[i] = (char *)cb_meeting_call(m, i)->to + s.begin_bytes;
    }
    cb_device_host()->reduce_to_all(to, from, cb_meeting_size(m), s.count, call->type, call->op);
}

static void all_reduce_alone(const cb_meeting *m, const cb_call *own) {
    const void *operands[CB_MOST_AT_A_MEETING];
    const int64_t bytes = own->count * cb_type_bytes(own->type);
    for (int i = 0; i < cb_meeting_size(m); i++) operands[i] = cb_meeting_brought(m, i, bytes);
    cb_device_host()->reduce(own->to, operands, cb_meeting_size(m), own->count, own->type, own->op);
}

/* The blocks of all members one after the other, each in pieces: member's share of the work is its own block. */
static int64_t pieces_per_block(const cb_meeting *m) {
    const cb_call *call = cb_meeting_call(m, 0);
    return pieces_of(cb_meeting_size(m), call->count, call->type);
}

static void reduce_scatter_piece(const cb_meeting *m, int64_t piece) {
    const int64_t per_block = pieces_per_block(m), member = piece / per_block;
    const cb_call *call = cb_meeting_call(m, (int)member);
    span s = span_of(m, piece % per_block);
    int64_t block_bytes = call->count * cb_type_bytes(call->type);
    reduce_at(m, (char *)call->to + s.begin_bytes, member * block_bytes + s.begin_bytes, s.count);
}

static void all_gather_piece(const cb_meeting *m, int64_t piece) {
    const int64_t per_block = pieces_per_block(m), member = piece / per_block;
    const cb_call *call = cb_meeting_call(m, (int)member);
    span s = span_of(m, piece % per_block);
    int64_t at_bytes = member * call->count * cb_type_bytes(call->type) + s.begin_bytes;
    for (int i = 0; i < cb_meeting_size(m); i++)
        cb_device_host()->copy((char *)cb_meeting_call(m, i)->to + at_bytes, (const char *)call->from + s.begin_bytes,
                               s.bytes);
}

static void broadcast_piece(const cb_meeting *m, int64_t piece) {
    const int root = cb_meeting_call(m, 0)->root;
    const char *from = cb_meeting_call(m, root)->from;
    span s = span_of(m, piece);
    for (int i = 0; i < cb_meeting_size(m); i++)
        cb_device_host()->copy((char *)cb_meeting_call(m, i)->to + s.begin_bytes, from + s.begin_bytes, s.bytes);
}

static void reduce_piece(const cb_meeting *m, int64_t piece) {
    const cb_call *root = cb_meeting_call(m, cb_meeting_call(m, 0)->root);
    span s = span_of(m, piece);
    const void *operands[CB_MOST_AT_A_MEETING];
    const int size = cb_meeting_size(m);
    for (int i = 0; i < size; i++) /* in order of members counted from the root */
        operands[i] = (const char *)cb_meeting_call(m, (root->root + i) % size)->from + s.begin_bytes;
    cb_device_host()->reduce((char *)root->to + s.begin_bytes, operands, size, s.count, root->type, root->op);
}

/* Blocks as member * size + from whom; the member's share is what it receives. */
static void all_to_all_piece(const cb_meeting *m, int64_t piece) {
    const int64_t per_block = pieces_per_block(m), block = piece / per_block, size = cb_meeting_size(m);
    const int to = (int)(block / size), from = (int)(block % size);
    const cb_call *call = cb_meeting_call(m, 0);
    span s = span_of(m, piece % per_block);
    int64_t block_bytes = call->count * cb_type_bytes(call->type);
    cb_device_host()->copy((char *)cb_meeting_call(m, to)->to + from * block_bytes + s.begin_bytes,
                           (const char *)cb_meeting_call(m, from)->from + to * block_bytes + s.begin_bytes, s.bytes);
}

static void nothing_alone(const cb_meeting *m, const cb_call *own) {
    (void)m;
    (void)own;
}

/* The member's own sends, by the rule at the top. */
static cb_traffic sends_of(const cb_group *group, const cb_call *call) {
    cb_traffic sent = {0};
    const int64_t E = cb_type_bytes(call->type), own = cb_block_count(call->count, group->size, group->me);
    for (int i = 0; i < group->size; i++) {
        if (i == group->me) continue;
        if (call->kind == CB_BROADCAST && group->me != call->root) continue;
        if (call->kind == CB_REDUCE && (group->me == call->root || i != call->root)) continue;
        if (call->kind == CB_ALL_REDUCE) { /* its piece of i's block, and its block's result to i */
            sent.messages += 2;
            sent.bytes += (cb_block_count(call->count, group->size, i) + own) * E;
        } else {
            sent.messages++;
            sent.bytes += call->count * E;
        }
    }
    return sent;
}

static cb_work work_of(const cb_call *call, int size) {
    int64_t pieces = pieces_of(size, call->count, call->type), bytes = call->count * cb_type_bytes(call->type);
    switch (call->kind) {
    case CB_ALL_REDUCE:
        return (cb_work){pieces, all_reduce_piece, all_reduce_alone, bytes};
    case CB_REDUCE_SCATTER:
        return (cb_work){size * pieces, reduce_scatter_piece, NULL, 0};
    case CB_ALL_GATHER:
        return (cb_work){size * pieces, all_gather_piece, NULL, 0};
    case CB_REDUCE:
        return (cb_work){pieces, reduce_piece, NULL, 0};
    case CB_ALL_TO_ALL:
        return (cb_work){(int64_t)size * size * pieces, all_to_all_piece, NULL, 0};
    case CB_BROADCAST:
        return (cb_work){pieces, broadcast_piece, NULL, 0};
    default:
        return (cb_work){0, NULL, nothing_alone, 0};
    }
}

cb_err cb_exchange_meet(cb_exchange *x, const cb_call *call) {
    cb_work work = work_of(call, x->group->size);
    TRY(cb_group_meet(x->group, call, &work, (int)(x->sequence & 0x7fffffff), &x->reqs[x->posted]));
    cb_exchange_open(x);
    cb_traffic sent = sends_of(x->group, call); /* after the call stands where the others look for it */
    cb_group_count(x->group, call->kind, &sent);
    if (x->event) x->event->bytes += sent.bytes;
    x->posted++;
    return CB_OK;
}

cb_err cb_exchange_meet_and_part(cb_group *group, const cb_call *call) {
    cb_req *req;
    cb_exchange x = cb_exchange_begin(group, call->kind, call->type, true, &req, 1);
    cb_err e = cb_exchange_meet(&x, call);
    return cb_exchange_end(&x, e ? e : cb_exchange_wait(&x));
}
