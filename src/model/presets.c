/* Models known by name, one row each; a family's row says what it differs in from GPT-2, a source's where its sizes are
 * from. Names that begin with an origin (vtrain, oneflow, ...) are shapes that were only measured: their tables are
 * what the planner was held against (see docs/planner.md). Where a source leaves a size open or contradicts itself:
 * gpt3: all attention dense; the 1.3b is printed with 24 heads, which do not divide 2048 channels, and the 13b with
 * 5140 channels: 16 and 5120 here, as others do. zero-bubble: no vocabulary is printed; the four printed counts leave
 * between 25 and 33 thousand tokens: 32000. mpt: of the throughput tables, with learned positions, as many as the
 * sequence is long: 2048. tr11: heads were varied, most often as here. mistral: its sequences are as
 * long as its sliding window. nemotron-22b: these sizes make 21.3 billion;
 * Nemotron's squared ReLU counts as GELU does. toy, test: work on bytes, `toy-*` for pictures of pipelines, `test-*`
 * for tests, whose heads, width and padded vocabulary eight tensor-parallel ranks divide; `demo` to train in minutes.
 */
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "model/model.h"

enum { VOCAB_MULTIPLE = 128 };

typedef enum family { GPT, BLOOM, LLAMA, LLAMA_TIED, QWEN, QWEN_TIED, NEMOTRON } family;

static const cb_model families[] = {
    [GPT] = {.norm_eps = 1e-5, .init_std = 0.02},
    [BLOOM] = {.norm_eps = 1e-5, .init_std = 0.02, .embed_norm = true, .position = CB_ALIBI},
    [LLAMA] = {.norm_eps = 1e-5,
               .init_std = 0.02,
               .gated = true,
               .untied = true,
               .unbiased = true,
               .norm = CB_RMSNORM,
               .position = CB_ROTARY},
    [LLAMA_TIED] = {.norm_eps = 1e-5,
                    .init_std = 0.02,
                    .gated = true,
                    .unbiased = true,
                    .norm = CB_RMSNORM,
                    .position = CB_ROTARY},
    [QWEN] = {.norm_eps = 1e-6,
              .init_std = 0.02,
              .gated = true,
              .untied = true,
              .unbiased = true,
              .biased_qkv = true,
              .norm = CB_RMSNORM,
              .position = CB_ROTARY},
    [QWEN_TIED] = {.norm_eps = 1e-6,
                   .init_std = 0.02,
                   .gated = true,
                   .unbiased = true,
                   .biased_qkv = true,
                   .norm = CB_RMSNORM,
                   .position = CB_ROTARY},
    [NEMOTRON] = {.norm_eps = 1e-5, .init_std = 0.02, .untied = true, .unbiased = true, .position = CB_ROTARY},
};

typedef enum source {
    OWN,
    GPT2,
    GPT3,
    BLOOM_PAPER,
    LLAMA2,
    LLAMA3,
    MISTRAL,
    QWEN2,
    SC21,
    SELECTIVE,
    MT_NLG,
    MEGATRON_2020,
    VTRAIN,
    ZERO_BUBBLE,
    MPT,
    ONEFLOW,
    NANOTRON,
    NEMO,
    NEMOTRON_4,
    BIGSCIENCE,
    TR11
} source;

static const char *const sources[] = {
    [OWN] = "of this program",
    [GPT2] = "Radford et al. 2019",
    [GPT3] = "arXiv:2005.14165, tab 2.1",
    [BLOOM_PAPER] = "arXiv:2211.05100, table 3",
    [LLAMA2] = "arXiv:2307.09288",
    [LLAMA3] = "arXiv:2407.21783, table 3",
    [MISTRAL] = "arXiv:2310.06825, table 1",
    [QWEN2] = "arXiv:2407.10671, table 1",
    [SC21] = "arXiv:2104.04473, table 1",
    [SELECTIVE] = "arXiv:2205.05198, table 3",
    [MT_NLG] = "arXiv:2201.11990",
    [MEGATRON_2020] = "Megatron-LM README, 2020",
    [VTRAIN] = "arXiv:2312.12391 (vTrain)",
    [ZERO_BUBBLE] = "arXiv:2401.10241, table 3",
    [MPT] = "llm-foundry, throughput",
    [ONEFLOW] = "OneFlow GPT benchmarks",
    [NANOTRON] = "nanotron, benchmarks",
    [NEMO] = "NeMo, performance docs",
    [NEMOTRON_4] = "arXiv:2406.11704",
    [BIGSCIENCE] = "bigscience, experiments",
    [TR11] = "bigscience, tr11",
};

typedef struct preset {
    const char *name;
    family family;
    int64_t vocab, positions;
    int layers;
    int64_t channels;
    int heads, kv_heads; /* 0: heads */
    int64_t ffn;         /* 0: 4 * channels */
    source source;
} preset;

static const preset presets[] = {
    {"gpt2-124m", GPT, 50257, 1024, 12, 768, 12, 0, 0, GPT2},
    {"gpt2-350m", GPT, 50257, 1024, 24, 1024, 16, 0, 0, GPT2},
    {"gpt2-774m", GPT, 50257, 1024, 36, 1280, 20, 0, 0, GPT2},
    {"gpt2-1558m", GPT, 50257, 1024, 48, 1600, 25, 0, 0, GPT2},
    {"gpt3-125m", GPT, 50257, 2048, 12, 768, 12, 0, 0, GPT3},
    {"gpt3-350m", GPT, 50257, 2048, 24, 1024, 16, 0, 0, GPT3},
    {"gpt3-760m", GPT, 50257, 2048, 24, 1536, 16, 0, 0, GPT3},
    {"gpt3-1.3b", GPT, 50257, 2048, 24, 2048, 16, 0, 0, GPT3},
    {"gpt3-2.7b", GPT, 50257, 2048, 32, 2560, 32, 0, 0, GPT3},
    {"gpt3-6.7b", GPT, 50257, 2048, 32, 4096, 32, 0, 0, GPT3},
    {"gpt3-13b", GPT, 50257, 2048, 40, 5120, 40, 0, 0, GPT3},
    {"gpt3-175b", GPT, 50257, 2048, 96, 12288, 96, 0, 0, GPT3},
    {"bloom-176b", BLOOM, 250880, 2048, 70, 14336, 112, 0, 0, BLOOM_PAPER},
    {"llama-2-7b", LLAMA, 32000, 4096, 32, 4096, 32, 0, 11008, LLAMA2},
    {"llama-2-13b", LLAMA, 32000, 4096, 40, 5120, 40, 0, 13824, LLAMA2},
    {"llama-2-70b", LLAMA, 32000, 4096, 80, 8192, 64, 8, 28672, LLAMA2},
    {"llama-3-8b", LLAMA, 128256, 8192, 32, 4096, 32, 8, 14336, LLAMA3},
    {"llama-3-70b", LLAMA, 128256, 8192, 80, 8192, 64, 8, 28672, LLAMA3},
    {"llama-3.1-8b", LLAMA, 128256, 131072, 32, 4096, 32, 8, 14336, LLAMA3},
    {"llama-3.1-70b", LLAMA, 128256, 131072, 80, 8192, 64, 8, 28672, LLAMA3},
    {"llama-3.1-405b", LLAMA, 128256, 131072, 126, 16384, 128, 8, 53248, LLAMA3},
    {"mistral-7b", LLAMA, 32000, 4096, 32, 4096, 32, 8, 14336, MISTRAL},
    {"qwen2-0.5b", QWEN_TIED, 151936, 32768, 24, 896, 14, 2, 4864, QWEN2},
    {"qwen2-1.5b", QWEN_TIED, 151936, 32768, 28, 1536, 12, 2, 8960, QWEN2},
    {"qwen2-7b", QWEN, 152064, 32768, 28, 3584, 28, 4, 18944, QWEN2},
    {"qwen2-72b", QWEN, 152064, 32768, 80, 8192, 64, 8, 29568, QWEN2},
    {"megatron-1.7b", GPT, 51200, 2048, 24, 2304, 24, 0, 0, SC21},
    {"megatron-3.6b", GPT, 51200, 2048, 30, 3072, 32, 0, 0, SC21},
    {"megatron-7.5b", GPT, 51200, 2048, 36, 4096, 32, 0, 0, SC21},
    {"megatron-18b", GPT, 51200, 2048, 40, 6144, 48, 0, 0, SC21},
    {"megatron-22b", GPT, 51200, 2048, 48, 6144, 64, 0, 0, SELECTIVE},
    {"megatron-39b", GPT, 51200, 2048, 48, 8192, 64, 0, 0, SC21},
    {"megatron-76b", GPT, 51200, 2048, 60, 10240, 80, 0, 0, SC21},
    {"megatron-145b", GPT, 51200, 2048, 80, 12288, 96, 0, 0, SC21},
    {"megatron-175b", GPT, 51200, 2048, 96, 12288, 96, 0, 0, SELECTIVE},
    {"megatron-310b", GPT, 51200, 2048, 96, 16384, 128, 0, 0, SC21},
    {"mt-nlg-530b", GPT, 51200, 2048, 105, 20480, 128, 0, 0, MT_NLG},
    {"gpt-1t", GPT, 51200, 2048, 128, 25600, 160, 0, 0, SC21},
    {"megatron-gpt2-1b", GPT, 51200, 1024, 24, 1920, 15, 0, 0, MEGATRON_2020},
    {"megatron-gpt2-2b", GPT, 51200, 1024, 30, 2304, 18, 0, 0, MEGATRON_2020},
    {"megatron-gpt2-4b", GPT, 51200, 1024, 36, 3072, 24, 0, 0, MEGATRON_2020},
    {"megatron-gpt2-8b", GPT, 51200, 1024, 42, 4096, 32, 0, 0, MEGATRON_2020},
    {"vtrain-204m", GPT, 50257, 1024, 12, 1024, 16, 0, 0, VTRAIN},
    {"vtrain-254m", GPT, 50257, 1024, 16, 1024, 16, 0, 0, VTRAIN},
    {"vtrain-304m", GPT, 50257, 1024, 20, 1024, 16, 0, 0, VTRAIN},
    {"vtrain-355m", GPT, 50257, 1024, 24, 1024, 16, 0, 0, VTRAIN},
    {"vtrain-709m", GPT, 50257, 1024, 12, 2048, 16, 0, 0, VTRAIN},
    {"vtrain-911m", GPT, 50257, 1024, 16, 2048, 16, 0, 0, VTRAIN},
    {"vtrain-1.1b", GPT, 50257, 1024, 20, 2048, 16, 0, 0, VTRAIN},
    {"vtrain-1.3b", GPT, 50257, 1024, 24, 2048, 16, 0, 0, VTRAIN},
    {"vtrain-3.6b", GPT, 50257, 2048, 30, 3072, 32, 0, 0, VTRAIN},
    {"vtrain-18.4b", GPT, 50257, 2048, 40, 6144, 48, 0, 0, VTRAIN},
    {"vtrain-39.1b", GPT, 50257, 2048, 48, 8192, 64, 0, 0, VTRAIN},
    {"vtrain-175b", GPT, 50257, 2048, 96, 12288, 96, 0, 0, VTRAIN},
    {"zero-bubble-1.5b", GPT, 32000, 1024, 22, 2304, 24, 0, 0, ZERO_BUBBLE},
    {"zero-bubble-6.2b", GPT, 32000, 1024, 30, 4096, 32, 0, 0, ZERO_BUBBLE},
    {"zero-bubble-14.6b", GPT, 32000, 1024, 46, 5120, 40, 0, 0, ZERO_BUBBLE},
    {"zero-bubble-28.3b", GPT, 32000, 1024, 62, 6144, 48, 0, 0, ZERO_BUBBLE},
    {"mpt-125m", GPT, 50368, 2048, 12, 768, 12, 0, 0, MPT},
    {"mpt-350m", GPT, 50368, 2048, 24, 1024, 16, 0, 0, MPT},
    {"mpt-760m", GPT, 50368, 2048, 24, 1536, 12, 0, 0, MPT},
    {"mpt-1b", GPT, 50368, 2048, 24, 2048, 16, 0, 0, MPT},
    {"mpt-3b", GPT, 50368, 2048, 32, 2560, 20, 0, 0, MPT},
    {"mpt-7b", GPT, 50368, 2048, 32, 4096, 32, 0, 0, MPT},
    {"mpt-13b", GPT, 50368, 2048, 40, 5120, 40, 0, 0, MPT},
    {"mpt-30b", GPT, 50368, 2048, 48, 7168, 56, 0, 0, MPT},
    {"mpt-70b", GPT, 50368, 2048, 80, 8192, 64, 0, 0, MPT},
    {"oneflow-124m", GPT, 50688, 2048, 12, 768, 12, 0, 0, ONEFLOW},
    {"oneflow-531m", GPT, 50688, 2048, 16, 1536, 16, 0, 0, ONEFLOW},
    {"oneflow-1.6b", GPT, 50688, 2048, 24, 2304, 24, 0, 0, ONEFLOW},
    {"oneflow-3.8b", GPT, 50688, 2048, 32, 3072, 32, 0, 0, ONEFLOW},
    {"nanotron-1.34b", LLAMA_TIED, 131072, 4096, 16, 2048, 32, 0, 8192, NANOTRON},
    {"nanotron-3.57b", LLAMA_TIED, 131072, 4096, 28, 3072, 32, 0, 8192, NANOTRON},
    {"nanotron-8.86b", LLAMA, 131072, 4096, 32, 4096, 32, 0, 14336, NANOTRON},
    {"nanotron-80b", LLAMA, 131072, 4096, 80, 8192, 64, 0, 28672, NANOTRON},
    {"nemo-5b", GPT, 51200, 2048, 24, 4096, 32, 0, 0, NEMO},
    {"nemo-20b", GPT, 51200, 2048, 44, 6144, 48, 0, 0, NEMO},
    {"nemotron-22b", NEMOTRON, 256000, 4096, 40, 6144, 48, 0, 0, NEMO},
    {"nemotron-340b", NEMOTRON, 256000, 4096, 96, 18432, 96, 8, 0, NEMOTRON_4},
    {"bigscience-7.5b", GPT, 50257, 1024, 36, 4096, 32, 0, 0, BIGSCIENCE},
    {"bigscience-13b", GPT, 50257, 2048, 40, 5120, 32, 0, 0, BIGSCIENCE},
    {"bigscience-18b", GPT, 50257, 1024, 40, 6144, 32, 0, 0, BIGSCIENCE},
    {"bigscience-30b", GPT, 50257, 1024, 48, 7168, 32, 0, 0, BIGSCIENCE},
    {"bigscience-39b", GPT, 50257, 1024, 48, 8192, 32, 0, 0, BIGSCIENCE},
    {"bigscience-52b", GPT, 50257, 1024, 64, 8192, 32, 0, 0, BIGSCIENCE},
    {"bigscience-65b", GPT, 50257, 1024, 64, 9216, 32, 0, 0, BIGSCIENCE},
    {"bigscience-104b", GPT, 50257, 2048, 32, 16384, 32, 0, 0, BIGSCIENCE},
    {"bigscience-116b", GPT, 50257, 1024, 64, 12288, 32, 0, 0, BIGSCIENCE},
    {"bigscience-206b", GPT, 50257, 1024, 64, 16384, 32, 0, 0, BIGSCIENCE},
    {"tr11-20b", BLOOM, 250880, 2048, 8, 14400, 32, 0, 0, TR11},
    {"tr11-177b", BLOOM, 250880, 2048, 96, 12288, 96, 0, 0, TR11},
    {"tr11-181b", BLOOM, 250880, 2048, 72, 14336, 64, 0, 0, TR11},
    {"tr11-182b-78l", BLOOM, 250880, 2048, 78, 13824, 96, 0, 0, TR11},
    {"tr11-182b-84l", BLOOM, 250880, 2048, 84, 13312, 64, 0, 0, TR11},
    {"tr11-184b", BLOOM, 250880, 2048, 100, 12288, 64, 0, 0, TR11},
    {"tr11-195b", BLOOM, 250880, 2048, 106, 12288, 64, 0, 0, TR11},
    {"tr11-196b", BLOOM, 250880, 2048, 84, 13824, 64, 0, 0, TR11},
    {"tr11-200b", BLOOM, 250880, 2048, 80, 14400, 96, 0, 0, TR11},
    {"demo", GPT, 256, 256, 4, 256, 8, 0, 0, OWN},
    {"toy-8", GPT, 256, 128, 8, 64, 8, 0, 0, OWN},
    {"toy-12", GPT, 256, 128, 12, 64, 4, 0, 0, OWN},
    {"test-tiny", GPT, 256, 64, 4, 64, 8, 0, 0, OWN},
    {"test-pad", GPT, 251, 64, 4, 64, 8, 0, 0, OWN}, /* as test-tiny, with padded rows in the vocabulary */
};
enum { PRESETS = sizeof presets / sizeof *presets };

const char *cb_model_preset_name(int index) {
    return index >= 0 && index < PRESETS ? presets[index].name : NULL;
}

const char *cb_model_preset_source(int index) {
    return sources[presets[index].source];
}

static cb_err unknown(const char *name) {
    const char *names[PRESETS + 1] = {NULL};
    char near[256];
    for (int i = 0; i < PRESETS; i++) names[i] = presets[i].name;
    return cb_fail(CB_EUSAGE, "no model '%.63s'%s `cuboid model` lists them; or give the path of a config.json", name,
                   cb_args_suggest(name, names, near));
}

cb_err cb_model_preset(cb_model *model, const char *name) {
    for (const preset *p = presets; p < presets + PRESETS; p++) {
        if (strcmp(p->name, name)) continue;
        *model = families[p->family];
        model->vocab = p->vocab;
        model->positions = p->positions;
        model->channels = p->channels;
        model->ffn = p->ffn ? p->ffn : 4 * p->channels;
        model->layers = p->layers;
        model->heads = p->heads;
        model->kv_heads = p->kv_heads ? p->kv_heads : p->heads;
        snprintf(model->name, sizeof model->name, "%s", p->name);
        cb_model_pad_vocab(model, VOCAB_MULTIPLE);
        return cb_model_check(model);
    }
    return unknown(name);
}
