/* The plan for this machine, as far as it is not a measurement: the simulator of stages that share cores, against the
 * one of stages that do not, against sums by hand and the floor of all work over all cores; the composition of a step
 * from made-up times of its parts; its elements against the memory of the run's plan; and memory and traffic of checked
 * runs (cb_comm_launch of as many threads as ranks), to the byte. */
#include "cli/plan_machine.h"
#include "pipeline/shared_cores.h"
#include "support/ranks.h"

enum { MAX_STAGES = 8, MAX_INSTRS = 512 };

typedef struct shared_case {
    cb_schedule schedule;
    double work[MAX_STAGES][MAX_INSTRS], busy[MAX_STAGES][MAX_INSTRS], *work_s[MAX_STAGES], *busy_of[MAX_STAGES];
    int need[MAX_STAGES];
    cb_span *spans[MAX_STAGES];
    double total_s;
} shared_case;

/* F takes 2 s, B 3, W 1; every stage needs `need` cores. */
static bool make_case(shared_case *c, const char *name, int stages, int micro_batches, int need) {
    memset(c, 0, sizeof *c);
    if (!CHECK_OK(cb_schedule_make(&c->schedule, name, stages, micro_batches))) return false;
    CHECK_OK(cb_schedule_lower(&c->schedule));
    for (int s = 0; s < stages; s++) {
        c->need[s] = need;
        c->work_s[s] = c->work[s];
        c->busy_of[s] = c->busy[s];
        for (int i = 0; i < c->schedule.list[s].count && CHECK(i < MAX_INSTRS); i++) {
            cb_instr_kind kind = c->schedule.list[s].at[i].kind;
            double b_s = c->schedule.split_backward ? 3 : 4;
            c->work[s][i] = (kind == CB_F ? 2 : kind == CB_B ? b_s : kind == CB_W ? 1 : 0) / c->schedule.chunks;
            c->busy[s][i] = 1;
        }
    }
    return true;
}

static cb_err run_case(shared_case *c, int cores, double message_s, bool busy) {
    cb_shared_cores shared = {
        .cores = cores, .need = c->need, .work_s = c->work_s, .busy = busy ? c->busy_of : NULL, .message_s = message_s};
    return cb_schedule_simulate_shared(&c->schedule, &shared, c->spans, &c->total_s);
}

static void free_case(shared_case *c) {
    free(c->spans[0]);
    cb_schedule_free(&c->schedule);
}

static double all_work(const shared_case *c) {
    double sum_s = 0;
    for (int s = 0; s < c->schedule.stages; s++) {
        for (int i = 0; i < c->schedule.list[s].count; i++) sum_s += c->work[s][i] * c->need[s];
    }
    return sum_s;
}

/* With a core for each rank nobody is slower than alone. */
static void check_enough(shared_case *c, double message_s) {
    double f[MAX_STAGES], b[MAX_STAGES], w[MAX_STAGES], total_s;
    cb_span *spans[MAX_STAGES];
    for (int s = 0; s < c->schedule.stages; s++) f[s] = 2, b[s] = 3, w[s] = 1;
    cb_durations d = {.f_s = f, .b_s = b, .w_s = w, .message_s = message_s};
    if (CHECK_OK(cb_schedule_simulate(&c->schedule, &d, spans, &total_s, NULL))) CHECK_NEAR(c->total_s, total_s, 1e-9);
    for (int s = 0; s < c->schedule.stages && spans[0]; s++) {
        for (int i = 0; i < c->schedule.list[s].count; i++) {
            if (c->schedule.list[s].at[i].kind > CB_W) continue;
            CHECK_NEAR(c->spans[s][i].begin_s, spans[s][i].begin_s, 1e-9);
            CHECK_NEAR(c->spans[s][i].end_s, spans[s][i].end_s, 1e-9);
        }
    }
    free(spans[0]);
}

static void with_enough_cores(void) {
    shared_case *c = malloc(sizeof *c);
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int stages = 1; stages <= 4; stages++) {
            for (int m = 12; m <= 24; m += 12) {
                if (!make_case(c, *name, stages, m, 3)) continue;
                double message_s = m == 24 ? 0.25 : 0;
                if (CHECK_OK(run_case(c, 3 * stages, message_s, m == 12))) check_enough(c, message_s);
                free_case(c);
            }
        }
    }
    free(c);
}

/* Never faster than all work over all cores, nor than with enough of them; on one core exactly all work. */
static void with_few_cores(void) {
    shared_case *c = malloc(sizeof *c);
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int stages = 1; stages <= 4; stages++) {
            double enough_s = 0;
            for (int cores = 2 * stages; cores >= 1; cores--) {
                if (!make_case(c, *name, stages, 12, 2)) continue;
                CHECK_OK(run_case(c, cores, 0, false));
                if (cores == 2 * stages) enough_s = c->total_s;
                CHECK(c->total_s >= all_work(c) / cores - 1e-9 && c->total_s >= enough_s - 1e-9);
                if (cores <= 2) CHECK_NEAR(c->total_s, all_work(c) / cores, 1e-9); /* no core is ever free */
                free_case(c);
            }
        }
    }
    free(c);
}

static double total_scaled(shared_case *c, const char *name, int stages, double scale) {
    if (!make_case(c, name, stages, 12, 1)) return 0;
    for (int s = 0; s < stages; s++)
        for (int i = 0; i < c->schedule.list[s].count; i++) c->work[s][i] *= scale;
    CHECK_OK(run_case(c, 2, 0, false));
    double total_s = c->total_s;
    CHECK(total_s >= all_work(c) / 2 * (1 - 1e-9));
    free_case(c);
    return total_s / scale;
}

/* A core that has run dry takes over another's worker after some milliseconds: with instructions of seconds hardly any
 * of its time is lost, with such of microseconds all until the next wake. */
static void workers_move_in_time(void) {
    shared_case *c = malloc(sizeof *c);
    double long_s = 0, short_s = 0;
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int stages = 3; stages <= 4; stages++) {
            long_s += total_scaled(c, *name, stages, 1);
            short_s += total_scaled(c, *name, stages, 1e-6);
        }
    }
    CHECK(short_s > 1.01 * long_s);
    free(c);
}

/* Two stages that need two cores each, of two. Half of each F is waiting, so two at once fit; B is all work. */
static void waiting_leaves_cores_free(void) {
    shared_case *c = malloc(sizeof *c);
    make_case(c, "gpipe", 2, 2, 2);
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < c->schedule.list[s].count; i++) {
            if (c->schedule.list[s].at[i].kind == CB_F) c->busy[s][i] = 0.5;
        }
    }
    CHECK_OK(run_case(c, 2, 0, true)); /* F0 2 s | F1 beside F0 2 s | F1 2 s | B0 4 s | B1 beside B0 8 s | B1 4 s */
    CHECK_NEAR(c->total_s, 22, 1e-9);
    free(c->spans[0]);
    CHECK_OK(run_case(c, 2, 0, false)); /* all work: 4 F of 2 s, 4 B of 4 s */
    CHECK_NEAR(c->total_s, 24, 1e-9);
    free_case(c);
    free(c);
}

static void bad_times(void) {
    shared_case *c = malloc(sizeof *c);
    make_case(c, "gpipe", 2, 2, 1);
    CHECK_FAILS(run_case(c, 0, 0, false), CB_EINVAL, "0 cores; there is at least 1");
    CHECK_FAILS(run_case(c, 1, -1, false), CB_EINVAL, "message_s is -1 s");
    c->busy[1][1] = 2;
    CHECK_FAILS(run_case(c, 1, 0, true), CB_EINVAL, "F0 of stage 1 takes 2 s and keeps its cores busy for 2 of it");
    c->work[0][0] = NAN;
    CHECK_FAILS(run_case(c, 1, 0, false), CB_EINVAL, "F0 of stage 0 takes nan s");
    c->need[1] = 0;
    c->work[0][0] = 1;
    CHECK_FAILS(run_case(c, 1, 0, false), CB_EINVAL, "stage 1 needs 0 cores");
    CHECK(c->spans[0] == NULL);
    free_case(c);
    free(c);
}

/* Each part a time of its own: 1, 2, 4, ... s. */
static cb_step_costs made_up(void) {
    cb_step_costs costs = {.zero_s = 1e-4,
                           .accumulate_s = 2e-4,
                           .copy_s = 4e-4,
                           .squares_s = 8e-4,
                           .adamw_s = 16e-4,
                           .reduce_s = 32e-4,
                           .tied_s = 64e-4,
                           .agree_s = 3};
    for (int part = 0; part < CB_STEP_PARTS; part++) costs.part_s[part][CB_CAUSE_GEMM] = 1 << part;
    return costs;
}

static double part(const cb_step_costs *costs, cb_step_part p) {
    return costs->part_s[p][CB_CAUSE_GEMM];
}

/* A run's microbatches through all layers and both ends, by hand. */
static double passes(const cb_run *run, const cb_step_costs *c, bool split, int again) {
    double layers = run->model.layers,
           ends = part(c, CB_PART_EMBEDDING_F) + part(c, CB_PART_HEAD_F) + part(c, CB_PART_EMBEDDING_B);
    double each = layers * part(c, CB_PART_LAYER_F) + again * part(c, CB_PART_LAYER_AGAIN) + ends;
    if (!split) return run->micro_batches * (each + layers * part(c, CB_PART_LAYER_B) + part(c, CB_PART_HEAD_B));
    each += layers * (part(c, CB_PART_LAYER_B_ALONE) + part(c, CB_PART_LAYER_W));
    return run->micro_batches * (each + part(c, CB_PART_HEAD_B_ALONE) + part(c, CB_PART_HEAD_W));
}

/* The end of the step, of all stages: every gradient is zeroed and reduced, every parameter squared and stepped. */
static double ends(const cb_run *run, const cb_step_costs *c) {
    double sum_s = 0;
    for (int s = 0; s < run->mesh.size[CB_PP]; s++) {
        cb_stage_elements e = cb_run_stage_elements(run, s);
        double grads = (double)e.grads, params = (double)e.params, both = grads - params;
        sum_s += c->zero_s * grads + (c->squares_s + c->adamw_s) * params + c->accumulate_s * both + c->agree_s;
        if (run->mesh.size[CB_DP] > 1) sum_s += c->reduce_s * grads;
        if (both <= 0) sum_s += c->tied_s * (double)e.table;
    }
    return sum_s;
}

static void check_step(const ranks_case *rc, int again) {
    cb_run run;
    cb_tokens *tokens;
    char name[160];
    if (!CHECK_OK(ranks_run_make(&run, &tokens, rc))) return;
    cb_step_costs costs = made_up();
    cb_step_estimate one, many;
    cb_schedule schedule;
    run.threads_per_rank = 1;
    CHECK_OK(cb_run_schedule(&run, &schedule));
    int replicas = run.mesh.size[CB_DP] * run.mesh.size[CB_TP], stages = run.mesh.size[CB_PP];
    double work_s = passes(&run, &costs, schedule.split_backward, again) + ends(&run, &costs), sum_s = 0;
    bool ok = CHECK_OK(cb_step_predict(&run, &costs, replicas, &one)) &&
              CHECK_NEAR(one.floor_s, work_s, 1e-6 * work_s) &&
              CHECK_NEAR(one.step_s, work_s, 1e-6 * work_s); /* cores for one stage at a time: no bubble */
    ok = ok && CHECK_OK(cb_step_predict(&run, &costs, run.mesh.ranks, &many));
    for (int cause = 0; ok && cause < CB_CAUSES; cause++) sum_s += many.by_cause_s[cause];
    ok = ok && CHECK_NEAR(sum_s, many.step_s, 1e-9 * work_s) && CHECK(many.step_s >= work_s / stages - 1e-6);
    ok = ok && CHECK_NEAR(many.tokens_per_s, (double)run.global_batch * run.T / many.step_s, 1e-6);
    if (!ok) fprintf(stderr, "    %s\n", ranks_name(rc, name));
    cb_schedule_free(&schedule);
    cb_tokens_close(tokens);
}

static void steps_by_hand(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int pp = 1; pp <= 4; pp *= 2) {
            ranks_case c = {.pp = pp, .schedule = *name, .B = 1, .batch = 16};
            check_step(&c, 0);
            c.recompute = "full";
            check_step(&c, 8);
            c.recompute = "full:1";
            c.dp = 2;
            check_step(&c, pp);
        }
    }
}

/* A closed form: 1F1B, stages alike but for the ends, which take nothing. */
static void bubble_of_1f1b(void) {
    cb_run run;
    cb_tokens *tokens;
    ranks_case c = {.pp = 4, .B = 1, .batch = 8, .placement = "even"};
    cb_step_costs costs = {0};
    cb_step_estimate e;
    costs.part_s[CB_PART_LAYER_F][CB_CAUSE_GEMM] = 1;
    costs.part_s[CB_PART_LAYER_B][CB_CAUSE_ATTENTION] = 2;
    if (!CHECK_OK(ranks_run_make(&run, &tokens, &c))) return;
    run.threads_per_rank = 1;
    CHECK_OK(cb_step_predict(&run, &costs, 4, &e));
    CHECK_NEAR(e.step_s, (8 + 3) * 2 * 3, 1e-9); /* (m + p - 1) x 2 layers x (F + B) */
    CHECK_NEAR(e.bubble_share, 3.0 / 11, 1e-9);
    CHECK_NEAR(e.by_cause_s[CB_CAUSE_GEMM], 8 * 2, 1e-9);
    CHECK_NEAR(e.by_cause_s[CB_CAUSE_ATTENTION], 8 * 2 * 2, 1e-9);
    CHECK_OK(cb_step_predict(&run, &costs, 2, &e));
    CHECK(e.step_s >= e.floor_s && e.floor_s >= 8 * 2 * 3 * 4 / 2.0 - 1e-9);
    cb_tokens_close(tokens);
}

/* Elements are those that the run's plan has bytes for; the parts of a batch only add buffers. */
static void elements_of_the_plan(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int pp = 1; pp <= 4; pp++) {
            cb_run run;
            cb_tokens *tokens;
            cb_plan plan;
            ranks_case c = {.tp = 1 + pp % 2, .pp = pp, .schedule = *name, .batch = 24, .B = 1, .data_shards = 1};
            if (CHECK_OK(ranks_run_make(&run, &tokens, &c)) && CHECK_OK(cb_run_plan(&run, &plan))) {
                for (int s = 0; s < pp; s++) {
                    cb_stage_elements e = cb_run_stage_elements(&run, s);
                    CHECK_INT(4 * e.params, plan.stage[s].memory.bytes[CB_MEM_PARAMS]);
                    CHECK_INT(4 * e.grads, plan.stage[s].memory.bytes[CB_MEM_GRADS]);
                }
            }
            cb_tokens_close(tokens);
        }
    }
}

/* What --check compares: every rank's memory and traffic in runs of every schedule. */
static void checked_runs(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int layout = 0; layout < 3; layout++) {
            cb_machine_layout it = {.fits = true};
            cb_tokens *tokens;
            ranks_case c = {
                .dp = 1 + layout % 2, .tp = 1 + layout / 2, .pp = 2, .schedule = *name, .batch = 16, .B = 1};
            c.recompute = layout == 1 ? "full" : "none";
            if (CHECK_OK(ranks_run_make(&it.resolved.run, &tokens, &c))) {
                CHECK_OK(cb_run_plan(&it.resolved.run, &it.plan));
                CHECK_OK(cb_machine_check(&it, 1));
                CHECK(it.steps == 1 && cb_machine_step_s(&it) > 0);
                CHECK_INT(it.memory_off_bytes, 0);
                CHECK_INT(it.traffic_off_bytes + it.traffic_off_messages + it.traffic_off_operations, 0);
                it.plan.stage[1].memory.bytes[CB_MEM_COMM] += 64; /* a plan that is wrong is found */
                CHECK_OK(cb_machine_check(&it, 1));
                CHECK_INT(it.memory_off_bytes, 64 * it.resolved.run.mesh.ranks / 2);
            }
            cb_tokens_close(tokens);
        }
    }
}

/* Measurements are numbers: none is negative, none missing. */
static void measured_parts(void) {
    cb_run run;
    cb_tokens *tokens;
    ranks_case c = {.tp = 2, .pp = 2, .schedule = "zb-h1", .batch = 8, .recompute = "selective"};
    cb_step_costs costs;
    cb_step_estimate e;
    if (!CHECK_OK(ranks_run_make(&run, &tokens, &c))) return;
    run.threads_per_rank = 1;
    CHECK_OK(cb_measure_compute(&run, 2, true, &costs));
    CHECK_OK(cb_measure_messages(&run, 2, &costs));
    for (int p = 0; p < CB_STEP_PARTS; p++) {
        double sum_s = 0;
        for (int cause = 0; cause < CB_CAUSES; cause++) sum_s += costs.part_s[p][cause];
        CHECK(isfinite(sum_s) && sum_s > 0 && costs.idle_s[p] >= 0 && costs.idle_s[p] <= sum_s);
    }
    CHECK(costs.adamw_s > 0 && costs.message_s > 0 && costs.tied_s > 0 && costs.agree_s > 0 &&
          costs.product_flops_per_s > 0);
    CHECK(cb_measure_same(&run, &run, 2));
    CHECK_OK(cb_step_predict(&run, &costs, 2, &e));
    CHECK(e.step_s >= e.floor_s * (1 - 1e-9) && e.floor_s > 0);
    cb_tokens_close(tokens);
}

int main(void) {
    RUN(with_enough_cores);
    RUN(with_few_cores);
    RUN(workers_move_in_time);
    RUN(waiting_leaves_cores_free);
    RUN(bad_times);
    RUN(steps_by_hand);
    RUN(bubble_of_1f1b);
    RUN(elements_of_the_plan);
    RUN(checked_runs);
    RUN(measured_parts);
    return test_end();
}
