/* The option table of training: a row per option, Megatron's long names as aliases. See options.h. */
#include "cli/options.h"

#include "compute/compute.h"

#define FIELD(name) offsetof(cb_options, name)
#define STRING(field, option, alias, value, what, ...)                                                      \
    {                                                                                                       \
        .name = option, .aliases = alias, .type = CB_ARG_STRING, .offset = FIELD(field), .fallback = value, \
        .help = what, __VA_ARGS__                                                                           \
    }
#define INT(field, option, alias, value, measure, what, ...)                                             \
    {                                                                                                    \
        .name = option, .aliases = alias, .type = CB_ARG_INT, .offset = FIELD(field), .fallback = value, \
        .unit = measure, .help = what, __VA_ARGS__                                                       \
    }
#define REAL(field, option, alias, value, measure, what, ...)                                             \
    {                                                                                                     \
        .name = option, .aliases = alias, .type = CB_ARG_REAL, .offset = FIELD(field), .fallback = value, \
        .unit = measure, .help = what, __VA_ARGS__                                                        \
    }
#define BOOL(field, option, alias, value, what, ...)                                                      \
    {                                                                                                     \
        .name = option, .aliases = alias, .type = CB_ARG_BOOL, .offset = FIELD(field), .fallback = value, \
        .help = what, __VA_ARGS__                                                                         \
    }
#define CHOICE(field, option, alias, value, words, what, ...)                                               \
    {                                                                                                       \
        .name = option, .aliases = alias, .type = CB_ARG_CHOICE, .offset = FIELD(field), .fallback = value, \
        .choices = words, .help = what, __VA_ARGS__                                                         \
    }
#define SECTION(title) \
    { .name = title, .type = CB_ARG_SECTION }

static const cb_arg table[] = {
    SECTION("Model and data"),
    STRING(model, "model", NULL, NULL, "a preset (see `cuboid model`) or a config.json in GPT-2 form",
           .derived = "the model in --init"),
    STRING(data, "data", "data-path", NULL, "text, nanoGPT .bin, llm.c shards (a glob) or a Megatron prefix",
           .derived = "required"),
    CHOICE(data_format, "data-format", NULL, "auto", "auto,bytes,nanogpt,llmc,megatron",
           "how to read it; auto looks at the file"),
    STRING(val_data, "val-data", "valid-data-path", NULL, "validation data of its own", .derived = "a part of --data"),
    STRING(split, "split", NULL, "95,5", "shares of --data for training and validation (a third share is left out)"),
    STRING(init, "init", NULL, NULL, "start from this directory's weights (config.json, model.safetensors)",
           .derived = "random weights from --seed"),
    STRING(save, "save", NULL, NULL, "write config.json and model.safetensors here at the end and on SIGTERM",
           .derived = "not saved"),
    INT(vocab_multiple, "make-vocab-size-divisible-by", NULL, "128", "rows",
        "the embedding's rows are padded to a multiple of this", .min = 1, .max = 1 << 20),
    INT(seed, "seed", NULL, "1234", NULL, "of weights and data order", .min = 0, .max = 4294967295.0),

    SECTION("Layout"),
    INT(dp, "dp", "data-parallel-size", NULL, "ranks", "data parallelism: the batch is split", .min = 1, .max = 1 << 20,
        .derived = "ranks / (tp * pp)"),
    INT(tp, "tp", "tensor-model-parallel-size", "1", "ranks", "tensor parallelism: each matrix is split", .min = 1,
        .max = 4096),
    INT(pp, "pp", "pipeline-model-parallel-size", "1", "stages", "pipeline parallelism: the layers are split", .min = 1,
        .max = CB_MAX_STAGES),
    INT(ranks, "ranks", NULL, NULL, NULL, "how many ranks", .min = 1, .max = 1 << 20,
        .derived = "mpiexec's number, or dp * tp * pp"),
    CHOICE(comm, "comm", "distributed-backend", NULL, CB_COMM_CHOICES,
           "how ranks reach each other: as threads of one process, or by MPI",
           .derived = "mpi under mpiexec, else threads"),
    STRING(
        shards, "shards", NULL, NULL,
        "parts of every cut dimension that arithmetic is defined on: with the same number the layout changes no bit; "
        "tp: one product per layer and rank, fastest",
        .derived = "the largest power of two up to 8 that divides heads, MLP and vocabulary"),
    INT(data_shards, "data-shards", NULL, NULL, "parts",
        "of the global batch, each summed by itself and then as a tree: with the same number dp changes no bit",
        .min = 1, .max = 65536, .derived = "dp"),
    STRING(order, "order", NULL, CB_DEFAULT_ORDER, "which dimension of the mesh runs fastest over the ranks"),
    STRING(layers_per_stage, "layers-per-stage", NULL, "auto",
           "auto (equal FLOPs, the head counted), even, or a list like 6,6; with chunks: of each block, in the model's order"),
    STRING(schedule, "schedule", NULL, "1f1b",
           "pipeline schedule: gpipe, 1f1b, interleaved, zb-h1, zb-h2, zb-v, dualpipe-v (`cuboid schedule` draws them)"),
    STRING(schedule_file, "schedule-file", NULL, NULL, "a schedule of your own, as `cuboid schedule --list` writes them",
           .derived = "none"),
    INT(chunks, "virtual", "virtual-pipeline-model-parallel-size,num-virtual-stages-per-pipeline-rank", NULL, "chunks",
        "of each stage", .min = 1, .max = CB_MAX_CHUNKS, .derived = "the schedule's; 2 if interleaved"),
    INT(group, "group", "microbatch-group-size-per-virtual-pipeline-stage", NULL, "microbatches",
        "interleaved: that pass a chunk together", .min = 1, .max = 65536, .derived = "pp if interleaved"),
    STRING(recompute, "recompute", "recompute-granularity", "none",
           "activations computed again in the backward pass instead of kept: none, selective (attention's "
           "probabilities), full (all but a layer's input), full:N (of the first N layers of a stage)"),
    INT(threads_per_rank, "threads-per-rank", NULL, NULL, "threads", "for each rank's products and loops", .min = 1,
        .max = CB_MOST_THREADS, .derived = "cores / ranks, 1 to 16", .own = true),
    BOOL(pin, "pin", NULL, "true", "bind ranks to cores where there are enough", .own = true),

    SECTION("Batch"),
    INT(micro_batch_size, "micro-batch-size", NULL, "4", "sequences", "of one forward and backward pass", .min = 1,
        .max = 1 << 20),
    INT(global_batch_size, "global-batch-size", NULL, NULL, "sequences", "of one step, over all dp ranks", .min = 1,
        .max = 1 << 30, .derived = "micro-batch-size * dp"),
    INT(seq_length, "seq-length", NULL, NULL, "tokens", "of a sequence", .min = 1, .max = 1 << 24,
        .derived = "the model's positions"),

    SECTION("Optimizer"),
    INT(steps, "steps", "train-iters", "100", "steps", "optimizer steps to do; 0 only evaluates", .min = 0,
        .max = 1e12),
    REAL(lr, "lr", NULL, "6e-4", NULL, "highest learning rate", .min = 0, .max = 1000),
    REAL(min_lr, "min-lr", NULL, NULL, NULL, "lowest, at the end of the decay", .min = 0, .max = 1000,
         .derived = "lr / 10"),
    CHOICE(lr_decay, "lr-decay-style", NULL, "cosine", CB_DECAY_CHOICES, "after the warm-up"),
    INT(lr_warmup, "lr-warmup-iters", "warmup", "-1", "steps", "linear warm-up", .min = 0, .max = 1e12,
        .derived = "steps / 20"),
    INT(lr_decay_steps, "lr-decay-iters", NULL, NULL, "steps", "step at which min-lr is reached", .min = 1, .max = 1e12,
        .derived = "steps"),
    INT(wsd_decay_steps, "lr-wsd-decay-iters", NULL, NULL, "steps", "wsd: length of the final decay", .min = 1,
        .max = 1e12, .derived = "lr-decay-iters / 5"),
    REAL(weight_decay, "weight-decay", NULL, "0.1", NULL, "AdamW's decay, on matrices only", .min = 0, .max = 10),
    REAL(beta1, "adam-beta1", NULL, "0.9", NULL, "AdamW: mean of gradients", .min = 0, .max = 0.999999),
    REAL(beta2, "adam-beta2", NULL, "0.95", NULL, "AdamW: mean of squares", .min = 0, .max = 0.999999),
    REAL(adam_eps, "adam-eps", NULL, "1e-8", NULL, "AdamW: added to the root", .min = 0, .max = 1),
    REAL(clip, "clip-grad", NULL, "1.0", NULL, "largest global gradient norm; 0: no clipping", .min = 0, .max = 1e9),
    INT(bucket_elements, "ddp-bucket-size", NULL, "1m", "elements", "of one gradient reduction over dp", .min = 1,
        .max = 1e12),

    SECTION("Evaluation and output"),
    INT(eval_interval, "eval-interval", NULL, "0", "steps", "between evaluations; 0: only at the end", .min = 0,
        .max = 1e12),
    INT(eval_iters, "eval-iters", NULL, "8", "global batches", "of validation samples per evaluation; 0: none",
        .min = 0, .max = 1e9),
    STRING(log, "log", NULL, NULL, "write one JSON object per step, and a summary, to this file", .derived = "no log",
           .own = true),
    INT(log_interval, "log-interval", NULL, "1", "steps", "between progress lines where the output is no terminal",
        .min = 1, .max = 1e9, .own = true),
    INT(digest_every, "digest-every", NULL, "0", "steps",
        "between digests of weights, optimizer state and losses in the log; 0: none", .min = 0, .max = 1e12),
    INT(check_replicas, "check-replicas", NULL, "0", "steps",
        "between comparisons of the copies that ranks hold of the same tensor; 0: none", .min = 0, .max = 1e12),
    STRING(timeline, "timeline", NULL, NULL, "draw the last step's timeline to this SVG file", .derived = "not drawn",
           .own = true),
    STRING(trace, "trace", NULL, NULL, "write all that ranks do in some steps, with times, to this trace-event file",
           .derived = "not traced"),
    STRING(trace_steps, "trace-steps", NULL, NULL, "those steps: a number, or the first and the last as in 10:12",
           .derived = "2:3, as step 1 warms up"),
    STRING(logits, "logits", NULL, NULL, "write the final evaluation's logits here: f32 (samples, T, V)",
           .derived = "not written"),

    SECTION("Machine"),
    CHOICE(compute, "compute", NULL, "cpu", CB_COMPUTE_CHOICES, "arithmetic: cpu (oneDNN) or ref (plain loops, slow)"),
    REAL(peak_flops, "peak-flops", NULL, NULL, "FLOP/s", "of all ranks together, for MFU", .min = 1, .max = 1e30,
         .derived = "measured at the start", .own = true),
    REAL(deadline_s, "deadline", "distributed-timeout-seconds", "600", "s", "longest wait for another rank", .min = 0.1,
         .max = 1e6, .own = true),
    STRING(algorithms, "algorithms", NULL, NULL,
           "rules for the algorithms of collectives: JSON, see docs/collectives.md and `cuboid bench comm --table`",
           .derived = "by the table"),
    BOOL(checked, "check-messages", NULL, "false", "check every message against the contract between ranks (slow)"),
    BOOL(dry_run, "dry-run", NULL, "false",
         "print the plan (layout, memory of each rank, messages) and end: nothing is allocated; --data may be left out"),
    BOOL(json, "json", NULL, "false", "with --dry-run: the plan as one JSON object and nothing else"),
    BOOL(help, "help", NULL, "false", "this text"),
};

const cb_arg *cb_options_table(int *rows) {
    *rows = (int)(sizeof table / sizeof table[0]);
    return table;
}
