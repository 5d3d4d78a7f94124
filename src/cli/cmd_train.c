/* cuboid train: options, the resolved configuration, the run, its progress. */
#include <math.h>
#include <stdio.h>

#include "base/os.h"
#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/signals.h"

static const char usage[] = "cuboid train --model gpt2-124m --data PATH [--dp 2 --tp 2 --pp 2] [options]\n"
                            "       mpiexec -n 8 cuboid train ... (the same options)";

static void print_configuration(const cb_options *options, const cb_run *run) {
    int rows;
    const cb_arg *table = cb_options_table(&rows);
    cb_args_echo(table, rows, options, stdout);
    printf("\n%s: %lld parameters, vocabulary %lld padded to %lld; %lld ranks = dp %lld x tp %lld x pp %lld, "
           "%d microbatches of %d x %d tokens each\n", run->model.name, (long long)cb_model_parameters(&run->model),
           (long long)run->model.vocab, (long long)run->model.vocab_padded, (long long)options->ranks, (long long)options->dp,
           (long long)options->tp, (long long)options->pp, run->micro_batches, run->B, run->T);
    if (run->train.tokens) {
        printf("data: %s, %lld tokens for training, %lld samples; validation on %lld samples\n",
               cb_tokens_format_name(run->train.tokens), (long long)run->train.count, (long long)run->train.samples,
               (long long)run->eval_samples);
    }
    cb_placement_print(&run->placement, &run->model, run->T, stdout);
    fflush(stdout);
}

static cb_err train(cb_options *options, cb_resolved *resolved) {
    cb_run *run = &resolved->run;
    cb_progress progress = {0};
    bool first = cb_comm_mpiexec_rank() == 0;
    if (first) {
        if (isnan(options->peak_flops)) TRY(cb_machine_peak_flops(run, &options->peak_flops));
        print_configuration(options, run);
        TRY(cb_progress_open(&progress, run, options->peak_flops, options->log_interval, options->log, options->timeline));
    }
    run->stop = cb_signals_watch();
    run->observer = (cb_observer){&progress, cb_progress_step, cb_progress_summary};
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
    cb_err e = cb_options_resolve(&options, &resolved);
    if (!e) e = train(&options, &resolved);
    cb_resolved_free(&resolved);
    return e;
}
