/* Parts of a step, timed on ranks of a small run: one stage with a few layers of the model, embedding and head. As many
 * copies of it run side by side as the cores hold, or twice as many where the run's ranks share cores, so that memory
 * bandwidth, caches and clocks are shared as in the run. Every copy does the parts in rounds; the mean of their middle
 * half counts, and that of the copies. See measure.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/measure.h"
#include "compute/timed.h"
#include "train/rank.h"

enum { MOST_ROUNDS = 16, LEAST_ROUNDS = 3, CACHE_BYTES = 64 << 20, MOST_ELEMENTS = 8 << 20 };
static const double enough_s = 0.3, most_head_flops = 2e10; /* of rounds; of a pass through the part of the head */

/* What is timed once a round: the parts, and the loops over parameters, as seconds of an element. */
enum { ACCUMULATE, COPY, SQUARES, ZERO, ADAMW, LOOPS }; /* in this order: AdamW after the gradients are zero */
typedef struct round_times {
    double part_s[CB_STEP_PARTS][CB_CAUSES], idle_s[CB_STEP_PARTS], loop_s[LOOPS];
    double products_s, product_flops;
} round_times;

typedef struct probe {
    const cb_run *run;  /* the small one */
    bool split, shares; /* its ranks have more threads than there are cores */
    round_times *mean;  /* (ranks): of each rank, over its rounds */
} probe;

typedef struct probed {
    cb_rank rank;
    cb_timed timed;
    cb_tp head_tp; /* a part of the head's shards */
    cb_transformer head;
    bool split;
    double head_scale; /* all of the shards over that part */
    round_times *now;
    double (*now_s)(void); /* where ranks share cores: time on them */
    double begin_s, begin_cpu_s;
    cb_timed before;
} probed;

static void begin(probed *p) {
    p->before = p->timed;
    p->begin_cpu_s = cb_thread_cpu_s();
    p->begin_s = p->now_s();
}

/* What a part took since begin: operations by cause, and messages between them. scale: of the operations. */
static void end(probed *p, cb_step_part part, double scale) {
    static const cb_cause causes[CB_OP_KINDS] = {CB_CAUSE_GEMM, CB_CAUSE_ATTENTION, CB_CAUSE_ELEMENTWISE};
    double all_s = p->now_s() - p->begin_s, idle_s = all_s - (cb_thread_cpu_s() - p->begin_cpu_s),
           *to = p->now->part_s[part];
    bool is_head =
        part == CB_PART_HEAD_F || part == CB_PART_HEAD_B || part == CB_PART_HEAD_B_ALONE || part == CB_PART_HEAD_W;
    bool is_again = part == CB_PART_LAYER_AGAIN;
    for (int kind = 0; kind < CB_OP_KINDS; kind++) {
        double s = p->timed.s[kind] - p->before.s[kind];
        to[is_head ? CB_CAUSE_HEAD : is_again ? CB_CAUSE_RECOMPUTE : causes[kind]] += scale * s;
        all_s -= s;
    }
    double once = scale < 1 ? scale : 1; /* messages are whole also where the operations are a part */
    to[p->rank.tp_group.size > 1 ? CB_CAUSE_TP : CB_CAUSE_ELEMENTWISE] += once * all_s;
    if (p->rank.tp_group.size > 1) p->now->idle_s[part] += once * fmax(0, fmin(idle_s, all_s));
    if (is_head || is_again) return;
    p->now->products_s += p->timed.s[CB_OP_PRODUCT] - p->before.s[CB_OP_PRODUCT];
    p->now->product_flops += p->timed.product_flops - p->before.product_flops;
}

static cb_slot *slot_of(probed *p) {
    return &p->rank.chunk[0].slot[0];
}

static cb_err forward(probed *p) {
    cb_rank *rank = &p->rank;
    cb_slot *slot = slot_of(p);
    const int32_t *tokens = (const int32_t *)(const void *)slot->own[CB_ACT_TOKENS];
    double loss;
    begin(p);
    TRY(cb_embedding_forward(&rank->transformer, &rank->embedding, cb_slot_layer(slot, 0)[CB_ACT_X], tokens));
    end(p, CB_PART_EMBEDDING_F, 1);
    begin(p);
    for (int l = 0; l < rank->layers; l++) {
        float *out = l + 1 < rank->layers ? cb_slot_layer(slot, l + 1)[CB_ACT_X] : slot->own[CB_ACT_HEAD_X];
        TRY(cb_block_forward(&rank->transformer, &rank->layer[l], cb_slot_layer(slot, l), out));
    }
    end(p, CB_PART_LAYER_F, 1.0 / rank->layers);
    begin(p);
    cb_head_logits(&p->head, &rank->head, slot->own);
    TRY(cb_head_loss(&p->head, &rank->head, slot->own, &loss));
    end(p, CB_PART_HEAD_F, p->head_scale);
    return CB_OK;
}

static cb_err head_backward(probed *p, bool split, float *dx) {
    begin(p);
    TRY(cb_head_backward(&p->head, &p->rank.head, slot_of(p)->own, dx, 1e-4F, split));
    end(p, split ? CB_PART_HEAD_B_ALONE : CB_PART_HEAD_B, p->head_scale);
    return CB_OK;
}

static cb_err backward(probed *p) {
    cb_rank *rank = &p->rank;
    cb_slot *slot = slot_of(p);
    float *dx = rank->chunk[0].grad->buffer[0];
    TRY(head_backward(p, false, dx));
    for (int l = rank->layers - 1; l >= 0; l--) {
        begin(p);
        TRY(cb_block_recompute(&rank->transformer, &rank->layer[l], cb_slot_layer(slot, l)));
        end(p, CB_PART_LAYER_AGAIN, 1.0 / rank->layers);
        begin(p);
        TRY(cb_block_backward(&rank->transformer, &rank->layer[l], cb_slot_layer(slot, l), dx));
        end(p, CB_PART_LAYER_B, 1.0 / rank->layers);
    }
    begin(p);
    cb_embedding_backward(&rank->transformer, &rank->embedding, (const int32_t *)(const void *)slot->own[CB_ACT_TOKENS],
                          dx);
    end(p, CB_PART_EMBEDDING_B, 1);
    return CB_OK;
}

/* A layer's activations with those that are held until W. */
static void held_acts(probed *p, int layer, float *acts[CB_LAYER_ACTS]) {
    const cb_hold *hold = &p->rank.chunk[0].hold[0];
    memcpy(acts, cb_slot_layer(slot_of(p), layer), CB_LAYER_ACTS * sizeof *acts);
    for (int a = 0; a < CB_LAYER_ACTS; a++) {
        float *held = hold->layer[layer * CB_LAYER_ACTS + a];
        if (held) acts[a] = held;
    }
}

/* The backward of the same microbatch once more, in two halves. */
static cb_err backward_split(probed *p) {
    cb_rank *rank = &p->rank;
    float *dx = rank->chunk[0].grad->buffer[0], *acts[CB_LAYER_ACTS];
    TRY(head_backward(p, true, dx));
    for (int l = rank->layers - 1; l >= 0; l--) {
        held_acts(p, l, acts);
        begin(p);
        TRY(cb_block_backward(&rank->transformer, &rank->layer[l], acts, dx));
        end(p, CB_PART_LAYER_B_ALONE, 1.0 / rank->layers);
    }
    begin(p);
    cb_head_weight_gradient(&p->head, &rank->head, slot_of(p)->own);
    end(p, CB_PART_HEAD_W, p->head_scale);
    for (int l = rank->layers - 1; l >= 0; l--) {
        held_acts(p, l, acts);
        begin(p);
        cb_block_weight_gradients(&rank->transformer, &rank->layer[l], acts);
        end(p, CB_PART_LAYER_W, 1.0 / rank->layers);
    }
    return CB_OK;
}

/* The loops over parameters. Gradients of zero and moments of zero leave the weights as they are. */
static void loops(probed *p) {
    cb_rank *rank = &p->rank;
    const cb_compute_ops *ops = rank->compute->ops;
    int64_t n = rank->arena[CB_MEM_PARAMS].size_bytes / 4;
    if (n > MOST_ELEMENTS) n = MOST_ELEMENTS;
    float *w = rank->held[0].w, *g = rank->held[0].g, *m = rank->held[0].m, *v = m + n;
    cb_adamw h = {
        .lr = 1e-4F, .beta1 = 0.9F, .beta2 = 0.95F, .eps = 1e-8F, .grad_scale = 1, .correction1 = 1, .correction2 = 1};
    for (int i = 0; i < LOOPS; i++) {
        double begin_s = p->now_s();
        if (i == ACCUMULATE) ops->accumulate(rank->compute, g, w, n);
        if (i == COPY) cb_device_host()->copy(g, w, 4 * n);
        if (i == SQUARES) (void)ops->sum_squares(rank->compute, g, n);
        if (i == ZERO) ops->zero(rank->compute, g, n);
        if (i == ADAMW) ops->adamw(rank->compute, w, g, m, v, n, &h);
        p->now->loop_s[i] = (p->now_s() - begin_s) / (double)n;
    }
}

static cb_err one_round(probed *p) {
    TRY(cb_barrier(&p->rank.world));
    TRY(forward(p));
    TRY(backward(p));
    if (p->split) TRY(backward_split(p));
    loops(p);
    return CB_OK;
}

static double total(const round_times *r, int part) {
    double sum_s = 0;
    for (int cause = 0; cause < CB_CAUSES; cause++) sum_s += r->part_s[part][cause];
    return sum_s;
}

static double round_s(const round_times *r) {
    double sum_s = 0;
    for (int part = 0; part < CB_STEP_PARTS; part++) sum_s += total(r, part);
    return sum_s;
}

static int by_time(const void *a, const void *b) {
    const double x = round_s(a), y = round_s(b);
    return (x > y) - (x < y);
}

/* The mean of the middle half of the rounds, which it sorts. Not of each part the median: what takes a machine's cores
 * away for moments hits few of a part's rounds, but every step. */
static void take_mean(round_times *rounds, int n, round_times *to) {
    enum { NUMBERS = sizeof *rounds / sizeof(double) };
    _Static_assert(NUMBERS * sizeof(double) == sizeof *rounds, "rounds are times and FLOPs");
    const int cut = n / 4, kept = n - 2 * cut;
    qsort(rounds, (size_t)n, sizeof *rounds, by_time);
    *to = (round_times){0};
    for (int i = cut; i < cut + kept; i++)
        for (int k = 0; k < NUMBERS; k++)
            ((double *)(void *)to)[k] += ((const double *)(const void *)&rounds[i])[k] / kept;
}

/* Rounds until they took long enough, as rank 0 finds. The first warms up. */
static cb_err rounds(probed *p, round_times *mean) {
    round_times *all = calloc(MOST_ROUNDS, sizeof *all);
    if (!all) return cb_fail(CB_ENOMEM, "no memory for the times of %d rounds", MOST_ROUNDS);
    double begin_s = cb_now_s();
    int64_t more = 1;
    int n = 0;
    cb_err e = CB_OK;
    for (; n < MOST_ROUNDS && more && !e; n++) {
        p->now = &all[n];
        e = one_round(p);
        more = n + 1 < LEAST_ROUNDS || cb_now_s() - begin_s < enough_s;
        if (!e) e = cb_broadcast(&p->rank.world, &more, 1, CB_I64, 0);
    }
    if (!e) take_mean(all + 1, n - 1, mean);
    free(all);
    return e;
}

/* Values without pattern, small and far from denormal, on pages of their own. */
static void fill(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (float)((uint32_t)i * 2654435761U >> 8) * 0x1p-29F - 0.015625F;
}

static void fill_all(probed *p) {
    cb_rank *rank = &p->rank;
    int64_t M = (int64_t)rank->run->B * rank->run->T;
    for (int i = 0; i < rank->held_count; i++) fill(rank->held[i].w, rank->held[i].count);
    int32_t *ids[] = {(int32_t *)(void *)slot_of(p)->own[CB_ACT_TOKENS],
                      (int32_t *)(void *)slot_of(p)->own[CB_ACT_TARGETS]};
    for (int k = 0; k < 2; k++) {
        for (int64_t i = 0; i < M; i++)
            ids[k][i] = (int32_t)((uint32_t)(i + k) * 2654435761U % (uint32_t)rank->run->model.vocab);
    }
}

/* All shards of the head are alike: of a large head a part is enough. */
static void cut_head(probed *p) {
    const cb_run *run = p->rank.run;
    double flops = 2.0 * run->B * run->T * (double)run->model.channels * (double)run->model.vocab_padded / run->shards;
    int part = p->rank.tp.owned;
    while (part > 1 && part * flops > most_head_flops) part /= 2;
    p->head_tp = p->rank.tp;
    p->head_tp.owned = part;
    p->head = p->rank.transformer;
    p->head.tp = &p->head_tp;
    p->head_scale = (double)p->rank.tp.owned / part;
}

static cb_err measure(probed *p, const probe *what, cb_comm *comm) {
    TRY(cb_rank_create(&p->rank, what->run, comm));
    p->split = what->split;
    p->now_s = what->shares ? cb_thread_cpu_s : cb_now_s;
    p->timed = cb_compute_timed(p->rank.compute, p->now_s);
    p->rank.tp.compute = p->rank.transformer.compute = &p->timed.around.compute;
    cut_head(p);
    fill_all(p);
    return rounds(p, &what->mean[cb_comm_rank(comm)]);
}

static cb_err live(cb_comm *comm, void *arg) {
    probed *p = calloc(1, sizeof *p);
    if (!p) return cb_fail(CB_ENOMEM, "no memory for a measured rank");
    cb_err e = measure(p, arg, comm);
    if (e) cb_comm_abort(comm);
    cb_rank_destroy(&p->rank);
    free(p);
    return e;
}

/* Of as many as the run has, those that fill the cores; where ranks share them, that do so twice: what it costs that
 * ranks take turns on a core is then in the measured times. */
static int copies_of(const cb_run *run, int cores) {
    int all = run->mesh.size[CB_DP] * run->mesh.size[CB_PP],
        fit = cores * (1 + cb_run_shares_cores(run, cores)) / (run->mesh.size[CB_TP] * run->threads_per_rank);
    return fit < 1 ? 1 : fit < all ? fit : all;
}

/* More layers where they are small, so that they come from where they come from in the run. */
static int layers_of(const cb_run *run) {
    int stages = run->mesh.size[CB_PP], most = (run->model.layers + stages - 1) / stages, tp = run->mesh.size[CB_TP];
    cb_act_sizes sizes = {&run->model, run->B, run->T, run->shards, run->shards / tp};
    int64_t bytes = 1;
    for (int a = 0; a < CB_LAYER_ACTS; a++) bytes += cb_act_bytes(&sizes, (cb_act)a);
    for (int role = 0; role < CB_LAYER_ROLES; role++) {
        cb_param param = cb_param_of(&run->model, (cb_role)role, 0);
        bytes += 8 * cb_param_local_elements(&param, run->shards, run->shards / tp);
    }
    int64_t n = CACHE_BYTES / bytes + 1;
    return n < most ? (int)n : most;
}

static cb_err make_small(const cb_run *run, int cores, bool split, cb_run *small) {
    int copies = copies_of(run, cores), tp = run->mesh.size[CB_TP];
    int size[CB_DIMS] = {[CB_TP] = tp, [CB_CP] = 1, [CB_EP] = 1, [CB_DP] = copies, [CB_PP] = 1};
    *small = *run;
    small->model.layers = layers_of(run);
    small->recompute.layers = 0;
    small->global_batch = (int64_t)copies * run->B;
    small->micro_batches = 1;
    small->data_shards = copies;
    small->schedule = split ? "zb-h1" : "gpipe";
    small->schedule_text = NULL;
    small->chunks = small->group = 0;
    small->pin = run->pin && !cb_run_shares_cores(run, cores);
    small->launch.ranks = tp * copies;
    small->observer = (cb_observer){0};
    TRY(cb_mesh_make(&small->mesh, size, CB_DEFAULT_ORDER));
    return cb_run_place(small, "even");
}

bool cb_measure_same(const cb_run *a, const cb_run *b, int cores) {
    return a->mesh.size[CB_TP] == b->mesh.size[CB_TP] && a->threads_per_rank == b->threads_per_rank && a->B == b->B &&
           a->T == b->T && a->shards == b->shards && a->recompute.kind == b->recompute.kind &&
           copies_of(a, cores) == copies_of(b, cores) &&
           cb_run_shares_cores(a, cores) == cb_run_shares_cores(b, cores) && layers_of(a) == layers_of(b) &&
           strcmp(a->model.name, b->model.name) == 0 && strcmp(a->compute, b->compute) == 0;
}

/* By how much one of a run's replicas takes longer than the mean of the copies; of those that there are. */
static double slowest(const cb_run *run, const cb_run *small, const round_times *of) {
    const int tp = small->mesh.size[CB_TP], copies = small->mesh.size[CB_DP];
    double all_s = 0, most_s = 0;
    for (int c = 0; c < copies; c++) {
        double copy_s = 0;
        for (int t = 0; t < tp; t++) copy_s += round_s(&of[c * tp + t]);
        if (c < run->mesh.size[CB_DP]) most_s = fmax(most_s, copy_s);
        all_s += copy_s;
    }
    return fmax(0, most_s * copies / all_s - 1);
}

/* Over the ranks. */
static void take_means(const cb_run *run, const cb_run *small, const round_times *of, cb_step_costs *costs) {
    int ranks = small->mesh.ranks;
    double loops_s[LOOPS] = {0}, flops_per_s = 0;
    for (int r = 0; r < ranks; r++) {
        for (int part = 0; part < CB_STEP_PARTS; part++) {
            for (int cause = 0; cause < CB_CAUSES; cause++)
                costs->part_s[part][cause] += of[r].part_s[part][cause] / ranks;
            costs->idle_s[part] += of[r].idle_s[part] / ranks;
        }
        for (int loop = 0; loop < LOOPS; loop++) loops_s[loop] += of[r].loop_s[loop] / ranks;
        flops_per_s += of[r].product_flops / of[r].products_s;
    }
    costs->zero_s = loops_s[ZERO];
    costs->accumulate_s = loops_s[ACCUMULATE];
    costs->copy_s = loops_s[COPY];
    costs->squares_s = loops_s[SQUARES];
    costs->adamw_s = loops_s[ADAMW];
    costs->product_flops_per_s = flops_per_s;
    costs->slowest = slowest(run, small, of);
}

cb_err cb_measure_compute(const cb_run *run, int cores, bool split, cb_step_costs *costs) {
    cb_run small;
    *costs = (cb_step_costs){0};
    TRY(make_small(run, cores, split, &small));
    probe p = {.run = &small, .split = split, .shares = cb_run_shares_cores(run, cores)};
    p.mean = calloc((size_t)small.mesh.ranks, sizeof *p.mean);
    if (!p.mean) return cb_fail(CB_ENOMEM, "no memory for the times of %d ranks", small.mesh.ranks);
    cb_err e = cb_comm_launch(&small.launch, live, &p);
    if (!e) take_means(run, &small, p.mean, costs);
    free(p.mean);
    return cb_err_context(e, "measuring %d rank%s", small.mesh.ranks, small.mesh.ranks == 1 ? "" : "s");
}
