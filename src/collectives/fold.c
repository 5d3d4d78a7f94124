/* What binomial trees and algorithms for powers of two have in common; see algorithms.h. */
#include "collectives/algorithms.h"

int cb_one(const cb_shape *s) {
    (void)s;
    return 1;
}
int cb_two(const cb_shape *s) {
    (void)s;
    return 2;
}
int cb_block_per_member(const cb_shape *s) {
    return s->size;
}
int cb_all_but_one(const cb_shape *s) {
    return s->size - 1;
}

int cb_binomial_up(int size, int v, int distance, cb_blocks all, cb_step *out) {
    if (v % distance) return 0;
    bool sends = v & distance;
    if (!sends && v + distance >= size) return 0;
    out[0] = (cb_step){sends ? v - distance : -1, sends ? -1 : v + distance, all, all, CB_ADD};
    return 1;
}

int cb_binomial_down(int size, int v, int distance, cb_blocks all, cb_step *out) {
    if (v % distance) return 0;
    bool receives = v & distance;
    if (!receives && v + distance >= size) return 0;
    out[0] = (cb_step){receives ? -1 : v + distance, receives ? v - distance : -1, all, all, CB_PUT};
    return 1;
}

int cb_fold_rounds(int size) {
    int rounds = cb_rounds(size);
    return 1 << rounds > size ? rounds - 1 : rounds;
}

bool cb_fold_is_needed(int size) {
    return 1 << cb_fold_rounds(size) != size;
}

/* Of the first 2*extra members the odd ones have places, all others too. */
static int extra_of(int size) {
    return size - (1 << cb_fold_rounds(size));
}

int cb_fold_place(int size, int member) {
    int extra = extra_of(size);
    return member < 2 * extra ? member / 2 : member - extra;
}

int cb_fold_member(int size, int place) {
    int extra = extra_of(size);
    return place < extra ? 2 * place + 1 : place + extra;
}

int cb_fold_steps(const cb_shape *s, int *round, int rounds, cb_blocks all, cb_step *out) {
    if (!cb_fold_is_needed(s->size)) return -1;
    const bool in_pair = s->me < 2 * extra_of(s->size), upper = s->me % 2;
    const bool first = *round == 0, goes = first != upper; /* who sends: the lower at first, the upper in the end */
    const int partner = s->me ^ 1, last = rounds - 1;
    if (first || *round == last) {
        if (!in_pair) return 0;
        out[0] = (cb_step){goes ? partner : -1, goes ? -1 : partner, all, all, first ? CB_ADD : CB_PUT};
        return 1;
    }
    if (in_pair && !upper) return 0;
    (*round)--;
    return -1;
}
