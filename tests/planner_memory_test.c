/* Memory of devices: activations against the closed formulas of the paper for every mode, states against published
 * counts, live microbatches against the checker of the schedules, the fullest stage against all stages. */
#include "planner/device_memory.h"

#include "pipeline/schedule.h"
#include "support/test.h"

enum { GIB = 1 << 30 };

static cb_hardware hardware;
static cb_cluster cluster;
static cb_model model;

static cb_job job_of(const char *name, cb_stack stack, int64_t batch) {
    CHECK_OK(cb_model_preset(&model, name));
    cb_hardware_default(&hardware);
    CHECK_OK(cb_cluster_parse(&hardware, "a100-80g:8x64", &cluster));
    return (cb_job){.model = &model,
                    .cluster = &cluster,
                    .stack = stack,
                    .precision = CB_MATH_16,
                    .seq_length = 2048,
                    .global_batch = batch};
}

static cb_split split_of(int dp, int tp, int pp, int micro_batch) {
    return (cb_split){
        .dp = dp, .tp = tp, .pp = pp, .cp = 1, .chunks = 1, .micro_batch = micro_batch, .schedule = CB_SPLIT_1F1B};
}

/* Korthikanti et al., table 2: bytes of a layer with 16-bit activations and dropout. */
static double closed_form(double sbh, double scores, double t, bool sp, cb_split_recompute recompute) {
    double attention = recompute == CB_AGAIN_ATTENTION ? 0 : 5 * scores;
    if (recompute == CB_AGAIN_LAYER) return 2 * sbh / (sp ? t : 1);
    return sp ? sbh * (34 + attention) / t : sbh * (10 + (24 + attention) / t);
}

static void activations_are_the_papers(void) {
    static const cb_split_recompute modes[] = {CB_KEEP_ALL, CB_AGAIN_ATTENTION, CB_AGAIN_LAYER};
    static const char *const names[] = {"gpt3-175b", "megatron-22b", "gpt2-1558m", "toy-8"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (int t = 1; t <= 8; t *= 2)
            for (int b = 1; b <= 3; b++)
                for (int mode = 0; mode < 3; mode++)
                    for (int sp = 0; sp < 2; sp++) {
                        cb_job job = job_of(names[n], CB_MEGATRON_2021, 64);
                        cb_split split = split_of(1, t, 1, b);
                        if (model.heads % t || model.vocab_padded % t) continue;
                        if (job.seq_length > model.positions) job.seq_length = model.positions;
                        split.sequence_parallel = sp, split.recompute = modes[mode];
                        cb_regime regime = cb_regime_of(&job);
                        double s = (double)job.seq_length, h = (double)model.channels, a = model.heads;
                        double expected = closed_form(s * b * h, a * s / h, t, sp, modes[mode]);
                        CHECK_NEAR(cb_layer_activation_bytes(&job, &split, &regime), expected, 1e-9 * expected);
                    }
}

/* Attention in blocks and no dropout: 34 less two masks; its own formula for grouped keys and a gated MLP. */
static void activations_without_scores(void) {
    cb_job job = job_of("gpt3-175b", CB_MEGATRON_CORE, 64);
    cb_split split = split_of(1, 1, 1, 1);
    cb_regime regime = cb_regime_of(&job);
    double sbh = 2048.0 * 12288;
    CHECK_NEAR(cb_layer_activation_bytes(&job, &split, &regime), 32 * sbh, 0.5);
    split.tp = 8, split.sequence_parallel = true;
    CHECK_NEAR(cb_layer_activation_bytes(&job, &split, &regime), 32 * sbh / 8, 0.5);
    job = job_of("llama-3-70b", CB_MEGATRON_CORE, 64);
    split = split_of(1, 1, 1, 1);
    CHECK_NEAR(cb_layer_activation_bytes(&job, &split, &regime), 2 * 2048.0 * (5 * 8192 + 10240 + 3 * 28672), 0.5);
}

/* Figure 1: GiB of activations on the first stage, with and without what the paper saves; and of states, 18 bytes a
 * parameter, where the figure leaves out vocabulary and vectors. */
static void published_activations(void) {
    static const struct {
        const char *name;
        int t, p, v, b, batch;
        double states, baseline, saved;
    } known[] = {{"megatron-22b", 8, 1, 1, 4, 4, 45.5625, 59.25, 9.5625},
                 {"megatron-175b", 8, 8, 3, 1, 64, 45.5625, 66.84375, 12.3515625},
                 {"mt-nlg-530b", 8, 35, 3, 1, 280, 31.640625, 114.0234375, 23.07617188},
                 {"gpt-1t", 8, 64, 1, 1, 512, 32.95898438, 131.25, 26.5625}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cb_job job = job_of(known[i].name, CB_MEGATRON_2021, known[i].batch);
        cb_split split = split_of(1, known[i].t, known[i].p, known[i].b);
        job.grads_32 = true; /* as the paper has it */
        cb_regime regime = cb_regime_of(&job);
        cb_param_sums sums = cb_param_sums_of(&model);
        split.chunks = known[i].v;
        if (split.chunks > 1) split.schedule = CB_SPLIT_INTERLEAVED;
        double layers = (double)cb_split_live_chunks(&job, &split, 0) / split.chunks * model.layers / split.pp;
        CHECK_NEAR(layers * cb_layer_activation_bytes(&job, &split, &regime) / GIB, known[i].baseline, 1e-6);
        split.sequence_parallel = true, split.recompute = CB_AGAIN_ATTENTION;
        CHECK_NEAR(layers * cb_layer_activation_bytes(&job, &split, &regime) / GIB, known[i].saved, 1e-6);
        double matrices = 12.0 * (double)model.channels * (double)model.channels;
        double vectors = sums.layer_whole + sums.layer_cut - matrices; /* the figure counts matrices only */
        cb_device_memory inner = cb_device_memory_of(&job, &split, &sums, split.pp > 2 ? 1 : 0);
        double states = inner.bytes[CB_HOLD_WEIGHTS] + inner.bytes[CB_HOLD_GRADS] + inner.bytes[CB_HOLD_OPTIMIZER];
        if (split.pp > 2) CHECK_NEAR(states / GIB, known[i].states, known[i].states * (8 * vectors / matrices) + 1e-6);
    }
}

/* The memory wall and sanity_memory.csv: 10^9 bytes. */
static void states_of_gpt3(void) {
    cb_job job = job_of("megatron-175b", CB_MEGATRON_CORE, 1536);
    cb_param_sums sums = cb_param_sums_of(&model);
    cb_split split = split_of(1, 1, 1, 1);
    cb_device_memory m = cb_device_memory_of(&job, &split, &sums, 0);
    CHECK_NEAR(m.bytes[CB_HOLD_WEIGHTS] / 1e9, 349.2, 0.05);
    CHECK_NEAR(m.bytes[CB_HOLD_GRADS] / 1e9, 698.4, 0.1);
    CHECK_NEAR(m.bytes[CB_HOLD_OPTIMIZER] / 1e9, 2095.2, 0.3);
    double states = 0;
    for (int kind = CB_HOLD_WEIGHTS; kind <= CB_HOLD_OPTIMIZER; kind++) states += m.bytes[kind];
    CHECK_NEAR(states / 1e9, 3142.8, 0.5); /* 18 bytes a parameter */
    CHECK_NEAR(states, 18.0 * 174615846912, 0);
    split.zero = 1, split.dp = 8; /* 6 + 12 / 8 */
    m = cb_device_memory_of(&job, &split, &sums, 0);
    CHECK_NEAR(m.bytes[CB_HOLD_WEIGHTS] + m.bytes[CB_HOLD_GRADS] + m.bytes[CB_HOLD_OPTIMIZER], 7.5 * 174615846912, 1);
    split.zero = 3;
    m = cb_device_memory_of(&job, &split, &sums, 0);
    CHECK_NEAR(m.bytes[CB_HOLD_WEIGHTS] + m.bytes[CB_HOLD_GRADS] + m.bytes[CB_HOLD_OPTIMIZER], 18.0 / 8 * 174615846912,
               1);
}

/* Stages' parameters add up to the model's, and the copy of a tied embedding. */
static void stages_hold_the_model(void) {
    static const char *const names[] = {"gpt3-175b", "bloom-176b", "llama-3-70b"};
    for (int n = 0; n < 3; n++)
        for (int pp = 1; pp <= 6; pp++) {
            cb_job job = job_of(names[n], CB_MEGATRON_2021, 64);
            cb_param_sums sums = cb_param_sums_of(&model);
            cb_split split = split_of(1, 1, pp, 1);
            double weights = 0, padding = (double)((model.vocab_padded - model.vocab) * model.channels);
            for (int r = 0; r < pp; r++) weights += cb_device_memory_of(&job, &split, &sums, r).bytes[CB_HOLD_WEIGHTS];
            double copies = pp > 1 && !model.untied ? (double)(model.vocab_padded * model.channels) : 0;
            CHECK_NEAR(weights / 2, (double)cb_model_parameters(&model) + copies + padding, 0.5);
        }
}

static cb_err make(cb_schedule *schedule, const cb_split *split, int64_t m) {
    static const char *const names[] = {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"};
    cb_schedule_spec spec = {names[split->schedule], split->pp, (int)m, split->chunks, 0};
    return cb_schedule_make_spec(schedule, &spec);
}

static void check_live(cb_split split, int64_t m) {
    cb_schedule schedule;
    int peak[8];
    cb_job job = job_of("gpt3-175b", CB_MEGATRON_2021, m);
    cb_err e = make(&schedule, &split, m);
    if (e) { /* interleaved cannot have this number of microbatches */
        cb_err_free(e);
        return;
    }
    CHECK_OK(cb_schedule_lower(&schedule));
    CHECK_OK(cb_schedule_check(&schedule, 1 << 20, peak));
    for (int r = 0; r < split.pp; r++) CHECK_INT(cb_split_live_chunks(&job, &split, r), peak[r]);
    cb_schedule_free(&schedule);
}

static void live_is_the_checkers_peak(void) {
    for (int p = 1; p <= 8; p++)
        for (int m = 1; m <= 17; m++)
            for (int schedule = 0; schedule < CB_SPLIT_SCHEDULES; schedule++) {
                cb_split split = split_of(1, 1, p, 1);
                split.schedule = (cb_split_schedule)schedule;
                if (schedule != CB_SPLIT_INTERLEAVED) check_live(split, m);
                for (int v = 2; schedule == CB_SPLIT_INTERLEAVED && p > 1 && m % p == 0 && v <= 4; v++) {
                    split.chunks = v;
                    check_live(split, m);
                }
            }
}

static void worst_is_the_worst(void) {
    static const char *const names[] = {"gpt2-1558m", "bloom-176b", "llama-3-8b"};
    for (int n = 0; n < 3; n++)
        for (int pp = 1; pp <= 8; pp++)
            for (int schedule = 0; schedule < CB_SPLIT_SCHEDULES; schedule++)
                for (int bits = 0; bits < 12; bits++) {
                    cb_job job = job_of(names[n], bits & 1 ? CB_MEGATRON_CORE : CB_DEEPSPEED_2021, 24);
                    cb_param_sums sums = cb_param_sums_of(&model);
                    cb_split split = split_of(bits % 3 + 1, 1, pp, 1);
                    split.schedule = (cb_split_schedule)schedule;
                    split.chunks = schedule == CB_SPLIT_INTERLEAVED ? 2 : 1;
                    split.placement = bits & 2 ? CB_PLACE_WITH_ENDS : CB_PLACE_EVEN;
                    split.recompute = bits & 4 ? CB_AGAIN_LAYER : CB_KEEP_ALL;
                    double most = 0;
                    for (int r = 0; r < pp; r++) {
                        double bytes = cb_device_memory_of(&job, &split, &sums, r).total_bytes;
                        if (bytes > most) most = bytes;
                    }
                    CHECK_NEAR(cb_device_memory_worst(&job, &split, &sums).total_bytes, most, 0);
                }
}

static double kinds_of(const cb_device_memory *m, cb_device_kind from, cb_device_kind to) {
    double sum = 0;
    for (int kind = from; kind <= (int)to; kind++) sum += m->bytes[kind];
    return sum;
}

/* What an allocator holds unused is a share of what comes and goes; context and five communicators stand beside it. */
static void meanings(void) {
    cb_job job = job_of("gpt3-175b", CB_MEGATRON_CORE, 64);
    cb_split split = split_of(4, 8, 16, 1);
    cb_param_sums sums = cb_param_sums_of(&model);
    cb_constants constants = cb_constants_default();
    cb_device_memory m = cb_device_memory_worst(&job, &split, &sums);
    double moving = kinds_of(&m, CB_HOLD_ACTIVATIONS, CB_HOLD_BUFFERS), outside = (1573 + 5 * 544) * 1048576.0;
    double allocated = kinds_of(&m, 0, CB_HOLD_BUFFERS), all = allocated + 0.2 * moving + outside;
    CHECK_NEAR(cb_device_memory_as(&m, CB_ALLOCATED, 80e9), allocated, 1);
    CHECK_NEAR(cb_device_memory_as(&m, CB_RESERVED, 80e9), all - outside, 1);
    CHECK_NEAR(cb_device_memory_as(&m, CB_IN_USE, 80e9), all, 1);
    CHECK_NEAR(m.total_bytes, all, 1);
    /* a full device: all but a part is given back */
    double least = all - (0.2 - 0.07) * moving;
    CHECK_NEAR(cb_device_memory_as(&m, CB_IN_USE, all - 1e6), all - 1e6, 1);
    CHECK_NEAR(cb_device_memory_as(&m, CB_RESERVED, all - 1e6), all - 1e6 - outside, 1);
    CHECK_NEAR(cb_device_memory_as(&m, CB_IN_USE, least - 1e6), least, 1);
    CHECK_NEAR(cb_device_memory_as(&m, CB_ALLOCATED, least - 1e6), allocated, 1);
    constants.unused = 0.1, job.constants = &constants;
    m = cb_device_memory_worst(&job, &split, &sums);
    CHECK_NEAR(m.total_bytes, allocated + 0.1 * moving + outside, 1);
}

/* A worst rank's memory in use beyond its tensors, its context and communicators and a fifth of what comes and goes. */
static double beyond(const cb_job *job, cb_split split) {
    cb_param_sums sums = cb_param_sums_of(&model);
    cb_device_memory m = cb_device_memory_worst(job, &split, &sums);
    CHECK_NEAR(m.total_bytes, kinds_of(&m, 0, CB_HOLD_FRAMEWORK), 1);
    double moving = kinds_of(&m, CB_HOLD_ACTIVATIONS, CB_HOLD_BUFFERS);
    return m.bytes[CB_HOLD_FRAMEWORK] - m.outside_bytes - 0.2 * moving;
}

/* Where a host runs ahead of tensor parallelism's collectives, 50 whole streams of b s h elements wait to be freed: for
 * nanotron, in no pipeline, from the second microbatch on, and never beyond what the device has. */
static void waiting_for_the_host(void) {
    cb_job job = job_of("gpt2-1558m", CB_NANOTRON, 64), core = job, one = job;
    job.seq_length = core.seq_length = one.seq_length = 1024;
    core.stack = CB_MEGATRON_CORE, one.global_batch = 16;
    cb_split split = split_of(8, 4, 1, 2), piped = split_of(4, 4, 2, 2), whole = split_of(32, 1, 1, 2), plain = split;
    split.sequence_parallel = piped.sequence_parallel = true;
    double streams = 50 * 2.0 * 1024 * 1600 * 2;
    CHECK_NEAR(beyond(&job, split), streams, 1);
    const double none[] = {beyond(&core, split), beyond(&one, split), beyond(&job, piped), beyond(&job, whole),
                           beyond(&job, plain)};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) CHECK_NEAR(none[i], 0, 1);
    cb_param_sums sums = cb_param_sums_of(&model);
    cb_device_memory m = cb_device_memory_worst(&job, &split, &sums), less;
    cluster.device.memory_bytes = m.total_bytes - streams / 4;
    less = cb_device_memory_worst(&job, &split, &sums);
    CHECK(less.total_bytes == cluster.device.memory_bytes); /* still fits, to the bit */
    CHECK_NEAR(beyond(&job, split), 0.75 * streams, 1);
    cluster.device.memory_bytes = m.total_bytes - 2 * streams;
    less = cb_device_memory_worst(&job, &split, &sums);
    CHECK_NEAR(less.total_bytes, m.total_bytes - streams, 1);
    CHECK_NEAR(less.least_bytes, m.least_bytes, 1);
}

/* BigScience's log of 52 billion parameters on 64 V100 (Megatron-DeepSpeed, tp 4, pp 16, microbatches of 4, June 2021),
 * MiB of tensors at the worst moment by stage: 19961 first, 17461 second, 15830 eighth, 18175 last. */
static void a_pipeline_engine(void) {
    static const struct {
        int stage;
        double mib;
    } known[] = {{0, 19961}, {1, 17461}, {7, 15830}, {15, 18175}};
    cb_job job = job_of("gpt3-175b", CB_DEEPSPEED_2021, 1024);
    model.layers = 64, model.channels = 8192, model.heads = 32, model.ffn = 32768, model.positions = 1024;
    model.kv_heads = 32;
    CHECK_OK(cb_cluster_parse(&hardware, "v100-32g:4x16", &cluster));
    job.seq_length = 1024;
    cb_split split = split_of(1, 4, 16, 4);
    split.recompute = CB_AGAIN_LAYER;
    cb_param_sums sums = cb_param_sums_of(&model);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cb_device_memory m = cb_device_memory_of(&job, &split, &sums, known[i].stage);
        CHECK_NEAR(m.allocated_bytes / 1048576, known[i].mib, 0.05 * known[i].mib);
    }
}

/* The optimizer's 32-bit copies of 16-bit gradients live when activations are gone: the larger of the two counts. */
static void phases(void) {
    cb_job job = job_of("gpt2-124m", CB_MEGATRON_2021, 64);
    cb_split split = split_of(1, 1, 1, 1);
    cb_param_sums sums = cb_param_sums_of(&model);
    split.recompute = CB_AGAIN_LAYER;
    split.micro_batch = 8;
    for (job.seq_length = 16; job.seq_length <= 1024; job.seq_length *= 64) { /* 16 and 1024 */
        cb_device_memory m = cb_device_memory_of(&job, &split, &sums, 0);
        double params = cb_stage_params(&job, &split, &sums, 0);
        double moving = kinds_of(&m, CB_HOLD_ACTIVATIONS, CB_HOLD_BUFFERS) - 4 * params;
        double larger = job.seq_length == 16 ? 4 * params : moving;
        CHECK(moving > 0 && (job.seq_length == 16) == (4 * params > moving));
        CHECK_NEAR(m.allocated_bytes, 16 * params + larger, 1);
    }
    job.stack = CB_STATIC_GRAPH; /* one plan: they share memory */
    cb_device_memory m = cb_device_memory_of(&job, &split, &sums, 0);
    CHECK_NEAR(m.total_bytes, m.allocated_bytes + m.outside_bytes, 1);
    job.stack = CB_MEGATRON_2021, job.moments_8 = true;
    m = cb_device_memory_of(&job, &split, &sums, 0);
    CHECK_NEAR(m.bytes[CB_HOLD_OPTIMIZER], 6 * cb_stage_params(&job, &split, &sums, 0), 1);
}

int main(void) {
    RUN(activations_are_the_papers);
    RUN(activations_without_scores);
    RUN(published_activations);
    RUN(states_of_gpt3);
    RUN(stages_hold_the_model);
    RUN(live_is_the_checkers_peak);
    RUN(worst_is_the_worst);
    RUN(meanings);
    RUN(waiting_for_the_host);
    RUN(a_pipeline_engine);
    RUN(phases);
    return test_end();
}
