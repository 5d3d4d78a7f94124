/* Data of measured operations; see comm_data.h. */
#include "cli/comm_data.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { PERIOD = 4093, FEW_RANKS = 64, USELESS = 0x5a };

bool cb_comm_in_place(cb_kind kind) {
    return kind == CB_ALL_REDUCE || kind == CB_BROADCAST;
}

int64_t cb_comm_elements_in(cb_kind kind, int ranks, int64_t count) {
    return kind == CB_REDUCE_SCATTER || kind == CB_ALL_TO_ALL ? ranks * count : count;
}

int64_t cb_comm_elements_out(cb_kind kind, int ranks, int64_t count) {
    return kind == CB_ALL_GATHER || kind == CB_ALL_TO_ALL ? ranks * count : count;
}

/* -3 .. 3, or -1 .. 1 of many ranks: bf16 holds whole numbers up to 256. */
static int value(int ranks, int rank, int i) {
    cb_rng_key key = {.seed = 1, .stream = 0xc0 + (uint64_t)rank};
    int most = ranks <= FEW_RANKS ? 3 : 1;
    return (int)(cb_rng_u32(key, (uint64_t)i) % (unsigned)(2 * most + 1)) - most;
}

static void put(cb_type type, void *row, int i, int x) {
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (type == CB_F32) ((float *)row)[i] = f;
    if (type == CB_F64) ((double *)row)[i] = x;
    if (type == CB_I32) ((int32_t *)row)[i] = x;
    if (type == CB_BF16) ((uint16_t *)row)[i] = (uint16_t)(bits >> 16); /* exact: few bits */
}

static int combined(cb_reduce_op op, int a, int b) {
    if (op == CB_MAX) return a > b ? a : b;
    if (op == CB_MIN) return a < b ? a : b;
    return a + b;
}

static char *row_of(const cb_comm_data *d, int row) {
    return d->rows + row * PERIOD * cb_type_bytes(d->type);
}

cb_err cb_comm_data_make(cb_comm_data *d, int ranks, cb_type type, cb_reduce_op op) {
    *d = (cb_comm_data){.ranks = ranks, .type = type};
    d->rows = malloc((size_t)((ranks + 1) * PERIOD * cb_type_bytes(type)));
    if (!d->rows) return cb_fail(CB_ENOMEM, "no memory for the data of %d ranks", ranks);
    for (int i = 0; i < PERIOD; i++) {
        int all = value(ranks, 0, i);
        for (int r = 0; r < ranks; r++) {
            put(type, row_of(d, r), i, value(ranks, r, i));
            if (r > 0) all = combined(op, all, value(ranks, r, i));
        }
        put(type, row_of(d, ranks), i, all);
    }
    return CB_OK;
}

void cb_comm_data_free(cb_comm_data *d) {
    free(d->rows);
    *d = (cb_comm_data){0};
}

/* Elements first .. first + count - 1 of a row, which goes on and on, one part after the other. */
typedef void part_fn(char *at, const char *row, int64_t count, int64_t element_bytes, int64_t *found);

static void each_part(const cb_comm_data *d, int row, int64_t first, char *at, int64_t count, part_fn *fn,
                      int64_t *found) {
    const int64_t E = cb_type_bytes(d->type);
    for (int64_t done = 0; done < count;) {
        int64_t place = (first + done) % PERIOD, part = PERIOD - place < count - done ? PERIOD - place : count - done;
        fn(at + done * E, row_of(d, row) + place * E, part, E, found);
        done += part;
    }
}

static void copy_part(char *at, const char *row, int64_t count, int64_t E, int64_t *found) {
    (void)found;
    memcpy(at, row, (size_t)(count * E));
}

static void count_wrong(char *at, const char *row, int64_t count, int64_t E, int64_t *found) {
    if (memcmp(at, row, (size_t)(count * E)) == 0) return;
    for (int64_t i = 0; i < count; i++) *found += memcmp(at + i * E, row + i * E, (size_t)E) != 0;
}

void cb_comm_data_fill(const cb_comm_data *d, const cb_call *call, int rank) {
    const int64_t in = cb_comm_elements_in(call->kind, d->ranks, call->count),
                  out = cb_comm_elements_out(call->kind, d->ranks, call->count);
    char *from = cb_comm_in_place(call->kind) ? call->to : (char *)call->from; /* the caller's, to be written */
    each_part(d, rank, 0, from, in, copy_part, NULL);
    if (from != call->to) memset(call->to, USELESS, (size_t)(out * cb_type_bytes(d->type)));
}

int64_t cb_comm_data_wrong(const cb_comm_data *d, const cb_call *call, int rank) {
    const int64_t n = call->count, block_bytes = n * cb_type_bytes(d->type);
    int64_t wrong = 0;
    char *to = call->to;
    switch (call->kind) {
    case CB_ALL_REDUCE:
        each_part(d, d->ranks, 0, to, n, count_wrong, &wrong);
        break;
    case CB_REDUCE:
        if (rank == call->root) each_part(d, d->ranks, 0, to, n, count_wrong, &wrong);
        break;
    case CB_REDUCE_SCATTER:
        each_part(d, d->ranks, rank * n, to, n, count_wrong, &wrong);
        break;
    case CB_BROADCAST:
        each_part(d, call->root, 0, to, n, count_wrong, &wrong);
        break;
    default: /* all-gather, all-to-all: a block from each rank */
        for (int r = 0; r < d->ranks; r++) {
            int64_t first = call->kind == CB_ALL_TO_ALL ? rank * n : 0;
            each_part(d, r, first, to + r * block_bytes, n, count_wrong, &wrong);
        }
    }
    return wrong;
}
