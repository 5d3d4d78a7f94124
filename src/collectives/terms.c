/* Terms of the cost model; see terms.h. A member's steps of a round run side by side, rounds one after the other. */
#include "collectives/terms.h"

#include "collectives/algorithms.h"

typedef struct sums {
    double messages, sent, reduced, moved; /* of one member in one round, or of all */
} sums;

/* A message is read at its sender and written at its receiver. Its reduction reads it and the own, and writes the own;
 * a tree reads the own once for all. What does not lie together is copied once more on either side. */
static sums sums_of(const cb_pattern *pattern, const cb_shape *shape, int round, cb_type type, cb_step *steps) {
    const int n = pattern->blocks(shape), found = pattern->steps(shape, round, steps);
    const int64_t total = cb_pattern_elements(pattern, shape), E = cb_type_bytes(type);
    double in = 0, out = 0;
    int sends = 0, receives = 0;
    sums s = {0};
    for (int i = 0; i < found; i++) {
        const cb_step *step = &steps[i];
        double sent = step->to < 0 ? 0 : (double)(cb_blocks_count(&step->send, total, n) * E);
        double received = step->from < 0 ? 0 : (double)(cb_blocks_count(&step->recv, total, n) * E);
        sends += step->to >= 0;
        receives += step->from >= 0;
        out += sent;
        in += received;
        s.moved += sent + received;
        if (sent > 0 && !cb_blocks_are_one_run(&step->send, n)) s.moved += 2 * sent;
        if (step->combine == CB_ADD || step->combine == CB_TREE) {
            s.reduced += received;
            s.moved += step->combine == CB_ADD ? 3 * received : i == 0 ? 3 * received : received;
        } else if (cb_step_receives_apart(step, n)) {
            s.moved += 2 * received;
        }
    }
    s.messages = sends > receives ? sends : receives;
    s.sent = in > out ? in : out;
    return s;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

static void add_round(cb_terms *terms, const cb_pattern *pattern, cb_shape shape, int round, cb_type type, int cores,
                      cb_step *steps) {
    sums all = {0}, most = {0};
    for (shape.me = 0; shape.me < shape.size; shape.me++) {
        sums one = sums_of(pattern, &shape, round, type, steps);
        most = (sums){larger(most.messages, one.messages), larger(most.sent, one.sent),
                      larger(most.reduced, one.reduced), 0};
        all =
            (sums){all.messages + one.messages, all.sent + one.sent, all.reduced + one.reduced, all.moved + one.moved};
    }
    terms->messages += larger(most.messages, all.messages / cores);
    terms->sent_bytes += larger(most.sent, all.sent / cores);
    terms->reduced_bytes += larger(most.reduced, all.reduced / cores);
    terms->moved_bytes += all.moved;
}

/* Cores that work at a meeting, in the mean: the last pieces may be too few for all. */
static double at_once_of(cb_kind kind, int size, int64_t count, cb_type type, int cores) {
    const int workers = size < cores ? size : cores;
    int64_t pieces = cb_meeting_pieces(size, count, type);
    if (kind == CB_REDUCE_SCATTER || kind == CB_ALL_GATHER) pieces *= size;
    if (kind == CB_ALL_TO_ALL) pieces *= (int64_t)size * size;
    return pieces > 0 ? (double)pieces / (double)((pieces + workers - 1) / workers) : 1;
}

/* In and out are of all members together. */
cb_terms cb_operation_least(cb_kind kind, int size, int64_t count, cb_type type) {
    const double n_bytes = (double)(count * cb_type_bytes(type));
    double in = size * n_bytes, out = size * n_bytes;
    if (size == 1) return (cb_terms){0};
    if (kind == CB_REDUCE) out = n_bytes;
    if (kind == CB_BROADCAST) in = n_bytes, out = (size - 1) * n_bytes;
    if (kind == CB_REDUCE_SCATTER) in *= size;
    if (kind == CB_ALL_GATHER) out *= size;
    if (kind == CB_ALL_TO_ALL) in *= size, out *= size;
    bool in_place = kind == CB_ALL_REDUCE || kind == CB_BROADCAST;
    return (cb_terms){.moved_bytes = in + out, .set_bytes = in_place ? size * n_bytes : in + out};
}

/* A meeting's pieces (shared.c): operands are read where they lie, results written where they are wanted. */
static cb_terms of_meeting(cb_kind kind, int size, int64_t count, cb_type type, int cores) {
    const double at_once = at_once_of(kind, size, count, type, cores), n_bytes = (double)(count * cb_type_bytes(type));
    cb_terms terms = cb_operation_least(kind, size, count, type);
    if (kind == CB_ALL_REDUCE || kind == CB_REDUCE) terms.reduced_bytes = (size - 1) * n_bytes / at_once;
    if (kind == CB_REDUCE_SCATTER) terms.reduced_bytes = (double)size * (size - 1) * n_bytes / at_once;
    terms.messages = 1;
    terms.sent_bytes = terms.moved_bytes / 2 / at_once;
    return terms;
}

cb_terms cb_algorithm_terms(const cb_algorithm *a, int size, int64_t count, cb_type type, int cores, cb_step *steps) {
    const cb_pattern *p = a->pattern;
    const double E = (double)cb_type_bytes(type);
    if (size == 1) return (cb_terms){0};
    if (!p) return of_meeting(a->kind, size, count, type, cores);
    cb_shape shape = {.size = size, .count = count};
    cb_terms terms = {0};
    for (int round = 0; round < p->rounds(&shape); round++) add_round(&terms, p, shape, round, type, cores, steps);
    bool in_place = a->kind == CB_ALL_REDUCE || a->kind == CB_BROADCAST;
    for (shape.me = 0; shape.me < size; shape.me++) {
        double elements = (in_place ? 1 : 2) * (double)cb_pattern_elements(p, &shape);
        terms.set_bytes += (elements + (double)cb_pattern_scratch(p, &shape, steps)) * E;
    }
    return terms;
}
