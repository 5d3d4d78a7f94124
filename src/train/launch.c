/* From a resolved run to running ranks: memory checked before anything is allocated, ranks launched, each one's life.
 * Processes may find different things wrong, such as a file that is missing on one machine: none trains unless all do,
 * so every process comes to the launch, also one that has nothing to run, and there they agree on one outcome. */
#include <stdlib.h>

#include "base/os.h"
#include "checkpoint/agree.h"
#include "train/rank.h"

static cb_err peak_live(const cb_run *run, int stage, int *live) {
    cb_schedule schedule;
    int stages = run->placement.stages;
    int *peak = calloc((size_t)stages, sizeof *peak);
    if (!peak) return cb_fail(CB_ENOMEM, "no memory for %d stages' peaks", stages);
    cb_err e = cb_schedule_make(&schedule, run->schedule, stages, run->micro_batches);
    if (!e) {
        e = cb_schedule_lower(&schedule);
        if (!e) e = cb_schedule_check(&schedule, CB_SEND_WINDOW, peak);
        cb_schedule_free(&schedule);
    }
    *live = peak[stage];
    free(peak);
    return e;
}

cb_err cb_run_memory_spec(const cb_run *run, int stage, cb_memory_spec *spec) {
    const cb_model *m = &run->model;
    int tp = run->mesh.size[CB_TP];
    *spec = (cb_memory_spec){.model = m,
                             .placement = &run->placement,
                             .stage = stage,
                             .tp = tp,
                             .dp = run->mesh.size[CB_DP],
                             .shards = run->shards,
                             .data_parts = run->data_shards / run->mesh.size[CB_DP],
                             .B = run->B,
                             .T = run->T,
                             .window = CB_SEND_WINDOW,
                             .bucket_elements = run->bucket_elements};
    spec->attention_scratch_bytes = cb_attention_scratch_bytes(run->B, run->T, m->heads / run->shards,
                                                               (int)(m->channels / m->heads), run->threads_per_rank);
    /* A bucket larger than all gradients of the stage would only be room for nothing. */
    int64_t gradients = cb_memory_predict(spec).bytes[CB_MEM_GRADS] / 4 / (1 + cb_memory_part_levels(spec));
    if (spec->bucket_elements > gradients) spec->bucket_elements = gradients;
    /* Over tp the residual stream and two numbers per row are summed, over dp ranges of gradients up to a bucket. */
    int64_t rows = (int64_t)run->B * run->T, widest = rows * (m->channels > 2 ? m->channels : 2);
    spec->tp_scratch_bytes = cb_all_reduce_scratch_most(tp, widest, CB_F32);
    spec->bucket_scratch_bytes = cb_all_reduce_scratch_most(spec->dp, spec->bucket_elements, CB_F32);
    return peak_live(run, stage, &spec->live);
}

/* Ranks of this machine are taken to be spread evenly over the stages. */
cb_err cb_run_check_memory(const cb_run *run, int64_t *total_bytes) {
    int64_t sum = 0, stages = run->placement.stages, here = cb_comm_launch_local_ranks(&run->launch);
    int64_t largest = 0;
    for (int p = 0; p < stages; p++) {
        cb_memory_spec spec;
        TRY(cb_run_memory_spec(run, p, &spec));
        int64_t bytes = cb_memory_predict(&spec).total;
        sum += bytes;
        if (bytes > largest) largest = bytes;
    }
    *total_bytes = sum * here / stages;
    if (*total_bytes <= cb_os_available_bytes()) return CB_OK;
    char asked[16], available[16], one[16];
    return cb_fail(CB_ENOMEM,
                   "not enough memory: %lld rank%s on this machine ask%s for %s (the largest rank %s), available are %s; "
                   "smaller microbatches, more machines, or more tp or pp would help",
                   (long long)here, here == 1 ? "" : "s", here == 1 ? "s" : "", cb_os_human_bytes(*total_bytes, asked), cb_os_human_bytes(largest, one),
                   cb_os_human_bytes(cb_os_available_bytes(), available));
}

/* What a process brings to the launch: a run, or the reason why there is none; and what all ranks agree on. */
typedef struct attempt {
    const cb_run *run;
    cb_err refusal; /* the same in all processes; first written before any rank trains, then by rank 0 of a process */
} attempt;

static cb_err agree(cb_comm *comm, attempt *a) {
    cb_group world;
    int size = cb_comm_size(comm), me = cb_comm_rank(comm), *ranks = malloc((size_t)size * sizeof *ranks);
    if (!ranks) return cb_fail(CB_ENOMEM, "no memory for a group of %d ranks", size);
    for (int i = 0; i < size; i++) ranks[i] = i;
    cb_err e = cb_group_make(&world, comm, CB_FOR_WORLD, ranks, size);
    free(ranks);
    TRY(e);
    if (me > 0) a->refusal = cb_err_context(a->refusal, "rank %d", me);
    a->refusal = cb_group_agree(&world, a->refusal);
    cb_group_free(&world);
    return CB_OK;
}

/* After a failure: the world ends, and no peer touches this rank's memory any more once its messages have been waited
 * for, which after an abort takes no time. */
static void abandon(cb_rank *rank) {
    cb_comm_abort(rank->comm);
    cb_ring *rings[] = {&rank->out, &rank->grad};
    for (int r = 0; r < 2; r++) {
        for (int i = 0; i < rings[r]->size; i++) cb_err_free(cb_comm_wait(rank->comm, &rings[r]->sent[i]));
    }
    cb_err_free(cb_comm_wait(rank->comm, &rank->ahead_f.req));
    cb_err_free(cb_comm_wait(rank->comm, &rank->ahead_b.req));
    cb_buckets_abandon(&rank->buckets);
}

/* An error that all ranks return alike is the run's and not a rank's: the world ends as after a run that went well. */
static cb_err settle(cb_rank *rank, cb_err e, cb_err *refusal) {
    if (!e) return CB_OK;
    if (!rank->agreed) {
        abandon(rank);
        return cb_err_context(e, "%s", rank->name);
    }
    bool told = cb_comm_in_process(rank->comm) && cb_comm_rank(rank->comm) > 0; /* by rank 0 of this process */
    if (told)
        cb_err_free(e);
    else
        *refusal = e;
    return CB_OK;
}

cb_err cb_rank_live(cb_comm *comm, const cb_run *run, cb_err *refusal) {
    cb_rank *rank = calloc(1, sizeof *rank);
    if (!rank) return cb_fail(CB_ENOMEM, "no memory for a rank's state");
    cb_err e = cb_rank_create(rank, run, comm);
    if (!e) e = cb_rank_train(rank);
    e = settle(rank, e, refusal);
    cb_rank_destroy(rank);
    free(rank);
    return e;
}

static cb_err live(cb_comm *comm, void *arg) {
    attempt *a = arg;
    if (!cb_comm_in_process(comm)) {
        TRY(agree(comm, a));
        if (a->refusal) return CB_OK;
    }
    return cb_rank_live(comm, a->run, &a->refusal);
}

cb_err cb_run_refuse(cb_err why) {
    attempt a = {.refusal = why};
    if (cb_comm_mpiexec_ranks() == 1) return why;
    cb_err_free(cb_comm_launch(&(cb_launch){.backend = "mpi"}, live, &a)); /* without MPI each process is on its own */
    return a.refusal;
}

cb_err cb_run_train(const cb_run *run) {
    int64_t total;
    attempt a = {.run = run};
    cb_err e = cb_run_check_memory(run, &total);
    if (e) return cb_run_refuse(e);
    e = cb_comm_launch(&run->launch, live, &a);
    if (!e) return a.refusal;
    cb_err_free(a.refusal);
    return e;
}
