/* Hashes of what this rank holds, brought together; see digest.h. */
#include "train/digest.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "train/rank.h"

const char *cb_digest_kind_name(cb_digest_kind kind) {
    static const char *const names[] = {"gradient of ", "weight ", "Adam's m of ", "Adam's v of "};
    return names[kind];
}

const float *cb_held_data(const cb_held *h, cb_digest_kind kind) {
    const float *const data[] = {h->g, h->w, h->m, h->v};
    return data[kind];
}

bool cb_rank_counts(const cb_rank *rank, const cb_held *h) {
    if (h->param.role == CB_WTE && !rank->first) return false;
    return h->param.cut != CB_CUT_NONE || rank->t == 0;
}

static void hash_held(const cb_rank *rank, const cb_held *h, uint64_t *table, int params) {
    int S = rank->tp.shards, pieces = h->param.cut == CB_CUT_NONE ? 1 : rank->tp.owned;
    int64_t n = h->count / pieces;
    for (int kind = 0; kind < CB_DIGEST_KINDS; kind++) {
        uint64_t *row = table + ((int64_t)kind * params + h->param.id) * S;
        const float *data = cb_held_data(h, (cb_digest_kind)kind);
        int first = h->param.cut == CB_CUT_NONE ? 0 : rank->tp.first;
        for (int s = 0; s < pieces; s++) row[first + s] = cb_hash(data + s * n, 4 * n);
    }
}

/* Every slot is filled by one rank of tp x pp and zero on the others, so sums bring them together. */
static cb_err share(cb_rank *rank, uint64_t *table, int64_t count) {
    if (rank->tp_group.size > 1) TRY(cb_all_reduce(&rank->tp_group, table, count, CB_I64, CB_SUM, NULL));
    if (rank->pp_group.size > 1) TRY(cb_all_reduce(&rank->pp_group, table, count, CB_I64, CB_SUM, NULL));
    return CB_OK;
}

void cb_rank_chain_loss(cb_rank *rank) {
    double both[2] = {rank->report.loss, rank->report.grad_norm};
    rank->loss_chain = cb_hash_chain(rank->loss_chain, both, sizeof both);
}

cb_err cb_rank_digest(cb_rank *rank) {
    int params = cb_params_count(&rank->run->model), S = rank->tp.shards;
    int64_t per_kind = (int64_t)params * S, count = CB_DIGEST_KINDS * per_kind;
    if (!rank->digest_table) rank->digest_table = malloc((size_t)count * sizeof *rank->digest_table);
    uint64_t *table = rank->digest_table;
    if (!table) return cb_fail(CB_ENOMEM, "no memory for %lld hashes", (long long)count);
    memset(table, 0, (size_t)count * sizeof *table);
    for (int i = 0; i < rank->held_count; i++) {
        if (cb_rank_counts(rank, &rank->held[i])) hash_held(rank, &rank->held[i], table, params);
    }
    TRY(share(rank, table, count));
    uint64_t state = cb_hash_chain(rank->loss_chain, table + per_kind, 3 * per_kind * (int64_t)sizeof *table);
    rank->digest = (cb_digest){.params = params, .shards = S, .hash = table, .state = state};
    rank->report.digest = &rank->digest;
    return CB_OK;
}
