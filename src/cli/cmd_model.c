/* cuboid model: the presets, or one model's sizes and what each stage of a pipeline would hold. */
#include <stdio.h>

#include "base/args.h"
#include "cli/commands.h"
#include "model/placement.h"

typedef struct model_options {
    const char *model, *layers_per_stage;
    int64_t pp, seq_length;
    bool help;
} model_options;

#define FIELD(name) offsetof(model_options, name)
static const cb_arg table[] = {
    {.name = "model",
     .type = CB_ARG_STRING,
     .offset = FIELD(model),
     .help = "a preset or a config.json",
     .derived = "all presets"},
    {.name = "pp",
     .aliases = "pipeline-model-parallel-size",
     .type = CB_ARG_INT,
     .offset = FIELD(pp),
     .fallback = "1",
     .unit = "stages",
     .help = "show what each stage holds",
     .min = 1,
     .max = CB_MAX_STAGES},
    {.name = "layers-per-stage",
     .type = CB_ARG_STRING,
     .offset = FIELD(layers_per_stage),
     .fallback = "auto",
     .help = "auto, even, or a list like 6,6"},
    {.name = "seq-length",
     .type = CB_ARG_INT,
     .offset = FIELD(seq_length),
     .unit = "tokens",
     .help = "for FLOPs",
     .derived = "the model's positions",
     .min = 1,
     .max = 1 << 24},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

static cb_err print_presets(void) {
    const char *name;
    printf("%-17s %13s %6s %8s %5s %9s %10s %s\n", "model", "parameters", "layers", "channels", "heads", "positions",
           "vocabulary", "source of its sizes");
    for (int i = 0; (name = cb_model_preset_name(i)); i++) {
        cb_model m;
        TRY(cb_model_preset(&m, name));
        printf("%-17s %13lld %6d %8lld %5d %9lld %10lld %s\n", m.name, (long long)cb_model_parameters(&m), m.layers,
               (long long)m.channels, m.heads, (long long)m.positions, (long long)m.vocab, cb_model_preset_source(i));
    }
    return CB_OK;
}

static cb_err print_model(const model_options *o) {
    cb_model m;
    cb_placement placement;
    TRY(cb_model_load(&m, o->model));
    TRY(cb_model_check(&m));
    if (o->seq_length > m.positions) {
        return cb_fail(CB_EINVAL, "--seq-length %lld is more than the %lld positions of %s", (long long)o->seq_length,
                       (long long)m.positions, m.name);
    }
    int64_t T = o->seq_length > 0 ? o->seq_length : m.positions;
    TRY(cb_placement_make(&placement, &m, (int)o->pp, T, o->layers_per_stage));
    printf("%s: %lld parameters; %d layers, %lld channels, %d heads", m.name, (long long)cb_model_parameters(&m),
           m.layers, (long long)m.channels, m.heads);
    if (cb_model_kv_heads(&m) != m.heads) printf(" (%d of keys and values)", cb_model_kv_heads(&m));
    printf(",\nMLP %lld, %lld positions, vocabulary %lld\n", (long long)m.ffn, (long long)m.positions,
           (long long)m.vocab);
    printf("%.4g FLOPs per token of a training step at sequence length %lld\n", cb_model_flops_per_token(&m, T),
           (long long)T);
    cb_placement_print(&placement, &m, T, stdout);
    return CB_OK;
}

cb_err cb_cmd_model(int argc, char **argv) {
    model_options options;
    TRY(cb_args_parse(table, ROWS, &options, argc, argv));
    if (options.help) {
        cb_args_help(table, ROWS, "cuboid model [--model NAME [--pp 4]]", stdout);
        return CB_OK;
    }
    if (options.model) return print_model(&options);
    if (argc > 0) return cb_fail(CB_EUSAGE, "which model? give --model NAME; without options all models are listed");
    return print_presets();
}
