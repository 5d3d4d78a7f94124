/* Printing the plan of a run; see plan.h. */
#include "cli/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "cli/tables.h"

enum { BEFORE = 17 }; /* characters of a row before its bytes: 100 with them */

/* What the ranks of a run send in a step, all together. */
static cb_err plan_traffic(const cb_run *run, cb_traffic_table *table) {
    cb_schedule schedule;
    *table = (cb_traffic_table){.planned = true, .steps = 1};
    TRY(cb_run_schedule(run, &schedule));
    for (int rank = 0; rank < run->mesh.ranks; rank++) {
        cb_sent one = cb_run_sent(run, &schedule, rank);
        cb_traffic_table_add(table, one.of);
    }
    cb_schedule_free(&schedule);
    return CB_OK;
}

static bool is_alike(const cb_stage_plan *a, const cb_stage_plan *b) {
    return a->live == b->live && memcmp(a->memory.bytes, b->memory.bytes, sizeof a->memory.bytes) == 0;
}

/* The last of the stages from `first` on that are like it. */
static int last_alike(const cb_plan *plan, int first) {
    int last = first;
    while (last + 1 < plan->stages && is_alike(&plan->stage[last + 1], &plan->stage[first])) last++;
    return last;
}

static void print_memory(const cb_run *run, const cb_plan *plan, FILE *to) {
    char before[64], stages[32];
    int ranks = run->mesh.ranks / plan->stages;
    snprintf(before, sizeof before, "%-6s %5s %4s", "stage", "ranks", "live");
    fputs("\nmemory of each rank (live: microbatches whose activations it holds at once)\n", to);
    cb_memory_table_head(before, BEFORE, to);
    for (int first = 0, last; first < plan->stages; first = last + 1) {
        last = last_alike(plan, first);
        snprintf(stages, sizeof stages, first == last ? "%d" : "%d-%d", first, last);
        snprintf(before, sizeof before, "%-6s %5d %4d", stages, (last - first + 1) * ranks, plan->stage[first].live);
        fputc('\n', to);
        cb_memory_table_row(before, BEFORE, plan->stage[first].memory.bytes, to);
    }
    fputc('\n', to);
}

static void print_fit(const cb_plan *plan, FILE *to) {
    char all[16], largest[16], available[16];
    fprintf(to, "%d rank%s on this machine: %s, the largest rank %s;\navailable are %s: %s\n", plan->ranks_here,
            plan->ranks_here == 1 ? "" : "s", cb_os_human_bytes(plan->here_bytes, all),
            cb_os_human_bytes(plan->largest_bytes, largest), cb_os_human_bytes(plan->available_bytes, available),
            cb_plan_fits(plan) ? "it fits" : "it does NOT fit");
}

static void print_text(const cb_run *run, const cb_plan *plan, const cb_traffic_table *traffic, FILE *to) {
    fprintf(to, "\nschedule %s: %d stage%s, %d microbatch%s, at most %d sends on their way in each direction\n",
            run->schedule, plan->stages, plan->stages == 1 ? "" : "s", run->micro_batches,
            run->micro_batches == 1 ? "" : "es", plan->window);
    print_memory(run, plan, to);
    cb_traffic_table_print(traffic, to);
    fputc('\n', to);
    print_fit(plan, to);
}

static json_t *stage_json(const cb_run *run, const cb_plan *plan, int stage) {
    json_t *o =
        json_pack("{s:i,s:i,s:i,s:i,s:i,s:I}", "stage", stage, "ranks", run->mesh.ranks / plan->stages, "first_layer",
                  cb_placement_chunk(&run->placement, stage, 0).first, "layers", cb_placement_layers(&run->placement, stage), "live",
                  plan->stage[stage].live, "bytes", (json_int_t)plan->stage[stage].memory.total);
    cb_memory_to_json(o, plan->stage[stage].memory.bytes);
    return o;
}

static void add_json(const cb_run *run, const cb_plan *plan, const cb_traffic_table *traffic, json_t *to) {
    json_t *stages = json_array();
    for (int stage = 0; stage < plan->stages; stage++) json_array_append_new(stages, stage_json(run, plan, stage));
    json_object_set_new(to, "stages", stages);
    json_object_set_new(to, "traffic", cb_traffic_table_json(traffic));
}

static void print_json(const cb_run *run, const cb_plan *plan, const cb_traffic_table *traffic, FILE *to) {
    const int *size = run->mesh.size;
    json_t *o = json_pack("{s:s,s:I,s:i,s:i,s:i,s:i,s:s,s:i,s:i,s:i,s:I,s:b,s:i,s:I,s:I,s:I}", "model", run->model.name,
                          "parameters", (json_int_t)cb_model_parameters(&run->model), "ranks", run->mesh.ranks, "dp",
                          size[CB_DP], "tp", size[CB_TP], "pp", size[CB_PP], "schedule", run->schedule, "micro_batches",
                          run->micro_batches, "micro_batch_size", run->B, "seq_length", run->T, "global_batch_size",
                          (json_int_t)run->global_batch, "fits", cb_plan_fits(plan), "ranks_here", plan->ranks_here,
                          "bytes_here", (json_int_t)plan->here_bytes, "largest_bytes", (json_int_t)plan->largest_bytes,
                          "available_bytes", (json_int_t)plan->available_bytes);
    char recompute[24];
    json_object_set_new(o, "recompute", json_string(cb_recompute_text(&run->recompute, recompute)));
    add_json(run, plan, traffic, o);
    json_dumpf(o, to, JSON_COMPACT);
    fputc('\n', to);
    json_decref(o);
}

cb_err cb_plan_to_json(const cb_run *run, const cb_plan *plan, json_t *to) {
    cb_traffic_table traffic;
    TRY(plan_traffic(run, &traffic));
    add_json(run, plan, &traffic, to);
    return CB_OK;
}

cb_err cb_plan_print(const cb_run *run, bool json, FILE *to) {
    cb_plan plan;
    cb_traffic_table traffic;
    TRY(cb_run_plan(run, &plan));
    TRY(plan_traffic(run, &traffic));
    if (json)
        print_json(run, &plan, &traffic, to);
    else
        print_text(run, &plan, &traffic, to);
    return CB_OK;
}
