/* The rate of memory by the size that is used; see memory_rate.h. */
#include "cli/memory_rate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "collectives/collectives.h"

enum { LEAST_SET = 1 << 15, MOST_SET = 1 << 28, PIECE = 1 << 14, TRIES = 5, REDUCED = 1 << 13, REDUCTIONS = 2000 };
static const double enough_s = 1e-3;

typedef void loop_fn(char *a, char *b, int64_t bytes);

static void copy_whole(char *a, char *b, int64_t bytes) {
    cb_device_host()->copy(b, a, bytes);
}

static void copy_pieces(char *a, char *b, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += PIECE)
        cb_device_host()->copy(b + at, a + at, bytes - at < PIECE ? bytes - at : PIECE);
}

static void change(char *at, int64_t bytes) {
    uint64_t *x = (uint64_t *)(void *)at;
    for (int64_t i = 0; i < bytes / 8; i++) x[i] ^= 1;
}

/* Each byte of both is read and written: twice what a copy moves. */
static void change_both(char *a, char *b, int64_t bytes) {
    change(a, bytes);
    change(b, bytes);
}

static const struct {
    loop_fn *run;
    int moves; /* of `bytes` */
} loops[] = {{copy_whole, 2}, {copy_pieces, 2}, {change_both, 4}};
enum { LOOPS = sizeof loops / sizeof loops[0] };

static cb_err largest(cb_group *group, double *value) {
    return cb_all_reduce(group, value, 1, CB_F64, CB_MAX, NULL);
}

/* Seconds of one pass of the slowest, with as many passes as fill enough_s. */
static cb_err one_try(cb_group *group, bool takes_part, loop_fn *run, char *a, char *b, int64_t bytes, double *pass_s) {
    double guess_s = *pass_s > 0 ? *pass_s : (double)bytes * 1e-10;
    int passes = (int)(enough_s / guess_s) + 1;
    TRY(cb_barrier(group));
    double begin_s = cb_now_s();
    for (int i = 0; i < passes && takes_part; i++) run(a, b, bytes);
    *pass_s = (cb_now_s() - begin_s) / passes;
    return largest(group, pass_s);
}

static cb_err point(cb_memory_rate *rate, int i, cb_group *group, int workers, char *a, char *b) {
    const bool takes_part = cb_comm_local_rank(group->comm) < workers;
    const int64_t bytes = (int64_t)rate->set_bytes[i] / workers / 2;
    for (int k = 0; k < LOOPS; k++) {
        double pass_s = 0;
        for (int t = 0; t < TRIES; t++) {
            TRY(one_try(group, takes_part, loops[k].run, a, b, bytes, &pass_s));
            double found = (double)workers * (double)bytes * loops[k].moves / pass_s;
            if (t > 0 && found > rate->bytes_per_s[i]) rate->bytes_per_s[i] = found; /* the first warms up */
        }
    }
    return CB_OK;
}

/* As change_both and copy_whole of another's part, which that one has just changed. */
static cb_err hand_over(cb_group *group, bool takes_part, char *mine, const char *theirs, char *to, int64_t bytes,
                        double *copy_s) {
    int passes = (int)(enough_s / ((double)bytes * 4e-10)) + 1;
    double spent_s = 0;
    for (int i = 0; i < passes; i++) {
        if (takes_part) change(mine, bytes);
        TRY(cb_barrier(group));
        double begin_s = cb_now_s();
        if (takes_part) cb_device_host()->copy(to, theirs, bytes);
        spent_s += cb_now_s() - begin_s;
        TRY(cb_barrier(group)); /* before it is changed again */
    }
    *copy_s = spent_s / passes;
    return largest(group, copy_s);
}

/* The next worker's `a`. */
static cb_err neighbour(cb_group *group, int workers, char *a, const char **theirs) {
    int64_t own = (int64_t)(intptr_t)a, *all = malloc((size_t)group->size * sizeof *all);
    if (!all) return cb_fail(CB_ENOMEM, "no memory for %d addresses", group->size);
    cb_err e = cb_all_gather(group, all, &own, 1, CB_I64);
    if (!e) *theirs = (const char *)(intptr_t)all[group->me < workers ? (group->me + 1) % workers : group->me];
    free(all);
    return e;
}

static cb_err hand_over_points(cb_memory_rate *rate, cb_group *group, int workers, char *a, char *b) {
    const int me = group->me;
    const char *theirs = NULL;
    if (workers < 2 || !cb_comm_in_process(group->comm)) return CB_OK;
    TRY(neighbour(group, workers, a, &theirs));
    for (int i = 0; i < rate->points; i++) {
        const int64_t bytes = (int64_t)rate->set_bytes[i] / workers / 2;
        double best_s = INFINITY, copy_s;
        for (int t = 0; t < TRIES; t++) {
            TRY(hand_over(group, me < workers, a, theirs, b, bytes, &copy_s));
            best_s = fmin(best_s, copy_s);
        }
        rate->handover_s_per_byte[i] = best_s / (double)bytes;
    }
    return CB_OK;
}

static double reduce_rate(char *a, char *b, cb_type type) {
    const void *operands[2] = {a, b};
    double best_s = INFINITY;
    int64_t count = REDUCED / cb_type_bytes(type);
    for (int t = 0; t < TRIES; t++) {
        double begin_s = cb_now_s();
        for (int i = 0; i < REDUCTIONS; i++) cb_device_host()->reduce(a, operands, 2, count, type, CB_SUM);
        best_s = fmin(best_s, (cb_now_s() - begin_s) / REDUCTIONS);
    }
    return best_s / REDUCED;
}

cb_err cb_memory_rate_measure(cb_memory_rate *rate, cb_group *group, int cores, char *a, char *b, int64_t room_bytes,
                              cb_type type) {
    const int here = cb_comm_local_size(group->comm), workers = here < cores ? here : cores;
    memset(a, 0, (size_t)room_bytes);
    memset(b, 0, (size_t)room_bytes);
    for (int i = 0; i < CB_MEMORY_MOST_POINTS; i++) {
        int64_t set = (int64_t)LEAST_SET << i;
        if (set > MOST_SET || set / workers / 2 > room_bytes) break;
        rate->set_bytes[i] = (double)set;
        rate->points = i + 1;
        TRY(point(rate, i, group, workers, a, b));
    }
    TRY(hand_over_points(rate, group, workers, a, b));
    double reduce_s = group->me == 0 && room_bytes >= REDUCED ? reduce_rate(a, b, type) : 0;
    TRY(largest(group, &reduce_s));
    rate->reduce_s_per_byte = reduce_s;
    return CB_OK;
}

void cb_memory_rate_better(cb_memory_rate *rate, const cb_memory_rate *other) {
    if (rate->points < other->points) rate->points = other->points;
    for (int i = 0; i < other->points; i++) {
        rate->set_bytes[i] = other->set_bytes[i];
        rate->bytes_per_s[i] = fmax(rate->bytes_per_s[i], other->bytes_per_s[i]);
        double *handover = &rate->handover_s_per_byte[i];
        if (*handover == 0 || other->handover_s_per_byte[i] < *handover) *handover = other->handover_s_per_byte[i];
    }
    if (rate->reduce_s_per_byte == 0 || other->reduce_s_per_byte < rate->reduce_s_per_byte)
        rate->reduce_s_per_byte = other->reduce_s_per_byte;
}

static double at(const cb_memory_rate *rate, const double *value, double set_bytes) {
    int i = 1;
    if (rate->points == 0) return 0;
    while (i < rate->points && rate->set_bytes[i] < set_bytes) i++;
    if (i == rate->points || set_bytes <= rate->set_bytes[0]) return value[i == 1 ? 0 : i - 1];
    double share = log(set_bytes / rate->set_bytes[i - 1]) / log(rate->set_bytes[i] / rate->set_bytes[i - 1]);
    return value[i - 1] + share * (value[i] - value[i - 1]);
}

double cb_memory_rate_at(const cb_memory_rate *rate, double set_bytes) {
    return at(rate, rate->bytes_per_s, set_bytes);
}

double cb_memory_handover_at(const cb_memory_rate *rate, double set_bytes) {
    return at(rate, rate->handover_s_per_byte, set_bytes);
}

json_t *cb_memory_rate_json(const cb_memory_rate *m) {
    json_t *all = json_array();
    for (int i = 0; i < m->points; i++)
        json_array_append_new(all, json_pack("{s:I,s:f,s:f}", "set_bytes", (json_int_t)m->set_bytes[i], "GBps",
                                             m->bytes_per_s[i] * 1e-9, "handover_ps_per_byte",
                                             m->handover_s_per_byte[i] * 1e12));
    return all;
}
