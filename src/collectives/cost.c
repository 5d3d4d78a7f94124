/* Costs of the collectives: one row or function per formula that stands on top of an algorithm's file. Pure: no
 * messages, no memory. p is the group's size, n the count. */
#include "collectives/cost.h"

#include "collectives/algorithms.h"

static bool is_power_of_two(int size) {
    return (size & (size - 1)) == 0;
}

static bool meets(bool shared, int size) {
    return shared && size > 1 && size <= CB_MOST_AT_A_MEETING;
}

cb_all_reduce_way cb_all_reduce_choose(bool shared, int size, int64_t count) {
    if (meets(shared, size)) return CB_BY_MEETING;
    if (count >= CB_SMALL_COUNT && count / size >= CB_SMALL_BLOCK) return CB_BY_BLOCKS;
    if (size <= CB_DIRECT_SIZE) return CB_BY_DIRECT;
    return is_power_of_two(size) ? CB_BY_DOUBLING : CB_BY_TREE;
}

const char *cb_all_reduce_way_name(cb_all_reduce_way way) {
    static const char *const names[] = {"direct", "blocks", "doubling", "tree", "shared"};
    return names[way];
}

int64_t cb_all_reduce_scratch_by(cb_all_reduce_way way, int size, int64_t count, cb_type type) {
    if (size == 1) return 0;
    int64_t elements[CB_ALL_REDUCE_WAYS] = {
        [CB_BY_DIRECT] = (size - 1) * count,
        [CB_BY_BLOCKS] = (size - 1) * cb_block_count(count, size, 0),
        [CB_BY_DOUBLING] = count,
        [CB_BY_TREE] = count,
        [CB_BY_MEETING] = 0,
    };
    return elements[way] * cb_type_bytes(type);
}

int64_t cb_all_reduce_scratch_bytes(bool shared, int size, int64_t count, cb_type type) {
    return cb_all_reduce_scratch_by(cb_all_reduce_choose(shared, size, count), size, count, type);
}

int64_t cb_all_reduce_scratch_most(bool shared, int size, int64_t count, cb_type type) {
    int64_t blocks_from = (int64_t)CB_SMALL_BLOCK * size > CB_SMALL_COUNT ? (int64_t)CB_SMALL_BLOCK * size : CB_SMALL_COUNT;
    int64_t small = count < blocks_from ? count : blocks_from - 1;
    int64_t whole_bytes = cb_all_reduce_scratch_bytes(shared, size, small, type);
    int64_t bytes = cb_all_reduce_scratch_bytes(shared, size, count, type);
    return bytes > whole_bytes ? bytes : whole_bytes;
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

cb_cost cb_all_reduce_cost_by(cb_all_reduce_way way, int size, int index, int64_t count, cb_type type) {
    switch (way) {
    case CB_BY_BLOCKS:
    case CB_BY_MEETING: /* which counts what it does as if it were sent so */
        return blocks(size, index, count, type);
    case CB_BY_DOUBLING:
        return whole(cb_rounds(size), count, type);
    case CB_BY_TREE:
        return whole((index > 0) + binomial_children(size, index), count, type);
    default:
        return whole(size - 1, count, type);
    }
}

cb_cost cb_collective_cost(bool shared, cb_kind kind, int size, int index, int64_t count, cb_type type) {
    switch (kind) {
    case CB_ALL_REDUCE:
        return cb_all_reduce_cost_by(cb_all_reduce_choose(shared, size, count), size, index, count, type);
    case CB_ALL_GATHER:
    case CB_REDUCE_SCATTER:
        return whole(size - 1, count, type);
    case CB_BROADCAST:
        if (meets(shared, size)) return whole(index == 0 ? size - 1 : 0, count, type);
        return whole(binomial_children(size, index), count, type);
    case CB_BARRIER:
        return whole(meets(shared, size) ? size - 1 : cb_rounds(size), 0, type);
    default:
        return whole(1, count, type);
    }
}
