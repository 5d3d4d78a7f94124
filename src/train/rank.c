/* A rank's place in the mesh: coordinates, groups, neighbours, compute. */
#include "train/rank.h"

#include <stdlib.h>
#include <unistd.h>

static cb_err make_group(cb_rank *rank, cb_group *group, cb_purpose purpose, unsigned mask) {
    const cb_mesh *mesh = &rank->run->mesh;
    int size = cb_mesh_group_size(mesh, mask);
    int *ranks = malloc((size_t)size * sizeof *ranks);
    if (!ranks) return cb_fail(CB_ENOMEM, "no memory for a group of %d ranks", size);
    cb_mesh_group(mesh, mask, cb_comm_rank(rank->comm), ranks);
    cb_err e = cb_group_make(group, rank->comm, purpose, ranks, size);
    free(ranks);
    group->selection = rank->run->selection;
    return e;
}

/* The stages of the model's first and last block, which both hold the tied embedding, where they are two. */
static cb_err make_embedding_group(cb_rank *rank) {
    const cb_placement *placement = &rank->run->placement;
    int first, last, chunk;
    cb_placement_of_block(placement, 0, &first, &chunk);
    cb_placement_of_block(placement, cb_placement_blocks(placement) - 1, &last, &chunk);
    if (first == last || (!rank->first && !rank->last)) return CB_OK;
    int ranks[2] = {rank->pp_group.ranks[first], rank->pp_group.ranks[last]};
    cb_err e = cb_group_make(&rank->emb_group, rank->comm, CB_FOR_EMB, ranks, 2);
    rank->emb_group.selection = rank->run->selection;
    return e;
}

static cb_err make_groups(cb_rank *rank) {
    TRY(make_group(rank, &rank->tp_group, CB_FOR_TP, CB_MASK(CB_TP)));
    TRY(make_group(rank, &rank->dp_group, CB_FOR_DP, CB_MASK(CB_DP)));
    TRY(make_group(rank, &rank->pp_group, CB_FOR_PP, CB_MASK(CB_PP)));
    TRY(make_group(rank, &rank->world, CB_FOR_WORLD, CB_MASK_ALL));
    rank->first = cb_placement_is_first(&rank->run->placement, rank->p);
    rank->last = cb_placement_is_last(&rank->run->placement, rank->p);
    return make_embedding_group(rank);
}

static cb_err make_tensor_parallel(cb_rank *rank) {
    const cb_run *run = rank->run;
    int owned = run->shards / rank->tp_group.size;
    rank->tp = (cb_tp){.group = &rank->tp_group,
                       .compute = rank->compute,
                       .shards = run->shards,
                       .owned = owned,
                       .first = rank->t * owned};
    rank->transformer =
        (cb_transformer){.model = &run->model, .tp = &rank->tp, .compute = rank->compute, .B = run->B, .T = run->T};
    return CB_OK;
}

cb_err cb_rank_create(cb_rank *rank, const cb_run *run, cb_comm *comm) {
    int coord[CB_DIMS];
    *rank = (cb_rank){.run = run, .comm = comm, .logits_fd = -1, .ahead_f.micro_batch = -1, .ahead_b.micro_batch = -1};
    cb_mesh_coords(&run->mesh, cb_comm_rank(comm), coord);
    cb_mesh_name(&run->mesh, cb_comm_rank(comm), rank->name);
    rank->t = coord[CB_TP];
    rank->d = coord[CB_DP];
    rank->p = coord[CB_PP];
    TRY(make_groups(rank));
    if (run->pin) cb_rank_pin(cb_comm_local_rank(comm), cb_comm_local_size(comm), run->threads_per_rank);
    TRY(cb_compute_create(&rank->compute, run->compute, run->threads_per_rank));
    TRY(make_tensor_parallel(rank));
    return cb_stage_create(rank);
}

void cb_rank_destroy(cb_rank *rank) {
    if (rank->logits_fd >= 0) close(rank->logits_fd);
    cb_stage_destroy(rank);
    if (rank->compute) cb_compute_destroy(rank->compute);
    cb_group *groups[] = {&rank->tp_group, &rank->dp_group, &rank->pp_group, &rank->emb_group, &rank->world};
    for (int i = 0; i < 5; i++) cb_group_free(groups[i]);
}
