/* cuboid train: options, the resolved configuration, the run, its progress. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/identity.h"
#include "cli/machine.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/plan.h"
#include "cli/progress.h"
#include "cli/signals.h"

static const char usage[] = "cuboid train --model gpt2-124m --data PATH [--dp 2 --tp 2 --pp 2] [options]\n"
                            "       mpiexec -n 8 cuboid train ... (the same options)\n"
                            "       cuboid train ... --dry-run (its plan; code 0 if it is sound, wherever it fits)";

static void print_data(const cb_options *options, const cb_run *run, const cb_tokens *tokens) {
    int64_t asked = options->eval_iters * options->global_batch_size, taken = run->eval_samples;
    printf("data: %s, %lld tokens", cb_tokens_format_name(tokens), (long long)cb_tokens_count(tokens));
    if (run->steps > 0) {
        printf("; %lld sample%s of %d tokens for training, %lld a step", (long long)run->train.samples,
               run->train.samples == 1 ? "" : "s", run->T, (long long)run->global_batch);
    }
    printf("\nvalidation: ");
    if (taken == 0) printf("none\n");
    else if (taken == asked)
        printf("%lld sample%s\n", (long long)taken, taken == 1 ? "" : "s");
    else
        printf("%lld sample%s; %lld were asked for, there are %lld\n", (long long)taken, taken == 1 ? "" : "s",
               (long long)asked, (long long)run->validation.samples);
}

/* Text is read as bytes, whatever the model's tokens were. */
static void warn_of_bytes(const cb_options *options, const cb_run *run, const cb_tokens *tokens) {
    const int bytes = 256;
    if (!options->init || run->model.vocab <= bytes || strcmp(cb_tokens_format_name(tokens), "bytes") != 0) return;
    fprintf(
        stderr,
        "cuboid: warning: %s is read as bytes, ids 0 to 255 of the %lld that the model in %s has; weights that were "
        "trained on other tokens do not know them: give a file of the model's tokens\n",
        options->data, (long long)run->model.vocab, options->init);
}

static void print_configuration(const cb_options *options, const cb_resolved *resolved) {
    const cb_run *run = &resolved->run;
    int rows;
    const cb_arg *table = cb_options_table(&rows);
    cb_args_echo(table, rows, options, stdout);
    printf("\n%s: %lld parameters, vocabulary %lld padded to %lld\n", run->model.name,
           (long long)cb_model_parameters(&run->model), (long long)run->model.vocab, (long long)run->model.vocab_padded);
    printf("%lld rank%s = dp %lld x tp %lld x pp %lld\na step: %d microbatch%s of %d x %d tokens on each dp rank\n",
           (long long)options->ranks, options->ranks == 1 ? "" : "s", (long long)options->dp, (long long)options->tp,
           (long long)options->pp, run->micro_batches, run->micro_batches == 1 ? "" : "es", run->B, run->T);
    if (resolved->tokens) print_data(options, run, resolved->tokens);
    if (resolved->tokens) warn_of_bytes(options, run, resolved->tokens);
    cb_placement_print(&run->placement, &run->model, run->T, stdout);
    fflush(stdout);
}

static cb_err nothing(cb_comm *comm, void *unused) {
    (void)comm, (void)unused;
    return CB_OK;
}

/* The process that speaks for all prints what would be done, where all would do the same. */
static cb_err plan(const cb_options *options, const cb_resolved *resolved) {
    if (cb_comm_mpiexec_ranks() > 1) TRY(cb_comm_launch(&resolved->run.launch, nothing, NULL));
    if (cb_comm_mpiexec_rank() > 0) return CB_OK;
    TRY(cb_outputs_check(options, &resolved->run));
    if (!options->json) print_configuration(options, resolved);
    TRY(cb_plan_print(&resolved->run, options->json, stdout));
    if (!options->json) puts("a dry run: nothing was allocated, trained or written");
    return CB_OK;
}

/* Three digits are what a measurement of a fraction of a second is worth. */
static cb_err measure_peak(const cb_run *run, double *flops_per_s) {
    char text[32];
    TRY(cb_machine_peak_flops(run, flops_per_s));
    snprintf(text, sizeof text, "%.3g", *flops_per_s);
    *flops_per_s = strtod(text, NULL);
    return CB_OK;
}

/* The process that speaks and writes for all. */
static cb_err open_outputs(cb_options *options, const cb_resolved *resolved, cb_progress *progress) {
    const cb_run *run = &resolved->run;
    TRY(cb_outputs_check(options, run));
    bool peak_measured = isnan(options->peak_flops);
    if (peak_measured) TRY(measure_peak(run, &options->peak_flops));
    print_configuration(options, resolved);
    cb_progress_open(progress, run, options->peak_flops, options->log_interval, options->log, options->timeline,
                     options->trace);
    progress->peak_measured = peak_measured;
    if (options->digest_every > 0) progress->identity = cb_identity_json(options, run);
    return CB_OK;
}

static cb_err train(cb_options *options, cb_resolved *resolved) {
    cb_run *run = &resolved->run;
    cb_progress progress = {0};
    bool first = cb_comm_mpiexec_rank() == 0;
    TRY(cb_signals_watch(first, &run->stop));
    if (first) TRY(open_outputs(options, resolved, &progress));
    run->observer = (cb_observer){.arg = &progress,
                                  .on_step = cb_progress_step,
                                  .on_trace = cb_progress_trace,
                                  .on_summary = cb_progress_summary};
    cb_err e = cb_run_train(run);
    if (!first) return e;
    cb_err late = cb_progress_close(&progress);
    if (!e) return late;
    cb_err_free(late);
    return e;
}

cb_err cb_cmd_train(int argc, char **argv) {
    int rows;
    const cb_arg *table = cb_options_table(&rows);
    cb_options options;
    cb_resolved resolved = {0};
    TRY(cb_args_parse(table, rows, &options, argc, argv));
    if (options.help) {
        cb_args_help(table, rows, usage, stdout);
        return CB_OK;
    }
    if (options.digest_every && !options.log)
        return cb_fail(CB_EUSAGE, "--digest-every writes its digests into the log: give --log FILE too");
    cb_err e = cb_options_resolve(&options, &resolved);
    if (!e) e = options.dry_run ? plan(&options, &resolved) : train(&options, &resolved);
    cb_resolved_free(&resolved);
    return e;
}
