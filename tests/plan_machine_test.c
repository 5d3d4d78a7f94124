/* The plan for this machine, as far as it is not a measurement: the simulator of instructions with times of their own,
 * against the one of stages and against times by hand; the composition of a step from made-up times of its parts; its
 * elements and all-reduces against the run's plan and traffic; and memory and traffic of checked runs (cb_comm_launch
 * of as many threads as ranks), to the byte. And of measurements what holds whatever the machine: rehearsed steps are
 * in order, and never shorter than their work. */
#include "base/os.h"
#include "cli/plan_machine.h"
#include "cli/rehearse.h"
#include "support/ranks.h"

enum { MAX_STAGES = 8, MAX_INSTRS = 512 };

typedef struct each_case {
    cb_schedule schedule;
    double work[MAX_STAGES][MAX_INSTRS], *work_s[MAX_STAGES];
    int sums[MAX_STAGES][MAX_INSTRS], *all_reduces[MAX_STAGES];
    int small_sums[MAX_STAGES][MAX_INSTRS], *small[MAX_STAGES];
    cb_span *spans[MAX_STAGES];
    double total_s;
} each_case;

/* F takes 2 units, B 3, W 1. */
static bool make_case(each_case *c, const char *name, int stages, int micro_batches, double unit_s) {
    memset(c, 0, sizeof *c);
    if (!CHECK_OK(cb_schedule_make(&c->schedule, name, stages, micro_batches))) return false;
    CHECK_OK(cb_schedule_lower(&c->schedule));
    for (int s = 0; s < stages; s++) {
        c->work_s[s] = c->work[s];
        c->all_reduces[s] = c->sums[s];
        c->small[s] = c->small_sums[s];
        for (int i = 0; i < c->schedule.list[s].count && CHECK(i < MAX_INSTRS); i++) {
            cb_instr_kind kind = c->schedule.list[s].at[i].kind;
            double b = c->schedule.split_backward ? 3 : 4;
            c->work[s][i] = unit_s * (kind == CB_F ? 2 : kind == CB_B ? b : kind == CB_W ? 1 : 0) / c->schedule.chunks;
        }
    }
    return true;
}

static void free_case(each_case *c) {
    free(c->spans[0]);
    cb_schedule_free(&c->schedule);
}

static double stage_work(const each_case *c, int stage) {
    double sum_s = 0;
    for (int i = 0; i < c->schedule.list[stage].count; i++) sum_s += c->work[stage][i];
    return sum_s;
}

/* As if the stages had times alike for all of their instructions. */
static void check_alike(each_case *c, double message_s) {
    double f[MAX_STAGES], b[MAX_STAGES], w[MAX_STAGES], total_s;
    cb_span *spans[MAX_STAGES];
    for (int s = 0; s < c->schedule.stages; s++) f[s] = 2, b[s] = 3, w[s] = 1;
    cb_durations d = {.f_s = f, .b_s = b, .w_s = w, .message_s = message_s};
    if (CHECK_OK(cb_schedule_simulate(&c->schedule, &d, spans, &total_s, NULL))) CHECK_NEAR(c->total_s, total_s, 1e-9);
    for (int s = 0; s < c->schedule.stages && spans[0]; s++) {
        for (int i = 0; i < c->schedule.list[s].count; i++) {
            if (c->schedule.list[s].at[i].kind == CB_STEP) continue; /* agreed on here, and not there */
            CHECK_NEAR(c->spans[s][i].begin_s, spans[s][i].begin_s, 1e-9);
            CHECK_NEAR(c->spans[s][i].end_s, spans[s][i].end_s, 1e-9);
        }
    }
    free(spans[0]);
}

static void times_of_their_own(void) {
    each_case *c = malloc(sizeof *c);
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int stages = 1; stages <= 4; stages++) {
            for (int m = 12; m <= 24; m += 12) {
                if (!make_case(c, *name, stages, m, 1)) continue;
                double message_s = m == 24 ? 0.25 : 0;
                if (CHECK_OK(cb_schedule_simulate_each(&c->schedule, c->work_s, message_s, c->spans, &c->total_s)))
                    check_alike(c, message_s);
                free_case(c);
            }
        }
    }
    free(c);
}

static int find(const each_case *c, int stage, cb_instr_kind kind) {
    int at = 0;
    while (c->schedule.list[stage].at[at].kind != kind) at++;
    return at;
}

/* GPipe, one microbatch: stage 0 F0 0..2, stage 1 F0 2..4 B0 4..8, stage 0 B0 8..12. A receive that works for 5 s first
 * ends when that is over; the tied tables are summed for 3 s once both stages have come, then all step. */
static void times_by_hand(void) {
    each_case *c = malloc(sizeof *c);
    make_case(c, "gpipe", 2, 1, 1);
    c->work[1][find(c, 1, CB_RECV_F)] = 5;
    c->work[0][find(c, 0, CB_REDUCE_TIED)] = c->work[1][find(c, 1, CB_REDUCE_TIED)] = 3;
    c->work[0][find(c, 0, CB_STEP)] = 1;
    c->work[1][find(c, 1, CB_STEP)] = 2;
    CHECK_OK(cb_schedule_simulate_each(&c->schedule, c->work_s, 0.5, c->spans, &c->total_s));
    CHECK_NEAR(c->spans[1][find(c, 1, CB_RECV_F)].end_s, 5, 1e-9);
    CHECK_NEAR(c->spans[0][find(c, 0, CB_RECV_B)].end_s, 5 + 2 + 4 + 0.5, 1e-9);
    CHECK_NEAR(c->spans[1][find(c, 1, CB_REDUCE_TIED)].begin_s, 11, 1e-9);
    CHECK_NEAR(c->spans[1][find(c, 1, CB_REDUCE_TIED)].end_s, 15.5 + 3, 1e-9);
    CHECK_NEAR(c->spans[0][find(c, 0, CB_STEP)].end_s, 18.5 + 1, 1e-9);
    CHECK_NEAR(c->total_s, 18.5 + 2, 1e-9);
    free(c->spans[0]);
    c->work[0][find(c, 0, CB_REDUCE_TIED)] = 7; /* the other stage's step waits for it */
    CHECK_OK(cb_schedule_simulate_each(&c->schedule, c->work_s, 0.5, c->spans, &c->total_s));
    CHECK_NEAR(c->spans[1][find(c, 1, CB_STEP)].begin_s, 18.5, 1e-9);
    CHECK_NEAR(c->spans[1][find(c, 1, CB_STEP)].end_s, 15.5 + 7 + 2, 1e-9);
    free_case(c);
    free(c);
}

static void bad_times(void) {
    each_case *c = malloc(sizeof *c);
    make_case(c, "gpipe", 2, 2, 1);
    CHECK_FAILS(cb_schedule_simulate_each(&c->schedule, c->work_s, -1, c->spans, &c->total_s), CB_EINVAL,
                "message_s is -1 s");
    c->work[1][find(c, 1, CB_F)] = NAN;
    CHECK_FAILS(cb_schedule_simulate_each(&c->schedule, c->work_s, 0, c->spans, &c->total_s), CB_EINVAL,
                "F0 of stage 1 takes nan s");
    CHECK(c->spans[0] == NULL);
    free_case(c);
    free(c);
}

static const cb_span *last_span(const each_case *c, int stage) {
    return &c->spans[stage][c->schedule.list[stage].count - 1];
}

/* What a gate waits for is over, or has begun to be waited for. */
static void check_gate(const each_case *c, const cb_span *span, cb_gate gate) {
    const double clocks_s = 1e-9;
    if (gate.stage < 0 || !CHECK(gate.index >= 0)) return;
    const cb_span *other = &c->spans[gate.stage][gate.index];
    if (!gate.opens_when_reached)
        CHECK(span->end_s >= other->end_s - clocks_s);
    else if (gate.index > 0)
        CHECK(span->end_s >= other[-1].end_s - clocks_s);
}

/* Each stage's spans follow each other, and its gates; the optimizer's step waits for all; no work takes less time than
 * it takes, nor all work less than the machine's cores need. */
static void check_rehearsed(const each_case *c, int replicas) {
    const double clocks_s = 1e-6; /* of processor and wall */
    double all_s = 0, end_s = 0;
    cb_gate *gates[MAX_STAGES];
    if (!CHECK_OK(cb_schedule_gates(&c->schedule, CB_SEND_WINDOW, gates))) return;
    for (int s = 0; s < c->schedule.stages; s++) {
        all_s += stage_work(c, s);
        for (int i = 0; i < c->schedule.list[s].count; i++) {
            const cb_span *span = &c->spans[s][i];
            CHECK(span->end_s >= span->begin_s + c->work[s][i] - clocks_s);
            CHECK(i == 0 || span->begin_s >= span[-1].end_s);
            check_gate(c, span, gates[s][i]);
        }
        for (int t = 0; t < c->schedule.stages; t++) CHECK(last_span(c, s)->end_s >= last_span(c, t)[-1].end_s);
        end_s = fmax(end_s, last_span(c, s)->end_s);
    }
    CHECK(replicas > 1 || end_s >= all_s / cb_os_cores() * (1 - 1e-3)); /* one may begin before another */
    free(gates[0]);
}

static void rehearse(each_case *c, const char *name, int dp, int tp, int pp) {
    cb_run run;
    cb_tokens *tokens;
    ranks_case rc = {.dp = dp, .tp = tp, .pp = pp, .schedule = name, .B = 1, .batch = 16};
    const int cores = dp * tp * pp > 1 ? dp * tp * pp - 1 : 1;
    if (!CHECK_OK(ranks_run_make(&run, &tokens, &rc))) return;
    run.threads_per_rank = 1;
    if (make_case(c, name, pp, 16 / dp, 2e-5)) {
        for (int s = 0; s < pp; s++)
            for (int i = 0; i < c->schedule.list[s].count; i++) c->sums[s][i] = i % 3, c->small_sums[s][i] = i % 2;
        cb_rehearsal r = {.run = &run,
                          .schedule = &c->schedule,
                          .cores = cores,
                          .busy_s = c->work_s,
                          .all_reduces = c->all_reduces,
                          .small = c->small,
                          .stage = pp - 1};
        if (CHECK_OK(cb_rehearse(&r, c->spans, &c->total_s))) check_rehearsed(c, dp * tp);
        free_case(c);
    }
    cb_tokens_close(tokens);
}

static void rehearsed_in_order(void) {
    each_case *c = malloc(sizeof *c);
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int pp = 1; pp <= 4; pp *= 2) {
            rehearse(c, *name, 1, 1, pp);
            rehearse(c, *name, 2, 2, pp);
        }
    }
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

/* Over tp, of the instructions of the first rank of every stage. */
static int64_t all_reduces(const cb_run *run, const cb_schedule *schedule) {
    const cb_step_costs none = {0};
    int64_t n = 0;
    for (int s = 0; s < schedule->stages; s++)
        for (int i = 0; i < schedule->list[s].count; i++)
            n += cb_instr_cost_of(run, schedule, &none, s, schedule->list[s].at[i]).all_reduces;
    return run->mesh.size[CB_TP] > 1 ? n : 0;
}

/* As the run's traffic has them, less the one for the norms. */
static int64_t tp_operations(const cb_run *run, const cb_schedule *schedule) {
    int64_t n = 0;
    for (int s = 0; s < schedule->stages && run->mesh.size[CB_TP] > 1; s++) {
        int coord[CB_DIMS] = {[CB_PP] = s};
        cb_sent sent = cb_run_sent(run, schedule, cb_mesh_rank(&run->mesh, coord));
        n += sent.of[CB_FOR_TP][CB_ALL_REDUCE].operations - 1;
    }
    return n;
}

static void check_step(const ranks_case *rc, int again) {
    cb_run run;
    cb_tokens *tokens;
    char name[160];
    if (!CHECK_OK(ranks_run_make(&run, &tokens, rc))) return;
    cb_step_costs costs = made_up();
    cb_step_estimate e;
    cb_schedule schedule;
    run.threads_per_rank = 1;
    CHECK_OK(cb_run_schedule(&run, &schedule));
    int stages = run.mesh.size[CB_PP];
    double work_s = passes(&run, &costs, schedule.split_backward, again) + ends(&run, &costs), sum_s = 0;
    bool ok = CHECK_OK(cb_step_predict(&run, &costs, run.mesh.ranks, &e)) &&
              CHECK_NEAR(e.floor_s * stages, work_s, 1e-6 * work_s);
    for (int cause = 0; ok && cause < CB_CAUSES; cause++) sum_s += e.by_cause_s[cause];
    ok = ok && CHECK_NEAR(sum_s, e.step_s, 1e-9 * work_s) && CHECK(e.step_s >= work_s / stages - 1e-6) &&
         CHECK(e.step_s <= work_s + 1e-6);
    ok = ok && CHECK_NEAR(e.tokens_per_s, (double)run.global_batch * run.T / e.step_s, 1e-6);
    CHECK_INT(all_reduces(&run, &schedule), tp_operations(&run, &schedule));
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
            c.tp = 2;
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
    cb_tokens_close(tokens);
    c.dp = 2; /* replicas of 4 microbatches, the slower one by 10% */
    costs.slowest = 0.1;
    if (!CHECK_OK(ranks_run_make(&run, &tokens, &c))) return;
    run.threads_per_rank = 1;
    CHECK_OK(cb_step_predict(&run, &costs, 8, &e));
    CHECK_NEAR(e.step_s, 1.1 * (4 + 3) * 2 * 3, 1e-9);
    CHECK_NEAR(e.by_cause_s[CB_CAUSE_DP], 0.1 * (4 + 3) * 2 * 3, 1e-9);
    CHECK_NEAR(e.bubble_share, 3.0 / 7 / 1.1, 1e-9);
    CHECK_NEAR(e.tokens_per_s, 8 * run.T / e.step_s, 1e-6);
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

/* The mean of the middle half: of 1 to 8 without two at each end, of three all. */
static void middle_half(void) {
    cb_machine_layout *it = calloc(1, sizeof *it);
    static const double steps[8] = {8, 1, 100, 4, 3, 6, 5, 0};
    CHECK(cb_machine_step_s(it) <= 0);
    memcpy(it->step_s, steps, sizeof steps);
    it->steps = 8;
    CHECK_NEAR(cb_machine_step_s(it), 4.5, 1e-12);
    it->steps = 3;
    CHECK_NEAR(cb_machine_step_s(it), 109 / 3.0, 1e-12);
    it->estimate.step_s = 109 / 6.0;
    CHECK_NEAR(cb_machine_error(it), -0.5, 1e-12);
    free(it);
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
    CHECK(e.step_s > 0 && e.floor_s > 0 && isfinite(e.step_s));
    cb_tokens_close(tokens);
}

int main(void) {
    RUN(times_of_their_own);
    RUN(times_by_hand);
    RUN(bad_times);
    RUN(rehearsed_in_order);
    RUN(steps_by_hand);
    RUN(bubble_of_1f1b);
    RUN(elements_of_the_plan);
    RUN(middle_half);
    RUN(checked_runs);
    RUN(measured_parts);
    return test_end();
}
