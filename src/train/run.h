/* A training run, resolved: every size known, nothing to derive any more. Read-only and shared by all ranks of a
 * process. */
#ifndef CB_TRAIN_RUN_H
#define CB_TRAIN_RUN_H

#include <signal.h>

#include "collectives/table.h"
#include "comm/comm.h"
#include "data/sampler.h"
#include "mesh/mesh.h"
#include "model/memory.h"
#include "optimizer/lr.h"
#include "pipeline/schedule.h"
#include "trace/trace.h"
#include "train/digest.h"
#include "train/inspect.h"

/* What rank 0 learns of a step. */
typedef struct cb_step_report {
    int64_t step;     /* from 0 */
    double loss;      /* mean over the global batch's tokens, nats */
    double grad_norm; /* before clipping */
    double lr, step_s;
    double val_loss;         /* NaN where not measured after this step */
    bool nonfinite;          /* loss or gradient norm: nothing was updated */
    bool stop;               /* some rank was asked to stop */
    const cb_digest *digest; /* NULL where not due; valid during the call */
} cb_step_report;

typedef struct cb_run_summary cb_run_summary;

/* Called on world rank 0 only. Any may be NULL. */
typedef struct cb_observer {
    void *arg;
    void (*on_step)(void *arg, const cb_step_report *report);
    void (*on_trace)(void *arg, const cb_traced *traced); /* after the last step of those to be traced */
    void (*on_inspect)(void *arg, const cb_inspection *inspection);
    void (*on_summary)(void *arg, const cb_run_summary *summary);
} cb_observer;

typedef struct cb_run {
    cb_model model;
    cb_mesh mesh;
    cb_placement placement;
    int B, T;             /* microbatch: B sequences of T tokens */
    int64_t global_batch; /* sequences per step */
    int micro_batches;    /* per data-parallel rank and step: global_batch / (dp * B) */
    int shards;           /* S: parts of a cut dimension */
    int data_shards;      /* D: parts of the global batch, a multiple of dp; 0: dp */
    cb_recompute recompute;
    const char *schedule;      /* its name */
    const char *schedule_text; /* the lists themselves (see cb_schedule_read), named by schedule; NULL: the name is enough */
    int chunks, group;         /* of the schedule, 0: as it has by itself */
    const char *compute;
    int threads_per_rank;
    bool pin;
    uint32_t seed;

    int64_t steps;
    cb_lr lr;
    double beta1, beta2, adam_eps, weight_decay;
    double clip; /* 0: off */
    int64_t bucket_elements;

    cb_sampler train, validation; /* validation.samples may be 0 */
    int64_t eval_interval;        /* steps; 0: only at the end */
    int64_t eval_samples;         /* a multiple of dp * B */

    const char *init;                  /* directory or NULL: from the generator */
    const char *save;                  /* directory or NULL */
    const char *logits;                /* file for the validation samples' logits, or NULL */
    bool record;                       /* keep the last step's timeline */
    int64_t trace_first, trace_end;    /* steps to trace, from 0: [first, end) */
    int64_t digest_every;              /* steps; 0: never */
    int64_t check_replicas;            /* steps; 0: never */
    const cb_inspect *inspect;         /* NULL: no step is inspected */
    const volatile sig_atomic_t *stop; /* not zero: end after this step; may be NULL */
    cb_observer observer;

    cb_launch launch;
    const cb_selection *selection; /* of the algorithms of collectives; NULL: by the table */
} cb_run;

/* By what means the run's groups choose. */
cb_means cb_run_means(const cb_run *run);

enum { CB_SUMMARY_NAME = 48 };

/* What is known of one rank at the end. */
typedef struct cb_rank_summary {
    int64_t predicted_bytes[CB_MEM_KINDS], used_bytes[CB_MEM_KINDS];
    cb_traffic traffic[CB_PURPOSES][CB_KINDS]; /* over all training steps */
} cb_rank_summary;

struct cb_run_summary {
    int64_t steps;   /* steps done */
    bool stopped;    /* it was asked to: what was left, the final evaluation with it, was not done */
    double train_s;  /* time in training steps */
    double val_loss; /* NaN: not measured */
    int ranks;
    const cb_rank_summary *rank; /* (ranks) */
    const cb_timeline *timeline; /* of the last step; NULL: not recorded */
    double bubble;               /* of that step, see cb_timeline_bubble */
};

/* Trains. Launches the ranks and waits for them. Error: the first real one of any rank. */
CB_MUST_USE cb_err cb_run_train(const cb_run *run);
/* replicas.c: how many parameters are held by more than one rank. */
int cb_run_replicated(const cb_run *run);
/* What a process that mpiexec started calls where it cannot call cb_run_train, so that the others do not wait for it.
 * Takes `why`, returns the error of the first process that has one, the same in all processes. Outside of mpiexec,
 * after a launch, and in a build without MPI it returns `why`. *Collective over the processes, with cb_run_train.* */
CB_MUST_USE cb_err cb_run_refuse(cb_err why);

/* The run's schedule, lowered. Errors: those of cb_schedule_make_spec and cb_schedule_read; CB_EINVAL for lists that are not of
 * this run's stages and microbatches, or take microbatches out of order. */
CB_MUST_USE cb_err cb_run_schedule(const cb_run *run, cb_schedule *schedule);
/* Sets run->placement: the model's layers on the stages of the mesh as the schedule's chunks lie; spec as of
 * cb_placement_make_chunks, whose errors it has beside those above. */
CB_MUST_USE cb_err cb_run_place(cb_run *run, const char *spec);
/* The memory specification of a stage in this run, and of every rank of it. */
CB_MUST_USE cb_err cb_run_memory_spec(const cb_run *run, int stage, cb_memory_spec *spec);
/* *total_bytes, if not NULL: sum over the ranks of this process's world that share this machine; CB_ENOMEM if that is more
 * than available; errors of cb_run_plan (plan.h). */
CB_MUST_USE cb_err cb_run_check_memory(const cb_run *run, int64_t *total_bytes);

#endif
