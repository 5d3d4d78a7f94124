/* The search: no legal layout is missed and no illegal one is taken (against a plain loop over everything on small
 * clusters), wishes, ranks, the smallest cluster; and what the ranks send against the papers' formulas. */
#include "planner/flows.h"
#include "planner/search.h"
#include "support/test.h"

static cb_hardware hardware;
static cb_cluster cluster;
static cb_model model;
static cb_constants constants;

static cb_job job_of(const char *name, const char *on, int64_t batch, int64_t seq) {
    CHECK_OK(cb_model_preset(&model, name));
    cb_hardware_default(&hardware);
    CHECK_OK(cb_cluster_parse(&hardware, on, &cluster));
    constants = cb_constants_default();
    return (cb_job){.model = &model,
                    .cluster = &cluster,
                    .stack = CB_MEGATRON_2021,
                    .precision = CB_MATH_16,
                    .seq_length = seq,
                    .global_batch = batch};
}

static cb_search run(const cb_job *job, cb_wish wish) {
    cb_search search;
    cb_search_spec spec = {.job = job, .constants = &constants, .wish = wish};
    CHECK_OK(cb_search_run(&spec, &search));
    return search;
}

/* Every value of every field, legal or not. Recomputation by operation is left to the stack that has it. */
static int64_t count_plainly(const cb_job *job, double *best_s) {
    int n = job->cluster->devices, layers = job->model->layers;
    int64_t legal = 0;
    cb_param_sums sums = cb_param_sums_of(job->model);
    cb_split s;
    *best_s = 1e300;
    for (s.tp = 1; s.tp <= n; s.tp++)
        for (s.pp = 1; s.pp <= n; s.pp++)
            for (s.cp = 1; s.cp <= (job->seq_length >= 16384 ? 2 : 1); s.cp++)
                for (s.dp = 1; s.dp <= n; s.dp++)
                    for (s.chunks = 1; s.chunks <= layers; s.chunks++)
                        for (s.micro_batch = 1; s.micro_batch <= job->global_batch; s.micro_batch++)
                            for (int bits = 0; bits < 4 * 3 * 2 * 2 * 4; bits++) {
                                static const cb_split_recompute kept[] = {CB_KEEP_ALL, CB_AGAIN_ATTENTION,
                                                                          CB_AGAIN_LAYER};
                                s.schedule = (cb_split_schedule)(bits % 4);
                                s.recompute = kept[bits / 4 % 3];
                                s.placement = bits / 12 % 2 ? CB_PLACE_WITH_ENDS : CB_PLACE_EVEN;
                                s.sequence_parallel = bits / 24 % 2;
                                s.zero = bits / 48;
                                if (cb_rule_broken(job, &s) >= 0) continue;
                                legal++;
                                cb_estimate e;
                                if (cb_device_memory_worst(job, &s, &sums).total_bytes >
                                    job->cluster->device.memory_bytes)
                                    continue;
                                CHECK_OK(cb_estimate_time(job, &s, &constants, &e));
                                if (e.step_s < *best_s) *best_s = e.step_s;
                            }
    return legal;
}

static void nothing_is_missed(void) {
    static const struct {
        const char *model, *cluster;
        int batch, seq;
    } cases[] = {{"toy-8", "v100-16g:4x2", 16, 128},
                 {"toy-12", "a100-80g:2x3", 12, 128},
                 {"gpt2-1558m", "v100-16g:4x1", 8, 1024},
                 {"llama-3-8b", "h100-80g:4x1", 4, 16384}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cb_job job = job_of(cases[i].model, cases[i].cluster, cases[i].batch, cases[i].seq);
        if (cases[i].seq >= 16384) job.stack = CB_MEGATRON_CORE;
        double best_s;
        int64_t legal = count_plainly(&job, &best_s);
        cb_search search = run(&job, cb_wish_none());
        CHECK(legal > 0);
        CHECK_INT(search.legal, legal);
        if (search.fitting) CHECK_NEAR(search.mesh[0].best.estimate.step_s, best_s, 0);
        cb_search_free(&search);
    }
}

static void results_are_in_order(void) {
    cb_job job = job_of("gpt3-175b", "a100-80g:8x8", 64, 2048);
    cb_search s = run(&job, cb_wish_none());
    int64_t layouts = 0;
    CHECK(s.fitting > 0 && s.fitting_meshes < s.meshes);
    for (int i = 0; i < s.meshes; i++) {
        const cb_mesh_result *m = &s.mesh[i];
        layouts += m->layouts;
        CHECK_INT(m->fits, i < s.fitting_meshes);
        CHECK_INT(cb_rule_broken(&job, &m->best.split), -1);
        CHECK_INT(m->fits, m->best.memory.total_bytes <= cluster.device.memory_bytes);
        if (m->fits) CHECK_NEAR(m->best.estimate.tokens_per_s * m->best.estimate.step_s, 64.0 * 2048, 1e-6);
        if (m->fits) CHECK(m->best.estimate.mfu > 0 && m->best.estimate.hfu >= m->best.estimate.mfu);
        if (m->fits && i > 0) CHECK(m->best.estimate.step_s >= s.mesh[i - 1].best.estimate.step_s);
    }
    CHECK_INT(layouts, s.legal);
    for (int64_t i = 0; i < s.fitting; i++) {
        if (i > 0) CHECK(s.step_s[i] >= s.step_s[i - 1]);
        CHECK(cb_search_rank(&s, s.step_s[i]) <= i);
    }
    CHECK_INT(cb_search_rank(&s, s.mesh[0].best.estimate.step_s), 0);
    CHECK_INT(cb_search_rank(&s, 1e300), s.fitting);
    cb_search_free(&s);
}

static void wishes_hold(void) {
    cb_job job = job_of("gpt3-13b", "a100-80g:8x2", 64, 2048);
    cb_wish wish = cb_wish_none();
    wish.tp = 4, wish.pp = 2, wish.micro_batch = 2, wish.zero = 1, wish.recompute = CB_AGAIN_LAYER;
    wish.schedule = CB_SPLIT_1F1B, wish.sequence_parallel = 1;
    cb_search s = run(&job, wish);
    CHECK_INT(s.meshes, 1);
    CHECK_INT(s.legal, 2); /* layers even, or the ends counted as layers */
    cb_split *it = &s.mesh[0].best.split;
    CHECK(it->dp == 2 && it->tp == 4 && it->pp == 2 && it->micro_batch == 2 && it->zero == 1 && it->sequence_parallel);
    cb_search_free(&s);
    wish.tp = 3;
    cb_search_spec spec = {.job = &job, .constants = &constants, .wish = wish};
    CHECK_FAILS(cb_search_run(&spec, &s), CB_EINVAL,
                "what is fixed of dp x tp x pp x cp is 6, which does not divide the 16 devices");
    wish = cb_wish_none(), wish.tp = 16, wish.micro_batch = 3, spec.wish = wish;
    CHECK_FAILS(cb_search_run(&spec, &s), CB_EINVAL,
                "no layout of 16 devices for 64 sequences has tp 16, microbatch 3: tp divides the heads");
    wish.tp = 8, spec.wish = wish;
    CHECK_FAILS(cb_search_run(&spec, &s), CB_EINVAL,
                "for 64 sequences has tp 8, microbatch 3: dp x microbatch divides");
    wish = cb_wish_none(), wish.tp = wish.pp = wish.dp = 2, spec.wish = wish;
    CHECK_FAILS(cb_search_run(&spec, &s), CB_EINVAL, "dp x tp x pp is 8; the cluster has 16 devices");
}

static void each_rule_is_broken_by_its_example(void) {
    static const struct {
        const char *rule;
        cb_split split;
    } bad[] = {
        {"devices", {2, 2, 2, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"heads", {2, 8, 1, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"stages", {1, 1, 16, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"layers", {2, 1, 8, 1, 2, 1, CB_SPLIT_INTERLEAVED, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"batch", {16, 1, 1, 1, 1, 3, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"schedule", {16, 1, 1, 1, 1, 1, CB_SPLIT_ZB_H1, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"groups", {4, 1, 4, 1, 2, 8, CB_SPLIT_INTERLEAVED, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"chunks", {4, 1, 4, 1, 2, 1, CB_SPLIT_INTERLEAVED, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
        {"ends", {2, 1, 8, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_WITH_ENDS, false, 0}},
        {"sequence", {16, 1, 1, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, true, 0}},
        {"zero", {1, 4, 4, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 1}},
        {"zero-2", {4, 1, 4, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 2}},
        {"zero-3", {4, 1, 4, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 3}},
        {"context", {4, 1, 1, 4, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0}},
    };
    char reason[128];
    cb_job job = job_of("gpt2-124m", "a100-80g:8x2", 64, 1024);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int broken = cb_rule_broken(&job, &bad[i].split);
        if (!CHECK(broken >= 0)) continue;
        CHECK_STR(cb_rule_at(broken)->name, bad[i].rule);
        CHECK_STR(cb_rule_reason(&job, &bad[i].split, broken, reason), cb_rule_at(broken)->reason);
    }
    job.seq_length = 2048;
    CHECK_STR(cb_rule_at(cb_rule_broken(&job, &bad[1].split))->name, "positions");
    cb_split good = {16, 1, 1, 1, 1, 1, CB_SPLIT_1F1B, CB_AGAIN_ATTENTION, CB_PLACE_EVEN, false, 1};
    job.seq_length = 1024;
    CHECK_INT(cb_rule_broken(&job, &good), -1);
    job.stack = CB_MEGATRON_CORE;
    CHECK_STR(cb_rule_at(cb_rule_broken(&job, &good))->name, "selective");
    cb_split interleaved = {4, 1, 4, 1, 3, 1, CB_SPLIT_INTERLEAVED, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0};
    CHECK_INT(cb_rule_broken(&job, &interleaved), -1);
    cb_split cut = {16, 1, 1, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 2};
    CHECK_INT(cb_rule_broken(&job, &cut), -1);
    job.stack = CB_NANOTRON; /* cuts optimizer states alone */
    CHECK_STR(cb_rule_at(cb_rule_broken(&job, &interleaved))->name, "stack");
    CHECK_STR(cb_rule_at(cb_rule_broken(&job, &cut))->name, "stack");
    cut.zero = 1;
    CHECK_INT(cb_rule_broken(&job, &cut), -1);
    cut.pp = 4, cut.dp = 4, cut.zero = 3;
    job.stack = CB_TITAN;
    CHECK_INT(cb_rule_broken(&job, &cut), -1);
    cut.zero = 2; /* nothing over 1 */
    CHECK_STR(cb_rule_at(cb_rule_broken(&job, &cut))->name, "zero-2");
    cb_split odd = {4, 3, 1, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0};
    cluster.devices = 12;
    CHECK_STR(cb_rule_at(cb_rule_broken(&job, &odd))->name, "node");
    CHECK_INT(cb_rule_of_any_run_broken(&job, &odd), -1);
    model.kv_heads = 4;
    CHECK_STR(cb_rule_at(cb_rule_broken(&job, &odd))->name, "kv-heads");
    CHECK_INT(cb_rule_of_any_run_broken(&job, &odd), -1);
    odd.tp = 5, cluster.devices = 20;
    CHECK_STR(cb_rule_at(cb_rule_of_any_run_broken(&job, &odd))->name, "heads");
}

static void least_cluster(void) {
    cb_job job = job_of("gpt3-175b", "a100-80g:8x1", 64, 2048);
    cb_search_spec spec = {.job = &job, .constants = &constants, .wish = cb_wish_none()};
    int nodes = cb_search_least_nodes(&spec, 64);
    CHECK(nodes > 4 && nodes < 12); /* 2.8 TB of states alone need 33 devices */
    for (int n = 1; n <= nodes; n++) {
        cb_search search;
        cluster.devices = 8 * n;
        CHECK_OK(cb_search_run(&spec, &search));
        CHECK_INT(search.fitting > 0, n == nodes);
        cb_search_free(&search);
    }
    cluster.device.memory_bytes = 1e9;
    CHECK_INT(cb_search_least_nodes(&spec, 8), 0);
}

static const cb_flow *flow(const cb_flow *rows, int count, const char *what) {
    for (int i = 0; i < count; i++)
        if (strstr(rows[i].what, what)) return &rows[i];
    CHECK(false);
    return rows;
}

/* Volumes of one rank and step: 8 b s h (t-1)/t a layer and microbatch under tensor parallelism, 2 more for the inputs
 * gathered again under sequence parallelism; 2 (d-1)/d P of gradients; a message each way per border. */
static void flows_are_the_papers(void) {
    cb_job job = job_of("gpt3-13b", "a100-80g:8x2", 64, 2048);
    cb_param_sums sums = cb_param_sums_of(&model);
    cb_flow rows[CB_MOST_FLOWS];
    for (int sp = 0; sp < 2; sp++)
        for (int again = 0; again < 2; again++) {
            double grad = sp ? 4 : 2; /* Megatron-LM of 2021 sends what it adds up in */
            job.grads_32 = sp;
            cb_split s = {2, 4, 2, 1, 1, 2, CB_SPLIT_1F1B, again ? CB_AGAIN_LAYER : CB_KEEP_ALL, CB_PLACE_EVEN, sp, 0};
            int count = cb_flows_of(&job, &s, &sums, 0, rows);
            double bsh = 2.0 * 2048 * 5120, m = 16, layers = 20, share = 3.0 / 4, bytes = 2;
            double body = ((again ? 12 : 8) + 2 * sp) * bsh * share * m * layers * bytes,
                   embedding = 2 * bsh * share * m * bytes;
            CHECK_NEAR(cb_flows_bytes(rows, count, "tp"), body + embedding, 1e-6 * body);
            CHECK_NEAR(flow(rows, count, "next stage")->sent_bytes, m * bsh * bytes / 4,
                       1); /* a quarter to each peer */
            double local = layers * (sums.layer_cut / 4 + sums.layer_whole) + sums.first_cut / 4 + sums.first_whole;
            CHECK_NEAR(cb_flows_bytes(rows, count, "dp"), 2 * 0.5 * local * grad, 64);
            CHECK_NEAR(flow(rows, count, "tied")->sent_bytes, grad * sums.tied_cut / 4, 64);
            s.zero = 1; /* scattered, and gathered in 16 bits */
            count = cb_flows_of(&job, &s, &sums, 0, rows);
            CHECK_NEAR(cb_flows_bytes(rows, count, "dp"), 0.5 * local * (grad + 2), 64);
        }
    cb_split alone = {1, 1, 1, 1, 1, 1, CB_SPLIT_1F1B, CB_KEEP_ALL, CB_PLACE_EVEN, false, 0};
    CHECK_INT(cb_flows_of(&job, &alone, &sums, 0, rows), 0);
}

int main(void) {
    RUN(nothing_is_missed);
    RUN(results_are_in_order);
    RUN(wishes_hold);
    RUN(each_rule_is_broken_by_its_example);
    RUN(least_cluster);
    RUN(flows_are_the_papers);
    return test_end();
}
