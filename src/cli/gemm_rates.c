/* Timing of products by shape; see gemm_rates.h. A group of one rank that owns shards / tp of S shards computes what a
 * rank of tp does, and sends nothing. */
#include "cli/gemm_rates.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "mesh/shard.h"
#include "tensor_parallel/tensor_parallel.h"

enum { MOST_REPEATS = 64 };
static const double least_sample_s = 1e-3; /* shorter products are repeated within a sample */

const char *cb_gemm_pass_name(cb_gemm_pass pass) {
    static const char *const names[CB_GEMM_PASSES] = {"forward", "data gradient", "weight gradient"};
    return names[pass];
}

void cb_gemm_layers_of(const cb_model *m, cb_gemm_layer layers[CB_GEMM_LAYERS]) {
    const cb_gemm_layer all[CB_GEMM_LAYERS] = {{"qkv", m->channels, cb_model_qkv_width(m), false},
                                               {"projection", m->channels, m->channels, true},
                                               {"fc", m->channels, cb_model_fc_width(m), false},
                                               {"fc2", m->ffn, m->channels, true},
                                               {"head", m->channels, m->vocab_padded, false}};
    for (int i = 0; i < CB_GEMM_LAYERS; i++) layers[i] = all[i];
}

typedef struct operands {
    cb_tp tp;
    cb_group alone;
    const cb_gemm_layer *layer;
    cb_linear linear;
    int64_t M;
    float *room, *x, *y, *w, *dw; /* x, y: also their gradients */
} operands;

static cb_err check(const cb_gemm_setup *s, const cb_gemm_layer *l) {
    int64_t cut = l->is_row ? l->in : l->out;
    char divisors[256];
    if (s->shards % s->tp == 0 && s->shards / s->tp <= CB_MOST_OWNED_SHARDS && cut % s->shards == 0) return CB_OK;
    cb_shard_common_multiples(&cut, 1, s->tp, (int64_t)s->tp * CB_MOST_OWNED_SHARDS, divisors, sizeof divisors);
    return cb_fail(
        CB_EINVAL,
        "%d shards over tp=%d: the %s %lld of %s have to be cut into as many, a multiple of tp and at most %d "
        "a rank; shards can be %s",
        s->shards, s->tp, l->is_row ? "inputs" : "outputs", (long long)cut, l->name, CB_MOST_OWNED_SHARDS, divisors);
}

static cb_err allocate(operands *o, const cb_gemm_setup *s, const cb_gemm_layer *l) {
    int64_t in = l->is_row ? l->in / s->tp : l->in, out = l->is_row ? l->out : l->out / s->tp;
    int64_t x = o->M * in, y = o->M * out, w = in * out, wide = l->is_row ? l->out : l->in;
    int64_t sum = cb_gemm_sum_scratch_bytes(o->M, wide, o->tp.owned, s->threads) / (int64_t)sizeof(float);
    size_t bytes = (size_t)(x + y + 2 * w + sum + 1) * sizeof(float);
    o->room = malloc(bytes);
    if (!o->room) return cb_fail(CB_ENOMEM, "no %zu bytes for the products of %s", bytes, l->name);
    o->x = o->room;
    o->y = o->x + x;
    o->w = o->y + y;
    o->dw = o->w + w;
    o->tp.sum_scratch = o->dw + w;
    cb_rng_key key = {.seed = 1, .stream = 0x9e44};
    for (int64_t i = 0; i < x + y + 2 * w; i++) {
        o->room[i] = (float)cb_rng_u32(key, (uint64_t)i) * 0x1p-32F - 0.5F; /* within -1/2 .. 1/2: no denormals */
    }
    o->linear = (cb_linear){.in = l->in, .out = l->out, .w = o->w, .dw = o->dw};
    return CB_OK;
}

static cb_err run_column(operands *o, cb_gemm_pass pass) {
    cb_linear without = {.in = o->linear.in, .out = o->linear.out, .w = o->w};
    if (pass == CB_GEMM_DATA_GRADIENT) return cb_column_backward(&o->tp, &without, o->x, o->y, NULL, o->M);
    if (pass == CB_GEMM_FORWARD)
        cb_column_forward(&o->tp, &o->linear, o->y, o->x, o->M);
    else
        cb_column_weight_gradient(&o->tp, &o->linear, o->y, o->x, o->M);
    return CB_OK;
}

static cb_err run_row(operands *o, cb_gemm_pass pass) {
    cb_linear without = {.in = o->linear.in, .out = o->linear.out, .w = o->w};
    if (pass == CB_GEMM_FORWARD) return cb_row_forward(&o->tp, &o->linear, o->y, o->x, o->M);
    if (pass == CB_GEMM_DATA_GRADIENT)
        cb_row_backward(&o->tp, &without, o->x, o->y, NULL, o->M);
    else
        cb_row_weight_gradient(&o->tp, &o->linear, o->y, o->x, o->M);
    return CB_OK;
}

/* One product, `calls` times; seconds of each. */
static cb_err sample(operands *o, cb_gemm_pass pass, int calls, double *each_s) {
    double begin_s = cb_now_s();
    for (int i = 0; i < calls; i++) TRY(o->layer->is_row ? run_row(o, pass) : run_column(o, pass));
    *each_s = (cb_now_s() - begin_s) / calls;
    return CB_OK;
}

static cb_err time_pass(operands *o, cb_gemm_pass pass, int repeats, cb_gemm_rate *rate) {
    double each_s[MOST_REPEATS];
    if (repeats > MOST_REPEATS) repeats = MOST_REPEATS;
    TRY(sample(o, pass, 1, &each_s[0])); /* warms up: pages, generated code, threads */
    TRY(sample(o, pass, 1, &each_s[0]));
    int calls = each_s[0] > least_sample_s ? 1 : (int)(least_sample_s / (each_s[0] + 1e-9)) + 1;
    for (int i = 0; i < repeats; i++) TRY(sample(o, pass, calls, &each_s[i]));
    rate->median_s = cb_bench_median(each_s, repeats);
    rate->best_s = each_s[0]; /* they are sorted now */
    return CB_OK;
}

static cb_gemm_rate shape(const cb_gemm_setup *s, const cb_gemm_layer *l, cb_gemm_pass pass) {
    int64_t M = s->tokens, in = l->is_row ? l->in / s->tp : l->in, out = l->is_row ? l->out : l->out / s->tp;
    cb_gemm_rate rate = {.m = M, .n = out, .k = in};
    if (pass == CB_GEMM_DATA_GRADIENT) rate = (cb_gemm_rate){.m = M, .n = in, .k = out};
    if (pass == CB_GEMM_WEIGHT_GRADIENT) rate = (cb_gemm_rate){.m = out, .n = in, .k = M};
    rate.flops = 2 * (double)M * (double)in * (double)out;
    return rate;
}

cb_err cb_gemm_rates(const cb_gemm_setup *s, const cb_gemm_layer *l, cb_gemm_rate rates[CB_GEMM_PASSES]) {
    operands o = {.layer = l, .M = s->tokens, .alone = {.size = 1}};
    cb_compute *compute;
    TRY(check(s, l));
    TRY(cb_compute_create_for(&compute, s->compute, s->threads, s->type));
    o.tp = (cb_tp){.group = &o.alone, .compute = compute, .shards = s->shards, .owned = s->shards / s->tp};
    cb_err e = allocate(&o, s, l);
    for (int pass = 0; pass < CB_GEMM_PASSES && !e; pass++) {
        rates[pass] = shape(s, l, (cb_gemm_pass)pass);
        e = time_pass(&o, (cb_gemm_pass)pass, s->repeats, &rates[pass]);
    }
    free(o.room);
    cb_compute_destroy(compute);
    return e;
}
