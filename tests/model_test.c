/* Presets and their published sizes, checks with their messages, FLOPs against published numbers. */

#include "model/model.h"
#include "model/params.h"
#include "support/test.h"

static cb_model preset(const char *name) {
    cb_model model;
    CHECK_OK(cb_model_preset(&model, name));
    return model;
}

static void presets(void) {
    static const struct {
        const char *name;
        int64_t parameters, vocab, vocab_padded;
    } known[] = {
        /* counts as published with the weights, or by the papers' formulas */
        {"gpt2-124m", 124439808, 50257, 50304},        {"gpt2-350m", 354823168, 50257, 50304},
        {"gpt2-774m", 774030080, 50257, 50304},        {"gpt2-1558m", 1557611200, 50257, 50304},
        {"gpt3-175b", 174604259328, 50257, 50304},     {"bloom-176b", 176247271424, 250880, 250880},
        {"llama-2-7b", 6738415616, 32000, 32000},      {"llama-2-13b", 13015864320, 32000, 32000},
        {"llama-2-70b", 68976648192, 32000, 32000},    {"llama-3-8b", 8030261248, 128256, 128256},
        {"llama-3-70b", 70553706496, 128256, 128256},  {"llama-3.1-405b", 405853388800, 128256, 128256},
        {"megatron-175b", 174615846912, 51200, 51200}, {"mistral-7b", 7241732096, 32000, 32000},
        {"qwen2-0.5b", 494032768, 151936, 151936},     {"qwen2-1.5b", 1543714304, 151936, 151936},
        {"qwen2-7b", 7615616512, 152064, 152064},      {"qwen2-72b", 72706203648, 152064, 152064},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cb_model model = preset(known[i].name);
        CHECK_INT(cb_model_parameters(&model), known[i].parameters);
        CHECK_INT(model.vocab, known[i].vocab);
        CHECK_INT(model.vocab_padded, known[i].vocab_padded);
    }
    const char *name;
    for (int i = 0; (name = cb_model_preset_name(i)); i++) {
        cb_model model = preset(name);
        CHECK_STR(model.name, name);
        CHECK_OK(cb_model_check(&model));
        CHECK(strlen(name) <= 17 && strlen(cb_model_preset_source(i)) <= 25); /* the table of `cuboid model` */
        for (int j = 0; j < i; j++) CHECK(strcmp(name, cb_model_preset_name(j)) != 0);
    }
}

/* 10^9 parameters as printed in the papers' tables: Narayanan et al. table 1, Korthikanti et al. table 3, Brown et al.
 */
static void published_sizes(void) {
    static const struct {
        const char *name;
        double billions, within;
    } known[] = {{"megatron-1.7b", 1.7, .05},    {"megatron-3.6b", 3.6, .05},    {"megatron-7.5b", 7.5, .05},
                 {"megatron-18b", 18.4, .05},    {"megatron-22b", 22.074, 5e-4}, {"megatron-39b", 39.1, .05},
                 {"megatron-76b", 76.1, .05},    {"megatron-145b", 145.6, .05},  {"megatron-310b", 310.1, .05},
                 {"mt-nlg-530b", 529.601, 5e-4}, {"gpt-1t", 1008.039, 5e-4},     {"gpt3-125m", .125, .001},
                 {"gpt3-350m", .356, .001},      {"gpt3-760m", .760, .001},      {"gpt3-1.3b", 1.3, .05},
                 {"gpt3-2.7b", 2.65, .05},       {"gpt3-6.7b", 6.65, .05},       {"gpt3-13b", 12.85, .05}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cb_model model = preset(known[i].name);
        CHECK_NEAR((double)cb_model_parameters(&model) / 1e9, known[i].billions, known[i].within);
    }
}

/* What a table's number of parameters counts. */
typedef enum counts { ALL, MATRICES, LAYERS } counts; /* MATRICES: of layers and tokens; LAYERS: without embedding */

static double billions(const cb_model *model, counts what) {
    double sum = 0;
    for (int id = 0; id < cb_params_count(model); id++) {
        cb_param param = cb_param_at(model, id);
        if (what == MATRICES && (param.dims < 2 || param.role == CB_WPE)) continue;
        if (what == LAYERS && param.layer < 0) continue;
        sum += (double)(param.file_rows * param.cols);
    }
    return sum / 1e9;
}

/* Shapes of published measurements, with the 10^9 parameters that their sources print, to half of the last digit unless
 * said. BigScience's labels are of the layers alone or of all; 200 billion and nemotron's 22 are rounder than that. */
static void measured_sizes(void) {
    static const struct {
        const char *name;
        double billions, within;
        counts what;
    } known[] = {{"megatron-gpt2-1b", 1.16, .005, ALL},     {"megatron-gpt2-2b", 2.03, .005, ALL},
                 {"megatron-gpt2-4b", 4.24, .005, ALL},     {"megatron-gpt2-8b", 8.67, .005, ALL},
                 {"vtrain-204m", .204, 5e-4, ALL},          {"vtrain-254m", .254, 5e-4, ALL},
                 {"vtrain-304m", .304, 5e-4, ALL},          {"vtrain-355m", .355, 5e-4, ALL},
                 {"vtrain-709m", .709, 5e-4, ALL},          {"vtrain-911m", .911, 5e-4, ALL},
                 {"vtrain-1.1b", 1.112, 5e-4, ALL},         {"vtrain-1.3b", 1.314, 5e-4, ALL},
                 {"vtrain-3.6b", 3.6, .05, ALL},            {"vtrain-18.4b", 18.4, .05, ALL},
                 {"vtrain-39.1b", 39.1, .05, ALL},          {"vtrain-175b", 175, .5, ALL},
                 {"zero-bubble-1.5b", 1.5, .05, ALL},       {"zero-bubble-6.2b", 6.2, .05, ALL},
                 {"zero-bubble-14.6b", 14.6, .05, ALL},     {"zero-bubble-28.3b", 28.3, .05, ALL},
                 {"mpt-125m", .12531, 5e-6, ALL},           {"mpt-350m", .35599, 5e-6, ALL},
                 {"mpt-760m", .76047, 5e-6, ALL},           {"mpt-1b", 1.316, 5e-4, ALL},
                 {"mpt-3b", 2.6518, 5e-5, ALL},             {"mpt-7b", 6.6589, 5e-5, ALL},
                 {"mpt-13b", 12.854, 5e-4, ALL},            {"mpt-30b", 29.975, 5e-4, ALL},
                 {"mpt-70b", 64.862, 5e-4, ALL},            {"oneflow-124m", .1239, 5e-5, MATRICES},
                 {"oneflow-531m", .5308, 5e-5, MATRICES},   {"oneflow-1.6b", 1.646, 5e-4, MATRICES},
                 {"oneflow-3.8b", 3.78, .005, MATRICES},    {"nanotron-1.34b", 1.34, .005, ALL},
                 {"nanotron-3.57b", 3.57, .005, ALL},       {"nanotron-8.86b", 8.86, .005, ALL},
                 {"nanotron-80b", 80, .5, ALL},             {"nemo-5b", 5, .5, ALL},
                 {"nemo-20b", 20, .5, ALL},                 {"nemotron-22b", 22, 1, ALL},
                 {"nemotron-340b", 341.0, .05, MATRICES}, /* 331.6 and 9.4 of embeddings */
                 {"nemotron-340b", 331.6, .05, LAYERS},     {"bigscience-7.5b", 7.5, .05, ALL},
                 {"bigscience-13b", 13, .5, ALL},           {"bigscience-18b", 18, .5, ALL},
                 {"bigscience-30b", 30, .5, ALL},           {"bigscience-39b", 39, .5, ALL},
                 {"bigscience-52b", 52, .5, ALL},           {"bigscience-65b", 65, .5, LAYERS},
                 {"bigscience-104b", 104, .5, ALL},         {"bigscience-116b", 116, .5, LAYERS},
                 {"bigscience-206b", 206, .5, LAYERS},      {"tr11-20b", 20, .5, LAYERS},
                 {"tr11-177b", 177, .5, ALL},               {"tr11-181b", 181, .5, ALL},
                 {"tr11-182b-78l", 182, .5, ALL},           {"tr11-182b-84l", 182, .5, ALL},
                 {"tr11-184b", 184, .5, ALL},               {"tr11-195b", 195, .5, ALL},
                 {"tr11-196b", 196, .5, ALL},               {"tr11-200b", 200, 1, LAYERS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cb_model model = preset(known[i].name);
        CHECK_NEAR(billions(&model, ALL), (double)cb_model_parameters(&model) / 1e9, 1e-9);
        if (!CHECK_NEAR(billions(&model, known[i].what), known[i].billions, known[i].within))
            printf("    %s\n", known[i].name);
    }
}

/* What the trainer does not have is named; GPT-2's family it has. */
static void trainable(void) {
    cb_model model = preset("gpt3-13b");
    CHECK_OK(cb_model_check_trainable(&model));
    model = preset("llama-3-8b");
    CHECK_FAILS(cb_model_check_trainable(&model), CB_EUNSUPPORTED,
                "llama-3-8b has grouped keys and values, a gated MLP, RMSNorm, rotary positions, a head of its own, no "
                "biases; what can be trained has none of these");
    model = preset("bloom-176b");
    CHECK_FAILS(cb_model_check_trainable(&model), CB_EUNSUPPORTED,
                "bloom-176b has ALiBi positions, a norm behind the embedding;");
}

static void grouped_heads(void) {
    cb_model model = preset("llama-3-70b");
    CHECK_INT(cb_model_qkv_width(&model), 8192 + 2 * 1024);
    CHECK_INT(cb_model_fc_width(&model), 2 * 28672);
    CHECK_OK(cb_model_check_tp(&model, 8));
    CHECK_FAILS(
        cb_model_check_tp(&model, 16), CB_EINVAL,
        "tp=16 does not divide the 8 heads of keys and values of llama-3-70b; tp can be 1, 2, 4 or 8");
    model.kv_heads = 5;
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL, "llama-3-70b: 5 heads of keys and values do not divide 64 heads");
}

static void unknown_names(void) {
    cb_model model;
    CHECK_FAILS(cb_model_load(&model, "gpt2-123m"), CB_EUSAGE, "no model 'gpt2-123m'; did you mean 'gpt2-124m'");
    CHECK_FAILS(cb_model_load(&model, "toy12"), CB_EUSAGE, "did you mean 'toy-12'");
    CHECK_FAILS(cb_model_load(&model, "gpt2-1.5b"), CB_EUSAGE, "did you mean 'gpt3-1.3b', 'gpt3-175b' or 'gpt2-124m'?");
    CHECK_FAILS(cb_model_load(&model, "llama"), CB_EUSAGE,
                "did you mean 'llama-2-7b', 'llama-2-13b' or 'llama-2-70b'?");
    CHECK_FAILS(cb_model_preset(&model, ""), CB_EUSAGE, "no model ''. `cuboid model` lists them; or give the path");
    CHECK_FAILS(cb_model_load(&model, "falcon-70b"), CB_EUSAGE, "no model 'falcon-70b'; the nearest are '");
    CHECK_FAILS(cb_model_load(&model, "falcon-70b"), CB_EUSAGE, "'llama-2-70b'");
    char longest[400];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    CHECK_FAILS(cb_model_load(&model, longest), CB_EUSAGE, "xxx'; the nearest are '");
}

static void byte_presets_fit_eight_ranks(void) {
    static const char *const names[] = {"demo", "toy-8", "test-tiny", "test-pad"};
    for (int i = 0; i < 4; i++) {
        cb_model model = preset(names[i]);
        for (int tp = 1; tp <= 8; tp *= 2) CHECK_OK(cb_model_check_tp(&model, tp));
        CHECK_INT(model.vocab_padded, 256);
    }
}

static void vocabulary_padding(void) {
    cb_model model = preset("gpt2-124m");
    for (int64_t multiple = 1; multiple <= 1000; multiple++) {
        cb_model_pad_vocab(&model, multiple);
        CHECK(model.vocab_padded >= 50257 && model.vocab_padded < 50257 + multiple);
        CHECK_INT(model.vocab_padded % multiple, 0);
    }
    cb_model_pad_vocab(&model, 0);
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL,
                "the multiple of the vocabulary size is 0; it must be 1 to 1073741824");
    cb_model_pad_vocab(&model, INT64_MAX);
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL, "the multiple of the vocabulary size is 9223372036854775807");
    model = preset("gpt2-124m");
    model.vocab_padded = 50300;
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL,
                "the padded vocabulary 50300 is not a multiple of 128 that holds 50257");
}

static void checks(void) {
    cb_model model = preset("gpt2-124m");
    model.heads = 11;
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL, "gpt2-124m: 11 heads do not divide 768 channels");
    model.heads = 0;
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL, "the number of heads is 0; it must be 1 to ");
    model = preset("gpt2-124m");
    model.layers = -3;
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL, "the number of layers is -3; it must be 1 to 65536");
    model = preset("gpt2-124m");
    model.norm_eps = (double)NAN;
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL, "norm_eps is nan; it must be a positive number");
    model = preset("gpt2-124m");
    model.channels = (int64_t)1 << 40;
    CHECK_FAILS(cb_model_check(&model), CB_EINVAL, "the number of channels is 1099511627776; it must be 1 to 1048576");
}

static void tensor_parallel_sizes(void) {
    cb_model model = preset("gpt2-124m");
    CHECK_FAILS(cb_model_check_tp(&model, 8), CB_EINVAL,
                "tp=8 does not divide the 12 heads of gpt2-124m; tp can be 1, 2, 3, 4, 6 or 12");
    CHECK_FAILS(cb_model_check_tp(&model, 5), CB_EINVAL,
                "tp=5 does not divide the 12 heads, the MLP width 3072 and the padded vocabulary 50304 of gpt2-124m");
    CHECK_FAILS(cb_model_check_tp(&model, 9), CB_EINVAL,
                "tp=9 does not divide the 12 heads, the MLP width 3072 and the padded vocabulary 50304 of");
    CHECK_FAILS(cb_model_check_tp(&model, 0), CB_EINVAL, "tp=0: a size is at least 1");
    for (int tp = 1; tp <= 20; tp++) {
        cb_err e = cb_model_check_tp(&model, tp);
        CHECK((e == CB_OK) == (12 % tp == 0));
        cb_err_free(e);
    }
    model = preset("gpt2-1558m");
    CHECK_FAILS(
        cb_model_check_tp(&model, 5), CB_EINVAL,
        "tp=5 does not divide the padded vocabulary 50304 of gpt2-1558m; tp can be 1, or pad the vocabulary with "
        "--make-vocab-size-divisible-by 640");
    cb_model_pad_vocab(&model, 640);
    CHECK_OK(cb_model_check_tp(&model, 5));
}

/* GPT-3 175B at Megatron's padded vocabulary; published counts of formulas for the causal half. */
static void flops(void) {
    cb_model gpt3 = {.name = "gpt3-175b",
                     .vocab = 51200,
                     .positions = 2048,
                     .channels = 12288,
                     .ffn = 4 * 12288,
                     .layers = 96,
                     .heads = 96,
                     .norm_eps = 1e-5,
                     .init_std = 0.02};
    cb_model_pad_vocab(&gpt3, 128);
    CHECK_OK(cb_model_check(&gpt3));
    CHECK_INT(cb_model_parameters(&gpt3), 174615846912);
    CHECK_NEAR(cb_model_flops_per_token(&gpt3, 2048), 1.061947e12, 0.5e6);
    CHECK_NEAR(cb_model_flops_per_token(&gpt3, 2048),
               96 * cb_model_layer_flops_per_token(&gpt3, 2048) + cb_model_head_flops_per_token(&gpt3), 1);
    cb_model small = preset("gpt2-124m");
    CHECK_NEAR(cb_model_head_flops_per_token(&small), 6.0 * 50257 * 768, 0); /* the true vocabulary */
    CHECK_NEAR(cb_model_layer_flops_per_token(&small, 0), 6.0 * 12 * 768 * 768, 0);
}

int main(void) {
    RUN(presets);
    RUN(published_sizes);
    RUN(measured_sizes);
    RUN(trainable);
    RUN(grouped_heads);
    RUN(unknown_names);
    RUN(byte_presets_fit_eight_ranks);
    RUN(vocabulary_padding);
    RUN(checks);
    RUN(tensor_parallel_sizes);
    RUN(flops);
    return test_end();
}
