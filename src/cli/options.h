/* The options of `cuboid train` and of the commands that share them, as one table; and their resolution into a run. */
#ifndef CB_CLI_OPTIONS_H
#define CB_CLI_OPTIONS_H

#include "base/args.h"
#include "train/run.h"

#define CB_COMM_CHOICES "threads,mpi"
#define CB_COMPUTE_CHOICES "cpu,ref"

typedef struct cb_options {
    const char *model, *data, *val_data, *split, *init, *save, *log, *timeline, *trace, *trace_steps, *logits, *algorithms;
    int data_format;
    int64_t vocab_multiple;

    int64_t ranks, dp, tp, pp, threads_per_rank;
    int comm, compute; /* positions in the choices below; comm: -1 where left out */
    const char *order, *layers_per_stage, *schedule, *schedule_file;
    int64_t chunks, group;
    const char *shards; /* "tp" or a number */
    char shards_text[24];
    const char *recompute;
    int64_t data_shards;
    bool pin, checked;
    double deadline_s;

    int64_t micro_batch_size, global_batch_size, seq_length, steps;
    double lr, min_lr, weight_decay, beta1, beta2, adam_eps, clip;
    int lr_decay;
    int64_t lr_warmup, lr_decay_steps, wsd_decay_steps, seed, bucket_elements;

    int64_t eval_interval, eval_iters, log_interval;
    double peak_flops;
    int64_t digest_every, check_replicas;
    bool dry_run, json, help;
} cb_options;

/* The table of `cuboid train`. */
const cb_arg *cb_options_table(int *rows);

/* What a resolved run holds open. */
typedef struct cb_resolved {
    cb_run run;
    cb_tokens *tokens, *val_tokens;
    char *schedule_text; /* of --schedule-file */
    cb_selection *selection; /* of --algorithms */
    char *alike;             /* of the launch, see cb_options_alike */
} cb_resolved;

/* Derives what was left out, checks that all sizes fit together, opens the data; options gets the derived values for
 * the echo. Errors: CB_EUSAGE, CB_EINVAL, CB_EIO, CB_EFORMAT with the numbers and what would work. */
CB_MUST_USE cb_err cb_options_resolve(cb_options *options, cb_resolved *resolved);
/* resolve_shards.c: S and D. Part of cb_options_resolve. */
CB_MUST_USE cb_err cb_options_resolve_shards(cb_options *options, cb_run *run);
/* resolve_schedule.c: the schedule and the layers' placement. Part of cb_options_resolve. */
CB_MUST_USE cb_err cb_options_resolve_schedule(cb_options *options, cb_resolved *resolved);
/* alike.c: what all processes of the run have to have alike: options, and what is in the files that they name. Sets
 * launch.alike where processes run. Part of cb_options_resolve, its end. */
CB_MUST_USE cb_err cb_options_alike(const cb_options *options, cb_resolved *resolved);
void cb_resolved_free(cb_resolved *resolved);

#endif
