/* The options of cuboid plan, and the job that they describe. Names are those of cuboid train and, as aliases,
 * Megatron-LM's. */
#include <math.h>
#include <string.h>

#include "base/args.h"
#include "cli/plan_layouts.h"
#include "cli/planned.h"

enum { MOST_SIZE = 1 << 20, USUAL_SEQ_LENGTH = 8192, USUAL_TOKENS = 1 << 22 };

#define FIELD(name) offsetof(cb_planned, name)
#define SIZE(name_, aliases_, field, help_)                                                            \
    {                                                                                                  \
        .name = name_, .aliases = aliases_, .type = CB_ARG_INT, .offset = FIELD(field), .help = help_, \
        .derived = "searched", .min = 1, .max = MOST_SIZE                                              \
    }
static const cb_arg table[] = {
    {.name = "What", .type = CB_ARG_SECTION},
    {.name = "model",
     .type = CB_ARG_STRING,
     .offset = FIELD(model_name),
     .help = "a preset or a config.json",
     .derived = "required"},
    {.name = "seq-length",
     .type = CB_ARG_INT,
     .offset = FIELD(seq_length),
     .unit = "tokens",
     .help = "of a sequence",
     .derived = "the model's, at most 8192",
     .min = 1,
     .max = 1 << 28},
    {.name = "global-batch-size",
     .type = CB_ARG_INT,
     .offset = FIELD(global_batch),
     .unit = "sequences",
     .help = "of a step",
     .derived = "about 4 million tokens",
     .min = 1,
     .max = 1 << 28},
    {.name = "make-vocab-size-divisible-by",
     .type = CB_ARG_INT,
     .offset = FIELD(vocab_multiple),
     .fallback = "128",
     .help = "rows of the embedding table are rounded up to a multiple of this",
     .min = 1,
     .max = 1 << 30},
    {.name = "On what", .type = CB_ARG_SECTION},
    {.name = "cluster",
     .type = CB_ARG_STRING,
     .offset = FIELD(cluster_text),
     .help = "DEVICE:GxN[:NETWORK], N nodes of G devices, as a100-80g:8x48 or a100-80g:8x48:opa-4x100; DEVICE:G is one "
             "node; a100, h100, b200 and the like are short for the usual model (--list-hardware has all names); or a "
             "JSON file with a \"cluster\"",
     .derived = "required"},
    {.name = "hardware",
     .type = CB_ARG_STRING,
     .offset = FIELD(hardware),
     .help = "further devices, from a JSON file",
     .derived = "none"},
    {.name = "list-hardware",
     .type = CB_ARG_BOOL,
     .offset = FIELD(list_hardware),
     .fallback = "false",
     .help = "a table of all devices, and nothing else"},
    {.name = "stack",
     .type = CB_ARG_STRING,
     .offset = FIELD(stack_name),
     .fallback = "megatron-core",
     .help = "the program that trains, which decides what is fused, overlapped and kept: megatron-core, megatron-2021, "
             "deepspeed-2021, fsdp, torchtitan, nanotron, static-graph, cuboid"},
    {.name = "precision",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(precision),
     .fallback = "16",
     .choices = "32,16,8,4",
     .unit = "bits",
     .help = "of the matrix products; of the stack cuboid always 32"},
    {.name = "grads-in-32-bits",
     .aliases = "accumulate-allreduce-grads-in-fp32",
     .type = CB_ARG_BOOL,
     .offset = FIELD(grads_32),
     .fallback = "false",
     .help = "sum gradients in 32 bits also where the stack would not"},
    {.name = "constants",
     .type = CB_ARG_STRING,
     .offset = FIELD(constants_file),
     .help = "constants of the cost model from a JSON file",
     .derived = "those built in"},
    {.name = "Layout (what is given is fixed, the rest is searched)", .type = CB_ARG_SECTION},
    SIZE("dp", "data-parallel-size", dp, "replicas"),
    SIZE("tp", "tensor-model-parallel-size", tp, "ranks that cut every matrix"),
    SIZE("pp", "pipeline-model-parallel-size", pp, "stages"),
    SIZE("cp", "context-parallel-size", cp, "ranks that cut the sequence"),
    SIZE("virtual", "num-virtual-stages-per-pipeline-rank,virtual-pipeline-model-parallel-size", chunks,
         "chunks of a stage; more than 1: interleaved"),
    SIZE("micro-batch-size", NULL, micro_batch, "sequences of a microbatch"),
    {.name = "schedule",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(schedule),
     .fallback = "any",
     .choices = "any,gpipe,1f1b,interleaved,zb-h1,zb-h2",
     .help = "of the pipeline; any: all but zb-h2, which no published row has been held against"},
    {.name = "recompute",
     .aliases = "recompute-granularity",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(recompute),
     .fallback = "any",
     .choices = "any,none,selective,by-op,full",
     .help = "activations that are computed again"},
    {.name = "sequence-parallel",
     .type = CB_ARG_BOOL,
     .offset = FIELD(sequence_parallel),
     .fallback = "false",
     .help = "cut what lies between the matrices along the sequence, or --no-sequence-parallel; not given: searched"},
    {.name = "zero",
     .type = CB_ARG_INT,
     .offset = FIELD(zero),
     .derived = "searched",
     .help = "what is cut over dp: 0 nothing, 1 optimizer states, 2 gradients too, 3 weights too",
     .min = 0,
     .max = 3},
    {.name = "use-distributed-optimizer",
     .type = CB_ARG_BOOL,
     .offset = FIELD(distributed_optimizer),
     .fallback = "false",
     .help = "as --zero 1"},
    {.name = "layers-per-stage",
     .type = CB_ARG_CHOICE,
     .offset = FIELD(placement),
     .fallback = "any",
     .choices = "any,even,ends",
     .help = "even; or embedding and head count as a layer each (ends)"},
    {.name = "Answer", .type = CB_ARG_SECTION},
    {.name = "explain",
     .type = CB_ARG_BOOL,
     .offset = FIELD(explain),
     .fallback = "false",
     .help = "the best layout in detail; so is one whose --tp and --pp are given"},
    {.name = "top",
     .type = CB_ARG_INT,
     .offset = FIELD(top),
     .fallback = "10",
     .help = "layouts in the table",
     .min = 1,
     .max = 100000},
    {.name = "all",
     .type = CB_ARG_BOOL,
     .offset = FIELD(all),
     .fallback = "false",
     .help = "every mesh that does not fit, and what the rules refuse"},
    {.name = "tokens",
     .type = CB_ARG_REAL,
     .offset = FIELD(tokens),
     .unit = "tokens",
     .help = "of a whole training: days and device-hours",
     .derived = "not asked",
     .min = 1,
     .max = 1e18},
    {.name = "price",
     .type = CB_ARG_REAL,
     .offset = FIELD(price),
     .help = "with --tokens: of a device-hour, in any currency; what the training costs",
     .derived = "not asked",
     .min = 0,
     .max = 1e9},
    {.name = "svg",
     .type = CB_ARG_STRING,
     .offset = FIELD(svg),
     .help = "the explained layout's timeline, to this file",
     .derived = "not drawn"},
    {.name = "columns",
     .type = CB_ARG_INT,
     .offset = FIELD(columns),
     .help = "width of the timeline",
     .derived = "the terminal's",
     .min = 40,
     .max = 10000},
    {.name = "json", .type = CB_ARG_BOOL, .offset = FIELD(json), .fallback = "false", .help = "all of it as JSON"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

const cb_arg *cb_plan_layouts_options(int *rows) {
    *rows = ROWS;
    return table;
}

static bool ends_in_json(const char *text) {
    size_t length = strlen(text);
    return length > 5 && strcmp(text + length - 5, ".json") == 0;
}

/* Many more devices in a node than the device comes with: meant were nodes, most likely. */
static void warn_of_node(const cb_planned *p) {
    const cb_cluster *c = &p->cluster;
    const cb_device_row *row;
    cb_err e = cb_device_find(&p->devices, c->device.name, &row);
    bool known = !e;
    cb_err_free(e);
    if (!known || c->node_devices <= 4 * row->node_devices || c->node_devices % row->node_devices != 0) return;
    fprintf(stderr, "cuboid: warning: one node of %d %s; the usual node has %d: nodes of those would be %s:%dx%d\n",
            c->node_devices, c->device.name, row->node_devices, c->device.name, row->node_devices,
            c->devices / row->node_devices);
}

static cb_err resolve_cluster(cb_planned *p) {
    char named[128] = "";
    const char *text = p->cluster_text;
    if (p->hardware) TRY(cb_hardware_read(&p->devices, p->hardware, named));
    if (text && ends_in_json(text)) {
        TRY(cb_hardware_read(&p->devices, text, named));
        if (!named[0]) return cb_fail(CB_EUSAGE, "%s has no \"cluster\"; add one, like \"a100-80g:8x48\"", text);
        text = NULL;
    }
    if (!text && !named[0]) {
        return cb_fail(CB_EUSAGE, "on what? give --cluster DEVICE:GxN, N nodes of G devices, like a100-80g:8x48; "
                                  "--list-hardware lists devices");
    }
    TRY(cb_cluster_parse(&p->devices, text ? text : named, &p->cluster));
    warn_of_node(p);
    return CB_OK;
}

static cb_err resolve_model(cb_planned *p) {
    if (!p->model_name) return cb_fail(CB_EUSAGE, "which model? give --model NAME; `cuboid model` lists them");
    TRY(cb_model_load(&p->model, p->model_name));
    cb_model_pad_vocab(&p->model, p->vocab_multiple);
    TRY(cb_model_check(&p->model));
    if (p->seq_length < 1)
        p->seq_length = p->model.positions < USUAL_SEQ_LENGTH ? p->model.positions : USUAL_SEQ_LENGTH;
    if (p->model.position == CB_LEARNED && p->seq_length > p->model.positions) {
        return cb_fail(CB_EINVAL, "--seq-length %lld is more than the %lld positions of %s", (long long)p->seq_length,
                       (long long)p->model.positions, p->model.name);
    }
    return CB_OK;
}

static int64_t usual_batch(const cb_planned *p) {
    int64_t batch = USUAL_TOKENS / p->seq_length;
    return batch < 1 ? 1 : batch;
}

static cb_err find_stack(const char *name, cb_stack *stack) {
    const char *const *names = cb_stack_names();
    for (int i = 0; names[i]; i++) {
        *stack = (cb_stack)i;
        if (strcmp(names[i], name) == 0) return CB_OK;
    }
    char near[256], all[256] = "";
    for (int i = 0; names[i]; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    return cb_fail(CB_EUSAGE, "no stack '%.63s'%s There are %s", name, cb_args_suggest(name, names, near), all);
}

static cb_err wrong_precision(const cb_planned *p) {
    const cb_accelerator *device = &p->cluster.device;
    char has[64] = "";
    for (int i = 0; i < CB_PRECISIONS; i++) {
        size_t used = strlen(has);
        if (device->peak_flops[i] > 0)
            snprintf(has + used, sizeof has - used, "%s%s", used ? ", " : "", cb_precision_word((cb_precision)i));
    }
    return cb_fail(CB_EINVAL, "%s has no matrix products in %s; it has %s", device->name,
                   cb_precision_word(p->job.precision), has);
}

/* What the stack leaves open; `cuboid train` has one precision and one form of model. */
static cb_err resolve_stack(cb_planned *p, bool precision_given, cb_stack *stack, cb_precision *precision) {
    static const cb_precision precisions[] = {CB_MATH_32, CB_MATH_16, CB_MATH_8, CB_MATH_4};
    TRY(find_stack(p->stack_name, stack));
    *precision = precisions[p->precision];
    if (!cb_stack_traits_of(*stack)->all_in_32) return CB_OK;
    if (precision_given && *precision != CB_MATH_32)
        return cb_fail(CB_EINVAL,
                       "--stack %s computes in 32 bits alone, not in %s; leave --precision out, or plan for another "
                       "--stack",
                       p->stack_name, cb_precision_word(*precision));
    *precision = CB_MATH_32;
    return cb_err_context(cb_model_check_trainable(&p->model), "--stack %s", p->stack_name);
}

static cb_err resolve_job(cb_planned *p, int argc, char **argv) {
    cb_stack stack;
    cb_precision precision;
    TRY(resolve_stack(p, cb_args_given(table, ROWS, "precision", argc, argv), &stack, &precision));
    if (p->global_batch < 1) p->global_batch = usual_batch(p);
    p->job = (cb_job){.model = &p->model,
                      .cluster = &p->cluster,
                      .stack = stack,
                      .precision = precision,
                      .seq_length = p->seq_length,
                      .global_batch = p->global_batch,
                      .grads_32 = p->grads_32,
                      .constants = &p->constants};
    return p->cluster.device.peak_flops[p->job.precision] > 0 ? CB_OK : wrong_precision(p);
}

static int least0(int64_t value) {
    return value > 0 ? (int)value : 0;
}

/* Megatron-LM's scripts say selective of attention in blocks too, which has nothing to compute again for it. */
static int wished_recompute(const cb_planned *p) {
    bool nothing = cb_stack_traits_of(p->job.stack)->flash && p->recompute - 1 == CB_AGAIN_ATTENTION;
    if (!nothing) return p->recompute - 1;
    fprintf(stderr,
            "cuboid: note: --recompute selective is taken as none: %s computes attention in blocks, keeps no "
            "scores and has none to compute again\n",
            p->stack_name);
    return CB_KEEP_ALL;
}

static cb_err resolve_wish(cb_planned *p, int argc, char **argv) {
    bool zero = cb_args_given(table, ROWS, "zero", argc, argv);
    if (zero && p->distributed_optimizer && p->zero != 1)
        return cb_fail(CB_EUSAGE, "--zero %d and --use-distributed-optimizer, which is --zero 1, contradict each other",
                       (int)p->zero);
    p->wish = cb_wish_none();
    p->wish.dp = least0(p->dp), p->wish.tp = least0(p->tp), p->wish.pp = least0(p->pp), p->wish.cp = least0(p->cp);
    p->wish.chunks = least0(p->chunks), p->wish.micro_batch = least0(p->micro_batch);
    p->wish.schedule = p->schedule - 1, p->wish.recompute = wished_recompute(p), p->wish.placement = p->placement - 1;
    p->wish.zero = zero ? (int)p->zero : p->distributed_optimizer ? 1 : CB_ANY;
    if (cb_args_given(table, ROWS, "sequence-parallel", argc, argv)) p->wish.sequence_parallel = p->sequence_parallel;
    const cb_wish free = cb_wish_none();
    p->anything_fixed = memcmp(&p->wish, &free, sizeof free) != 0;
    p->explain = p->explain || p->svg || (p->wish.tp && p->wish.pp);
    if (p->price > 0 && !(p->tokens > 0)) return cb_fail(CB_EUSAGE, "--price goes with --tokens");
    return CB_OK;
}

cb_err cb_planned_resolve(cb_planned *p, int argc, char **argv, bool *done) {
    TRY(cb_args_parse(table, ROWS, p, argc, argv));
    cb_hardware_default(&p->devices);
    *done = p->help || p->list_hardware;
    if (p->help) {
        cb_args_help(table, ROWS,
                     "cuboid plan --model gpt3-175b --cluster a100-80g:8x128 [--tp 8 --pp 16]\n"
                     "cuboid plan --this-machine ... | --validate FILE.csv | --show-constants   (each has a --help)",
                     stdout);
        return CB_OK;
    }
    if (p->list_hardware) {
        char unused[128];
        if (p->hardware) TRY(cb_hardware_read(&p->devices, p->hardware, unused));
        if (p->json)
            cb_planned_print_hardware_json(&p->devices, stdout);
        else
            cb_hardware_print(&p->devices, stdout);
        return CB_OK;
    }
    TRY(resolve_model(p));
    TRY(resolve_cluster(p));
    TRY(resolve_job(p, argc, argv));
    TRY(resolve_wish(p, argc, argv));
    p->constants = cb_constants_default();
    if (p->constants_file) TRY(cb_constants_read(&p->constants, p->constants_file));
    p->sums = cb_param_sums_of(&p->model);
    return CB_OK;
}
