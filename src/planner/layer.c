/* A layer forward and backward: kernels, collectives that are not hidden, what is computed again; and the host's time
 * to launch them. */
#include <math.h>

#include "planner/terms.h"

double cb_together_s(const cb_terms *t, double device_s, double host_s) {
    double most = device_s > host_s ? device_s : host_s, p = t->constants->host_norm;
    if (most <= 0) return 0;
    return most * pow(pow(device_s / most, p) + pow(host_s / most, p), 1 / p);
}

typedef struct parts {
    cb_both gemm, attention, elementwise, tp, cp, host;
} parts;

/* Two all-reduces each way; with sequence parallelism two scatters and two gathers, and backward the inputs of two
 * products are gathered again for their weights' gradients (Korthikanti et al., arXiv:2205.05198, section 4.2.2). */
static void tensor_parallel(const cb_terms *t, parts *p) {
    const cb_constants *c = t->constants;
    double bytes = t->volume.stream_bytes;
    cb_group group = {t->split->tp, 1};
    bool both = t->stack->tp_overlap && !t->job->sync_tp;
    double hidden = both || t->stack->tp_backward ? c->tp_overlap_all : c->tp_overlap_gradient;
    p->tp.forward_s = p->tp.backward_s = 2 * cb_all_reduce_s(t, group, bytes);
    if (t->split->sequence_parallel) {
        double part_s = cb_all_gather_s(t, group, bytes);
        p->tp = (cb_both){4 * part_s, 6 * part_s};
    }
    p->tp.forward_s *= both ? 1 - hidden : 1;
    p->tp.backward_s *= 1 - hidden;
}

/* Keys and values travel in a ring beside the attention they are for. */
static void context_parallel(const cb_terms *t, parts *p) {
    int cp = t->split->cp;
    if (cp == 1) return;
    int kv = t->model->kv_heads ? t->model->kv_heads : t->model->heads;
    double bytes = 2 * t->volume.stream_bytes * kv / t->model->heads / t->split->tp * cp;
    double ring_s = cb_all_gather_s(t, (cb_group){cp, t->split->tp}, bytes);
    p->cp = (cb_both){fmax(0, ring_s - p->attention.forward_s), fmax(0, 2 * ring_s - p->attention.backward_s)};
}

static cb_both host(const cb_terms *t) {
    const cb_constants *c = t->constants;
    if (t->stack->graph || t->stack->flash) return (cb_both){c->launch_compiled_s, 2 * c->launch_compiled_s};
    cb_both both = {c->launch_forward_s, c->launch_backward_s};
    if (fmod(t->split->micro_batch * t->heads, 4) != 0) both.forward_s += c->launch_unfused_softmax_s;
    if (t->split->tp >= 8) {
        both.forward_s += c->launch_crowded_s;
        both.backward_s += c->launch_crowded_s;
    }
    return both;
}

static parts parts_of(const cb_terms *t) {
    parts p = {
        .gemm = cb_layer_gemms(t), .attention = cb_attention(t), .elementwise = cb_elementwise(t), .host = host(t)};
    tensor_parallel(t, &p);
    context_parallel(t, &p);
    return p;
}

static cb_pass forward(const parts *p) {
    cb_pass pass = {.by_cause_s = {[CB_CAUSE_GEMM] = p->gemm.forward_s,
                                   [CB_CAUSE_ATTENTION] = p->attention.forward_s,
                                   [CB_CAUSE_ELEMENTWISE] = p->elementwise.forward_s,
                                   [CB_CAUSE_TP] = p->tp.forward_s,
                                   [CB_CAUSE_CP] = p->cp.forward_s}};
    double device_s =
        p->gemm.forward_s + p->attention.forward_s + p->elementwise.forward_s + p->tp.forward_s + p->cp.forward_s;
    pass.total_s = device_s;
    pass.host_s = p->host.forward_s;
    return pass;
}

/* Device time of what is computed again, and the host's for it. */
static cb_both again(const cb_terms *t, const parts *p) {
    double kernels_s = p->gemm.forward_s + p->attention.forward_s + p->elementwise.forward_s;
    switch (t->split->recompute) {
    case CB_AGAIN_LAYER:
        return (cb_both){kernels_s + p->tp.forward_s + p->cp.forward_s, p->host.forward_s};
    case CB_AGAIN_CHEAP:
        return (cb_both){p->gemm.forward_s / 2 + p->elementwise.forward_s, 0};
    case CB_AGAIN_ATTENTION:
        return (cb_both){t->stack->flash ? 0 : p->attention.forward_s, 0};
    default:
        return (cb_both){0, 0};
    }
}

static cb_pass backward(const cb_terms *t, const parts *p) {
    cb_both more = again(t, p);
    cb_pass pass = {.by_cause_s = {[CB_CAUSE_GEMM] = p->gemm.backward_s,
                                   [CB_CAUSE_ATTENTION] = p->attention.backward_s,
                                   [CB_CAUSE_ELEMENTWISE] = p->elementwise.backward_s,
                                   [CB_CAUSE_TP] = p->tp.backward_s,
                                   [CB_CAUSE_CP] = p->cp.backward_s,
                                   [CB_CAUSE_RECOMPUTE] = more.forward_s}};
    double device_s = more.forward_s + p->gemm.backward_s + p->attention.backward_s + p->elementwise.backward_s +
                      p->tp.backward_s + p->cp.backward_s;
    pass.total_s = device_s;
    pass.host_s = p->host.backward_s + more.backward_s;
    return pass;
}

/* The share of the shorter of computing and gathering that is not hidden. */
static double interference(const cb_terms *t) {
    if (t->stack->engine) return 1; /* each parameter is waited for */
    return t->stack->prefetch ? t->constants->fsdp_prefetched : t->constants->fsdp_interference;
}

double cb_beside_s(const cb_terms *t, double compute_s, double other_s) {
    return fmax(compute_s, other_s) + interference(t) * fmin(compute_s, other_s);
}

/* Weights that are cut over dp are gathered for each pass, and their gradients scattered. */
cb_both cb_over_dp(const cb_terms *t, double params) {
    const cb_volume *v = &t->volume;
    cb_group group = {t->split->dp * t->split->cp, t->split->tp};
    if (!v->grads_each || group.size == 1) return (cb_both){0, 0};
    int gathers = t->stack->gathers;
    double gather_s = gathers * cb_all_gather_s(t, group, v->weight * params / gathers);
    double scatter_s = cb_all_gather_s(t, group, v->grad * params);
    return (cb_both){v->weights_each >= 1 ? gather_s : 0, (v->weights_each == 2 ? gather_s : 0) + scatter_s};
}

/* That goes on beside the computation, which it slows. */
static void gather_weights(const cb_terms *t, cb_layer *layer) {
    cb_both over_dp = cb_over_dp(t, t->layer_params);
    const double beside[2] = {over_dp.forward_s, over_dp.backward_s};
    cb_pass *pass[2] = {&layer->forward, &layer->backward};
    for (int i = 0; i < 2; i++) {
        double compute_s = pass[i]->total_s;
        pass[i]->total_s = cb_beside_s(t, compute_s, beside[i]);
        pass[i]->by_cause_s[CB_CAUSE_DP] = pass[i]->total_s - compute_s;
    }
}

cb_layer cb_layer_time(const cb_terms *t) {
    parts p = parts_of(t);
    cb_layer layer = {.forward = forward(&p), .backward = backward(t, &p)};
    gather_weights(t, &layer);
    layer.weight_s = p.gemm.backward_s / 2;
    return layer;
}
