/* The loop that runs every pattern; see course.h. In a round receives are posted before sends. Blocks that are to be
 * reduced, or do not lie together, pass through scratch; its parts are dealt out in order of the steps, receives and
 * sends of each, the same way when posting and when settling. All rounds have one tag: messages of a pair keep their
 * order, and members that run different patterns meet and find out. */
#include "collectives/course.h"

#include "collectives/algorithms.h"

typedef struct layout {
    const cb_course *c;
    int n; /* blocks */
    int64_t total, element_bytes;
} layout;

static layout layout_of(const cb_course *c) {
    return (layout){c, c->pattern->blocks(&c->shape), cb_pattern_elements(c->pattern, &c->shape),
                    cb_type_bytes(c->exchange->type)};
}

static int member_of(const cb_course *c, int place) {
    return (place + c->root) % c->shape.size;
}

static int64_t place_bytes(const layout *l, int block) {
    return cb_block_begin(l->total, l->n, cb_modulo(block, l->n)) * l->element_bytes;
}

/* Copies blocks between their places and a packed row, one run after the other, cut where the blocks begin anew. */
static void pack(const layout *l, const cb_blocks *b, char *blocks, char *packed, bool in) {
    for (int i = 0; i < b->span; i += b->stride) {
        int run = b->span - i < b->run ? b->span - i : b->run;
        for (int done = 0; done < run;) {
            int first = cb_modulo(b->first + i + done, l->n),
                part = l->n - first < run - done ? l->n - first : run - done;
            cb_blocks piece = cb_block_range(first, part);
            int64_t bytes = cb_blocks_count(&piece, l->total, l->n) * l->element_bytes;
            char *place = blocks + place_bytes(l, first);
            cb_device_host()->copy(in ? place : packed, in ? packed : place, bytes);
            packed += bytes;
            done += part;
        }
    }
}

/* The parts of scratch that a step uses; -1: none. Moves *used on. */
typedef struct parts {
    int64_t recv, send;
} parts;

static parts parts_of(const layout *l, const cb_step *s, int64_t *used) {
    parts at = {-1, -1};
    if (cb_step_receives_apart(s, l->n)) {
        at.recv = *used;
        *used += cb_blocks_count(&s->recv, l->total, l->n) * l->element_bytes;
    }
    if (s->to >= 0 && !cb_blocks_are_one_run(&s->send, l->n)) {
        at.send = *used;
        *used += cb_blocks_count(&s->send, l->total, l->n) * l->element_bytes;
    }
    /* operands of a tree lie in order of members */
    if (s->from >= 0 && s->combine == CB_TREE)
        at.recv = (s->from - (s->from > l->c->shape.me)) * cb_blocks_count(&s->recv, l->total, l->n) * l->element_bytes;
    return at;
}

static cb_err post_recv(const layout *l, const cb_step *s, parts at) {
    const cb_course *c = l->c;
    char *to = at.recv >= 0 ? c->scratch + at.recv : c->data + place_bytes(l, s->recv.first);
    return cb_exchange_recv(c->exchange, member_of(c, s->from), to, cb_blocks_count(&s->recv, l->total, l->n));
}

static cb_err post_send(const layout *l, const cb_step *s, parts at) {
    const cb_course *c = l->c;
    const char *from = c->part ? c->part : c->from + place_bytes(l, s->send.first);
    if (at.send >= 0) {
        pack(l, &s->send, (char *)c->from, c->scratch + at.send, false); /* only read */
        from = c->scratch + at.send;
    }
    return cb_exchange_send(c->exchange, member_of(c, s->to), from, cb_blocks_count(&s->send, l->total, l->n));
}

cb_err cb_course_post(cb_course *c, int round) {
    layout l = layout_of(c);
    int steps = c->pattern->steps(&c->shape, round, c->steps);
    for (int sends = 0; sends < 2; sends++) {
        int64_t used = 0;
        for (int i = 0; i < steps; i++) {
            const cb_step *s = &c->steps[i];
            parts at = parts_of(&l, s, &used);
            if (!sends && s->from >= 0) TRY(post_recv(&l, s, at));
            if (sends && s->to >= 0) TRY(post_send(&l, s, at));
        }
    }
    return CB_OK;
}

/* What was received on the right of the own if it comes from a higher place. */
static void add(const layout *l, cb_course *c, const cb_step *s, const char *received) {
    for (int i = 0; i < s->recv.span; i++) {
        if (i % s->recv.stride >= s->recv.run) continue;
        char *own = c->data + place_bytes(l, s->recv.first + i);
        int64_t count = cb_block_count(l->total, l->n, cb_modulo(s->recv.first + i, l->n));
        bool right = s->from > c->shape.me;
        const char *mine = c->own ? c->own : own;
        const void *operands[2] = {right ? mine : received, right ? received : mine};
        cb_device_host()->reduce(own, operands, 2, count, c->exchange->type, c->op);
        c->own = NULL;
        received += count * l->element_bytes;
    }
}

static void reduce_tree(const layout *l, const cb_step *s) {
    const cb_course *c = l->c;
    int64_t at = place_bytes(l, s->recv.first);
    cb_pieces pieces = {.to = c->result ? c->result : c->data + at,
                        .own = c->from + at,
                        .pieces = c->scratch,
                        .me = c->shape.me,
                        .size = c->shape.size,
                        .count = cb_blocks_count(&s->recv, l->total, l->n)};
    cb_pieces_reduce(&pieces, c->exchange->type, c->op);
}

void cb_course_settle(cb_course *c, int round) {
    layout l = layout_of(c);
    int steps = c->pattern->steps(&c->shape, round, c->steps);
    int64_t used = 0;
    if (steps > 0 && c->steps[0].combine == CB_TREE) {
        reduce_tree(&l, &c->steps[0]);
        return;
    }
    for (int i = 0; i < steps; i++) {
        const cb_step *s = &c->steps[i];
        parts at = parts_of(&l, s, &used);
        if (at.recv < 0) continue;
        if (s->combine == CB_ADD)
            add(&l, c, s, c->scratch + at.recv);
        else
            pack(&l, &s->recv, c->data, c->scratch + at.recv, true);
    }
}
