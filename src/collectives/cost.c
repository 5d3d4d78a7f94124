/* Costs of the collectives: one row or function per formula that stands on top of an algorithm's file. Pure: no
 * messages, no memory. p is the group's size, n the count. */
#include "collectives/cost.h"

#include <stddef.h>

#include "collectives/algorithms.h"

static bool meets(bool shared, int size) {
    return shared && size > 1 && size <= CB_MOST_AT_A_MEETING;
}

cb_all_reduce_way cb_all_reduce_choose(cb_means means, int size, int64_t count) {
    return cb_all_reduce_way_of(cb_choose(CB_ALL_REDUCE, means, size, count)->pattern);
}

const char *cb_all_reduce_way_name(cb_all_reduce_way way) {
    const cb_pattern *pattern = cb_all_reduce_pattern(way);
    return pattern ? pattern->name : "shared";
}

/* The most that any member needs. */
static int64_t scratch_by_pattern(cb_all_reduce_way way, int size, int64_t count) {
    cb_step steps[CB_MOST_TREE_STEPS];
    int64_t most = 0;
    for (int i = 0; i < size; i++) {
        cb_shape shape = {size, i, 0, count};
        int64_t elements = cb_pattern_scratch(cb_all_reduce_pattern(way), &shape, steps);
        if (elements > most) most = elements;
    }
    return most;
}

static int64_t scratch_elements(cb_all_reduce_way way, int size, int64_t count) {
    if (size == 1) return 0;
    switch (way) {
    case CB_BY_DIRECT:
        return (size - 1) * count;
    case CB_BY_BLOCKS:
        return (size - 1) * cb_block_count(count, size, 0);
    case CB_BY_DOUBLING:
    case CB_BY_TREE:
        return count;
    case CB_BY_MEETING:
        return 0;
    default:
        return scratch_by_pattern(way, size, count);
    }
}

int64_t cb_all_reduce_scratch_by(cb_all_reduce_way way, int size, int64_t count, cb_type type) {
    return scratch_elements(way, size, count) * cb_type_bytes(type);
}

int64_t cb_all_reduce_scratch_bytes(cb_means means, int size, int64_t count, cb_type type) {
    return cb_all_reduce_scratch_by(cb_all_reduce_choose(means, size, count), size, count, type);
}

/* Within the limits of a row or rule scratch grows with the count, so the most is at one of their upper ends. */
int64_t cb_all_reduce_scratch_most(cb_means means, int size, int64_t count, cb_type type) {
    int64_t blocks_from =
        (int64_t)CB_SMALL_BLOCK * size > CB_SMALL_COUNT ? (int64_t)CB_SMALL_BLOCK * size : CB_SMALL_COUNT;
    int64_t most = 0, ends[2 + 2 * CB_MOST_RULES] = {count, blocks_from - 1};
    int n = 2;
    for (int i = 0; means.selection && i < means.selection->count; i++) {
        ends[n++] = means.selection->rule[i].least_count - 1;
        ends[n++] = means.selection->rule[i].most_count;
    }
    for (int i = 0; i < n; i++) {
        int64_t end = ends[i] < 0 ? 0 : ends[i] < count ? ends[i] : count;
        int64_t bytes = cb_all_reduce_scratch_bytes(means, size, end, type);
        if (bytes > most) most = bytes;
    }
    return most;
}

static int binomial_children(int size, int v) {
    int children = 0;
    for (int d = cb_binomial_bit(size, v) / 2; d > 0; d /= 2) children += v + d < size;
    return children;
}

/* messages of n elements each */
static cb_cost whole(int64_t messages, int64_t count, cb_type type) {
    return (cb_cost){messages, messages * count * cb_type_bytes(type)};
}

/* every block but the own one once, then the own one to all */
static cb_cost blocks(int size, int index, int64_t count, cb_type type) {
    int64_t own = cb_block_count(count, size, index);
    return (cb_cost){2 * (size - 1), (count - own + (size - 1) * own) * cb_type_bytes(type)};
}

cb_cost cb_pattern_cost(const cb_pattern *pattern, const cb_shape *shape, cb_type type, cb_step *steps) {
    const int n = pattern->blocks(shape), rounds = pattern->rounds(shape);
    cb_cost cost = {0};
    for (int r = 0; r < rounds; r++) {
        int found = pattern->steps(shape, r, steps);
        for (int i = 0; i < found; i++) {
            if (steps[i].to < 0) continue;
            cost.messages++;
            cost.bytes += cb_blocks_count(&steps[i].send, cb_pattern_elements(pattern, shape), n) * cb_type_bytes(type);
        }
    }
    return cost;
}

cb_cost cb_all_reduce_cost_by(cb_all_reduce_way way, int size, int index, int64_t count, cb_type type) {
    cb_step steps[CB_MOST_TREE_STEPS];
    cb_shape shape = {.size = size, .me = index, .count = count};
    switch (way) {
    case CB_BY_BLOCKS:
    case CB_BY_MEETING: /* which counts what it does as if it were sent so */
        return blocks(size, index, count, type);
    case CB_BY_DIRECT:
        return whole(size - 1, count, type);
    case CB_BY_TREE:
        return whole((index > 0) + binomial_children(size, index), count, type);
    default:
        return cb_pattern_cost(cb_all_reduce_pattern(way), &shape, type, steps);
    }
}

cb_cost cb_collective_cost(cb_means means, cb_kind kind, int size, int index, int64_t count, cb_type type) {
    cb_step steps[CB_MOST_TREE_STEPS];
    const cb_algorithm *a = kind == CB_ALL_REDUCE ? NULL : cb_choose(kind, means, size, count);
    cb_shape shape = {.size = size, .me = index, .count = count};
    if (a && a->pattern && size > 1 && !(a->pattern->traits & CB_STRAIGHT)) /* these have closed forms */
        return cb_pattern_cost(a->pattern, &shape, type, steps);
    switch (kind) {
    case CB_ALL_REDUCE:
        return cb_all_reduce_cost_by(cb_all_reduce_choose(means, size, count), size, index, count, type);
    case CB_ALL_GATHER:
    case CB_REDUCE_SCATTER:
    case CB_ALL_TO_ALL:
        return whole(size - 1, count, type);
    case CB_BROADCAST:
        return whole(index == 0 ? size - 1 : 0, count, type);
    case CB_REDUCE:
        return whole(index > 0, count, type);
    case CB_BARRIER:
        return whole(meets(means.shared, size) ? size - 1 : cb_rounds(size), 0, type);
    default:
        return whole(1, count, type);
    }
}
