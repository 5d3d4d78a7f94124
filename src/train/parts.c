/* The parts of the global batch that arithmetic is defined on. A rank owns D/dp consecutive parts; each accumulates its
 * microbatches in order, and finished parts are summed as a binary tree by counting: part k is merged with as many
 * waiting sums as k has trailing ones in binary, like a carry. Sums waiting at level l are in part_sum[l]. The tree
 * goes on between the data-parallel ranks, so its shape depends on D only. */
#include <stdlib.h>

#include "train/rank.h"

int cb_rank_parts(const cb_rank *rank) {
    int parts = rank->run->data_shards / rank->dp_group.size;
    return parts > 1 ? parts : 1;
}

int cb_part_of(const cb_rank *rank, int micro_batch) {
    return micro_batch / (rank->micro_batches_now / cb_rank_parts(rank));
}

bool cb_part_ends(const cb_rank *rank, int micro_batch) {
    return (micro_batch + 1) % (rank->micro_batches_now / cb_rank_parts(rank)) == 0;
}

static float *waiting(cb_rank *rank, int level, const float *g) {
    return rank->part_sum[level] + (g - (const float *)(const void *)rank->arena[CB_MEM_GRADS].base);
}

bool cb_part_close(cb_rank *rank, float *g, int64_t count, int part) {
    cb_compute *c = rank->compute;
    int level = 0;
    for (; part >> level & 1; level++) c->ops->accumulate(c, g, waiting(rank, level, g), count);
    if (part + 1 == cb_rank_parts(rank)) return true;
    cb_device_host()->copy(waiting(rank, level, g), g, 4 * count);
    c->ops->zero(c, g, count);
    return false;
}

double cb_part_loss(cb_rank *rank) {
    for (int n = cb_rank_parts(rank); n > 1; n /= 2) {
        for (int i = 0; i < n / 2; i++) rank->part_loss[i] = rank->part_loss[2 * i] + rank->part_loss[2 * i + 1];
    }
    return rank->part_loss[0];
}
