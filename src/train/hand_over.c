/* From a microbatch's backward pass to the reduction over dp: gradients close their part of the batch (parts.c), and travel as
 * soon as they are final (data_parallel/buckets.c), while the layers before are still computed. Where the weight gradient is
 * split off, a layer's biases and norms close a part at B and its matrices at W, which may be after the B of the next part;
 * all of the layer travels after its last W. */
#include "train/rank.h"

/* Closes the part that the microbatch ends. True: the gradients are final. */
static bool close_part(cb_rank *rank, float *g, int64_t count, int micro_batch) {
    return cb_part_ends(rank, micro_batch) && cb_part_close(rank, g, count, cb_part_of(rank, micro_batch));
}

cb_err cb_hand_over(cb_rank *rank, float *g, int64_t count, int micro_batch) {
    bool final = close_part(rank, g, count, micro_batch);
    return final ? cb_buckets_ready(&rank->buckets, g, count) : cb_buckets_progress(&rank->buckets);
}

cb_err cb_hand_over_roles(cb_rank *rank, cb_role from, cb_role to, int layer, int micro_batch) {
    cb_held *a = cb_rank_held(rank, from, layer), *b = cb_rank_held(rank, to, layer);
    return cb_hand_over(rank, a->g, b->g + b->count - a->g, micro_batch);
}

cb_err cb_hand_over_layer(cb_rank *rank, int layer, int micro_batch, cb_share share) {
    if (share == CB_SHARE_ALL) return cb_hand_over_roles(rank, CB_LN1_W, CB_FC2_B, layer, micro_batch);
    bool final = false;
    for (int role = CB_LN1_W; role < CB_LAYER_ROLES; role++) {
        cb_held *h = cb_rank_held(rank, (cb_role)role, layer);
        bool is_matrix = h->param.dims == 2;
        if (is_matrix == (share == CB_SHARE_WITH_W)) final = close_part(rank, h->g, h->count, micro_batch);
    }
    if (!final || share == CB_SHARE_WITH_B) return cb_buckets_progress(&rank->buckets);
    cb_held *a = cb_rank_held(rank, CB_LN1_W, layer), *b = cb_rank_held(rank, CB_FC2_B, layer);
    return cb_buckets_ready(&rank->buckets, a->g, b->g + b->count - a->g);
}
