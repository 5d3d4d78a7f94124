/* From options to a resolved run: what was left out is derived, what does not fit is refused with the numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/machine.h"
#include "cli/algorithms.h"
#include "cli/options.h"
#include "compute/compute.h"
#include "train/plan.h"

/* A size that was left out is 0, a REAL NaN, a STRING NULL (base/args.h). */
static bool left_out(int64_t value) {
    return value == 0;
}

/* An empty text is what a script gives whose variable is not set. */
static cb_err check_texts(const cb_options *o) {
    int rows;
    const cb_arg *table = cb_options_table(&rows);
    for (int i = 0; i < rows; i++) {
        if (table[i].type != CB_ARG_STRING) continue;
        const char *text = *(const char *const *)((const char *)o + table[i].offset);
        if (text && !*text) return cb_fail(CB_EUSAGE, "--%s is given, but empty", table[i].name);
    }
    return CB_OK;
}

/* What is missing, or means nothing together. */
static cb_err check_given(const cb_options *o) {
    TRY(check_texts(o));
    if (!o->model && !o->init) {
        return cb_fail(CB_EUSAGE, "no model: give --model NAME or --model PATH/config.json, or --init DIR");
    }
    if (o->json && !o->dry_run) return cb_fail(CB_EUSAGE, "--json goes with --dry-run");
    if (!o->data && !o->dry_run) return cb_fail(CB_EUSAGE, "no data: give --data PATH");
    if (o->timeline && o->steps == 0) {
        return cb_fail(CB_EUSAGE, "--timeline draws the last training step, but with --steps 0 there is none");
    }
    if (o->logits && o->eval_iters == 0) {
        return cb_fail(CB_EUSAGE, "--logits are those of the final evaluation, but with --eval-iters 0 there is none");
    }
    if (o->steps == 0 && o->eval_iters == 0 && !o->save) {
        return cb_fail(CB_EUSAGE, "--steps 0 with --eval-iters 0 leaves nothing to do (without --save)");
    }
    return CB_OK;
}

static cb_err resolve_model(cb_options *o, cb_run *run) {
    if (!o->model) o->model = o->init;
    TRY(cb_model_load(&run->model, o->model));
    cb_model_pad_vocab(&run->model, o->vocab_multiple);
    TRY(cb_model_check(&run->model));
    return cb_model_check_trainable(&run->model);
}

static const char *const comm_names[] = {"threads", "mpi"}, *const compute_names[] = {"cpu",
                                                                                      "ref"}; /* as the choices */

static cb_err resolve_backend(cb_options *o, cb_run *run) {
    enum { THREADS, MPI };
    int started = cb_comm_mpiexec_ranks();
    if (o->comm < 0) o->comm = started > 1 ? MPI : THREADS;
    run->launch = (cb_launch){.backend = comm_names[o->comm], .deadline_s = o->deadline_s, .checked = o->checked};
    run->compute = compute_names[o->compute];
    TRY(cb_comm_check_backend(run->launch.backend));
    if (o->comm == THREADS && started > 1) {
        return cb_fail(CB_EUSAGE,
                       "mpiexec started %d processes, but --comm threads would train %d times the same; "
                       "leave --comm out or say --comm mpi",
                       started, started);
    }
    if (o->comm == THREADS) return CB_OK;
    if (left_out(o->ranks) && started > 1) o->ranks = started;
    return CB_OK;
}

/* Under MPI, mpiexec decides how many ranks there are. */
static cb_err check_started(const cb_options *o) {
    int started = cb_comm_mpiexec_ranks();
    if (o->comm == 0 || o->ranks == started) return CB_OK;
    const char *others = started == 1 ? "" : "es";
    return cb_fail(CB_EINVAL,
                   "dp=%lld x tp=%lld x pp=%lld are %lld rank%s, but %s %d process%s; start them with mpiexec -n %lld",
                   (long long)o->dp, (long long)o->tp, (long long)o->pp, (long long)o->ranks, o->ranks == 1 ? "" : "s",
                   started == 1 ? "there is" : "mpiexec started", started, others, (long long)o->ranks);
}

/* dp from the number of ranks, or the number of ranks from dp. */
static cb_err resolve_ranks(cb_options *o) {
    int64_t model_ranks = o->tp * o->pp;
    if (left_out(o->dp) && left_out(o->ranks)) o->dp = 1;
    if (left_out(o->dp)) {
        if (o->ranks % model_ranks != 0) {
            return cb_fail(CB_EINVAL,
                           "%lld rank%s cannot be divided into tp=%lld x pp=%lld = %lld ranks per copy of the model; "
                           "a multiple of %lld would work",
                           (long long)o->ranks, o->ranks == 1 ? "" : "s", (long long)o->tp, (long long)o->pp,
                           (long long)model_ranks, (long long)model_ranks);
        }
        o->dp = o->ranks / model_ranks;
    }
    if (left_out(o->ranks)) o->ranks = o->dp * model_ranks;
    if (o->ranks == o->dp * model_ranks) return CB_OK;
    return cb_fail(
        CB_EINVAL, "dp=%lld x tp=%lld x pp=%lld are %lld rank%s, but %s %lld", (long long)o->dp, (long long)o->tp,
        (long long)o->pp, (long long)(o->dp * model_ranks), o->dp * model_ranks == 1 ? "" : "s",
        cb_comm_mpiexec_ranks() == o->ranks && o->comm == 1 ? "mpiexec started" : "--ranks is", (long long)o->ranks);
}

static cb_err resolve_mesh(cb_options *o, cb_run *run) {
    TRY(resolve_backend(o, run));
    TRY(resolve_ranks(o));
    TRY(check_started(o));
    int size[CB_DIMS] = {[CB_TP] = (int)o->tp, [CB_CP] = 1, [CB_EP] = 1, [CB_DP] = (int)o->dp, [CB_PP] = (int)o->pp};
    TRY(cb_mesh_make(&run->mesh, size, o->order));
    run->launch.ranks = (int)o->ranks;
    TRY(cb_model_check_tp(&run->model, (int)o->tp));
    if (left_out(o->threads_per_rank)) {
        int here = cb_comm_launch_local_ranks(&run->launch), share = cb_machine_cores(here) / here;
        o->threads_per_rank = share > CB_MOST_THREADS ? CB_MOST_THREADS : share > 1 ? share : 1;
    }
    run->threads_per_rank = (int)o->threads_per_rank;
    run->pin = o->pin;
    return CB_OK;
}

static cb_err resolve_batch(cb_options *o, cb_resolved *r) {
    cb_run *run = &r->run;
    if (left_out(o->seq_length)) o->seq_length = run->model.positions;
    if (o->seq_length > run->model.positions) {
        return cb_fail(CB_EINVAL, "--seq-length %lld is more than the %lld positions of %s", (long long)o->seq_length,
                       (long long)run->model.positions, run->model.name);
    }
    int64_t unit = o->micro_batch_size * o->dp;
    if (left_out(o->global_batch_size)) o->global_batch_size = unit;
    if (o->global_batch_size % unit != 0) {
        int64_t below = o->global_batch_size / unit * unit;
        char fits[64];
        if (below)
            snprintf(fits, sizeof fits, "%lld or %lld", (long long)below, (long long)(below + unit));
        else
            snprintf(fits, sizeof fits, "%lld", (long long)unit);
        return cb_fail(CB_EINVAL,
                       "a global batch of %lld sequences is not a multiple of micro-batch-size %lld x dp %lld = %lld; "
                       "%s would work",
                       (long long)o->global_batch_size, (long long)o->micro_batch_size, (long long)o->dp,
                       (long long)unit, fits);
    }
    run->B = (int)o->micro_batch_size;
    run->T = (int)o->seq_length;
    run->global_batch = o->global_batch_size;
    run->micro_batches = (int)(o->global_batch_size / unit);
    TRY(cb_options_resolve_shards(o, run));
    TRY(cb_options_resolve_schedule(o, r));
    TRY(cb_recompute_parse(&run->recompute, o->recompute));
    return cb_recompute_check(&run->recompute, &run->placement);
}

/* Rates that would jump. */
static cb_err check_rates(const cb_options *o) {
    int64_t warmup = o->lr_warmup, decay = o->lr_decay_steps, final = o->wsd_decay_steps;
    if (o->min_lr > o->lr) {
        return cb_fail(CB_EUSAGE, "--min-lr %g is more than --lr %g", o->min_lr, o->lr);
    }
    if (o->lr_decay != CB_DECAY_CONSTANT && warmup >= decay && o->steps > warmup) {
        return cb_fail(CB_EUSAGE, "--lr-warmup-iters %lld leaves nothing of --lr-decay-iters %lld", (long long)warmup,
                       (long long)decay);
    }
    if (o->lr_decay == CB_DECAY_WSD && warmup + final > decay && o->steps > warmup) {
        return cb_fail(CB_EUSAGE, "--lr-warmup-iters %lld and --lr-wsd-decay-iters %lld are more than --lr-decay-iters %lld",
                       (long long)warmup, (long long)final, (long long)decay);
    }
    return CB_OK;
}

static cb_err resolve_optimizer(cb_options *o, cb_run *run) {
    if (isnan(o->min_lr)) o->min_lr = o->lr / 10;
    if (o->lr_warmup < 0) o->lr_warmup = o->steps / 20;
    if (left_out(o->lr_decay_steps)) o->lr_decay_steps = o->steps > 0 ? o->steps : 1;
    if (left_out(o->wsd_decay_steps)) o->wsd_decay_steps = o->lr_decay_steps / 5 > 0 ? o->lr_decay_steps / 5 : 1;
    run->lr = (cb_lr){.peak = o->lr,
                      .least = o->min_lr,
                      .warmup = o->lr_warmup,
                      .decay = o->lr_decay_steps,
                      .wsd_decay = o->wsd_decay_steps,
                      .style = (cb_decay)o->lr_decay};
    run->steps = o->steps;
    run->beta1 = o->beta1;
    run->beta2 = o->beta2;
    run->adam_eps = o->adam_eps;
    run->weight_decay = o->weight_decay;
    run->clip = o->clip;
    run->bucket_elements = o->bucket_elements;
    run->seed = (uint32_t)o->seed;
    return check_rates(o);
}

/* "95,5" or "949,50,1": shares of training and validation as fractions of the whole. */
static cb_err parse_split(const char *text, double *train, double *both) {
    double share[3] = {0};
    char *end;
    const char *at = text;
    int n = 0;
    for (; n < 3; n++) {
        share[n] = strtod(at, &end);
        if (end == at || share[n] < 0) break;
        at = *end == ',' ? end + 1 : end;
        if (*end != ',') {
            n++;
            break;
        }
    }
    double sum = share[0] + share[1] + share[2];
    if (n == 0 || *at != '\0' || sum <= 0) {
        return cb_fail(CB_EUSAGE, "--split: '%s' is not a list of shares such as 95,5 or 949,50,1", text);
    }
    *train = share[0] / sum;
    *both = (share[0] + share[1]) / sum;
    return CB_OK;
}

/* Whole groups of dp x B samples, as many as asked for or as there are. */
static cb_err resolve_eval(cb_options *o, cb_run *run) {
    int64_t unit = o->micro_batch_size * o->data_shards, asked = o->eval_iters * o->global_batch_size;
    int64_t there = run->validation.samples / unit * unit;
    run->eval_interval = o->eval_interval;
    run->eval_samples = asked < there ? asked : there;
    if (asked > 0 && there == 0) {
        return cb_fail(
            CB_EINVAL,
            "the validation part has %lld samples of %lld tokens, one evaluation needs micro-batch-size %lld x "
            "dp %lld = %lld; give more by --split or --val-data, or --eval-iters 0",
            (long long)run->validation.samples, (long long)o->seq_length, (long long)o->micro_batch_size,
            (long long)o->dp, (long long)unit);
    }
    return CB_OK;
}

static cb_err resolve_data(cb_options *o, cb_resolved *r) {
    cb_run *run = &r->run;
    double train = 1, both = 1;
    TRY(parse_split(o->split, &train, &both));
    if (o->eval_iters > 0 && !o->val_data && both <= train) {
        return cb_fail(CB_EUSAGE, "--split %s has no share for validation; give it one, or --val-data, or --eval-iters 0", o->split);
    }
    TRY(cb_tokens_open(&r->tokens, o->data, (cb_token_format)o->data_format));
    if (o->val_data) TRY(cb_tokens_open(&r->val_tokens, o->val_data, (cb_token_format)o->data_format));
    const cb_tokens *val = o->val_data ? r->val_tokens : r->tokens;
    double train_end = o->val_data ? 1 : train, val_begin = o->val_data ? 0 : train, val_end = o->val_data ? 1 : both;
    int64_t T = o->seq_length, V = run->model.vocab;
    if (o->steps > 0) TRY(cb_sampler_make(&run->train, r->tokens, "training", 0, train_end, T, V, run->seed, true));
    if (o->eval_iters > 0)
        TRY(cb_sampler_make(&run->validation, val, "validation", val_begin, val_end, T, V, run->seed, false));
    return resolve_eval(o, run);
}

/* "10:12" or "10", of steps counted from 1. */
static cb_err resolve_trace(const cb_options *o, cb_run *run) {
    long long first = 2, last = 3, steps = o->steps;
    if (!o->trace && o->trace_steps) return cb_fail(CB_EUSAGE, "--trace-steps %s goes with --trace FILE", o->trace_steps);
    if (!o->trace) return CB_OK;
    if (steps == 0) return cb_fail(CB_EUSAGE, "--trace writes training steps, but with --steps 0 there is none");
    if (!o->trace_steps) {
        if (last > steps) last = steps;
        if (first > last) first = last;
    } else {
        int read = 0, whole = (int)strlen(o->trace_steps);
        bool pair = sscanf(o->trace_steps, "%lld:%lld%n", &first, &last, &read) == 2 && read == whole;
        if (!pair && (sscanf(o->trace_steps, "%lld%n", &first, &read) != 1 || read != whole)) {
            return cb_fail(CB_EUSAGE, "--trace-steps: '%s' is neither a step as 10 nor a first and a last as 10:12",
                           o->trace_steps);
        }
        if (!pair) last = first;
    }
    if (first < 1 || last < first || last > steps) {
        return cb_fail(CB_EUSAGE, "--trace-steps %s: there are steps 1 to %lld, the first to trace comes first", o->trace_steps,
                       steps);
    }
    run->trace_first = first - 1;
    run->trace_end = last;
    return CB_OK;
}

/* Every group of the run has to be able to follow the rules. */
static cb_err resolve_algorithms(const cb_options *o, cb_resolved *r) {
    cb_run *run = &r->run;
    if (!o->algorithms) return CB_OK;
    r->selection = calloc(1, sizeof *r->selection);
    if (!r->selection) return cb_fail(CB_ENOMEM, "no memory for the rules of %s", o->algorithms);
    TRY(cb_algorithms_read(r->selection, "--algorithms", o->algorithms));
    run->selection = r->selection;
    const int sizes[] = {run->mesh.size[CB_TP], run->mesh.size[CB_DP], run->mesh.size[CB_PP], run->mesh.ranks,
                         run->mesh.size[CB_PP] > 1 ? 2 : 1};
    for (int i = 0; i < 5; i++)
        TRY(cb_err_context(cb_selection_check(cb_run_means(run), sizes[i]), "--algorithms %s", o->algorithms));
    return CB_OK;
}

cb_err cb_options_resolve(cb_options *o, cb_resolved *r) {
    cb_run *run = &r->run;
    TRY(check_given(o));
    TRY(resolve_model(o, run));
    TRY(resolve_mesh(o, run));
    TRY(resolve_algorithms(o, r));
    TRY(resolve_batch(o, r));
    TRY(resolve_optimizer(o, run));
    run->init = o->init;
    run->save = o->save;
    run->logits = o->logits;
    run->digest_every = o->digest_every;
    run->check_replicas = o->check_replicas;
    run->record = true;
    TRY(resolve_trace(o, run));
    cb_plan plan;
    TRY(o->dry_run ? cb_run_plan(run, &plan) : cb_run_check_memory(run, NULL)); /* and the schedule */
    if (o->data) TRY(resolve_data(o, r));
    return cb_options_alike(o, r);
}

void cb_resolved_free(cb_resolved *r) {
    free(r->alike);
    free(r->schedule_text);
    free(r->selection);
    if (r->val_tokens) cb_tokens_close(r->val_tokens);
    if (r->tokens) cb_tokens_close(r->tokens);
}
