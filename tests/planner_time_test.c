/* The time of a step: its parts add up, more work takes longer, more rate does not, and what cannot be is refused. */
#include <stdlib.h>

#include "planner/flows.h"
#include "planner/search.h"
#include "planner/terms.h"
#include "support/test.h"

static cb_model model;
static cb_cluster cluster;
static cb_constants constants;

static void on(const char *name, const char *hardware_name) {
    cb_hardware hardware;
    cb_hardware_default(&hardware);
    CHECK_OK(cb_model_preset(&model, name));
    CHECK_OK(cb_cluster_parse(&hardware, hardware_name, &cluster));
    constants = cb_constants_default();
}

static cb_job job_of(cb_stack stack) {
    return (cb_job){.model = &model,
                    .cluster = &cluster,
                    .stack = stack,
                    .precision = CB_MATH_16,
                    .seq_length = 2048,
                    .global_batch = 1536};
}

static const cb_split usual = {
    .dp = 8, .tp = 8, .pp = 16, .cp = 1, .chunks = 1, .micro_batch = 1, .schedule = CB_SPLIT_1F1B};

static double step_s(const cb_job *job, const cb_split *split) {
    cb_estimate estimate = {.step_s = 0};
    CHECK_OK(cb_estimate_time(job, split, &constants, &estimate));
    return estimate.step_s;
}

/* Every stack on a layout of every kind: finite, positive, and the causes add up to the step. */
static void parts_add_up(void) {
    on("gpt3-175b", "a100-80g:8x128");
    for (int stack = 0; stack < CB_STACKS; stack++) {
        cb_job job = job_of((cb_stack)stack);
        for (int i = 0; i < 4 * CB_SPLIT_RECOMPUTES; i++) {
            cb_split split = usual;
            cb_estimate e;
            split.zero = i % 4;
            split.recompute = (cb_split_recompute)(i / 4);
            split.sequence_parallel = i & 1;
            if (i & 2)
                split = (cb_split){.dp = 128, .tp = 8, .pp = 1, .cp = 1, .chunks = 1, .micro_batch = 4, .zero = i % 4};
            CHECK_OK(cb_estimate_time(&job, &split, &constants, &e));
            cb_estimate_rates(&job, &split, &e);
            double sum = 0;
            for (int cause = 0; cause < CB_CAUSES; cause++) {
                CHECK(e.by_cause_s[cause] >= -1e-12 && isfinite(e.by_cause_s[cause]));
                sum += e.by_cause_s[cause];
            }
            CHECK_NEAR(sum, e.step_s, 1e-9 * e.step_s);
            CHECK(e.mfu > 0 && e.mfu < 1 && e.hfu >= e.mfu);
            CHECK_NEAR(e.tokens_per_s * e.step_s, 1536 * 2048.0, 1e-3);
        }
    }
}

static void more_work_takes_longer(void) {
    on("gpt3-175b", "a100-80g:8x128");
    cb_job job = job_of(CB_MEGATRON_2021), batch = job, longer = job;
    cb_split split = usual, again = usual;
    batch.global_batch *= 2;
    longer.seq_length *= 2;
    again.recompute = CB_AGAIN_LAYER;
    double base_s = step_s(&job, &split);
    CHECK(step_s(&batch, &split) > 1.5 * base_s && step_s(&batch, &split) < 2 * base_s);
    CHECK(step_s(&longer, &split) > 2 * base_s);
    CHECK(step_s(&job, &again) > 1.2 * base_s && step_s(&job, &again) < 1.45 * base_s);
}

static void more_rate_does_not(void) {
    on("gpt3-175b", "a100-80g:8x128");
    cb_job job = job_of(CB_MEGATRON_2021);
    double base_s = step_s(&job, &usual);
    for (int i = 0; i < 5; i++) {
        cb_cluster before = cluster;
        if (i == 0) cluster.device.peak_flops[CB_MATH_16] *= 2;
        if (i == 1) cluster.device.memory_bytes_per_s *= 2;
        if (i == 2) cluster.device.link_bytes_per_s *= 2;
        if (i == 3) cluster.network.nic_bytes_per_s *= 2;
        if (i == 4) cluster.network.nics *= 2;
        CHECK(step_s(&job, &usual) < base_s);
        cluster = before;
    }
}

/* A product twice as large in any direction takes longer, and large ones come near the share of the peak. */
static void gemm(void) {
    on("gpt3-175b", "a100-80g:8x1");
    cb_job job = job_of(CB_MEGATRON_2021);
    cb_split split = {.dp = 1, .tp = 8, .pp = 1, .cp = 1, .chunks = 1, .micro_batch = 1};
    cb_terms t = cb_terms_of(&job, &split, &constants);
    for (double m = 64; m <= 16384; m *= 2) {
        for (double n = 64; n <= 16384; n *= 2) {
            double s = cb_gemm_s(&t, m, n, 1024, n, CB_MATH_16);
            CHECK(cb_gemm_s(&t, 2 * m, n, 1024, n, CB_MATH_16) >= s);
            CHECK(cb_gemm_s(&t, m, 2 * n, 1024, n, CB_MATH_16) >= s);
            CHECK(cb_gemm_s(&t, m, n, 2048, n, CB_MATH_16) > s);
            CHECK(cb_gemm_s(&t, m, n, 1024, 1, CB_MATH_16) >= s);
        }
    }
    double flops = 2 * 16384.0 * 16384 * 16384;
    double share = flops / cb_gemm_s(&t, 16384, 16384, 16384, 16384, CB_MATH_16) / 312e12;
    CHECK(share > 0.9 * constants.gemm[CB_AMPERE] && share <= constants.gemm[CB_AMPERE]);
}

/* Wild layouts stay finite and are not fast: tensor parallelism over nodes, one microbatch in a long pipeline. */
static void wild_layouts(void) {
    on("gpt3-175b", "a100-80g:8x96");
    cb_job job = job_of(CB_MEGATRON_2021);
    cb_split sane = {.dp = 8, .tp = 8, .pp = 12, .cp = 1, .chunks = 1, .micro_batch = 1};
    cb_split wide = {.dp = 8, .tp = 96, .pp = 1, .cp = 1, .chunks = 1, .micro_batch = 1};
    cb_split deep = {.dp = 8, .tp = 1, .pp = 96, .cp = 1, .chunks = 1, .micro_batch = 192};
    CHECK(step_s(&job, &wide) > 2 * step_s(&job, &sane));
    CHECK(step_s(&job, &deep) > 10 * step_s(&job, &sane));
}

static void one_device(void) {
    on("gpt2-124m", "h100:1");
    for (int stack = 0; stack < CB_STACKS; stack++) {
        cb_job job = job_of((cb_stack)stack);
        cb_split split = {.dp = 1, .tp = 1, .pp = 1, .cp = 1, .chunks = 1, .micro_batch = 8, .zero = 3};
        cb_estimate e;
        CHECK_OK(cb_estimate_time(&job, &split, &constants, &e));
        CHECK_NEAR(e.exposed_s, 0, 0);
        CHECK_NEAR(e.by_cause_s[CB_CAUSE_BUBBLE], 0, 1e-9);
    }
}

/* nanotron's blocks: a stage ends where it is beyond its share of 4 C + 3 F a layer and V for the head. */
static void layers_by_weights(void) {
    static const struct {
        int layers, channels, ffn, stages, layers_of[4]; /* of the first three and the last */
    } known[] = {{16, 2048, 8192, 2, {11, 5, 0, 5}},
                 {28, 3072, 8192, 2, {16, 12, 0, 12}},
                 {80, 8192, 28672, 4, {21, 20, 20, 19}},
                 {80, 8192, 28672, 32, {3, 3, 2, 1}}};
    on("llama-2-7b", "h100-80g:8x4");
    cb_job job = job_of(CB_NANOTRON);
    model.vocab = 131072;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int sum = 0, stages = known[i].stages;
        cb_split split = {.pp = stages};
        model.layers = known[i].layers, model.channels = known[i].channels, model.ffn = known[i].ffn;
        for (int stage = 0; stage < stages; stage++) sum += cb_split_layers(&job, &split, stage);
        CHECK_INT(sum, model.layers);
        for (int stage = 0; stage < 3 && stage < stages; stage++)
            CHECK_INT(cb_split_layers(&job, &split, stage), known[i].layers_of[stage]);
        CHECK_INT(cb_split_layers(&job, &split, stages - 1), known[i].layers_of[3]);
    }
}

/* nanotron: ZeRO 1 sums whole gradients, 8 bytes a parameter on the ring, and gathers 2 more; a microbatch's gradient
 * is added to a sum of its own. */
static void sums_of_gradients(void) {
    on("llama-2-7b", "h100-80g:8x4");
    constants.dp_overlap = 0, constants.launch_compiled_s = 0;
    constants.link_latency_s = constants.link_hop_s = constants.network_hop_s = 0;
    cb_job job = job_of(CB_NANOTRON);
    cb_split split = {.dp = 32, .tp = 1, .pp = 1, .cp = 1, .chunks = 1, .micro_batch = 1};
    cb_estimate plain, cut, twice;
    job.global_batch = 32;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &plain));
    job.global_batch = 64;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &twice));
    split.zero = 1;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &cut));
    CHECK_NEAR(cut.by_cause_s[CB_CAUSE_DP], 1.25 * plain.by_cause_s[CB_CAUSE_DP], 1e-9);
    cb_terms t = cb_terms_of(&job, &split, &constants);
    double params = model.layers * t.layer_params + t.embedding_params + t.head_params;
    CHECK_NEAR(twice.by_cause_s[CB_CAUSE_ELEMENTWISE],
               2 * plain.by_cause_s[CB_CAUSE_ELEMENTWISE] + cb_stream_s(&t, 10 * params), 1e-9);
    split.zero = 2;
    CHECK(cb_rule_broken(&job, &split) >= 0); /* it has no more than 1 */
    split.zero = 0, split.dp = 8, split.pp = 4, split.schedule = CB_SPLIT_1F1B;
    job.global_batch = 16; /* 2 microbatches do not fill 4 stages before 1F1B begins, 3 do */
    CHECK(cb_rule_broken(&job, &split) >= 0);
    split.schedule = CB_SPLIT_GPIPE;
    CHECK_INT(cb_rule_broken(&job, &split), -1);
    job.global_batch = 24, split.schedule = CB_SPLIT_1F1B;
    CHECK_INT(cb_rule_broken(&job, &split), -1);
}

/* nanotron hides tensor parallelism's collectives of the backward pass alone: two all-reduces a layer; with sequence
 * parallelism six gathers and scatters, beside them the vocabulary's five. */
static void hidden_backward(void) {
    on("llama-2-7b", "h100-80g:8x4");
    cb_job job = job_of(CB_NANOTRON);
    cb_split split = {.dp = 4, .tp = 8, .pp = 1, .cp = 1, .chunks = 1, .micro_batch = 1};
    cb_estimate none, all;
    constants.tp_overlap_all = 0;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &none));
    constants.tp_overlap_all = 1;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &all));
    cb_terms t = cb_terms_of(&job, &split, &constants);
    double times = 2.0 * model.layers * (double)cb_split_micro_batches(&job, &split);
    CHECK_NEAR(none.by_cause_s[CB_CAUSE_TP] - all.by_cause_s[CB_CAUSE_TP],
               times * cb_all_reduce_s(&t, (cb_group){8, 1}, 2 * t.rows * t.channels), 1e-9);
    split.sequence_parallel = true;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &all));
    double part_s = cb_all_gather_s(&t, (cb_group){8, 1}, 2 * t.rows * t.channels);
    CHECK_NEAR(all.by_cause_s[CB_CAUSE_TP], (2 * times + 5 * times / (2.0 * model.layers)) * part_s, 1e-9);
    constants.tp_overlap_all = 0;
    CHECK_OK(cb_estimate_time(&job, &split, &constants, &none));
    CHECK_NEAR(none.by_cause_s[CB_CAUSE_TP] - all.by_cause_s[CB_CAUSE_TP], 3 * times * part_s, 1e-9);
}

/* HFU over MFU as its formula has it: BLOOM's with full recomputation, as Megatron-LM and DeepSpeed do it, and what the
 * trainer does less. */
static void rates(void) {
    on("bloom-176b", "a100-80g:8x48");
    double c = 14336, layers = 70, seq = 2048, wl = 12 * c * c, ct = c * seq;
    double mfu = layers * (6 * wl + 6 * ct) + 6 * c * (double)model.vocab;
    const struct {
        cb_stack stack;
        cb_split_recompute recompute;
        double again; /* a layer and token */
        const char *formula;
    } cases[] = {
        {CB_DEEPSPEED_2021, CB_KEEP_ALL, 0, "MFU's: nothing is computed again"},
        {CB_DEEPSPEED_2021, CB_AGAIN_LAYER, 2 * wl + 2 * ct, "MFU's + 2 Wl + 2 L C T: the layers' forward again"},
        {CB_MEGATRON_2021, CB_AGAIN_ATTENTION, 2 * ct, "MFU's + 2 L C T: attention again"},
        {CB_MEGATRON_CORE, CB_AGAIN_ATTENTION, 0, "MFU's: nothing is computed again"},
        {CB_TITAN, CB_AGAIN_CHEAP, wl, "MFU's + Wl: half of the layers' products again"},
        {CB_CUBOID, CB_AGAIN_ATTENTION, ct, "MFU's + L C T: attention's scores again"},
        {CB_CUBOID, CB_AGAIN_LAYER, 2 * (wl - 4 * c * c) + 2 * ct,
         "MFU's + 2 (Wl - L C F) + 2 L C T: forward again, but for the MLP's second product"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cb_job job = job_of(cases[i].stack);
        cb_split split = {.dp = 8, .tp = 4, .pp = 12, .cp = 1, .chunks = 1, .micro_batch = 2};
        cb_estimate e = {.step_s = 1};
        split.recompute = cases[i].recompute;
        cb_estimate_rates(&job, &split, &e);
        CHECK_NEAR(e.model_flops, mfu * 1536 * seq, 1e-9 * e.model_flops);
        CHECK_NEAR(e.hfu / e.mfu, 1 + layers * cases[i].again / mfu, 1e-9);
        CHECK_STR(cb_hfu_formula(&job, &split), cases[i].formula);
    }
}

/* What dp is said to send takes the time that it is said to take: where nothing is hidden and nothing starts, the bytes
 * of every stack, precision and ZeRO over the rate of the links. Norms and biases, of which the time does not know, are
 * a thousandth. */
static void traffic_takes_its_time(void) {
    cb_flow rows[CB_MOST_FLOWS];
    on("llama-2-7b", "h100-80g:32");
    constants.dp_overlap = constants.launch_compiled_s = 0;
    constants.fsdp_interference = constants.fsdp_prefetched = 1;
    constants.link_latency_s = constants.link_hop_s = constants.network_hop_s = 0;
    cb_param_sums sums = cb_param_sums_of(&model);
    for (int i = 0; i < CB_STACKS * 4 * 2 * 2 * 2; i++) {
        cb_job job = job_of((cb_stack)(i / 32));
        int pp = i >> 4 & 1 ? 4 : 1;
        cb_split split = {.dp = 16 / pp, .tp = 2, .pp = pp, .cp = 1, .chunks = 1, .micro_batch = 4, .zero = i & 3};
        cb_estimate e;
        double most = 0;
        job.grads_32 = i >> 2 & 1;
        job.precision = i >> 3 & 1 ? CB_MATH_8 : CB_MATH_16;
        CHECK_OK(cb_estimate_time(&job, &split, &constants, &e));
        cb_terms t = cb_terms_of(&job, &split, &constants);
        double per_byte_s = cb_all_gather_s(&t, (cb_group){2, 2}, 2);
        for (int stage = 0; stage < pp; stage++) {
            int count = cb_flows_of(&job, &split, &sums, stage, rows);
            most = fmax(most, cb_flows_bytes(rows, count, "dp"));
        }
        CHECK_NEAR(e.by_cause_s[CB_CAUSE_DP], most * per_byte_s, 0.002 * most * per_byte_s);
    }
}

/* A gradient is sent in the bits that it is kept in, but for FSDP, which can be asked to, and DeepSpeed, which cannot.
 */
static void gradients_are_sent_as_kept(void) {
    on("llama-2-7b", "h100-80g:32");
    for (int i = 0; i < CB_STACKS * 2; i++) {
        cb_job job = job_of((cb_stack)(i / 2));
        cb_split split = {.dp = 32, .tp = 1, .pp = 1, .cp = 1, .chunks = 1, .micro_batch = 1};
        job.grads_32 = i & 1;
        cb_regime regime = cb_regime_of(&job);
        bool narrow = job.stack == CB_DEEPSPEED_2021 || (job.stack == CB_FSDP && !job.grads_32);
        CHECK_NEAR(cb_volume_of(&job, &split, &regime).grad, narrow ? 2 : regime.grad, 0);
        CHECK_NEAR(cb_volume_of(&job, &split, &regime).tied_grad, regime.grad, 0);
        CHECK(!job.grads_32 || regime.grad == 4);
    }
}

static void refused(void) {
    on("gpt3-175b", "a100-80g:8x128");
    cb_job job = job_of(CB_MEGATRON_2021);
    cb_estimate e;
    cb_split s = usual;
    s.dp = 4;
    CHECK_FAILS(cb_estimate_time(&job, &s, &constants, &e), CB_EINVAL, "are 512 ranks; the cluster has 1024 devices");
    s = usual, s.micro_batch = 5;
    CHECK_FAILS(cb_estimate_time(&job, &s, &constants, &e), CB_EINVAL, "does not divide the global batch of 1536");
    s = usual, s.chunks = 7, s.schedule = CB_SPLIT_INTERLEAVED;
    CHECK_FAILS(cb_estimate_time(&job, &s, &constants, &e), CB_EINVAL, "more than the 96 layers");
    s = usual, s.chunks = 2;
    CHECK_FAILS(cb_estimate_time(&job, &s, &constants, &e), CB_EINVAL, "only the interleaved schedule");
    s = usual, s.tp = 0;
    CHECK_FAILS(cb_estimate_time(&job, &s, &constants, &e), CB_EINVAL, "tp is 0; it starts at 1");
    job.precision = CB_MATH_8;
    CHECK_FAILS(cb_estimate_time(&job, &usual, &constants, &e), CB_EINVAL, "does not compute in the precision");
}

int main(void) {
    RUN(parts_add_up);
    RUN(more_work_takes_longer);
    RUN(more_rate_does_not);
    RUN(gemm);
    RUN(wild_layouts);
    RUN(one_device);
    RUN(layers_by_weights);
    RUN(sums_of_gradients);
    RUN(hidden_backward);
    RUN(rates);
    RUN(traffic_takes_its_time);
    RUN(gradients_are_sent_as_kept);
    RUN(refused);
    return test_end();
}
