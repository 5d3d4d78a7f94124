/* Pipelines over binary trees; see trees.h. */
#include "collectives/trees.h"

#include "collectives/algorithms.h"

enum { CHUNK_ELEMENTS = 1 << 14, MOST_CHUNKS = 32 };

static int depth_of(int v) {
    int depth = 0;
    for (v++; v > 1; v /= 2) depth++;
    return depth;
}

int cb_tree_rounds(int size, int chunks, int ways) {
    return size < 2 ? 0 : ways * depth_of(size - 1) + chunks - 1;
}

int cb_tree_chunks(const cb_shape *s) {
    int64_t chunks = (s->count + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS;
    return (int)(chunks < 1 ? 1 : chunks > MOST_CHUNKS ? MOST_CHUNKS : chunks);
}

int cb_two_trees_chunks(const cb_shape *s) {
    int chunks = cb_tree_chunks(s);
    return chunks + chunks % 2;
}

typedef struct cursor { /* one member's steps of a round */
    const cb_tree *tree;
    cb_step *out;
    int count;
} cursor;

static int member_at(const cb_tree *t, int v) {
    return t->mirrored ? t->size - 1 - v : v;
}

static bool is_chunk(const cb_tree *t, int chunk) {
    return chunk >= 0 && chunk < t->chunks;
}

static void send(cursor *c, int v, int chunk) {
    if (!is_chunk(c->tree, chunk)) return;
    c->out[c->count++] = (cb_step){.to = member_at(c->tree, v),
                                   .from = -1,
                                   .send = cb_one_block(c->tree->first_chunk + chunk),
                                   .recv = cb_no_blocks()};
}

static void receive(cursor *c, int v, int chunk, cb_combine combine) {
    if (!is_chunk(c->tree, chunk)) return;
    c->out[c->count++] = (cb_step){.to = -1,
                                   .from = member_at(c->tree, v),
                                   .send = cb_no_blocks(),
                                   .recv = cb_one_block(c->tree->first_chunk + chunk),
                                   .combine = combine};
}

/* Member v at depth d of h levels: chunk j leaves it upwards in round h - d + j, and downwards in round begin + d + j,
 * where begin is the round in which the root sends its first. */
int cb_tree_steps(const cb_tree *t, int me, int round, cb_step *out) {
    const int v = member_at(t, me), d = depth_of(v), h = depth_of(t->size - 1), begin = t->up ? h : 0;
    cursor c = {t, out, 0};
    for (int child = 2 * v + 1; child <= 2 * v + 2 && child < t->size; child++) {
        if (t->up) receive(&c, child, round - (h - d - 1), CB_ADD);
        if (t->down) send(&c, child, round - begin - d);
    }
    if (v > 0) {
        int parent = (v - 1) / 2;
        if (t->up) send(&c, parent, round - (h - d));
        if (t->down) receive(&c, parent, round - begin - (d - 1), CB_PUT);
    }
    return c.count;
}

int cb_two_trees_steps(const cb_shape *s, bool up, bool down, int round, cb_step *out) {
    const int half = cb_two_trees_chunks(s) / 2, last = s->size - 1;
    cb_tree trees[2] = {{s->size, half, 0, up, down, false}, {s->size, half, half, up, down, true}};
    bool crosses = up != down;
    int rounds = cb_tree_rounds(s->size, half, 1), crossing = up ? rounds : 0;
    if (crosses && round == crossing) {
        int from = up ? last : 0, to = last - from;
        cb_blocks moved = cb_block_range(half, half);
        if (s->me != from && s->me != to) return 0;
        out[0] = (cb_step){s->me == from ? to : -1, s->me == to ? from : -1, moved, moved, CB_PUT};
        return 1;
    }
    if (crosses && down) round--;
    int steps = cb_tree_steps(&trees[0], s->me, round, out);
    return steps + cb_tree_steps(&trees[1], s->me, round, out + steps);
}
