/* Arithmetic of patterns; see pattern.h. */
#include "collectives/pattern.h"

#include "collectives/algorithms.h"

int64_t cb_pattern_elements(const cb_pattern *pattern, const cb_shape *shape) {
    bool whole = pattern->kind == CB_ALL_REDUCE || pattern->kind == CB_REDUCE || pattern->kind == CB_BROADCAST;
    return whole ? shape->count : shape->size * shape->count;
}

int cb_pattern_most_steps(const cb_pattern *pattern, int size) {
    (void)pattern;
    return size > CB_MOST_TREE_STEPS ? size : CB_MOST_TREE_STEPS;
}

/* Of a run of blocks, which may go over the end to the first block again. */
static int64_t run_count(int first, int run, int64_t total, int n) {
    int begin = cb_modulo(first, n), end = begin + run;
    int64_t over = end > n ? cb_block_begin(total, n, end - n) : 0;
    return cb_block_begin(total, n, end > n ? n : end) - cb_block_begin(total, n, begin) + over;
}

int64_t cb_blocks_count(const cb_blocks *b, int64_t total, int n) {
    int64_t count = 0;
    for (int i = 0; i < b->span; i += b->stride)
        count += run_count(b->first + i, b->span - i < b->run ? b->span - i : b->run, total, n);
    return count;
}

bool cb_blocks_are_one_run(const cb_blocks *b, int n) {
    return b->run >= b->span && cb_modulo(b->first, n) + b->span <= n;
}

bool cb_step_receives_apart(const cb_step *s, int n) {
    return s->from >= 0 && (s->combine != CB_PUT || !cb_blocks_are_one_run(&s->recv, n));
}

int64_t cb_pattern_scratch(const cb_pattern *pattern, const cb_shape *shape, cb_step *steps) {
    const int n = pattern->blocks(shape), rounds = pattern->rounds(shape);
    const int64_t total = cb_pattern_elements(pattern, shape);
    int64_t most = 0;
    for (int r = 0; r < rounds; r++) {
        int64_t used = 0;
        int count = pattern->steps(shape, r, steps);
        for (int i = 0; i < count; i++) {
            const cb_step *s = &steps[i];
            if (cb_step_receives_apart(s, n)) used += cb_blocks_count(&s->recv, total, n);
            if (s->to >= 0 && !cb_blocks_are_one_run(&s->send, n)) used += cb_blocks_count(&s->send, total, n);
        }
        if (used > most) most = used;
    }
    return most;
}
