/* All-reduce inside a node, then between: neighbours on a node reduce to their first member by a binomial tree, the first
 * members of all nodes all-reduce by a ring, and each hands the result on inside its node. With g members on a node and
 * m nodes only 2n*(m-1)/m elements per node cross between nodes.
 * Cost: ceil(log2 g)*(2*alpha + 2*beta*n + gamma*n) of the links inside, + 2*alpha*(m-1) + 2*beta*n*(m-1)/m +
 * gamma*n*(m-1)/m of those between. Any size, any count; the last node may be smaller. Where the node is unknown it is
 * taken as the power of two next to the root of p. Source: the two levels of MPICH and of Open MPI's HAN. */
#include "collectives/algorithms.h"

static int node_of(const cb_shape *s) {
    if (s->node > 0) return s->node < s->size ? s->node : s->size;
    int g = 1;
    while (4 * g * g <= s->size) g *= 2;
    return g < 2 && s->size >= 2 ? 2 : g;
}

static int nodes_of(const cb_shape *s) {
    return (s->size + node_of(s) - 1) / node_of(s);
}

static int blocks(const cb_shape *s) {
    return nodes_of(s);
}

static int rounds(const cb_shape *s) {
    return 2 * cb_rounds(node_of(s)) + 2 * (nodes_of(s) - 1);
}

/* Steps inside a node of `inside` members are those of its own binomial tree, counted from its first member. */
static int moved(cb_step *out, int steps, int first) {
    for (int i = 0; i < steps; i++) {
        if (out[i].to >= 0) out[i].to += first;
        if (out[i].from >= 0) out[i].from += first;
    }
    return steps;
}

static int ring(const cb_shape *s, int round, cb_step *out) {
    const int g = node_of(s), m = nodes_of(s);
    cb_shape leaders = {.size = m, .me = s->me / g};
    if (s->me % g) return 0;
    int steps = cb_all_reduce_ring.steps(&leaders, round, out);
    for (int i = 0; i < steps; i++) {
        out[i].to *= g;
        out[i].from *= g;
    }
    return steps;
}

static int steps(const cb_shape *s, int round, cb_step *out) {
    const int g = node_of(s), m = nodes_of(s), levels = cb_rounds(g), between = 2 * (m - 1);
    const int first = s->me / g * g, inside = s->size - first < g ? s->size - first : g;
    const cb_blocks all = cb_block_range(0, m);
    if (round < levels) return moved(out, cb_binomial_up(inside, s->me - first, 1 << round, all, out), first);
    if (round < levels + between) return ring(s, round - levels, out);
    int distance = 1 << (levels - 1 - (round - levels - between));
    return moved(out, cb_binomial_down(inside, s->me - first, distance, all, out), first);
}

const cb_pattern cb_all_reduce_hierarchical = {
    "hierarchical", CB_ALL_REDUCE, CB_ANY_ORDER, 0, blocks, rounds, steps};
