/* Traced steps: breakdown and critical path of hand-made ones, exactly; of simulated ones, for every schedule and many
 * sizes, what the simulator says; files written and read back, and those that cannot be read. */
#include "trace/analysis.h"

#include <stdlib.h>
#include <unistd.h>

#include "support/test.h"

/* A trace of one step of pp ranks in a pipeline, times tp; its instructions have no times yet. */
static bool make(cb_traced *t, const cb_schedule_spec *spec, int tp) {
    int size[CB_DIMS] = {[CB_TP] = tp, [CB_CP] = 1, [CB_EP] = 1, [CB_DP] = 1, [CB_PP] = spec->stages};
    *t = (cb_traced){.model = "hand-made", .B = 1, .T = 1, .global_batch = spec->micro_batches, .steps = 1};
    if (!CHECK_OK(cb_mesh_make(&t->mesh, size, CB_DEFAULT_ORDER))) return false;
    if (!CHECK_OK(cb_schedule_make_spec(&t->schedule, spec)) || !CHECK_OK(cb_schedule_lower(&t->schedule)))
        return false;
    t->step = calloc(1, sizeof *t->step);
    t->step[0] = 5;
    t->rank = calloc((size_t)t->mesh.ranks, sizeof *t->rank);
    for (int r = 0; r < t->mesh.ranks; r++) {
        const cb_instr_list *list = &t->schedule.list[cb_traced_stage(t, r)];
        cb_traced_rank *rank = &t->rank[r];
        rank->step = calloc(1, sizeof *rank->step);
        rank->instr = calloc((size_t)list->count, sizeof *rank->instr);
        rank->span = calloc(8, sizeof *rank->span);
        rank->comm = calloc(8, sizeof *rank->comm);
        rank->instrs = rank->step->instrs = list->count;
        for (int i = 0; i < list->count; i++) {
            cb_instr it = list->at[i];
            rank->instr[i] =
                (cb_event){.row = r, .kind = (int32_t)it.kind, .micro_batch = it.micro_batch, .chunk = it.chunk};
        }
    }
    return true;
}

static void add_comm(cb_traced *t, int rank, cb_comm_event e) {
    cb_traced_rank *r = &t->rank[rank];
    r->comm[r->comms++] = e;
    r->step->comms = r->comms;
}

static void add_span(cb_traced *t, int rank, cb_traced_part part, double begin_s, double end_s) {
    cb_traced_rank *r = &t->rank[rank];
    r->span[r->spans++] = (cb_traced_span){.part = (int32_t)part, .begin_s = begin_s, .end_s = end_s};
    r->step->spans = r->spans;
}

/* An operation that is one call. */
static cb_comm_event operation(cb_purpose purpose, int number, double begin_s, double end_s) {
    return (cb_comm_event){.begin_s = begin_s,
                           .posted_s = begin_s,
                           .wait_s = begin_s,
                           .end_s = end_s,
                           .bytes = 64,
                           .purpose = (int32_t)purpose,
                           .kind = CB_ALL_REDUCE,
                           .peer = -1,
                           .note = number};
}

/* Instruction ends, each beginning where the one before ended. */
static void set_times(cb_traced *t, int rank, double begin_s, const double *end_s, double step_end_s) {
    cb_traced_rank *r = &t->rank[rank];
    double at_s = begin_s;
    for (int64_t i = 0; i < r->instrs; i++) {
        r->instr[i].begin_s = at_s;
        r->instr[i].end_s = at_s = end_s[i];
    }
    r->step->begin_s = 0;
    r->step->end_s = step_end_s;
}

static void check_uses(const double *got, const double want[CB_USES]) {
    for (int use = 0; use < CB_USES; use++) {
        if (!CHECK_NEAR(got[use], want[use], 1e-12)) fprintf(stderr, "    %s\n", cb_use_name((cb_use)use));
    }
}

static void check_parts(const cb_traced *t, const cb_critical_part *want, int64_t count) {
    cb_critical_part *part;
    int64_t parts;
    if (!CHECK_OK(cb_traced_critical(t, 0, &part, &parts))) return;
    CHECK_INT(parts, count);
    for (int64_t i = 0; i < parts && i < count; i++) {
        CHECK_INT(part[i].rank, want[i].rank);
        CHECK_INT(part[i].use, want[i].use);
        CHECK_NEAR(part[i].begin_s, want[i].begin_s, 1e-12);
        CHECK_NEAR(part[i].end_s, want[i].end_s, 1e-12);
    }
    free(part);
}

/* Two stages, one microbatch. Stage 0: F0 sendF0 recvB0 B0 grads tied step; stage 1: recvF0 F0 B0 sendB0 grads tied
 * step. Stage 1 waits 1..5 for F0 to be sent and till 6 for it to come; both meet in the tied sum, to which stage 0
 * comes at 26. */
static void two_stages(void) {
    cb_traced t;
    if (!make(&t, &(cb_schedule_spec){.name = "1f1b", .stages = 2, .micro_batches = 1}, 1)) return;
    set_times(&t, 0, 1, (double[]){5, 5.5, 20, 26, 26, 28, 31}, 32);
    set_times(&t, 1, 0, (double[]){6, 10, 18, 18.5, 18.5, 28, 31.5}, 31.5);
    add_span(&t, 0, CB_TRACED_ZERO, 0, 0.75);
    add_span(&t, 0, CB_TRACED_DATA, 1, 1.5);
    add_comm(&t, 0, operation(CB_FOR_EMB, 7, 26, 28));
    add_comm(&t, 1, operation(CB_FOR_EMB, 7, 18.5, 28));
    double use_s[2 * CB_USES];
    CHECK_OK(cb_traced_breakdown(&t, 0, use_s));
    /* Stage 0 waits in recvB0 from 5.5 until it is sent at 18. */
    check_uses(use_s, (double[CB_USES]){[CB_USE_COMPUTE] = 3.5 + 6,
                                        [CB_USE_PP] = 0.5 + 2 + 2,
                                        [CB_USE_BUBBLE] = 0.25 + 12.5 + 1,
                                        [CB_USE_OPTIMIZER] = 0.75 + 3,
                                        [CB_USE_DATA] = 0.5});
    check_uses(use_s + CB_USES, (double[CB_USES]){[CB_USE_COMPUTE] = 12,
                                                  [CB_USE_PP] = 1 + 0.5 + 2,
                                                  [CB_USE_BUBBLE] = 5 + 7.5 + 0.5,
                                                  [CB_USE_OPTIMIZER] = 3.5});
    static const cb_critical_part path[] = {
        {0, CB_USE_OPTIMIZER, 0, 0.75}, {0, CB_USE_BUBBLE, 0.75, 1}, {0, CB_USE_DATA, 1, 1.5},
        {0, CB_USE_COMPUTE, 1.5, 5},    {1, CB_USE_PP, 5, 6},        {1, CB_USE_COMPUTE, 6, 18},
        {0, CB_USE_PP, 18, 20},         {0, CB_USE_COMPUTE, 20, 26}, {0, CB_USE_PP, 26, 28},
        {0, CB_USE_OPTIMIZER, 28, 31},  {0, CB_USE_BUBBLE, 31, 32},
    };
    check_parts(&t, path, sizeof path / sizeof *path);
    cb_traced_free(&t);
}

/* Two ranks over tp, one stage: F0 B0 grads step. Rank 1 comes to the sum in F0 at 3, rank 0 has waited since 2; in B0
 * rank 0 starts a sum at 6, computes, waits for it from 8 to 9, and has moved it on for 0.25 between. */
static void two_over_tp(void) {
    cb_traced t;
    if (!make(&t, &(cb_schedule_spec){.name = "gpipe", .stages = 1, .micro_batches = 1}, 2)) return;
    set_times(&t, 0, 0, (double[]){5, 10, 10, 12}, 12);
    set_times(&t, 1, 0, (double[]){5, 10, 10, 11}, 11);
    add_comm(&t, 0, operation(CB_FOR_TP, 0, 2, 4));
    add_comm(&t, 1, operation(CB_FOR_TP, 0, 3, 4));
    cb_comm_event split = operation(CB_FOR_TP, 1, 6, 9);
    split.posted_s = 6.5;
    split.wait_s = 8;
    split.beside_s = 0.25;
    add_comm(&t, 0, split);
    split.wait_s = 9;
    add_comm(&t, 1, split);
    double use_s[2 * CB_USES];
    CHECK_OK(cb_traced_breakdown(&t, 0, use_s));
    check_uses(use_s, (double[CB_USES]){
                          [CB_USE_COMPUTE] = 10 - 2 - 0.5 - 1 - 0.25, [CB_USE_TP] = 3.75, [CB_USE_OPTIMIZER] = 2});
    check_uses(
        use_s + CB_USES,
        (double[CB_USES]){
            [CB_USE_COMPUTE] = 10 - 1 - 0.5 - 0.25, [CB_USE_TP] = 1.75, [CB_USE_OPTIMIZER] = 1, [CB_USE_BUBBLE] = 1});
    static const cb_critical_part path[] = {
        {1, CB_USE_COMPUTE, 0, 3},   {0, CB_USE_TP, 3, 4}, {0, CB_USE_COMPUTE, 4, 6},  {0, CB_USE_TP, 6, 6.5},
        {0, CB_USE_COMPUTE, 6.5, 8}, {0, CB_USE_TP, 8, 9}, {0, CB_USE_COMPUTE, 9, 10}, {0, CB_USE_OPTIMIZER, 10, 12},
    };
    check_parts(&t, path, sizeof path / sizeof *path);
    cb_traced_free(&t);
}

typedef struct costs {
    double f_s, b_s, w_s, message_s, step_s;
} costs;

/* The simulated step as if it had been measured: a stage comes to the tied sum when it begins it. */
static bool measure_simulated(cb_traced *t, costs c, double *total_s, double bubble_s[8]) {
    double f[8], b[8], w[8];
    cb_span *spans[8];
    for (int r = 0; r < t->schedule.stages; r++) {
        f[r] = c.f_s * (1 + 0.25 * (r % 3));
        b[r] = c.b_s;
        w[r] = c.w_s;
    }
    cb_durations d = {.f_s = f, .b_s = b, .w_s = w, .message_s = c.message_s, .step_s = c.step_s};
    if (!CHECK_OK(cb_schedule_simulate(&t->schedule, &d, spans, total_s, bubble_s))) return false;
    for (int r = 0; r < t->schedule.stages; r++) {
        cb_traced_rank *rank = &t->rank[r];
        for (int64_t i = 0; i < rank->instrs; i++) {
            cb_event *e = &rank->instr[i];
            e->begin_s = spans[r][i].begin_s;
            e->end_s = spans[r][i].end_s;
            rank->step->end_s = e->end_s;
            if (e->kind == CB_REDUCE_TIED) add_comm(t, r, operation(CB_FOR_EMB, 0, e->begin_s, e->end_s));
        }
    }
    free(spans[0]);
    return true;
}

static void check_simulated(const cb_schedule_spec *spec, costs c) {
    cb_traced t;
    double total_s, bubble_s[8], use_s[8 * CB_USES];
    if (!make(&t, spec, 1)) return;
    if (!measure_simulated(&t, c, &total_s, bubble_s) || !CHECK_OK(cb_traced_breakdown(&t, 0, use_s))) return;
    double bound = 1e-9 * (1 + total_s);
    for (int r = 0; r < spec->stages; r++) {
        const double *u = use_s + (int64_t)r * CB_USES;
        double sum_s = 0;
        for (int use = 0; use < CB_USES; use++) sum_s += u[use];
        CHECK_NEAR(sum_s, total_s, bound);
        CHECK_NEAR(u[CB_USE_OPTIMIZER], c.step_s, bound);
        CHECK_NEAR(u[CB_USE_BUBBLE] + u[CB_USE_PP] + u[CB_USE_OPTIMIZER], bubble_s[r], bound);
        if (c.message_s == 0) CHECK_NEAR(u[CB_USE_PP], 0, bound);
        CHECK(u[CB_USE_BUBBLE] >= -bound && u[CB_USE_PP] >= -bound);
    }
    cb_critical_part *part;
    int64_t parts;
    if (!CHECK_OK(cb_traced_critical(&t, 0, &part, &parts))) return;
    double at_s = 0, held_s = 0;
    for (int64_t i = 0; i < parts; i++) {
        CHECK(part[i].begin_s == at_s && part[i].end_s > at_s);
        at_s = part[i].end_s;
        if (part[i].use == CB_USE_BUBBLE || (part[i].use == CB_USE_PP && c.message_s == 0))
            held_s += at_s - part[i].begin_s;
    }
    CHECK(at_s == t.rank[0].step->end_s || at_s >= total_s - bound);
    CHECK_NEAR(at_s, total_s, bound);
    CHECK_NEAR(held_s, 0, bound); /* nobody is idle on it, whatever the schedule */
    free(part);
    cb_traced_free(&t);
}

static void simulated_steps(void) {
    static const costs some[] = {{1, 1, 1, 0, 0}, {1, 1, 1, 0.25, 0}, {2, 3, 1, 0.5, 4}, {1, 2, 0.5, 0, 3}};
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int p = 1; p <= 8; p++) {
            for (int m = 1; m <= 12; m++) {
                cb_schedule schedule;
                cb_schedule_spec spec = {.name = *name, .stages = p, .micro_batches = m};
                cb_err e = cb_schedule_make_spec(&schedule, &spec);
                if (!e) cb_schedule_free(&schedule);
                for (size_t i = 0; !e && i < sizeof some / sizeof *some; i++) check_simulated(&spec, some[i]);
                cb_err_free(e); /* sizes that this schedule cannot have */
            }
        }
    }
}

/* The medians are the costs that the step was made of, as far as the stages are alike. */
static void costs_come_back(void) {
    cb_traced t;
    costs c = {4, 3, 2, 0.5, 6};
    double total_s, bubble_s[8], cost[3 * 8];
    cb_durations d;
    if (!make(&t, &(cb_schedule_spec){.name = "zb-h1", .stages = 4, .micro_batches = 8}, 1)) return;
    if (!measure_simulated(&t, c, &total_s, bubble_s) || !CHECK_OK(cb_traced_costs(&t, 0, cost, &d))) return;
    for (int p = 0; p < 4; p++) {
        CHECK_NEAR(d.f_s[p], 4 * (1 + 0.25 * (p % 3)), 1e-12);
        CHECK_NEAR(d.b_s[p], 3, 1e-12);
        CHECK_NEAR(d.w_s[p], 2, 1e-12);
    }
    CHECK_NEAR(d.message_s, 0.5, 1e-12);
    CHECK_NEAR(d.step_s, 6, 1e-12);
    cb_traced_free(&t);
}

typedef struct place {
    char path[64];
} place;

/* What is written, with `from` (if not NULL) replaced by `to` once. */
static bool write_file(place *p, const cb_traced *t, const char *from, const char *to) {
    char *text = NULL;
    size_t length;
    FILE *memory = open_memstream(&text, &length);
    bool good = memory && CHECK_OK(cb_traced_write(t, memory));
    if (memory) fclose(memory);
    snprintf(p->path, sizeof p->path, "/tmp/trace_test.XXXXXX");
    int fd = mkstemp(p->path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    const char *at = good && from ? strstr(text, from) : NULL;
    good = good && CHECK(file && (!from || at));
    if (good && at)
        fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    else if (good)
        fputs(text, file);
    if (file) fclose(file);
    free(text);
    return good;
}

static void check_same(const cb_traced *a, const cb_traced *b) {
    CHECK_STR(a->model, b->model);
    CHECK_INT(a->steps, b->steps);
    CHECK_INT(a->step[0], b->step[0]);
    CHECK(memcmp(&a->mesh, &b->mesh, sizeof a->mesh) == 0);
    for (int r = 0; r < a->mesh.ranks; r++) {
        const cb_traced_rank *x = &a->rank[r], *y = &b->rank[r];
        CHECK_INT(x->instrs, y->instrs);
        CHECK_INT(x->comms, y->comms);
        CHECK_INT(x->spans, y->spans);
        for (int64_t i = 0; i < x->instrs; i++) {
            CHECK_INT(x->instr[i].kind, y->instr[i].kind);
            CHECK_INT(x->instr[i].micro_batch, y->instr[i].micro_batch);
            CHECK_NEAR(x->instr[i].end_s, y->instr[i].end_s, 1e-9);
        }
        for (int64_t i = 0; i < x->comms; i++) {
            CHECK_INT(x->comm[i].purpose, y->comm[i].purpose);
            CHECK_INT(x->comm[i].note, y->comm[i].note);
            CHECK_INT(x->comm[i].bytes, y->comm[i].bytes);
            CHECK_NEAR(x->comm[i].posted_s, y->comm[i].posted_s, 1e-9);
            CHECK_NEAR(x->comm[i].wait_s, y->comm[i].wait_s, 1e-9);
            CHECK_NEAR(x->comm[i].beside_s, y->comm[i].beside_s, 1e-9);
        }
    }
}

static bool make_small(cb_traced *t) {
    if (!make(t, &(cb_schedule_spec){.name = "zb-v", .stages = 2, .micro_batches = 4}, 1)) return false;
    double total_s, bubble_s[8];
    if (!measure_simulated(t, (costs){1, 1, 1, 0.25, 1}, &total_s, bubble_s)) return false;
    add_span(t, 1, CB_TRACED_DATA, t->rank[1].instr[1].begin_s, t->rank[1].instr[1].end_s);
    return true;
}

static void files_come_back(void) {
    cb_traced t, back;
    place p;
    if (make_small(&t) && write_file(&p, &t, NULL, NULL)) {
        if (CHECK_OK(cb_traced_read(&back, p.path))) {
            check_same(&t, &back);
            cb_traced_free(&back);
        }
        unlink(p.path);
    }
    cb_traced_free(&t);
}

static void bad_files(void) {
    static const struct {
        const char *from, *to, *error;
    } cases[] = {
        {"{\"displayTimeUnit\"", "#", ":1:1: not JSON: "},
        {"cuboid trace", "other", "a trace, but none of cuboid's training steps"},
        {"\"version\":1", "\"version\":2", "a trace of version 2; this cuboid reads version 1"},
        {"\"pp\":2", "\"pp\":3", "lists of 2 stages for pp 3"},
        {"\"pp\":2", "\"pp\":-2", "pp is no number from 1 to"},
        {"F0.0 ", "Q0.0 ", "the schedule: "},
        {"\"steps\":[", "\"steps\":[],\"more\":[", "it has no steps"},
        {"\"pid\":1,\"tid\":0,\"name\":\"step 5\"", "\"pid\":7,\"tid\":0,\"name\":\"step 5\"",
         "its process is none of the layout's"},
        {"\"args\":{\"step\":5}", "\"args\":{\"step\":6}", "its step is none of those"},
        {"\"cat\":\"step\"", "\"cat\":\"stop\"", "rank 0 has no slice and"},
        {"\"instr\":\"F0.0\"", "\"instr\":\"F1.0\"", "rank 0 executes 'F1.0', where its schedule has F0.0"},
        {"\"ts\":", "\"ts\":-1", "no ts and dur from 0 on"},
        {"\"traceEvents\":[", "\"traceEvents\":{},\"more\":[", "no array of traceEvents"},
    };
    cb_traced t, back;
    place p;
    if (!make_small(&t)) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!write_file(&p, &t, cases[i].from, cases[i].to)) continue;
        CHECK_FAILS(cb_traced_read(&back, p.path), CB_EFORMAT, cases[i].error);
        unlink(p.path);
    }
    if (write_file(&p, &t, NULL, NULL)) { /* wherever it is cut: within a word or a number too */
        for (int length = 4000; length >= 0 && CHECK(truncate(p.path, length) == 0); length--)
            CHECK_FAILS(cb_traced_read(&back, p.path), CB_EFORMAT, "the file ends in the middle");
    }
    unlink(p.path);
    CHECK_FAILS(cb_traced_read(&back, p.path), CB_EIO, "No such file");
    FILE *full = fopen("/dev/full", "w");
    if (full) {
        CHECK_FAILS(cb_traced_write(&t, full), CB_EIO, "writing the trace failed: No space");
        fclose(full);
    }
    cb_traced_free(&t);
}

int main(void) {
    RUN(two_stages);
    RUN(two_over_tp);
    RUN(simulated_steps);
    RUN(costs_come_back);
    RUN(files_come_back);
    RUN(bad_files);
    return test_end();
}
