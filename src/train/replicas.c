/* Ranks that hold the same tensor must hold the same bits: whole parameters over tp, all parameters over dp, the tied
 * table on first and last stage. A replica that drifted apart is named. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "train/rank.h"

/* Hashes of all members' copies of the parameters that `same` selects, compared with the first member's. */
static cb_err compare(cb_rank *rank, cb_group *group, bool (*same)(const cb_held *), uint64_t *mine, uint64_t *all) {
    int n = 0;
    for (int i = 0; i < rank->held_count; i++) {
        const cb_held *h = &rank->held[i];
        if (same(h)) mine[n++] = cb_hash(h->w, 4 * h->count);
    }
    TRY(cb_all_gather(group, all, mine, n, CB_I64));
    for (int i = 0, k = 0; i < rank->held_count; i++) {
        const cb_held *h = &rank->held[i];
        if (!same(h)) continue;
        for (int r = 1; r < group->size; r++) {
            if (all[(int64_t)r * n + k] == all[k]) continue;
            return cb_fail(CB_EMISMATCH,
                           "step %lld: replicas of %s drifted apart: ranks %d and %d (%s) hold different bits",
                           (long long)rank->step + 1, h->param.name, group->ranks[0], group->ranks[r],
                           cb_purpose_name(group->purpose));
        }
        k++;
    }
    return CB_OK;
}

static bool any(const cb_held *h) {
    return h->count > 0;
}
static bool whole(const cb_held *h) {
    return h->param.cut == CB_CUT_NONE;
}
static bool tied(const cb_held *h) {
    return h->param.role == CB_WTE;
}

static cb_err compare_all(cb_rank *rank, uint64_t *mine, uint64_t *all) {
    if (rank->tp_group.size > 1) TRY(compare(rank, &rank->tp_group, whole, mine, all));
    if (rank->emb_group.size > 1) TRY(compare(rank, &rank->emb_group, tied, mine, all));
    return rank->dp_group.size > 1 ? compare(rank, &rank->dp_group, any, mine, all) : CB_OK;
}

int cb_run_replicated(const cb_run *run) {
    const int *size = run->mesh.size;
    int count = 0;
    for (int id = 0; id < cb_params_count(&run->model); id++) {
        cb_param param = cb_param_at(&run->model, id);
        bool over_tp = size[CB_TP] > 1 && param.cut == CB_CUT_NONE;
        bool over_pp = size[CB_PP] > 1 && param.role == CB_WTE && !run->model.untied;
        count += size[CB_DP] > 1 || over_tp || over_pp;
    }
    return count;
}

cb_err cb_rank_check_replicas(cb_rank *rank) {
    int largest = rank->dp_group.size > rank->tp_group.size ? rank->dp_group.size : rank->tp_group.size;
    if (largest < 2) largest = 2;
    uint64_t *mine = malloc((size_t)rank->held_count * sizeof *mine);
    uint64_t *all = malloc((size_t)rank->held_count * (size_t)largest * sizeof *all);
    cb_err e = mine && all ? compare_all(rank, mine, all)
                           : cb_fail(CB_ENOMEM, "no memory for the hashes of %d tensors", rank->held_count);
    free(all);
    free(mine);
    return e;
}
