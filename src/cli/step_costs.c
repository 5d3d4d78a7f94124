/* From the times of parts to that of a step; see step_costs.h. What an instruction does is said by train/stage_run.c
 * (F, B, W), train/hand_over.c (parts of the batch) and train/step.c (its end). */
#include "cli/step_costs.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cli/rehearse.h"

static void add(cb_instr_cost *to, const cb_step_costs *costs, cb_step_part part, int times) {
    for (int cause = 0; cause < CB_CAUSES; cause++) to->by_cause_s[cause] += times * costs->part_s[part][cause];
    to->idle_s += times * costs->idle_s[part];
}

double cb_instr_cost_s(const cb_instr_cost *cost) {
    double sum_s = 0;
    for (int cause = 0; cause < CB_CAUSES; cause++) sum_s += cost->by_cause_s[cause];
    return sum_s;
}

/* A stage's chunk, as the executor sees it. */
typedef struct place {
    const cb_run *run;
    int stage, chunk, layers;
    int before; /* layers in the stage's chunks before it */
    bool first, last;
} place;

static place place_of(const cb_run *run, int stage, int chunk) {
    place at = {.run = run, .stage = stage, .chunk = chunk};
    int block = cb_placement_block(&run->placement, stage, chunk);
    for (int c = 0; c < chunk; c++) at.before += cb_placement_chunk(&run->placement, stage, c).layers;
    at.layers = cb_placement_chunk(&run->placement, stage, chunk).layers;
    at.first = block == 0;
    at.last = block == cb_placement_blocks(&run->placement) - 1;
    return at;
}

static int64_t local_elements(const cb_run *run, const cb_param *param) {
    int64_t n = cb_param_local_elements(param, run->shards, run->shards / run->mesh.size[CB_TP]);
    return cb_aligned(4 * n) / 4;
}

/* Of the chunk's layers and of what the model's ends have beside them. */
static int64_t chunk_elements(const place *at) {
    const cb_model *m = &at->run->model;
    int64_t n = 0;
    for (int id = 0; id < cb_params_count(m); id++) {
        cb_param param = cb_param_at(m, id);
        int first = cb_placement_chunk(&at->run->placement, at->stage, at->chunk).first;
        bool of_layer = param.layer >= first && param.layer < first + at->layers;
        bool of_first = param.owner == CB_OWNER_FIRST || param.owner == CB_OWNER_BOTH;
        bool of_last = param.owner == CB_OWNER_LAST || param.owner == CB_OWNER_BOTH;
        if (param.layer < 0) n += (at->first && of_first) * local_elements(at->run, &param);
        if (param.layer < 0) n += (at->last && of_last) * local_elements(at->run, &param);
        if (of_layer) n += local_elements(at->run, &param);
    }
    return n;
}

cb_stage_elements cb_run_stage_elements(const cb_run *run, int stage) {
    cb_stage_elements e = {0};
    cb_param table = cb_param_of(&run->model, CB_WTE, -1);
    for (int c = 0; c < run->placement.chunks; c++) {
        place at = place_of(run, stage, c);
        e.grads += chunk_elements(&at);
        if (at.first || at.last) e.table = local_elements(run, &table);
    }
    bool both = cb_placement_is_first(&run->placement, stage) && cb_placement_is_last(&run->placement, stage);
    e.params = e.grads - (both ? e.table : 0);
    return e;
}

/* The gradients of a finished part of the batch join the waiting ones, as parts.c counts. */
static double close_part(const place *at, const cb_step_costs *costs, int micro_batch) {
    int parts = at->run->data_shards / at->run->mesh.size[CB_DP],
        size = at->run->micro_batches / (parts > 1 ? parts : 1);
    if (parts < 2 || (micro_batch + 1) % size) return 0;
    int part = micro_batch / size;
    double each_s = part + 1 < parts ? costs->copy_s + costs->zero_s : 0;
    for (int level = 0; part >> level & 1; level++) each_s += costs->accumulate_s;
    return each_s * (double)chunk_elements(at);
}

/* All-reduces over tp of a microbatch are those that train/sent.c counts. */
static void add_forward(const place *at, const cb_step_costs *costs, cb_instr_cost *to) {
    to->small += 2 * at->last; /* maxima, sums */
    to->all_reduces += 2 * at->layers + at->first + 2 * at->last;
    add(to, costs, CB_PART_LAYER_F, at->layers);
    if (at->first) add(to, costs, CB_PART_EMBEDDING_F, 1);
    if (at->last) add(to, costs, CB_PART_HEAD_F, 1);
}

static void add_backward(const place *at, const cb_step_costs *costs, bool split, cb_instr_cost *to) {
    int again = 0;
    for (int l = 0; l < at->layers; l++) {
        const uint32_t kept = cb_recompute_kept(&at->run->recompute, at->before + l);
        again += kept != CB_ALL_LAYER_ACTS;
        to->all_reduces += !(kept & CB_ACT_BIT(CB_ACT_MID));
    }
    to->all_reduces += 2 * at->layers + at->last;
    add(to, costs, split ? CB_PART_LAYER_B_ALONE : CB_PART_LAYER_B, at->layers);
    add(to, costs, CB_PART_LAYER_AGAIN, again);
    if (at->first) add(to, costs, CB_PART_EMBEDDING_B, 1);
    if (at->last) add(to, costs, split ? CB_PART_HEAD_B_ALONE : CB_PART_HEAD_B, 1);
}

static void add_weights(const place *at, const cb_step_costs *costs, cb_instr_cost *to) {
    add(to, costs, CB_PART_LAYER_W, at->layers);
    if (at->last) add(to, costs, CB_PART_HEAD_W, 1);
}

/* Reductions and the optimizer. What of the norm a stage does before it is agreed counts with the gradients. */
static void add_end(const cb_run *run, const cb_step_costs *costs, int stage, cb_instr_kind kind, double *by_cause_s) {
    cb_stage_elements e = cb_run_stage_elements(run, stage);
    if (kind == CB_REDUCE_GRADS) {
        if (run->mesh.size[CB_DP] > 1) by_cause_s[CB_CAUSE_DP] += costs->reduce_s * (double)e.grads;
        by_cause_s[CB_CAUSE_OPTIMIZER] +=
            costs->squares_s * (double)e.params + costs->accumulate_s * (double)(e.grads - e.params);
    } else if (kind == CB_REDUCE_TIED) {
        bool both = e.grads > e.params;
        by_cause_s[CB_CAUSE_PP] += both ? 0 : costs->tied_s * (double)e.table;
    } else if (kind == CB_STEP) {
        by_cause_s[CB_CAUSE_OPTIMIZER] += costs->agree_s + costs->adamw_s * (double)e.params;
    }
}

cb_instr_cost cb_instr_cost_of(const cb_run *run, const cb_schedule *schedule, const cb_step_costs *costs, int stage,
                               cb_instr in) {
    cb_instr_cost cost = {0};
    if (in.kind >= CB_REDUCE_GRADS) add_end(run, costs, stage, in.kind, cost.by_cause_s);
    if (in.kind > CB_W) return cost;
    place at = place_of(run, stage, in.chunk);
    bool split = schedule->split_backward;
    if (in.kind == CB_F) add_forward(&at, costs, &cost);
    if (in.kind == CB_B) add_backward(&at, costs, split, &cost);
    if (in.kind == CB_W) add_weights(&at, costs, &cost);
    if (in.kind == (split ? CB_W : CB_B)) cost.by_cause_s[CB_CAUSE_DP] += close_part(&at, costs, in.micro_batch);
    return cost;
}

typedef struct prediction {
    const cb_run *run;
    const cb_step_costs *costs;
    const cb_schedule *schedule;
    double *work_s[CB_MAX_STAGES], *busy_s[CB_MAX_STAGES]; /* of each instruction; without all-reduces over tp */
    int *all_reduces[CB_MAX_STAGES], *small[CB_MAX_STAGES];
    double idle_s; /* in which ranks wait for others of their tp group, of all instructions */
    cb_span *spans[CB_MAX_STAGES];
} prediction;

/* Before the first instruction the gradients are set to zero. */
static cb_instr_cost cost_at(const prediction *p, int stage, int index) {
    cb_instr_cost cost = cb_instr_cost_of(p->run, p->schedule, p->costs, stage, p->schedule->list[stage].at[index]);
    double grads = index == 0 ? (double)cb_run_stage_elements(p->run, stage).grads : 0;
    cost.by_cause_s[CB_CAUSE_OPTIMIZER] += p->costs->zero_s * grads;
    return cost;
}

/* Numbers of every instruction of every stage, in blocks from work_s[0], busy_s[0], all_reduces[0], small[0] on. */
static cb_err make_rows(prediction *p) {
    size_t count = 0, offset = 0;
    for (int s = 0; s < p->schedule->stages; s++) count += (size_t)p->schedule->list[s].count;
    p->work_s[0] = calloc(count + 1, sizeof *p->work_s[0]);
    p->busy_s[0] = calloc(count + 1, sizeof *p->busy_s[0]);
    p->all_reduces[0] = calloc(count + 1, sizeof *p->all_reduces[0]);
    p->small[0] = calloc(count + 1, sizeof *p->small[0]);
    if (!p->work_s[0] || !p->busy_s[0] || !p->all_reduces[0] || !p->small[0])
        return cb_fail(CB_ENOMEM, "no memory for the times of %zu instructions", count);
    for (int s = 0; s < p->schedule->stages; s++) {
        p->work_s[s] = p->work_s[0] + offset;
        p->busy_s[s] = p->busy_s[0] + offset;
        p->all_reduces[s] = p->all_reduces[0] + offset;
        p->small[s] = p->small[0] + offset;
        offset += (size_t)p->schedule->list[s].count;
    }
    return CB_OK;
}

static void free_rows(prediction *p) {
    free(p->work_s[0]);
    free(p->busy_s[0]);
    free(p->all_reduces[0]);
    free(p->small[0]);
    free(p->spans[0]);
}

/* What keeps cores busy in a rehearsal, which does the all-reduces over tp itself. */
static double busy_s(const prediction *p, const cb_instr_cost *cost) {
    double all_s = cb_instr_cost_s(cost);
    return p->run->mesh.size[CB_TP] > 1 ? all_s - cost->by_cause_s[CB_CAUSE_TP] : all_s;
}

static void fill_rows(prediction *p) {
    for (int s = 0; s < p->schedule->stages; s++) {
        for (int i = 0; i < p->schedule->list[s].count; i++) {
            cb_instr_cost cost = cost_at(p, s, i);
            p->work_s[s][i] = cb_instr_cost_s(&cost);
            p->busy_s[s][i] = busy_s(p, &cost);
            p->all_reduces[s][i] = cost.all_reduces;
            p->small[s][i] = cost.small;
            p->idle_s += cost.idle_s;
        }
    }
}

/* All ranks' work in core seconds; and the stage that has most. */
static double total_work(const prediction *p, int *longest) {
    const int ranks = p->run->mesh.ranks / p->schedule->stages;
    double all_s = 0, most_s = -1;
    for (int s = 0; s < p->schedule->stages; s++) {
        double work_s = 0;
        for (int i = 0; i < p->schedule->list[s].count; i++) work_s += p->work_s[s][i];
        all_s += work_s;
        if (work_s > most_s) *longest = s;
        if (work_s > most_s) most_s = work_s;
    }
    return fmax(0, all_s - p->idle_s) * ranks * p->run->threads_per_rank;
}

/* Time of the stage by cause: an instruction that shared its cores took longer for each of its causes alike; what is
 * left of the step it waited, at most a message's time of each receive for the message itself, and before its gradients
 * are summed for other replicas. */
static void attribute(const prediction *p, cb_step_estimate *e) {
    const cb_instr_list *list = &p->schedule->list[e->stage];
    double busy_s = 0;
    for (int i = 0; i < list->count; i++) {
        double work_s = p->work_s[e->stage][i];
        double took_s = p->spans[e->stage][i].end_s - p->spans[e->stage][i].begin_s;
        const cb_instr_kind kind = list->at[i].kind;
        const bool is_receive = kind == CB_RECV_F || kind == CB_RECV_B;
        if (is_receive || kind >= CB_REDUCE_GRADS) { /* these wait before or after they work */
            double waited_s = took_s > work_s ? took_s - work_s : 0;
            took_s -= waited_s;
            if (kind == CB_REDUCE_GRADS) e->by_cause_s[CB_CAUSE_DP] += waited_s; /* for other replicas */
            if (kind != CB_REDUCE_GRADS) waited_s = fmin(waited_s, is_receive ? p->costs->message_s : 0);
            if (kind != CB_REDUCE_GRADS) e->by_cause_s[CB_CAUSE_PP] += waited_s;
            busy_s += waited_s;
        }
        cb_instr_cost cost = cost_at(p, e->stage, i);
        for (int cause = 0; cause < CB_CAUSES && work_s > 0; cause++) {
            e->by_cause_s[cause] += cost.by_cause_s[cause] / work_s * took_s;
        }
        if (work_s > 0) busy_s += took_s;
    }
    e->by_cause_s[CB_CAUSE_BUBBLE] = e->step_s - busy_s;
    e->bubble_share = e->step_s > 0 ? e->by_cause_s[CB_CAUSE_BUBBLE] / e->step_s : 0;
}

bool cb_run_shares_cores(const cb_run *run, int cores) {
    return (int64_t)run->mesh.ranks * run->threads_per_rank > cores;
}

static cb_err find_spans(prediction *p, int cores, int stage, double *step_s) {
    const cb_run *run = p->run;
    if (!cb_run_shares_cores(run, cores))
        return cb_schedule_simulate_each(p->schedule, p->work_s, p->costs->message_s, p->spans, step_s);
    const cb_rehearsal rehearsal = {.run = run,
                                    .schedule = p->schedule,
                                    .cores = cores,
                                    .busy_s = p->busy_s,
                                    .all_reduces = p->all_reduces,
                                    .small = p->small,
                                    .stage = stage};
    return cb_rehearse(&rehearsal, p->spans, step_s);
}

/* Replicas on cores of their own: their sum over dp waits for the slowest. */
static void wait_for_slowest(const prediction *p, cb_step_estimate *e) {
    const double waits_s = p->run->mesh.size[CB_DP] > 1 ? e->step_s * p->costs->slowest : 0;
    e->by_cause_s[CB_CAUSE_DP] += waits_s;
    e->bubble_share *= e->step_s / (e->step_s + waits_s);
    e->step_s += waits_s;
}

static cb_err predict(prediction *p, int cores, cb_step_estimate *e) {
    TRY(make_rows(p));
    fill_rows(p);
    e->floor_s = total_work(p, &e->stage) / cores;
    TRY(find_spans(p, cores, e->stage, &e->step_s));
    attribute(p, e);
    if (!cb_run_shares_cores(p->run, cores)) wait_for_slowest(p, e);
    e->tokens_per_s = (double)p->run->global_batch * p->run->T / e->step_s;
    return CB_OK;
}

cb_err cb_step_predict(const cb_run *run, const cb_step_costs *costs, int cores, cb_step_estimate *estimate) {
    cb_schedule schedule;
    *estimate = (cb_step_estimate){0};
    TRY(cb_run_schedule(run, &schedule));
    prediction *p = calloc(1, sizeof *p);
    cb_err e = p ? CB_OK : cb_fail(CB_ENOMEM, "no memory to predict a step");
    if (p) *p = (prediction){.run = run, .costs = costs, .schedule = &schedule};
    if (!e) e = predict(p, cores, estimate);
    if (p) free_rows(p);
    free(p);
    cb_schedule_free(&schedule);
    return e;
}
