/* Models known by name, one row each; a family's row says what it differs in from GPT-2. Sources:
 * gpt2: Radford et al. 2019. gpt3: Brown et al., arXiv:2005.14165, table 2.1, all attention dense; its 1.3b is printed
 * with 24 heads, which do not divide 2048 channels, and its 13b with 5140 channels: 16 and 5120 here, as others do.
 * bloom: the BLOOM paper, arXiv:2211.05100, table 3. llama-2: Touvron et al., arXiv:2307.09288; llama-3: Grattafiori et
 * al., arXiv:2407.21783, table 3, and the published config.json files. megatron: Narayanan et al., arXiv:2104.04473,
 * table 1; 22b, 175b: Korthikanti et al., arXiv:2205.05198, table 3; mt-nlg: Smith et al., arXiv:2201.11990. Megatron's
 * vocabulary is 51200. The others work on bytes: `demo` to train in minutes, `toy-*` for pictures of pipelines,
 * `test-*` for tests, whose heads, width and padded vocabulary eight tensor-parallel ranks divide. */
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "model/model.h"

enum { VOCAB_MULTIPLE = 128 };

typedef enum family { GPT, BLOOM, LLAMA } family;

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
};

typedef struct preset {
    const char *name;
    family family;
    int64_t vocab, positions;
    int layers;
    int64_t channels;
    int heads, kv_heads; /* 0: heads */
    int64_t ffn;         /* 0: 4 * channels */
} preset;

static const preset presets[] = {
    {"gpt2-124m", GPT, 50257, 1024, 12, 768, 12, 0, 0},
    {"gpt2-350m", GPT, 50257, 1024, 24, 1024, 16, 0, 0},
    {"gpt2-774m", GPT, 50257, 1024, 36, 1280, 20, 0, 0},
    {"gpt2-1558m", GPT, 50257, 1024, 48, 1600, 25, 0, 0},
    {"gpt3-125m", GPT, 50257, 2048, 12, 768, 12, 0, 0},
    {"gpt3-350m", GPT, 50257, 2048, 24, 1024, 16, 0, 0},
    {"gpt3-760m", GPT, 50257, 2048, 24, 1536, 16, 0, 0},
    {"gpt3-1.3b", GPT, 50257, 2048, 24, 2048, 16, 0, 0},
    {"gpt3-2.7b", GPT, 50257, 2048, 32, 2560, 32, 0, 0},
    {"gpt3-6.7b", GPT, 50257, 2048, 32, 4096, 32, 0, 0},
    {"gpt3-13b", GPT, 50257, 2048, 40, 5120, 40, 0, 0},
    {"gpt3-175b", GPT, 50257, 2048, 96, 12288, 96, 0, 0},
    {"bloom-176b", BLOOM, 250880, 2048, 70, 14336, 112, 0, 0},
    {"llama-2-7b", LLAMA, 32000, 4096, 32, 4096, 32, 0, 11008},
    {"llama-2-13b", LLAMA, 32000, 4096, 40, 5120, 40, 0, 13824},
    {"llama-2-70b", LLAMA, 32000, 4096, 80, 8192, 64, 8, 28672},
    {"llama-3-8b", LLAMA, 128256, 8192, 32, 4096, 32, 8, 14336},
    {"llama-3-70b", LLAMA, 128256, 8192, 80, 8192, 64, 8, 28672},
    {"llama-3.1-8b", LLAMA, 128256, 131072, 32, 4096, 32, 8, 14336},
    {"llama-3.1-70b", LLAMA, 128256, 131072, 80, 8192, 64, 8, 28672},
    {"llama-3.1-405b", LLAMA, 128256, 131072, 126, 16384, 128, 8, 53248},
    {"megatron-1.7b", GPT, 51200, 2048, 24, 2304, 24, 0, 0},
    {"megatron-3.6b", GPT, 51200, 2048, 30, 3072, 32, 0, 0},
    {"megatron-7.5b", GPT, 51200, 2048, 36, 4096, 32, 0, 0},
    {"megatron-18b", GPT, 51200, 2048, 40, 6144, 48, 0, 0},
    {"megatron-22b", GPT, 51200, 2048, 48, 6144, 64, 0, 0},
    {"megatron-39b", GPT, 51200, 2048, 48, 8192, 64, 0, 0},
    {"megatron-76b", GPT, 51200, 2048, 60, 10240, 80, 0, 0},
    {"megatron-145b", GPT, 51200, 2048, 80, 12288, 96, 0, 0},
    {"megatron-175b", GPT, 51200, 2048, 96, 12288, 96, 0, 0},
    {"megatron-310b", GPT, 51200, 2048, 96, 16384, 128, 0, 0},
    {"mt-nlg-530b", GPT, 51200, 2048, 105, 20480, 128, 0, 0},
    {"gpt-1t", GPT, 51200, 2048, 128, 25600, 160, 0, 0},
    {"demo", GPT, 256, 256, 4, 256, 8, 0, 0},
    {"toy-8", GPT, 256, 128, 8, 64, 8, 0, 0},
    {"toy-12", GPT, 256, 128, 12, 64, 4, 0, 0},
    {"test-tiny", GPT, 256, 64, 4, 64, 8, 0, 0},
    {"test-pad", GPT, 251, 64, 4, 64, 8, 0, 0}, /* as test-tiny, with padded rows in the vocabulary */
};
enum { PRESETS = sizeof presets / sizeof *presets };

/* In the order of the table; a test holds the two together. */
static const char *const names[PRESETS + 1] = {"gpt2-124m",     "gpt2-350m",     "gpt2-774m",
                                               "gpt2-1558m",    "gpt3-125m",     "gpt3-350m",
                                               "gpt3-760m",     "gpt3-1.3b",     "gpt3-2.7b",
                                               "gpt3-6.7b",     "gpt3-13b",      "gpt3-175b",
                                               "bloom-176b",    "llama-2-7b",    "llama-2-13b",
                                               "llama-2-70b",   "llama-3-8b",    "llama-3-70b",
                                               "llama-3.1-8b",  "llama-3.1-70b", "llama-3.1-405b",
                                               "megatron-1.7b", "megatron-3.6b", "megatron-7.5b",
                                               "megatron-18b",  "megatron-22b",  "megatron-39b",
                                               "megatron-76b",  "megatron-145b", "megatron-175b",
                                               "megatron-310b", "mt-nlg-530b",   "gpt-1t",
                                               "demo",          "toy-8",         "toy-12",
                                               "test-tiny",     "test-pad",      NULL};

const char *const *cb_model_preset_names(void) {
    return names;
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
    char near[256];
    return cb_fail(CB_EUSAGE, "no model '%.63s'%s `cuboid model` lists them; or give the path of a config.json", name,
                   cb_args_suggest(name, names, near));
}
