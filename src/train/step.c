/* From gradients to updated weights: tied embedding, data-parallel sum, global norm, clipping, AdamW. Every number that
 * decides something is agreed between all ranks first, in sums whose order the layout does not change. */
#include <math.h>

#include "train/rank.h"

/* The tied table is on the first stage as embedding and on the last as head; both need the sum of both gradients. Each
 * is summed over dp first, so that the order of sums is the same where one stage is both. */
cb_err cb_rank_reduce_tied(cb_rank *rank) {
    cb_held *wte = cb_rank_held(rank, CB_WTE, -1);
    if (!wte || rank->emb_group.size == 0) return CB_OK;
    return cb_all_reduce(&rank->emb_group, wte->g, wte->count, CB_F32, CB_SUM, NULL);
}

cb_err cb_rank_reduce_grads(cb_rank *rank) {
    TRY(cb_buckets_finish(&rank->buckets));
    if (!rank->second_tied) return CB_OK;
    cb_held *wte = cb_rank_held(rank, CB_WTE, -1);
    rank->compute->ops->accumulate(rank->compute, wte->g, rank->second_tied, wte->count);
    return CB_OK;
}

/* The sum of squares of every parameter this rank is the one to count, shard by shard, at its place in the whole
 * model's table: whole parameters count on tp rank 0 only, the tied copy of the last stage not at all. */
static void fill_norms(cb_rank *rank) {
    int S = rank->tp.shards;
    for (int i = 0; i < rank->held_count; i++) {
        cb_held *h = &rank->held[i];
        double *norms = rank->norms + (int64_t)h->param.id * S;
        if (!cb_rank_counts(rank, h)) continue;
        if (h->param.cut == CB_CUT_NONE) {
            norms[0] = rank->compute->ops->sum_squares(rank->compute, h->g, h->count);
            continue;
        }
        int64_t n = cb_param_shard_elements(&h->param, S);
        for (int s = 0; s < rank->tp.owned; s++) {
            norms[rank->tp.first + s] = rank->compute->ops->sum_squares(rank->compute, h->g + s * n, n);
        }
    }
}

/* Over tp and pp each value is held by one rank and zero on the others, so these sums are exact. */
static cb_err share(cb_rank *rank, double *x, int64_t count) {
    if (rank->tp_group.size > 1) TRY(cb_all_reduce(&rank->tp_group, x, count, CB_F64, CB_SUM, NULL));
    if (rank->pp_group.size > 1) TRY(cb_all_reduce(&rank->pp_group, x, count, CB_F64, CB_SUM, NULL));
    return CB_OK;
}

cb_err cb_rank_agree(cb_rank *rank, double *x, int64_t count) {
    if (rank->dp_group.size > 1) TRY(cb_all_reduce(&rank->dp_group, x, count, CB_F64, CB_SUM, NULL));
    return share(rank, x, count);
}

/* Loss, norm and the wish to stop, the same on every rank afterwards. */
static cb_err agree(cb_rank *rank) {
    const cb_run *run = rank->run;
    int64_t slots = (int64_t)cb_params_count(&run->model) * rank->tp.shards;
    double *loss = &rank->norms[slots], *stop = &rank->norms[slots + 1];
    for (int64_t i = 0; i < slots + 2; i++) rank->norms[i] = 0;
    fill_norms(rank);
    *loss = rank->last && rank->t == 0 ? cb_part_loss(rank) : 0;
    *stop = run->stop && *run->stop;
    if (rank->dp_group.size > 1) TRY(cb_all_reduce(&rank->dp_group, loss, 2, CB_F64, CB_SUM, NULL));
    TRY(share(rank, rank->norms, slots + 2));
    double sum = 0;
    for (int64_t i = 0; i < slots; i++) sum += rank->norms[i];
    rank->report.grad_norm = sqrt(sum);
    rank->report.loss = *loss / ((double)run->global_batch * run->T);
    rank->report.stop = *stop > 0;
    rank->report.nonfinite = !isfinite(rank->report.loss) || !isfinite(sum);
    return CB_OK;
}

static cb_adamw hyper(const cb_rank *rank) {
    const cb_run *run = rank->run;
    double t = (double)(rank->step + 1), coefficient = run->clip / (rank->report.grad_norm + 1e-6);
    return (cb_adamw){.lr = (float)rank->report.lr,
                      .beta1 = (float)run->beta1,
                      .beta2 = (float)run->beta2,
                      .eps = (float)run->adam_eps,
                      .grad_scale = run->clip > 0 && coefficient < 1 ? (float)coefficient : 1,
                      .correction1 = (float)(1 - pow(run->beta1, t)),
                      .correction2 = (float)(1 - pow(run->beta2, t))};
}

cb_err cb_rank_step(cb_rank *rank) {
    rank->report.lr = cb_lr_at(&rank->run->lr, rank->step);
    TRY(agree(rank));
    if (rank->report.nonfinite) return CB_OK; /* the weights stay as they were */
    cb_adamw h = hyper(rank);
    for (int i = 0; i < rank->held_count; i++) {
        cb_held *p = &rank->held[i];
        h.weight_decay = p->param.decay ? (float)rank->run->weight_decay : 0;
        rank->compute->ops->adamw(rank->compute, p->w, p->g, p->m, p->v, p->count, &h);
    }
    return CB_OK;
}
