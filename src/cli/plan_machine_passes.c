/* Measuring layouts, and training them, in passes over all of them: what disturbs the machine for seconds, or a
 * hypervisor that moves its cores, then does not fall on one layout alone, nor on what is predicted but not on what is
 * trained. See plan_machine.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "cli/plan_machine.h"

static const double long_s = 20; /* who measures for longer has seen more of the machine, and measures once */
enum { LEAST_PASSES = 5 };
static const double settled_s = 0.3; /* in which Linux has placed new threads well: a run of --check takes longer */

static void progress(const char *what, int number, int of, const cb_layout *layout) {
    char text[64];
    bool terminal = cb_os_is_terminal(STDERR_FILENO);
    fprintf(stderr, "%s%s %d of %d: %s%s", terminal ? "\r\033[K" : "", what, number, of, cb_layout_text(layout, text),
            terminal ? "" : "\n");
    fflush(stderr);
}

static void end_progress(void) {
    if (cb_os_is_terminal(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

/* The times of the parts: those of a layout before it that computes in the same way, or measured now. */
static cb_err measure_parts(const cb_machine_plan *plan, int i, bool split, cb_step_costs *costs) {
    const cb_machine_layout *it = plan->at[i];
    for (int k = 0; k < i; k++) {
        const cb_machine_layout *other = plan->at[k];
        const cb_step_costs *has = &other->measured[it->passes];
        if (!other->fits || (split && has->part_s[CB_PART_LAYER_W][CB_CAUSE_GEMM] <= 0)) continue;
        if (!cb_measure_same(&other->resolved.run, &it->resolved.run, plan->cores)) continue;
        *costs = *has;
        return CB_OK;
    }
    progress("measuring for layout", i + 1, plan->count, &it->layout);
    return cb_measure_compute(&it->resolved.run, plan->cores, split, costs);
}

static cb_err measure_one(const cb_machine_plan *plan, int i) {
    cb_machine_layout *it = plan->at[i];
    cb_step_costs *costs = &it->measured[it->passes];
    cb_schedule schedule;
    TRY(cb_run_schedule(&it->resolved.run, &schedule));
    cb_err e = measure_parts(plan, i, schedule.split_backward, costs);
    cb_schedule_free(&schedule);
    if (!e) e = cb_measure_messages(&it->resolved.run, plan->cores, costs);
    if (!e) e = cb_step_predict(&it->resolved.run, costs, plan->cores, &it->predicted[it->passes]);
    it->passes += !e;
    return e;
}

static cb_err measure_all(const cb_machine_plan *plan) {
    for (int i = 0; i < plan->count; i++)
        if (plan->at[i]->fits) TRY(measure_one(plan, i));
    return CB_OK;
}

/* For so many steps, or as many more as take settled_s by what this pass predicts. */
static cb_err train_one(cb_machine_layout *it, int steps) {
    const double step_s = it->predicted[it->passes - 1].step_s;
    int more = (int)fmin(settled_s / step_s, CB_MACHINE_MOST_STEPS / CB_MACHINE_MOST_PASSES);
    return cb_machine_check(it, steps > more ? steps : more);
}

static cb_err train_all(const cb_machine_plan *plan, int steps) {
    for (int i = 0; i < plan->count && steps > 0; i++) {
        progress("training", i + 1, plan->count, &plan->at[i]->layout);
        if (plan->at[i]->fits) TRY(train_one(plan->at[i], steps));
    }
    return CB_OK;
}

static double step_of(const void *estimate) {
    return ((const cb_step_estimate *)estimate)->step_s;
}

static int by_step(const void *a, const void *b) {
    return (step_of(a) > step_of(b)) - (step_of(a) < step_of(b));
}

/* Not the median: where a machine's cores have two paces, that of what is predicted may be of one, and that of what is
 * measured of the other. */
static void take_mean(cb_machine_layout *it) {
    const int cut = it->passes / 4, kept = it->passes - 2 * cut;
    cb_step_estimate *mean = &it->estimate;
    for (int i = 0; i < it->passes; i++) it->product_flops_per_s += it->measured[i].product_flops_per_s / it->passes;
    qsort(it->predicted, (size_t)it->passes, sizeof *it->predicted, by_step);
    *mean = (cb_step_estimate){.stage = it->predicted[it->passes / 2].stage};
    for (int i = cut; i < cut + kept; i++) {
        const cb_step_estimate *e = &it->predicted[i];
        mean->step_s += e->step_s / kept;
        mean->bubble_share += e->bubble_share / kept;
        mean->floor_s += e->floor_s / kept;
        for (int cause = 0; cause < CB_CAUSES; cause++) mean->by_cause_s[cause] += e->by_cause_s[cause] / kept;
    }
    const cb_step_estimate *any = it->predicted;
    mean->tokens_per_s = any->tokens_per_s * any->step_s / mean->step_s;
}

/* An odd number: of five and of seven one is left out at each end. */
static int passes_for(double first_s) {
    if (first_s > long_s) return 1;
    const int passes = (int)fmax(LEAST_PASSES, fmin(long_s / first_s, CB_MACHINE_MOST_PASSES));
    return passes - (passes + 1) % 2;
}

cb_err cb_machine_measure(const cb_machine_plan *plan, int steps) {
    double begin_s = cb_now_s();
    TRY(measure_all(plan));
    const int passes = passes_for(cb_now_s() - begin_s), each = (steps + passes - 1) / passes;
    TRY(train_all(plan, each));
    for (int pass = 1; pass < passes; pass++) {
        TRY(measure_all(plan));
        TRY(train_all(plan, each));
    }
    for (int i = 0; i < plan->count; i++)
        if (plan->at[i]->fits) take_mean(plan->at[i]);
    end_progress();
    return CB_OK;
}
