/* Models known by name, one row each. GPT-2's four sizes are those of Radford et al. 2019 (layers, channels, heads);
 * GPT-3's largest that of Brown et al. 2020 (all its attention dense here); the smaller ones work on bytes: `demo` to train in minutes, `toy-*` for pictures of pipelines, `test-*` for tests,
 * whose heads, width and padded vocabulary eight tensor-parallel ranks divide. */
#include <stdio.h>
#include <string.h>

#include "model/model.h"

enum { VOCAB_MULTIPLE = 128 };

typedef struct preset {
    const char *name;
    int64_t vocab, positions;
    int layers;
    int64_t channels;
    int heads;
} preset;

static const preset presets[] = {
    {"gpt2-124m", 50257, 1024, 12, 768, 12},
    {"gpt2-350m", 50257, 1024, 24, 1024, 16},
    {"gpt2-774m", 50257, 1024, 36, 1280, 20},
    {"gpt2-1558m", 50257, 1024, 48, 1600, 25},
    {"gpt3-175b", 50257, 2048, 96, 12288, 96},
    {"demo", 256, 256, 4, 256, 8},
    {"toy-8", 256, 128, 8, 64, 8},
    {"toy-12", 256, 128, 12, 64, 4},
    {"test-tiny", 256, 64, 4, 64, 8},
    {"test-pad", 251, 64, 4, 64, 8}, /* as test-tiny, with padded rows in the vocabulary */
};
enum { PRESETS = sizeof presets / sizeof *presets };

/* In the order of the table; a test holds the two together. */
static const char *const names[PRESETS + 1] = {"gpt2-124m", "gpt2-350m", "gpt2-774m", "gpt2-1558m", "gpt3-175b", "demo",
                                               "toy-8",     "toy-12",    "test-tiny", "test-pad",   NULL};

const char *const *cb_model_preset_names(void) {
    return names;
}

/* Levenshtein distance of two strings, the first of at most 63 characters. */
static int edit_distance(const char *a, const char *b) {
    int line[64], length = (int)strnlen(a, 63);
    for (int i = 0; i <= length; i++) line[i] = i;
    for (int j = 1; b[j - 1]; j++) {
        int diagonal = line[0];
        line[0] = j;
        for (int i = 1; i <= length; i++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = line[i];
            int shift = (line[i] < line[i - 1] ? line[i] : line[i - 1]) + 1;
            line[i] = change < shift ? change : shift;
        }
    }
    return line[length];
}

static cb_err unknown(const char *name) {
    const preset *nearest = &presets[0];
    for (const preset *p = presets; p < presets + PRESETS; p++)
        if (edit_distance(name, p->name) < edit_distance(name, nearest->name)) nearest = p;
    char list[256];
    int used = 0;
    for (int i = 0; i < PRESETS && used < (int)sizeof list; i++)
        used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", i ? ", " : "", presets[i].name);
    return cb_fail(CB_EUSAGE, "no model '%.63s'; did you mean '%s'? Models: %s, or the path of a config.json", name,
                   nearest->name, list);
}

cb_err cb_model_preset(cb_model *model, const char *name) {
    for (const preset *p = presets; p < presets + PRESETS; p++) {
        if (strcmp(p->name, name)) continue;
        *model = (cb_model){.family = CB_GPT2,
                            .vocab = p->vocab,
                            .positions = p->positions,
                            .channels = p->channels,
                            .ffn = 4 * p->channels,
                            .layers = p->layers,
                            .heads = p->heads,
                            .norm_eps = 1e-5,
                            .init_std = 0.02};
        snprintf(model->name, sizeof model->name, "%s", p->name);
        cb_model_pad_vocab(model, VOCAB_MULTIPLE);
        return cb_model_check(model);
    }
    return unknown(name);
}
