/* The time of a step: microbatches through the slowest stage, what the pipeline loses, and what comes once a step. */
#include <math.h>

#include "planner/terms.h"

typedef struct stage {
    double by_cause_s[CB_CAUSES]; /* of one microbatch */
    double forward_s, backward_s, weight_s;
    cb_both host;  /* time to launch all that */
    double params; /* on a rank */
    int layers;
} stage;

static void add_pass(stage *s, const cb_pass *pass, int layers) {
    for (int i = 0; i < CB_CAUSES; i++) s->by_cause_s[i] += layers * pass->by_cause_s[i];
}

static void add_both(stage *s, cb_both both, cb_cause cause) {
    s->forward_s += both.forward_s;
    s->backward_s += both.backward_s;
    s->by_cause_s[cause] += both.forward_s + both.backward_s;
}

static void add_layers(stage *s, const cb_terms *t, const cb_layer *layer, int layers) {
    s->forward_s += layers * layer->forward.total_s;
    s->backward_s += layers * layer->backward.total_s;
    s->weight_s += layers * layer->weight_s;
    s->host.forward_s += layers * layer->forward.host_s;
    s->host.backward_s += layers * layer->backward.host_s;
    add_pass(s, &layer->forward, layers);
    add_pass(s, &layer->backward, layers);
    s->params += layers * t->layer_params;
    s->layers = layers;
}

/* Between stages, and so between passes, the host waits for messages; alone it runs ahead over both passes. */
static void wait_for_host(const cb_terms *t, stage *s) {
    double device_s = s->forward_s + s->backward_s;
    cb_both waited;
    if (t->split->pp > 1) {
        waited = (cb_both){cb_together_s(t, s->forward_s, s->host.forward_s),
                           cb_together_s(t, s->backward_s, s->host.backward_s)};
    } else {
        double longer = cb_together_s(t, device_s, s->host.forward_s + s->host.backward_s) / device_s;
        waited = (cb_both){s->forward_s * longer, s->backward_s * longer};
    }
    s->by_cause_s[CB_CAUSE_LAUNCH] += waited.forward_s + waited.backward_s - device_s;
    s->forward_s = waited.forward_s;
    s->backward_s = waited.backward_s;
}

/* The vocabulary's collectives over tp: the embedding forward, the gradient of the head's input backward; with sequence
 * parallelism a scatter and a gather, two gathers of the head's input and a scatter. */
static cb_both vocabulary_tp(const cb_terms *t, bool first, bool last) {
    cb_group group = {t->split->tp, 1};
    double bytes = t->volume.stream_bytes, part_s = cb_all_gather_s(t, group, bytes);
    if (!t->split->sequence_parallel) {
        double s = cb_all_reduce_s(t, group, bytes);
        return (cb_both){first ? s : 0, last ? s : 0};
    }
    return (cb_both){(first + last) * part_s, (first + 2 * last) * part_s};
}

static cb_both sum_of(cb_both a, cb_both b) {
    return (cb_both){a.forward_s + b.forward_s, a.backward_s + b.backward_s};
}

/* Embedding and head on a rank; what is tied is one. */
static double ends_params(const cb_terms *t, bool first, bool last) {
    return (first ? t->embedding_params : 0) + (last && (!first || t->model->untied) ? t->head_params : 0);
}

/* Weights and gradients of embedding and head over dp where each microbatch's are, beside their computation. */
static void add_ends_over_dp(const cb_terms *t, stage *s, cb_both computed, double params) {
    cb_both over_dp = cb_over_dp(t, params);
    if (!t->volume.grads_each) return;
    over_dp.forward_s = cb_beside_s(t, computed.forward_s, over_dp.forward_s) - computed.forward_s;
    over_dp.backward_s = cb_beside_s(t, computed.backward_s, over_dp.backward_s) - computed.backward_s;
    add_both(s, over_dp, CB_CAUSE_DP);
}

static stage stage_of(const cb_terms *t, const cb_layer *layer, int index) {
    stage s = {.params = 0};
    bool first = index == 0, last = index == t->split->pp - 1;
    add_layers(&s, t, layer, cb_split_layers(t->job, t->split, index));
    if (first || last) add_both(&s, vocabulary_tp(t, first, last), CB_CAUSE_TP);
    cb_both ends = sum_of(first ? cb_embedding(t) : (cb_both){0, 0}, last ? cb_head(t) : (cb_both){0, 0});
    add_both(&s, ends, CB_CAUSE_HEAD);
    add_ends_over_dp(t, &s, ends, ends_params(t, first, last));
    s.params += ends_params(t, first, last);
    wait_for_host(t, &s);
    return s;
}

static double length(const stage *s) {
    return s->forward_s + s->backward_s;
}

/* Gradients over dp, and weights back where each rank updated a part. */
static double data_parallel_s(const cb_terms *t, double params) {
    const cb_volume *v = &t->volume;
    cb_group group = {t->split->dp * t->split->cp, t->split->tp};
    double grads = v->grad * params, sum_s = 0; /* with grads_each beside each layer */
    if (!v->grads_each) sum_s = v->grads_whole ? cb_all_reduce_s(t, group, grads) : cb_all_gather_s(t, group, grads);
    return sum_s + v->weights_once * cb_all_gather_s(t, group, v->weight * params);
}

/* The flattened parts of all ranks are copied back to each tensor, one launch each; a layer has about seven matrices
 * and its forward pass about twenty launches. */
static double zero_copies_s(const cb_terms *t, int layers) {
    if (!t->stack->zero_waits || t->split->zero == 0 || t->split->dp == 1) return 0;
    return t->split->dp * 7.0 * layers * t->constants->launch_compiled_s / 20;
}

static double hidden_share(const cb_terms *t) {
    bool waits = t->split->zero > 0 && t->stack->zero_waits;
    return t->stack->dp_overlap && !waits ? t->constants->dp_overlap : 0;
}

static double tied_s(const cb_terms *t) {
    if (t->split->pp == 1 || t->model->untied) return 0;
    cb_group ends = {2, t->split->tp * t->split->cp * t->split->dp * (t->split->pp - 1)};
    return cb_all_reduce_s(t, ends, t->volume.tied_grad * t->embedding_params);
}

/* Sums over stages and the slowest of them; stages between the ends differ by at most a layer. */
typedef struct pipeline {
    stage slowest;
    cb_stage_times all;
    double most_params;
    int most_layers;
} pipeline;

static pipeline pipeline_of(const cb_terms *t, const cb_layer *layer) {
    pipeline p = {.most_params = 0};
    int stages = t->split->pp, layers = 0;
    stage s = {.params = 0};
    for (int i = 0; i < stages; i++) {
        int before = layers;
        layers = cb_split_layers(t->job, t->split, i);
        if (i < 2 || i == stages - 1 || layers != before) s = stage_of(t, layer, i); /* else as the one before */
        p.all.forward_s += s.forward_s;
        p.all.input_s += s.backward_s - s.weight_s;
        p.all.weight_s += s.weight_s;
        if (length(&s) > length(&p.slowest)) p.slowest = s;
        if (s.params > p.most_params) p.most_params = s.params;
        if (s.layers > p.most_layers) p.most_layers = s.layers;
    }
    return p;
}

static void micro_batches_time(const cb_terms *t, const pipeline *p, double m, double *by) {
    const cb_constants *c = t->constants;
    const cb_split *split = t->split;
    const stage *s = &p->slowest;
    cb_border border = cb_stage_border(t);
    int waits = t->stack->sync_messages ? split->chunks : 1;
    bool cut = t->stack->engine && split->tp > 1; /* messages in parts, with what the host has to know of them */
    double fixed_s = cut ? c->engine_micro_batch_s : waits * c->micro_batch_s;
    cb_stage_times slowest = {s->forward_s, s->backward_s - s->weight_s, s->weight_s};
    for (int i = 0; i < CB_CAUSES; i++) by[i] += m * s->by_cause_s[i];
    by[CB_CAUSE_LAUNCH] += m * fixed_s;
    double sum_bytes =
        t->stack->sums_apart ? t->regime.activation + 2 * t->regime.grad : 0; /* read; read and written */
    by[CB_CAUSE_ELEMENTWISE] += (m - 1) * cb_stream_s(t, sum_bytes * s->params);
    by[CB_CAUSE_PP] += m * 2 * border.worst_s * split->chunks * (t->stack->engine ? 1 : c->pp_exposed);
    double fill = split->schedule == CB_SPLIT_INTERLEAVED ? (double)(split->pp - 1) / split->chunks : split->pp - 1;
    by[CB_CAUSE_BUBBLE] += cb_pipeline_bubble_s(split->schedule, split->pp, split->chunks, m, &p->all, &slowest) +
                           fill * (2 * border.mean_s * split->chunks + fixed_s);
}

static void step_time(const cb_terms *t, double m, double *by, stage *slowest) {
    const cb_constants *c = t->constants;
    cb_layer layer = cb_layer_time(t);
    pipeline p = pipeline_of(t, &layer);
    micro_batches_time(t, &p, m, by);
    by[CB_CAUSE_DP] +=
        data_parallel_s(t, p.most_params) * (1 - hidden_share(t)) + tied_s(t) + zero_copies_s(t, p.most_layers);
    by[CB_CAUSE_OPTIMIZER] += cb_optimizer_s(t, p.most_params);
    by[CB_CAUSE_LAUNCH] += t->stack->flash ? c->step_other_s : c->step_s;
    *slowest = p.slowest;
}

cb_err cb_estimate_time(const cb_job *job, const cb_split *split, const cb_constants *constants,
                        cb_estimate *estimate) {
    TRY(cb_split_check(job, split));
    cb_terms t = cb_terms_of(job, split, constants);
    cb_estimate e = {.step_s = 0};
    stage slowest;
    step_time(&t, (double)cb_split_micro_batches(job, split), e.by_cause_s, &slowest);
    for (int i = 0; i < CB_CAUSES; i++) e.step_s += e.by_cause_s[i];
    e.forward_s = slowest.forward_s;
    e.backward_s = slowest.backward_s;
    e.bubble_share = e.by_cause_s[CB_CAUSE_BUBBLE] / e.step_s;
    e.exposed_s =
        e.by_cause_s[CB_CAUSE_TP] + e.by_cause_s[CB_CAUSE_CP] + e.by_cause_s[CB_CAUSE_DP] + e.by_cause_s[CB_CAUSE_PP];
    *estimate = e;
    return CB_OK;
}

cb_err cb_estimate_stages(const cb_job *job, const cb_split *split, const cb_constants *constants,
                          cb_stage_times *stages, double *message_s) {
    TRY(cb_split_check(job, split));
    cb_terms t = cb_terms_of(job, split, constants);
    cb_layer layer = cb_layer_time(&t);
    for (int i = 0; i < split->pp; i++) {
        stage s = stage_of(&t, &layer, i);
        stages[i] = (cb_stage_times){s.forward_s, s.backward_s - s.weight_s, s.weight_s};
    }
    *message_s = split->pp > 1 ? cb_stage_border(&t).mean_s : 0;
    return CB_OK;
}
