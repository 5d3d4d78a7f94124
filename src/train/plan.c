/* The memory of a run's ranks, before it is allocated. See plan.h. */
#include "train/plan.h"

#include "base/os.h"
#include "compute/compute.h"

static cb_instr of_kind(cb_instr_kind kind, int chunk) {
    return (cb_instr){.kind = kind, .chunk = chunk};
}

/* What a stage's chunks keep alive. A microbatch that comes from a block on the same stage has its slot from the F before. */
static int find_live(const cb_run *run, const cb_schedule *schedule, int stage, cb_live live[CB_MAX_CHUNKS]) {
    int slots = 0, other;
    for (int c = 0; c < schedule->chunks; c++) {
        bool prev_here = cb_placement_neighbour(&run->placement, stage, c, -1, &other) == stage;
        bool next_here = cb_placement_neighbour(&run->placement, stage, c, 1, &other) == stage;
        live[c] = (cb_live){
            .slots = cb_schedule_peak_between(schedule, stage, of_kind(CB_F, c - prev_here), of_kind(CB_W, c)),
            .holds = schedule->split_backward ? cb_schedule_peak_of_chunk(schedule, stage, c, CB_B, CB_W) : 0,
            .turns = next_here ? cb_schedule_peak_between(schedule, stage, of_kind(CB_B, c + 1), of_kind(CB_B, c)) : 0,
        };
        slots += live[c].slots;
    }
    return slots;
}

/* The checked schedule, lowered, and how many sends of a direction have to be on their way at once. */
static cb_err make_schedule(const cb_run *run, cb_schedule *schedule, int *window) {
    TRY(cb_run_schedule(run, schedule));
    cb_err e = cb_schedule_least_window(schedule, window);
    if (e) cb_schedule_free(schedule);
    if (*window < CB_SEND_WINDOW) *window = CB_SEND_WINDOW;
    return e;
}

/* Returns the slots of all chunks together. */
static int fill_spec(const cb_run *run, const cb_schedule *schedule, int window, int stage, cb_memory_spec *spec) {
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
                             .recompute = run->recompute,
                             .window = window,
                             .bucket_elements = run->bucket_elements};
    int slots = find_live(run, schedule, stage, spec->live);
    spec->attention_scratch_bytes = cb_attention_scratch_bytes(run->B, run->T, m->heads / run->shards,
                                                               (int)(m->channels / m->heads), run->threads_per_rank);
    spec->sum_scratch_bytes = cb_gemm_sum_scratch_bytes((int64_t)run->B * run->T, m->channels, run->shards / tp,
                                                        run->threads_per_rank);
    /* A bucket larger than all gradients of the stage would only be room for nothing. */
    int64_t gradients = cb_memory_predict(spec).bytes[CB_MEM_GRADS] / 4 / (1 + cb_memory_part_levels(spec));
    if (spec->bucket_elements > gradients) spec->bucket_elements = gradients;
    /* Over tp the residual stream and two numbers per row are summed, over dp ranges of gradients up to a bucket. */
    int64_t rows = (int64_t)run->B * run->T, widest = rows * (m->channels > 2 ? m->channels : 2);
    cb_means means = cb_run_means(run);
    spec->tp_scratch_bytes = cb_all_reduce_scratch_most(means, tp, widest, CB_F32);
    spec->bucket_scratch_bytes = cb_all_reduce_scratch_most(means, spec->dp, spec->bucket_elements, CB_F32);
    return slots;
}

cb_means cb_run_means(const cb_run *run) {
    return (cb_means){.shared = cb_comm_launch_shares(&run->launch), .selection = run->selection};
}

cb_err cb_run_memory_spec(const cb_run *run, int stage, cb_memory_spec *spec) {
    cb_schedule schedule;
    int window;
    TRY(make_schedule(run, &schedule, &window));
    (void)fill_spec(run, &schedule, window, stage, spec);
    cb_schedule_free(&schedule);
    return CB_OK;
}

cb_err cb_run_plan(const cb_run *run, cb_plan *plan) {
    cb_schedule schedule;
    int64_t sum = 0;
    *plan = (cb_plan){.stages = run->placement.stages, .ranks_here = cb_comm_launch_local_ranks(&run->launch)};
    TRY(make_schedule(run, &schedule, &plan->window));
    for (int p = 0; p < plan->stages; p++) {
        cb_memory_spec spec;
        int slots = fill_spec(run, &schedule, plan->window, p, &spec);
        plan->stage[p] = (cb_stage_plan){slots, cb_memory_predict(&spec)};
        int64_t bytes = plan->stage[p].memory.total;
        sum += bytes;
        if (bytes > plan->largest_bytes) plan->largest_bytes = bytes;
    }
    cb_schedule_free(&schedule);
    plan->here_bytes = sum * plan->ranks_here / plan->stages;
    plan->available_bytes = cb_os_available_bytes();
    return CB_OK;
}

bool cb_plan_fits(const cb_plan *plan) {
    return plan->here_bytes <= plan->available_bytes;
}

cb_err cb_run_check_memory(const cb_run *run, int64_t *total_bytes) {
    cb_plan plan;
    char asked[16], available[16], one[16];
    TRY(cb_run_plan(run, &plan));
    if (total_bytes) *total_bytes = plan.here_bytes;
    if (cb_plan_fits(&plan)) return CB_OK;
    bool alone = plan.ranks_here == 1;
    return cb_fail(CB_ENOMEM,
                   "not enough memory: %d rank%s on this machine ask%s for %s (the largest rank %s), available are %s; "
                   "smaller microbatches, full recomputation of activations, more machines, or more tp or pp would "
                   "help",
                   plan.ranks_here, alone ? "" : "s", alone ? "s" : "", cb_os_human_bytes(plan.here_bytes, asked),
                   cb_os_human_bytes(plan.largest_bytes, one), cb_os_human_bytes(plan.available_bytes, available));
}
