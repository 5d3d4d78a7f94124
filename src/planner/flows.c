/* Traffic of a rank; see flows.h. Letters as in docs/notation.md; M is the rows of a microbatch on a rank. */
#include "planner/flows.h"

#include <string.h>

#include "collectives/cost.h"
#include "planner/volume.h"

typedef struct list {
    cb_flow *at;
    int count;
    const cb_job *job;
    const cb_split *split;
    cb_volume volume;
    int stage;
    double rows, micro_batches;
} list;

/* Bytes that a rank sends in one operation of `bytes` altogether; the cost rows count 4-byte elements. */
static double sent(cb_kind kind, int size, double bytes) {
    int64_t count = (int64_t)(bytes / 4);
    if (kind == CB_ALL_REDUCE) return (double)cb_all_reduce_cost_by(CB_BY_BLOCKS, size, 0, count, CB_F32).bytes;
    if (kind == CB_SENDRECV) return (double)cb_collective_cost(cb_means_plain(false), kind, 2, 0, count, CB_F32).bytes;
    return (double)cb_collective_cost(cb_means_plain(false), kind, size, 0, count / size, CB_F32).bytes;
}

static void add(list *l, const char *dimension, cb_kind kind, const char *what, int size, double times, double bytes) {
    if (size < 2 || times <= 0 || bytes <= 0) return;
    static const char *const reduce = "all-reduce", *const gather = "all-gather", *const scatter = "reduce-scatter";
    const char *name = kind == CB_ALL_REDUCE       ? reduce
                       : kind == CB_ALL_GATHER     ? gather
                       : kind == CB_REDUCE_SCATTER ? scatter
                                                   : "message";
    l->at[l->count++] = (cb_flow){dimension, name, what, size, times, bytes, times * sent(kind, size, bytes)};
}

/* With sequence parallelism each all-reduce is a reduce-scatter where it was and an all-gather before the next product,
 * whose input is kept cut and gathered once more for the gradient of the weight. */
static void add_tp(list *l) {
    const cb_split *s = l->split;
    double blocks = 2 * l->micro_batches * cb_split_layers(l->job, s, l->stage);
    double passes = l->volume.input_again ? 3 : 2, m = l->micro_batches, bytes = l->volume.stream_bytes;
    bool cut = s->sequence_parallel, first = l->stage == 0, last = l->stage == s->pp - 1;
    if (cut) {
        add(l, "tp", CB_ALL_GATHER, "inputs of attention and MLP", s->tp, blocks * (passes + 1), bytes);
        add(l, "tp", CB_REDUCE_SCATTER, "outputs of attention and MLP", s->tp, blocks * passes, bytes);
    } else {
        add(l, "tp", CB_ALL_REDUCE, "outputs of attention and MLP", s->tp, blocks * passes, bytes);
    }
    if (first && cut) {
        add(l, "tp", CB_REDUCE_SCATTER, "embedding", s->tp, m, bytes);
        add(l, "tp", CB_ALL_GATHER, "gradient of the embedding", s->tp, m, bytes);
    } else if (first) {
        add(l, "tp", CB_ALL_REDUCE, "embedding", s->tp, m, bytes);
    }
    if (!last) return;
    if (cut) add(l, "tp", CB_ALL_GATHER, "the head's input", s->tp, 2 * m, bytes);
    add(l, "tp", cut ? CB_REDUCE_SCATTER : CB_ALL_REDUCE, "gradient of the head's input", s->tp, m, bytes);
    add(l, "tp", CB_ALL_REDUCE, "maxima and sums of the loss", s->tp, 3 * m, 4 * l->rows);
}

/* Each chunk's activations to the next stage and its gradients to the one before; the first and the last chunk of all
 * have one neighbour only. */
static void add_pp(list *l) {
    const cb_split *s = l->split;
    double bytes = l->volume.message_bytes, ends = l->micro_batches;
    double forward = l->micro_batches * s->chunks - (l->stage == s->pp - 1 ? ends : 0);
    double backward = l->micro_batches * s->chunks - (l->stage == 0 ? ends : 0);
    int size = s->pp > 1 ? 2 : 1;
    add(l, "pp", CB_SENDRECV, "activations to the next stage", size, forward, bytes);
    add(l, "pp", CB_SENDRECV, "gradients to the one before", size, backward, bytes);
}

static void add_dp(list *l, const cb_param_sums *sums) {
    const cb_volume *v = &l->volume;
    int size = l->split->dp * l->split->cp;
    double params = cb_stage_params(l->job, l->split, sums, l->stage), m = l->micro_batches;
    add(l, "dp", v->grads_whole ? CB_ALL_REDUCE : CB_REDUCE_SCATTER, "gradients", size, v->grads_each ? m : 1,
        v->grad * params);
    add(l, "dp", CB_ALL_GATHER, "weights", size, v->weights_once + v->weights_each * m, v->weight * params);
}

static void add_tied(list *l, const cb_param_sums *sums) {
    bool end = l->stage == 0 || l->stage == l->split->pp - 1;
    if (l->split->pp == 1 || !end) return;
    double bytes = l->volume.tied_grad * sums->tied_cut / l->split->tp;
    add(l, "pp", CB_ALL_REDUCE, "gradient of the tied embedding", 2, 1, bytes);
}

/* Ring attention: keys and values pass all ranks forward, they and their gradients backward; forward once more where
 * the layer is computed again. */
static void add_cp(list *l) {
    const cb_split *s = l->split;
    const cb_model *m = l->job->model;
    double share = (double)cb_model_kv_heads(m) / m->heads / s->tp;
    double times = l->micro_batches * cb_split_layers(l->job, s, l->stage) * (s->cp - 1);
    add(l, "cp", CB_SENDRECV, "keys and values, and their gradients", s->cp, (l->volume.input_again ? 4 : 3) * times,
        2 * share * l->volume.stream_bytes);
}

int cb_flows_of(const cb_job *job, const cb_split *split, const cb_param_sums *sums, int stage,
                cb_flow out[CB_MOST_FLOWS]) {
    list l = {.at = out, .job = job, .split = split, .stage = stage};
    cb_regime regime = cb_regime_of(job);
    l.volume = cb_volume_of(job, split, &regime);
    l.rows = (double)split->micro_batch * (double)(job->seq_length / split->cp);
    l.micro_batches = (double)cb_split_micro_batches(job, split);
    add_tp(&l);
    add_cp(&l);
    add_pp(&l);
    add_tied(&l, sums);
    add_dp(&l, sums);
    return l.count;
}

double cb_flows_bytes(const cb_flow *rows, int count, const char *dimension) {
    double bytes = 0;
    for (int i = 0; i < count; i++)
        if (!dimension || strcmp(rows[i].dimension, dimension) == 0) bytes += rows[i].sent_bytes;
    return bytes;
}
