/* Runs of the whole engine by hand. A case, a few words, becomes a cb_run on tokens made here; its ranks train, on any
 * backend; then weights, gradients and Adam's moments of all ranks come together on rank 0 as global tensors, in the
 * order of the parameter table, and every copy that two ranks hold is compared bit for bit. Weights start as the
 * generator has them plus a number for every element, so that no bias is zero and no norm is one. */
#ifndef CB_TESTS_SUPPORT_RANKS_H
#define CB_TESTS_SUPPORT_RANKS_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "comm/comm_backend.h"
#include "support/floats.h"
#include "support/test.h"
#include "train/rank.h"

typedef struct ranks_case {
    const char *preset; /* NULL: *model, and where that is NULL too, ranks_nano() */
    const cb_model *model;
    int dp, tp, pp, shards, data_shards;                /* 0: 1; shards 0: tp, data_shards 0: dp */
    int B, T, batch;                                    /* 0: 2, 8, 16 */
    int steps;                                          /* 0: 1 */
    const char *schedule, *compute, *order, *placement; /* NULL: "1f1b", "cpu", the default, "auto" */
    const char *recompute;                              /* NULL: "none" */
    const char *schedule_text;                          /* the lists themselves */
    int chunks, group;                                  /* of the schedule; 0: its own */
    int threads;                                        /* per rank; 0: 1 */
    int bucket;                                         /* 0: 4096 elements */
    double lr, clip;                                    /* 0: 1e-2, no clipping */
    int eval;                                           /* validation samples; 0: none */
    float padding;                                      /* starting value of the vocabulary's padded rows */
} ranks_case;

/* What is collected of every parameter: the first step's gradients; the last step's, weights and moments at the end. */
enum { RANKS_FIRST_G, RANKS_G, RANKS_W, RANKS_M, RANKS_V, RANKS_ARRAYS };
enum { RANKS_MOST_STEPS = 32 };

typedef struct ranks_reports {
    double loss[RANKS_MOST_STEPS], norm[RANKS_MOST_STEPS], lr[RANKS_MOST_STEPS], val_loss;
} ranks_reports;

typedef struct ranks_result {
    cb_model model;
    int steps;
    ranks_reports reports;
    int64_t elements;       /* of all parameters */
    float *x[RANKS_ARRAYS]; /* (elements) each */
    unsigned char *seen;    /* (elements) */
    int64_t torn;           /* elements of which two ranks hold different bits */
    int64_t missing;        /* elements that no rank holds */
    int torn_reports;       /* ranks whose reports are not those of rank 0 */
} ranks_result;

/* Small enough to be trained in milliseconds, and all that 8 ranks can cut: 8 layers, 8 heads; of the 8 shards of the
 * vocabulary, 49 of 64 rows, one is nothing but padding and one almost. */
static inline cb_model ranks_nano(void) {
    cb_model m = {.name = "nano",
                  .vocab = 49,
                  .positions = 12,
                  .channels = 32,
                  .ffn = 128,
                  .layers = 8,
                  .heads = 8,
                  .norm_eps = 1e-5,
                  .init_std = 0.02};
    cb_model_pad_vocab(&m, 64);
    return m;
}

static inline char *ranks_name(const ranks_case *c, char out[160]) {
    snprintf(out, 160, "%s dp%d tp%d pp%d S%d D%d B%d T%d batch %d %s %s recompute %s",
             c->preset  ? c->preset
             : c->model ? c->model->name
                        : "nano",
             c->dp, c->tp, c->pp, c->shards, c->data_shards, c->B, c->T, c->batch, c->schedule ? c->schedule : "1f1b",
             c->placement ? c->placement : "auto", c->recompute ? c->recompute : "none");
    return out;
}

/* A text in which a token mostly decides the next, so that there is something to learn. */
static inline cb_err ranks_tokens(cb_tokens **tokens, int vocab) {
    enum { COUNT = 1 << 14 };
    static const double chance = 0.25;
    unsigned char *bytes = malloc(COUNT);
    for (int i = 0; i < COUNT; i++) {
        int rule = i ? (bytes[i - 1] * 5 + 7) % vocab : 0,
            any = (int)((float_at(99, i) + 1) / 2 * (float)vocab) % vocab;
        bytes[i] = (unsigned char)((float_at(98, i) + 1) / 2 < chance ? any : rule);
    }
    int fd = memfd_create("tokens", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cb_err e = fd >= 0 && write(fd, bytes, COUNT) == COUNT ? cb_tokens_open(tokens, path, CB_TOKENS_BYTES)
                                                           : cb_fail(CB_EIO, "no memory file for tokens");
    if (fd >= 0) close(fd);
    free(bytes);
    return e;
}

static inline int ranks_or(int value, int otherwise) {
    return value ? value : otherwise;
}

static inline cb_err ranks_fill_layout(cb_run *run, const ranks_case *c) {
    int size[CB_DIMS] = {[CB_TP] = ranks_or(c->tp, 1),
                         [CB_CP] = 1,
                         [CB_EP] = 1,
                         [CB_DP] = ranks_or(c->dp, 1),
                         [CB_PP] = ranks_or(c->pp, 1)};
    TRY(cb_mesh_make(&run->mesh, size, c->order ? c->order : CB_DEFAULT_ORDER));
    TRY(cb_model_check_tp(&run->model, ranks_or(c->shards, size[CB_TP])));
    run->shards = ranks_or(c->shards, size[CB_TP]);
    run->data_shards = ranks_or(c->data_shards, size[CB_DP]);
    if (run->global_batch % (run->B * size[CB_DP])) return cb_fail(CB_EINVAL, "the case's batch is no multiple");
    run->micro_batches = (int)(run->global_batch / (run->B * size[CB_DP]));
    run->schedule = c->schedule ? c->schedule : "1f1b";
    run->schedule_text = c->schedule_text;
    run->chunks = c->chunks;
    run->group = c->group;
    TRY(cb_run_place(run, c->placement ? c->placement : "auto"));
    TRY(cb_recompute_parse(&run->recompute, c->recompute ? c->recompute : "none"));
    TRY(cb_recompute_check(&run->recompute, &run->placement));
    run->launch = (cb_launch){.backend = "threads", .ranks = run->mesh.ranks, .deadline_s = 60, .checked = true};
    return CB_OK;
}

static inline void ranks_fill_optimizer(cb_run *run, const ranks_case *c) {
    run->steps = ranks_or(c->steps, 1);
    run->lr =
        (cb_lr){.peak = c->lr > 0 ? c->lr : 1e-2, .least = 1e-3, .warmup = 2, .decay = 40, .style = CB_DECAY_COSINE};
    run->beta1 = 0.9;
    run->beta2 = 0.95;
    run->adam_eps = 1e-8;
    run->weight_decay = 0.1;
    run->clip = c->clip;
    run->bucket_elements = ranks_or(c->bucket, 4096);
}

/* Makes *run of the case; *tokens belongs to it. The backend is threads, checked. */
static inline cb_err ranks_run_make(cb_run *run, cb_tokens **tokens, const ranks_case *c) {
    *tokens = NULL;
    *run = (cb_run){.B = ranks_or(c->B, 2), .T = ranks_or(c->T, 8), .global_batch = ranks_or(c->batch, 16), .seed = 7};
    if (c->preset)
        TRY(cb_model_preset(&run->model, c->preset));
    else
        run->model = c->model ? *c->model : ranks_nano();
    TRY(cb_model_check(&run->model));
    TRY(ranks_fill_layout(run, c));
    ranks_fill_optimizer(run, c);
    run->compute = c->compute ? c->compute : "cpu";
    run->threads_per_rank = ranks_or(c->threads, 1);
    run->eval_samples = c->eval;
    TRY(ranks_tokens(tokens, (int)run->model.vocab));
    TRY(cb_sampler_make(&run->train, *tokens, "train", 0, 0.9, run->T, run->model.vocab, 5, true));
    return cb_sampler_make(&run->validation, *tokens, "validation", 0.9, 1, run->T, run->model.vocab, 5, false);
}

/* Calls visit for every dense piece of a parameter as a rank holds it: row by row, `at` the global element. */
typedef void (*ranks_visit)(void *arg, int64_t at, int64_t local, int64_t count);

static inline void ranks_walk(const cb_param *param, int shards, int first, int owned, ranks_visit visit, void *arg) {
    cb_block blocks[3 * 64];
    int count = cb_param_blocks(param, shards, first, owned, blocks);
    for (int b = 0; b < count; b++) {
        for (int64_t i = 0; i < blocks[b].rows; i++) {
            int64_t at = (blocks[b].row + i) * param->cols + blocks[b].col;
            visit(arg, at, blocks[b].offset + i * blocks[b].cols, blocks[b].cols);
        }
    }
}

typedef struct ranks_perturbing {
    const cb_held *held;
    float padding;
} ranks_perturbing;

static inline void ranks_perturb_piece(void *arg, int64_t at, int64_t local, int64_t count) {
    const ranks_perturbing *p = arg;
    const cb_param *param = &p->held->param;
    for (int64_t i = 0; i < count; i++) {
        bool padded = (at + i) / param->cols >= param->file_rows;
        float *w = &p->held->w[local + i];
        *w = padded ? p->padding : *w + 0.08f * float_at((uint32_t)param->id + 1, at + i);
    }
}

static inline void ranks_perturb(cb_rank *rank, float padding) {
    for (int i = 0; i < rank->held_count; i++) {
        ranks_perturbing p = {&rank->held[i], padding};
        ranks_walk(&rank->held[i].param, rank->tp.shards, rank->tp.first, rank->tp.owned, ranks_perturb_piece, &p);
    }
}

/* Elements that a world rank holds, found without asking it. */
static inline int64_t ranks_held_elements(const cb_run *run, int world_rank) {
    int coord[CB_DIMS];
    int64_t sum = 0;
    cb_mesh_coords(&run->mesh, world_rank, coord);
    for (int id = 0; id < cb_params_count(&run->model); id++) {
        cb_param param = cb_param_at(&run->model, id);
        if (!cb_param_on_stage(&param, &run->placement, coord[CB_PP])) continue;
        sum += cb_param_local_elements(&param, run->shards, run->shards / run->mesh.size[CB_TP]);
    }
    return sum;
}

typedef struct ranks_placing {
    ranks_result *result;
    const float *packed[RANKS_ARRAYS]; /* of one parameter */
    int64_t offset;                    /* of the parameter in the global arrays */
} ranks_placing;

static inline void ranks_place_piece(void *arg, int64_t at, int64_t local, int64_t count) {
    ranks_placing *p = arg;
    ranks_result *r = p->result;
    int64_t to = p->offset + at;
    for (int64_t i = 0; i < count; i++) {
        bool torn = false;
        for (int a = 0; a < RANKS_ARRAYS; a++) {
            const float *from = &p->packed[a][local + i];
            float *x = &r->x[a][to + i];
            if (!r->seen[to + i])
                *x = *from;
            else
                torn |= memcmp(x, from, sizeof *x) != 0;
        }
        r->seen[to + i] = 1;
        r->torn += torn;
    }
}

/* packed: RANKS_ARRAYS times what the world rank holds, in the order of the table. */
static inline void ranks_place(ranks_result *result, const cb_run *run, int world_rank, const float *packed) {
    int coord[CB_DIMS], owned = run->shards / run->mesh.size[CB_TP];
    int64_t held = ranks_held_elements(run, world_rank);
    cb_mesh_coords(&run->mesh, world_rank, coord);
    ranks_placing p = {.result = result};
    for (int id = 0; id < cb_params_count(&run->model); id++) {
        cb_param param = cb_param_at(&run->model, id);
        if (cb_param_on_stage(&param, &run->placement, coord[CB_PP])) {
            for (int a = 0; a < RANKS_ARRAYS; a++) p.packed[a] = packed + a * held;
            ranks_walk(&param, run->shards, coord[CB_TP] * owned, owned, ranks_place_piece, &p);
            packed += cb_param_local_elements(&param, run->shards, owned);
        }
        p.offset += cb_param_elements(&param);
    }
}

static inline void ranks_result_make(ranks_result *result, const cb_run *run) {
    *result = (ranks_result){.model = run->model, .steps = (int)run->steps};
    for (int id = 0; id < cb_params_count(&run->model); id++) {
        cb_param param = cb_param_at(&run->model, id);
        result->elements += cb_param_elements(&param);
    }
    for (int a = 0; a < RANKS_ARRAYS; a++) result->x[a] = calloc((size_t)result->elements, sizeof(float));
    result->seen = calloc((size_t)result->elements, 1);
}

static inline void ranks_result_free(ranks_result *result) {
    for (int a = 0; a < RANKS_ARRAYS; a++) free(result->x[a]);
    free(result->seen);
    *result = (ranks_result){0};
}

/* Brings all ranks' packed arrays and reports to rank 0. Collective over world. */
static inline cb_err ranks_collect(cb_rank *rank, float *packed, const ranks_reports *mine, ranks_result *result) {
    cb_group *world = &rank->world;
    int64_t held = ranks_held_elements(rank->run, world->me);
    if (world->me != 0) {
        TRY(cb_send(world, mine, (int64_t)sizeof *mine, CB_U8, 0));
        return cb_send(world, packed, RANKS_ARRAYS * held, CB_F32, 0);
    }
    result->reports = *mine;
    ranks_place(result, rank->run, 0, packed);
    for (int r = 1; r < world->size; r++) {
        int64_t theirs = RANKS_ARRAYS * ranks_held_elements(rank->run, r);
        float *from = malloc((size_t)theirs * sizeof *from);
        ranks_reports reports;
        cb_err e = cb_recv(world, &reports, (int64_t)sizeof reports, CB_U8, r);
        if (!e) e = cb_recv(world, from, theirs, CB_F32, r);
        if (!e) ranks_place(result, rank->run, r, from);
        if (!e) result->torn_reports += memcmp(&reports, mine, sizeof reports) != 0;
        free(from);
        TRY(e);
    }
    for (int64_t i = 0; i < result->elements; i++) result->missing += !result->seen[i];
    return CB_OK;
}

static inline void ranks_pack(const cb_rank *rank, float *packed, int array) {
    packed += array * ranks_held_elements(rank->run, rank->world.me);
    for (int i = 0; i < rank->held_count; i++) {
        const cb_held *h = &rank->held[i];
        const float *from[RANKS_ARRAYS] = {h->g, h->g, h->w, h->m, h->v};
        memcpy(packed, from[array], (size_t)h->count * sizeof *packed);
        packed += h->count;
    }
}

/* Steps, evaluation, and everything of it packed. */
static inline cb_err ranks_steps(cb_rank *rank, float *packed, ranks_reports *reports) {
    for (int64_t step = 0; step < rank->run->steps; step++) {
        TRY(cb_rank_train_step(rank, step));
        reports->loss[step] = rank->report.loss;
        reports->norm[step] = rank->report.grad_norm;
        reports->lr[step] = rank->report.lr;
        if (step == 0) ranks_pack(rank, packed, RANKS_FIRST_G);
    }
    for (int a = RANKS_G; a < RANKS_ARRAYS; a++) ranks_pack(rank, packed, a);
    return rank->run->eval_samples ? cb_rank_evaluate(rank, &reports->val_loss) : CB_OK;
}

typedef struct ranks_job {
    const cb_run *run;
    float padding;
    bool as_is;           /* weights as they were made or loaded */
    ranks_result *result; /* filled by rank 0 */
} ranks_job;

/* One rank's life in a run: a cb_rank_fn; arg is a ranks_job. */
static inline cb_err ranks_live(cb_comm *comm, void *arg) {
    const ranks_job *job = arg;
    cb_rank rank;
    ranks_reports reports;
    memset(&reports, 0, sizeof reports);
    cb_err e = cb_rank_create(&rank, job->run, comm);
    float *packed =
        e ? NULL : calloc((size_t)ranks_held_elements(job->run, cb_comm_rank(comm)) * RANKS_ARRAYS, sizeof *packed);
    if (!e) e = cb_rank_initialise(&rank);
    if (!e && !job->as_is) ranks_perturb(&rank, job->padding);
    if (!e) e = ranks_steps(&rank, packed, &reports);
    if (!e) e = ranks_collect(&rank, packed, &reports, job->result);
    free(packed);
    cb_rank_destroy(&rank);
    return e;
}

/* Trains the case on threads; the caller frees *result in any case. Checks on the way that all elements are there, that
 * no copies differ, and that all ranks report the same. */
static inline bool ranks_train(const ranks_case *c, ranks_result *result) {
    cb_run run;
    cb_tokens *tokens;
    char name[160];
    *result = (ranks_result){0};
    cb_err e = ranks_run_make(&run, &tokens, c);
    if (!e) {
        ranks_result_make(result, &run);
        ranks_job job = {.run = &run, .padding = c->padding, .result = result};
        e = cb_comm_launch(&run.launch, ranks_live, &job);
    }
    cb_tokens_close(tokens);
    bool ok = CHECK_OK(e);
    ok = ok && CHECK_INT(result->missing, 0) && CHECK_INT(result->torn, 0) && CHECK_INT(result->torn_reports, 0);
    if (!ok) fprintf(stderr, "    in %s\n", ranks_name(c, name));
    return ok;
}

/* The largest relative Frobenius distance of a tensor in an array of a from that of b: |a - b| / |b|; *id: which. */
static inline double ranks_distance(const ranks_result *a, const ranks_result *b, int array, int *id) {
    double worst = -1;
    int64_t offset = 0;
    for (int k = 0; k < cb_params_count(&b->model); k++) {
        cb_param param = cb_param_at(&b->model, k);
        double apart = 0, size = 0;
        for (int64_t i = 0; i < cb_param_elements(&param); i++, offset++) {
            double x = (double)a->x[array][offset], y = (double)b->x[array][offset];
            apart += (x - y) * (x - y);
            size += y * y;
        }
        double distance = apart > 0 ? sqrt(apart / size) : apart;
        if (!(distance <= worst)) worst = distance, *id = k;
    }
    return worst;
}

/* The array of a is that of b within `bound`; says which tensor is not, and in which case. */
static inline bool ranks_near(const ranks_result *a, const ranks_result *b, int array, double bound,
                              const ranks_case *c) {
    int id = 0;
    char name[160];
    double distance = a->elements == b->elements && b->elements ? ranks_distance(a, b, array, &id) : INFINITY;
    if (CHECK(distance <= bound)) return true;
    fprintf(stderr, "    %s: array %d, %s: %.3g apart, bound %g\n", ranks_name(c, name), array,
            cb_param_at(&b->model, id).name, distance, bound);
    return false;
}

/* Losses of all steps, and the validation loss, within `bound` of each other. */
static inline bool ranks_losses_near(const ranks_result *a, const ranks_result *b, double bound, const ranks_case *c) {
    bool ok = a->steps == b->steps && b->steps > 0;
    char name[160];
    double worst = fabs(a->reports.val_loss - b->reports.val_loss);
    for (int s = 0; s < b->steps && ok; s++) worst = fmax(worst, fabs(a->reports.loss[s] - b->reports.loss[s]));
    ok = CHECK(ok && worst <= bound);
    if (!ok) fprintf(stderr, "    %s: losses %.3g apart, bound %g\n", ranks_name(c, name), worst, bound);
    return ok;
}

/* Everything of a and b has the same bits. */
static inline bool ranks_same(const ranks_result *a, const ranks_result *b, const ranks_case *c) {
    static const char *const arrays[] = {"first gradients", "last gradients", "weights", "m", "v"};
    char name[160];
    const char *apart = a->elements != b->elements || !b->elements ? "sizes" : NULL;
    if (!apart && memcmp(&a->reports, &b->reports, sizeof a->reports) != 0) apart = "losses or norms";
    for (int i = 0; i < RANKS_ARRAYS && !apart; i++) {
        if (memcmp(a->x[i], b->x[i], (size_t)b->elements * sizeof(float)) != 0) apart = arrays[i];
    }
    bool ok = CHECK(!apart);
    if (!ok) fprintf(stderr, "    %s: %s differ\n", ranks_name(c, name), apart);
    return ok;
}

#endif
