/* The training loop of a rank: weights in, steps, evaluation, weights out. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "checkpoint/agree.h"
#include "train/rank.h"

static cb_local_tensor local_tensor(const cb_rank *rank, const cb_held *h) {
    return (cb_local_tensor){
        .param = h->param, .shards = rank->tp.shards, .first = rank->tp.first, .owned = rank->tp.owned, .data = h->w};
}

/* The tensors to read, or those that this rank is the one to write. The caller frees. */
static cb_err list_tensors(const cb_rank *rank, bool to_write, cb_local_tensor **tensors, int *count) {
    *count = 0;
    *tensors = calloc((size_t)rank->held_count, sizeof **tensors);
    if (!*tensors) return cb_fail(CB_ENOMEM, "no memory for a list of %d tensors", rank->held_count);
    for (int i = 0; i < rank->held_count; i++) {
        const cb_held *h = &rank->held[i];
        bool tied_copy = h->param.role == CB_WTE && !rank->first, replica = h->param.cut == CB_CUT_NONE && rank->t > 0;
        if (to_write && (rank->d > 0 || tied_copy || replica)) continue;
        (*tensors)[(*count)++] = local_tensor(rank, h);
    }
    return CB_OK;
}

/* e is the same on all ranks, unless the agreement itself failed. */
static cb_err agreed(cb_rank *rank, cb_err e) {
    cb_code code = e ? cb_err_code(e) : 0;
    rank->agreed = e && code != CB_EPEER && code != CB_ETIMEOUT && code != CB_EMISMATCH;
    return e;
}

cb_err cb_rank_initialise(cb_rank *rank) {
    const cb_run *run = rank->run;
    if (!run->init) {
        for (int i = 0; i < rank->held_count; i++) {
            cb_held *h = &rank->held[i];
            cb_param_initialise(&run->model, &h->param, run->seed, rank->tp.shards, rank->tp.first, rank->tp.owned,
                                h->w);
        }
        return CB_OK;
    }
    cb_local_tensor *tensors;
    int count;
    TRY(list_tensors(rank, false, &tensors, &count));
    cb_err e = cb_weights_load(run->init, &run->model, tensors, count);
    free(tensors);
    return agreed(rank, cb_group_agree(&rank->world, e));
}

cb_err cb_rank_save(cb_rank *rank) {
    cb_local_tensor *tensors;
    int count;
    if (!rank->run->save) return CB_OK;
    TRY(list_tensors(rank, true, &tensors, &count));
    cb_err e = cb_weights_save(&rank->world, rank->run->save, &rank->run->model, tensors, count);
    free(tensors);
    return agreed(rank, e);
}

cb_err cb_rank_execute_forward(cb_rank *rank, int micro_batches) {
    cb_schedule forward;
    cb_chunk_grid grid = cb_schedule_grid(&rank->schedule);
    TRY(cb_schedule_make_forward(&forward, &grid, micro_batches));
    cb_err e = cb_schedule_lower(&forward);
    if (!e) e = cb_rank_execute(rank, &forward);
    cb_schedule_free(&forward);
    return e;
}

cb_err cb_rank_evaluate(cb_rank *rank, double *val_loss) {
    const cb_run *run = rank->run;
    int64_t share = run->eval_samples / rank->dp_group.size;
    rank->sampler = &run->validation;
    rank->sample = rank->d * share;
    TRY(cb_rank_execute_forward(rank, (int)(share / run->B)));
    double sum = rank->last && rank->t == 0 ? cb_part_loss(rank) : 0;
    TRY(cb_rank_agree(rank, &sum, 1));
    *val_loss = sum / ((double)run->eval_samples * run->T);
    return CB_OK;
}

static void zero_gradients(cb_rank *rank) {
    float *grads = (float *)(void *)rank->arena[CB_MEM_GRADS].base;
    rank->compute->ops->zero(rank->compute, grads, rank->grad_count);
}

static void add_traffic(cb_rank *rank) {
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++) {
        for (int kind = 0; kind < CB_KINDS; kind++) {
            cb_traffic_add(&rank->train_traffic[purpose][kind],
                           cb_comm_traffic(rank->comm, (cb_purpose)purpose, (cb_kind)kind));
        }
    }
}

/* Data-parallel rank d takes the d-th part of the global batch, in the order of its samples. */
cb_err cb_rank_train_step(cb_rank *rank, int64_t step) {
    const cb_run *run = rank->run;
    rank->step = step;
    TRY(cb_tracer_begin(rank));
    double begin_s = cb_now_s();
    rank->sampler = &run->train;
    rank->sample = step * run->global_batch + rank->d * (run->global_batch / rank->dp_group.size);
    rank->report = (cb_step_report){.step = step, .val_loss = NAN};
    zero_gradients(rank);
    cb_tracer_span(rank, CB_TRACED_ZERO, begin_s);
    cb_comm_traffic_reset(rank->comm);
    bool inspected = run->inspect && run->inspect->step == step;
    TRY(inspected ? cb_rank_inspected_step(rank) : cb_rank_execute(rank, &rank->schedule));
    cb_tracer_end(rank);
    add_traffic(rank);
    rank->report.step_s = cb_now_s() - begin_s;
    return CB_OK;
}

/* NaN has a sign that means nothing. */
static double shown(double x) {
    return isnan(x) ? NAN : x;
}

static cb_err nonfinite_error(cb_rank *rank) {
    char text[256];
    const cb_run *run = rank->run;
    double loss = rank->report.loss, norm = rank->report.grad_norm;
    long long step = rank->step;
    TRY(cb_rank_explain_nonfinite(rank, text, sizeof text));
    cb_err e = cb_fail(CB_ENONFINITE,
                       "step %lld of %lld: loss %g, gradient norm %g; first value that is not finite: %s; training "
                       "stopped, the weights after %lld step%s are %s%s",
                       step + 1, (long long)run->steps, shown(loss), shown(norm), text, step, step == 1 ? "" : "s",
                       run->save ? "in " : "not saved", run->save ? run->save : "");
    return agreed(rank, e);
}

static bool eval_due(const cb_run *run, int64_t step) {
    return run->eval_interval > 0 && run->eval_samples > 0 && (step + 1) % run->eval_interval == 0 &&
           step + 1 < run->steps;
}

/* What is due after a step: the digest, the comparison of replicas. */
static cb_err look_after(cb_rank *rank) {
    const cb_run *run = rank->run;
    bool end = rank->step + 1 == run->steps || rank->report.stop;
    cb_rank_chain_loss(rank);
    if (run->digest_every && ((rank->step + 1) % run->digest_every == 0 || end)) TRY(cb_rank_digest(rank));
    if (run->check_replicas && (rank->step + 1) % run->check_replicas == 0) TRY(cb_rank_check_replicas(rank));
    return CB_OK;
}

/* Steps until the end, a wish to stop, or a value that is not finite. */
static cb_err train(cb_rank *rank, int64_t *steps, double *train_s) {
    const cb_run *run = rank->run;
    bool observed = cb_comm_rank(rank->comm) == 0 && run->observer.on_step;
    for (int64_t step = 0; step < run->steps; step++) {
        TRY(cb_rank_train_step(rank, step));
        *train_s += rank->report.step_s;
        TRY(cb_tracer_deliver(rank));
        if (rank->report.nonfinite) return CB_OK;
        *steps = step + 1;
        TRY(look_after(rank));
        cb_step_report report = rank->report;
        if (eval_due(run, step)) TRY(cb_rank_evaluate(rank, &report.val_loss));
        if (observed) run->observer.on_step(run->observer.arg, &report);
        if (report.stop) return CB_OK;
    }
    return CB_OK;
}

/* World rank 0 makes the file anew, then the last stage's ranks open it. *Collective over world.* */
static cb_err open_logits(cb_rank *rank) {
    const cb_run *run = rank->run;
    if (!run->logits) return CB_OK;
    if (rank->world.me == 0) {
        int fd = open(run->logits, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0) return cb_fail(CB_EIO, "cannot write logits to %s: %s", run->logits, strerror(errno));
        close(fd);
    }
    TRY(cb_barrier(&rank->world));
    if (!rank->last) return CB_OK;
    rank->logits_fd = open(run->logits, O_WRONLY | O_CLOEXEC);
    return rank->logits_fd >= 0 ? CB_OK
                                : cb_fail(CB_EIO, "cannot write logits to %s: %s", run->logits, strerror(errno));
}

cb_err cb_rank_train(cb_rank *rank) {
    const cb_run *run = rank->run;
    int64_t steps = 0;
    double train_s = 0, val_loss = NAN;
    TRY(cb_rank_initialise(rank));
    TRY(train(rank, &steps, &train_s));
    bool nonfinite = rank->report.nonfinite;
    TRY(cb_rank_save(rank));
    if (nonfinite) return nonfinite_error(rank);
    bool stopped = rank->report.stop; /* whoever asks to stop does not wait for an evaluation */
    if (!stopped) TRY(open_logits(rank));
    if (!stopped && run->eval_samples > 0) TRY(cb_rank_evaluate(rank, &val_loss));
    return cb_rank_summarise(rank, steps, train_s, val_loss);
}
