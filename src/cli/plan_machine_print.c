/* The layouts of a run on this machine, for people and for programs. See plan_machine.h. */
#include <jansson.h>

#include "base/os.h"
#include "cli/numbers.h"
#include "cli/plan.h"
#include "cli/plan_machine.h"

static void print_head(const cb_machine_plan *plan, FILE *to) {
    const cb_run *run = &plan->at[0]->resolved.run;
    char memory[16];
    fprintf(to,
            "%s on this machine: %d core%s, %s to allocate;\na step of %lld sequence%s of %d tokens in microbatches of "
            "%d\n\n",
            run->model.name, plan->cores, plan->cores == 1 ? "" : "s",
            cb_os_human_bytes(plan->at[0]->plan.available_bytes, memory), (long long)run->global_batch,
            run->global_batch == 1 ? "" : "s", run->T, run->B);
    fprintf(to, "%-32s %7s %10s %9s %9s %7s %6s %6s %6s\n", "layout", "threads", "memory", "step s", "tokens/s",
            "bubble", "tp", "dp", "pp");
}

static double share(const cb_machine_layout *it, cb_cause cause) {
    return 100 * it->estimate.by_cause_s[cause] / it->estimate.step_s;
}

static void print_row(const cb_machine_layout *it, FILE *to) {
    char name[64], memory[16], largest[16], rate[16];
    const cb_plan *plan = &it->plan;
    fprintf(to, "%-32s %7d %10s", cb_layout_text(&it->layout, name), it->resolved.run.threads_per_rank,
            cb_os_human_bytes(plan->here_bytes, memory));
    if (!it->fits) {
        fprintf(to, " does not fit: the largest rank takes %s\n", cb_os_human_bytes(plan->largest_bytes, largest));
        return;
    }
    fprintf(to, " %9.4g %9s %6.1f%% %5.1f%% %5.1f%% %5.1f%%\n", it->estimate.step_s,
            cb_planned_number(it->estimate.tokens_per_s, rate), share(it, CB_CAUSE_BUBBLE), share(it, CB_CAUSE_TP),
            share(it, CB_CAUSE_DP), share(it, CB_CAUSE_PP));
}

static void print_checks(const cb_machine_plan *plan, FILE *to) {
    char name[64];
    if (!plan->at[0]->steps) return;
    fprintf(to, "\n%-36s %12s %11s %8s  %s\n", "trained", "predicted s", "measured s", "off by", "memory, traffic");
    for (int i = 0; i < plan->count; i++) {
        const cb_machine_layout *it = plan->at[i];
        if (!it->steps) continue;
        fprintf(to, "%-36s %12.4g %11.4g %+7.1f%%  %s\n", cb_layout_text(&it->layout, name), it->estimate.step_s,
                cb_machine_step_s(it), 100 * cb_machine_error(it), cb_machine_is_off(it) ? "DIFFER" : "to the byte");
    }
}

static void print_causes(const cb_machine_layout *it, FILE *to) {
    char name[64], rate[16];
    const cb_step_estimate *e = &it->estimate;
    int wanted = it->resolved.run.mesh.ranks * it->resolved.run.threads_per_rank;
    fprintf(to, "\n%s: %.4g s a step, %s tokens/s", cb_layout_text(&it->layout, name), e->step_s,
            cb_planned_number(e->tokens_per_s, rate));
    fprintf(to, ";\n%d thread%s; all work over all cores: %.4g s\n", wanted, wanted == 1 ? "" : "s", e->floor_s);
    fprintf(to, "a layer's matrix products run at %.4g GFLOP/s\n", it->product_flops_per_s / 1e9);
    if (it->resolved.run.mesh.size[CB_PP] > 1) fprintf(to, "stage %d, which has most to do:\n", e->stage);
    for (int cause = 0; cause < CB_CAUSES; cause++) {
        if (e->by_cause_s[cause] <= 0) continue;
        fprintf(to, "  %-12s %9.4g s %6.1f%%\n", cb_cause_name((cb_cause)cause), e->by_cause_s[cause],
                share(it, (cb_cause)cause));
    }
}

static cb_err print_text(const cb_machine_plan *plan, FILE *to) {
    print_head(plan, to);
    for (int i = 0; i < plan->count; i++) print_row(plan->at[i], to);
    print_checks(plan, to);
    if (plan->at[0]->fits) {
        print_causes(plan->at[0], to);
        cb_machine_parts_print(&plan->parts, to);
    }
    return cb_plan_print(&plan->at[0]->resolved.run, false, to);
}

static json_t *causes_json(const cb_step_estimate *e) {
    json_t *o = json_object();
    for (int cause = 0; cause < CB_CAUSES; cause++) {
        if (e->by_cause_s[cause] > 0)
            json_object_set_new(o, cb_cause_name((cb_cause)cause), json_real(e->by_cause_s[cause]));
    }
    return o;
}

static void add_check(json_t *o, const cb_machine_layout *it) {
    json_t *check =
        json_pack("{s:f,s:f,s:I,s:I,s:I,s:I}", "step_s", cb_machine_step_s(it), "error", cb_machine_error(it),
                  "memory_off_bytes", (json_int_t)it->memory_off_bytes, "traffic_off_bytes",
                  (json_int_t)it->traffic_off_bytes, "traffic_off_messages", (json_int_t)it->traffic_off_messages,
                  "traffic_off_operations", (json_int_t)it->traffic_off_operations);
    json_object_set_new(o, "check", check);
}

static cb_err layout_json(const cb_machine_layout *it, json_t *to) {
    const cb_layout *l = &it->layout;
    json_t *o = json_pack("{s:i,s:i,s:i,s:s,s:i,s:b,s:I,s:I,s:I}", "dp", l->dp, "tp", l->tp, "pp", l->pp, "schedule",
                          l->schedule, "threads_per_rank", it->resolved.run.threads_per_rank, "fits", it->fits,
                          "bytes_here", (json_int_t)it->plan.here_bytes, "largest_bytes",
                          (json_int_t)it->plan.largest_bytes, "available_bytes", (json_int_t)it->plan.available_bytes);
    json_array_append_new(to, o);
    if (!it->fits) return cb_plan_to_json(&it->resolved.run, &it->plan, o);
    const cb_step_estimate *e = &it->estimate;
    json_object_set_new(o, "step_s", json_real(e->step_s));
    json_object_set_new(o, "tokens_per_s", json_real(e->tokens_per_s));
    json_object_set_new(o, "bubble_share", json_real(e->bubble_share));
    json_object_set_new(o, "floor_s", json_real(e->floor_s));
    json_object_set_new(o, "product_flops_per_s", json_real(it->product_flops_per_s));
    json_object_set_new(o, "by_cause_s", causes_json(e));
    if (it->steps) add_check(o, it);
    return cb_plan_to_json(&it->resolved.run, &it->plan, o);
}

static cb_err print_json(const cb_machine_plan *plan, FILE *to) {
    const cb_run *run = &plan->at[0]->resolved.run;
    json_t *o = json_pack("{s:s,s:i,s:i,s:i,s:I}", "model", run->model.name, "cores", plan->cores, "micro_batch_size",
                          run->B, "seq_length", run->T, "global_batch_size", (json_int_t)run->global_batch);
    json_t *layouts = json_array();
    cb_err e = CB_OK;
    if (plan->at[0]->fits) json_object_set_new(o, "machine", cb_machine_parts_json(&plan->parts));
    json_object_set_new(o, "layouts", layouts);
    for (int i = 0; i < plan->count && !e; i++) e = layout_json(plan->at[i], layouts);
    if (!e) json_dumpf(o, to, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (!e) fputc('\n', to);
    json_decref(o);
    return e;
}

cb_err cb_machine_print(const cb_machine_plan *plan, bool json, FILE *to) {
    return json ? print_json(plan, to) : print_text(plan, to);
}
