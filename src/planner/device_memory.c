/* Memory of a device by stage; see device_memory.h. Letters as in docs/notation.md. */
#include "planner/device_memory.h"

#include <string.h>

#include "model/params.h"

const char *cb_device_kind_name(cb_device_kind kind) {
    static const char *const names[CB_DEVICE_KINDS] = {"weights", "gradients", "optimizer", "activations",
                                                       "logits",  "buffers",   "framework"};
    return names[kind];
}

/* What a stack's loss holds of a logit, of a vocabulary in one piece and of a cut one. Megatron: itself and a 32-bit
 * copy in which all is computed in place; nanotron shifts that into one more. PyTorch's cross entropy: the logarithm of
 * the softmax and two gradients of 32 bits; its parallel form one more. */
static void loss_bytes(cb_regime *r, const cb_job *job) {
    bool sharded = job->stack == CB_FSDP || job->stack == CB_TITAN;
    r->logit = sharded ? 12 : job->stack == CB_NANOTRON ? 10 : 6;
    r->logit_cut = sharded ? 16 : r->logit;
    if (job->precision == CB_MATH_32) r->logit = r->logit_cut = 4;
}

/* With 32-bit gradients 2 + 4 + 12 bytes a parameter: weight, gradient, master weight and two moments. With 16-bit ones
 * the optimizer makes a 32-bit copy to step with. Where autograd's 16-bit gradients come before a 32-bit sum, 2 + 4 +
 * 12 and 2 more for a while. FSDP keeps weights in 32 bits and casts what it gathers: 4 + 4 + 8. Moments of 8 bits are
 * 6 bytes fewer. */
cb_regime cb_regime_of(const cb_job *job) {
    cb_stack stack = job->stack;
    const cb_stack_traits *traits = cb_stack_traits_of(stack);
    bool sharded = stack == CB_FSDP || stack == CB_TITAN, in_32 = job->grads_32 || traits->sums_in_32;
    bool both = in_32 && (traits->engine || stack == CB_NANOTRON);
    cb_regime r = {.weight = 2, .grad = in_32 ? 4 : 2, .optimizer = 12, .step = in_32 ? 0 : 4};
    r.loose_grad = both ? 2 : 0;
    r.activation = 2;
    if (sharded || job->precision == CB_MATH_32) r.weight = 4, r.grad = 4, r.optimizer = 8, r.step = 0;
    if (job->moments_8) r.optimizer -= 6;
    if (job->precision == CB_MATH_32) r.activation = 4;
    loss_bytes(&r, job);
    r.scores = !traits->flash;
    r.dropout = !traits->flash && stack != CB_CUBOID;
    r.copies = traits->flash && !traits->compiled && !traits->vendor;
    r.engine = traits->engine;
    r.outputs = stack == CB_MEGATRON_2021;
    r.planned = stack == CB_STATIC_GRAPH;
    r.waits = stack == CB_NANOTRON;
    return r;
}

static void add_param(cb_param_sums *sums, const cb_param *param) {
    double elements = (double)cb_param_elements(param);
    bool cut = param->cut != CB_CUT_NONE;
    switch (param->owner) {
    case CB_OWNER_LAYER:
        *(cut ? &sums->layer_cut : &sums->layer_whole) += elements;
        if (cut && elements > sums->widest_cut) sums->widest_cut = elements;
        break;
    case CB_OWNER_FIRST:
        *(cut ? &sums->first_cut : &sums->first_whole) += elements;
        break;
    case CB_OWNER_LAST:
        *(cut ? &sums->last_cut : &sums->last_whole) += elements;
        break;
    case CB_OWNER_BOTH:
        sums->first_cut += elements, sums->last_cut += elements, sums->tied_cut += elements;
        break;
    }
}

cb_param_sums cb_param_sums_of(const cb_model *model) {
    cb_param_sums sums = {0};
    for (int role = 0; role < CB_ROLES; role++) {
        cb_param param = cb_param_of(model, (cb_role)role, 0);
        add_param(&sums, &param);
    }
    return sums;
}

double cb_stage_params(const cb_job *job, const cb_split *split, const cb_param_sums *sums, int stage) {
    bool first = stage == 0, last = stage == split->pp - 1;
    int layers = cb_split_layers(job, split, stage);
    double cut = layers * sums->layer_cut, whole = layers * sums->layer_whole;
    if (first) cut += sums->first_cut, whole += sums->first_whole;
    if (last) cut += sums->last_cut, whole += sums->last_whole;
    if (first && last) cut -= sums->tied_cut;
    return cut / split->tp + whole;
}

/* How tensor parallelism leaves an activation: cut by heads or columns, or whole on every rank; what is whole is cut
 * along the sequence with sequence parallelism. */
static double element_share(const cb_split *split, cb_act act) {
    return cb_act_is_cut(act) || !split->sequence_parallel ? 1 : 1.0 / split->tp;
}

static cb_act_set kept_by(cb_split_recompute recompute, const cb_regime *regime) {
    cb_act_set scores = regime->scores ? CB_ACT_BIT(CB_ACT_PROBS) : 0;
    cb_act_set big = CB_ACT_BIT(CB_ACT_X) | CB_ACT_BIT(CB_ACT_LN1) | CB_ACT_BIT(CB_ACT_QKV) | CB_ACT_BIT(CB_ACT_ATT) |
                     CB_ACT_BIT(CB_ACT_MID) | CB_ACT_BIT(CB_ACT_LN2) | CB_ACT_BIT(CB_ACT_FC) | CB_ACT_BIT(CB_ACT_GELU);
    switch (recompute) {
    case CB_AGAIN_ATTENTION:
        return big;
    case CB_AGAIN_CHEAP: /* see kept_share */
        return CB_ACT_BIT(CB_ACT_X) | CB_ACT_BIT(CB_ACT_QKV) | CB_ACT_BIT(CB_ACT_ATT) | CB_ACT_BIT(CB_ACT_FC);
    case CB_AGAIN_LAYER:
        return CB_ACT_BIT(CB_ACT_X);
    default:
        return big | scores;
    }
}

/* torchtitan's policy keeps every second matrix product from the first on: q and v, gate (or the first product of two),
 * and the last, whose output serves nobody: compiled, it is not kept. */
static double kept_share(const cb_job *job, cb_split_recompute recompute, cb_act act) {
    if (recompute != CB_AGAIN_CHEAP) return 1;
    double heads = job->model->heads, kv = cb_model_kv_heads(job->model);
    if (act == CB_ACT_QKV) return (heads + kv) / (heads + 2 * kv);
    return act == CB_ACT_FC && job->model->gated ? 0.5 : 1;
}

/* Extra bytes of an element: dropout's masks, two of them where the residual stream is added to, and the probabilities
 * that it dropped from. */
static double dropout_bytes(const cb_regime *regime, cb_act act) {
    if (!regime->dropout) return 0;
    if (act == CB_ACT_MID) return 2;
    return act == CB_ACT_PROBS ? 1 + regime->activation : 0;
}

static double act_bytes(const cb_job *job, const cb_split *split, const cb_regime *regime,
                        cb_split_recompute recompute) {
    cb_act_set set = kept_by(recompute, regime);
    cb_act_sizes sizes = {job->model, split->micro_batch, (int)(job->seq_length / split->cp), split->tp, 1};
    double sum = 0;
    for (int a = 0; a < CB_LAYER_ACTS; a++) {
        if (!(set & CB_ACT_BIT(a))) continue;
        double elements = (double)cb_act_bytes(&sizes, (cb_act)a) / 4 * element_share(split, (cb_act)a);
        elements *= kept_share(job, recompute, (cb_act)a);
        if (a == CB_ACT_X && recompute == CB_AGAIN_CHEAP && job->eager) elements *= 2; /* the last product's output */
        if (a == CB_ACT_PROBS) elements *= split->cp; /* against the keys of all ranks */
        sum += elements * (regime->activation + dropout_bytes(regime, (cb_act)a));
    }
    if (regime->copies && (set & CB_ACT_BIT(CB_ACT_QKV)) && (set & CB_ACT_BIT(CB_ACT_GELU))) {
        const cb_model *m = job->model;
        double keys = (double)m->channels / m->heads * cb_model_kv_heads(m), rows = (double)sizes.B * sizes.T;
        double rotated = m->position == CB_ROTARY ? (double)m->channels + keys : 0;
        sum += rows * (rotated + (m->gated ? (double)m->ffn : 0)) / split->tp * regime->activation;
    }
    return sum;
}

double cb_layer_activation_bytes(const cb_job *job, const cb_split *split, const cb_regime *regime) {
    return act_bytes(job, split, regime, split->recompute);
}

static double least_of(double a, double b) {
    return a < b ? a : b;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int64_t cb_split_live_chunks(const cb_job *job, const cb_split *split, int stage) {
    int64_t m = cb_split_micro_batches(job, split), p = split->pp, v = split->chunks, r = stage;
    switch (split->schedule) {
    case CB_SPLIT_GPIPE:
        return m * v;
    case CB_SPLIT_INTERLEAVED:
        return p == 1 ? 1 : least(2 * (p - 1 - r) + (v - 1) * p + 1, m * v);
    case CB_SPLIT_ZB_H1:
        return least(m, p);
    case CB_SPLIT_ZB_H2:
        return least(m, 2 * p - 1);
    default:
        return least(m, p - r);
    }
}

/* A graph that is planned beforehand has as many buffers between forward and backward as twice its stages, the last
 * stage one (OneFlow, pipeline_buffer_pass.cpp). */
static int64_t live_chunks(const cb_job *job, const cb_split *split, int stage, const cb_regime *regime) {
    if (!regime->planned || split->pp == 1) return cb_split_live_chunks(job, split, stage);
    return stage == split->pp - 1 ? 1 : least(2 * split->pp, cb_split_micro_batches(job, split));
}

/* The residual stream of a microbatch on one rank. */
static double stream_bytes(const cb_job *job, const cb_split *split, const cb_regime *regime) {
    double rows = (double)split->micro_batch * (double)(job->seq_length / split->cp);
    return rows * (double)job->model->channels * regime->activation / (split->sequence_parallel ? split->tp : 1);
}

/* What lives only while a layer is at work: its activations where they are computed again, the gradient of its widest
 * product's output and that product's weight gradient before it is added to the others. */
static double layer_work_bytes(const cb_job *job, const cb_split *split, const cb_regime *regime,
                               const cb_param_sums *sums) {
    double rows = (double)split->micro_batch * (double)(job->seq_length / split->cp);
    double bytes = rows * (double)cb_model_fc_width(job->model) / split->tp * regime->activation;
    if (split->recompute == CB_AGAIN_LAYER || split->recompute == CB_AGAIN_CHEAP)
        bytes += act_bytes(job, split, regime, CB_KEEP_ALL);
    return bytes + (regime->grad > 4 ? 4 : regime->grad) * sums->widest_cut / split->tp;
}

/* Weights that ZeRO-3 has gathered: of this layer and the next, and a layer's gradients; of the whole stage in a
 * pipeline, which would gather them again for every microbatch. */
static double gathered_bytes(const cb_split *split, const cb_regime *regime, const cb_param_sums *sums, double params) {
    double layer = sums->layer_cut / split->tp + sums->layer_whole;
    if (split->zero < 3) return 0;
    return split->pp > 1 ? (regime->activation + regime->grad) * params
                         : (2 * regime->activation + regime->grad) * layer;
}

/* Two messages each way; with each live microbatch an engine keeps the part of its input that this rank received, and
 * other programs of that time its output. */
static double message_bytes(const cb_split *split, const cb_regime *regime, double stream_bytes_, double live) {
    double kept = regime->engine ? 1.0 / split->tp : regime->outputs ? 1 : 0;
    return split->pp > 1 ? (4 + kept * live) * stream_bytes_ : 0;
}

/* What comes and goes with the optimizer's step, when no activation lives: 32-bit copies of gradients. DeepSpeed
 * flattens its part of them first, sums in buckets of 5e8 numbers, and gathers weights in buckets of 5e8, or 5e9 where
 * sums have 32 bits (stage_1_and_2.py, bf16_optimizer.py). */
static double step_bytes(const cb_split *split, const cb_regime *regime, double params) {
    double over = split->zero >= 1 ? (double)split->dp * split->cp : 1;
    double copies = regime->step * params / over, bucket = least_of(params, 5e8);
    if (!regime->engine || (split->zero == 0 && split->dp == 1)) return copies;
    bool in_32 = regime->step <= 0;
    double sums = (in_32 ? 4 : 2) * bucket;
    if (split->zero == 0) return copies + sums;
    return copies + sums + (in_32 ? 2 * least_of(params, 5e9) : 2 * params / over + 2 * bucket);
}

static void hold_states(cb_device_memory *m, const cb_split *split, const cb_regime *regime, double params) {
    double over = (double)split->dp * split->cp;
    m->bytes[CB_HOLD_WEIGHTS] = regime->weight * params / (split->zero >= 3 ? over : 1);
    m->bytes[CB_HOLD_GRADS] = regime->grad * params / (split->zero >= 2 ? over : 1);
    m->bytes[CB_HOLD_OPTIMIZER] = regime->optimizer * params / (split->zero >= 1 ? over : 1);
}

/* The logits are gone when the layers' backward begins, so their memory serves it; the head's weight gradient stays. */
static void hold_head(cb_device_memory *m, const cb_job *job, const cb_split *split, const cb_regime *regime) {
    double rows = (double)split->micro_batch * (double)(job->seq_length / split->cp);
    double logits = rows * (double)job->model->vocab_padded / split->tp, *buffers;
    logits *= split->tp > 1 ? regime->logit_cut : regime->logit;
    m->bytes[CB_HOLD_LOGITS] = logits;
    m->bytes[CB_HOLD_ACTIVATIONS] += 2 * stream_bytes(job, split, regime); /* final norm, head's input */
    buffers = &m->bytes[CB_HOLD_BUFFERS];
    *buffers = *buffers > logits ? *buffers - logits : 0;
    *buffers += (double)(job->model->vocab_padded * job->model->channels) / split->tp * regime->activation;
}

/* What a device holds beside what its allocator sees, as nvidia-smi shows it: a context, and a communicator for each
 * group of a rank: the world, tp, dp with cp, cp, and a pair with each neighbouring stage. A communicator's buffers
 * grow with its channels, which follow the links' bandwidth (NVIDIA/nccl, issues 864 and 964). */
static double outside_bytes(const cb_job *job, const cb_split *split, const cb_constants *c) {
    const double measured_at = 300e9; /* A100's links */
    const cb_accelerator *device = &job->cluster->device;
    if (device->family == CB_PROCESSOR) return 0;
    int groups = (job->cluster->devices > 1) + (split->tp > 1) + (split->dp * split->cp > 1) + (split->cp > 1) +
                 2 * (split->pp > 1);
    return (device->family == CB_VOLTA ? c->context_volta : c->context_other) +
           groups * c->communicator * device->link_bytes_per_s / measured_at;
}

/* Tensors that went through a collective and were given back, but which an allocator keeps until the host has seen the
 * collective end (PyTorch's record_stream): with tensor parallelism two whole residual streams a layer and pass, over
 * as many layers as the host is ahead. Its lead is what the device's queue of launches holds, so it does not grow with
 * the model; it has none in a step's first microbatch, nor where it waits for messages of a pipeline. */
static double waiting_bytes(const cb_job *job, const cb_split *split, const cb_regime *regime, const cb_constants *c) {
    bool ahead = split->pp == 1 && cb_split_micro_batches(job, split) > 1;
    if (!regime->waits || !ahead || split->tp == 1 || !split->sequence_parallel) return 0;
    return c->tp_waiting * split->tp * stream_bytes(job, split, regime);
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* Autograd's 16-bit gradients beside a 32-bit sum. Where buckets hold them for an overlapped reduction they stay;
 * else they are complete when their microbatch's activations are gone, and only what is beyond those counts. */
static void hold_loose_grads(cb_device_memory *m, const cb_split *split, const cb_regime *regime, double params) {
    double grads = regime->loose_grad * params, gone = m->bytes[CB_HOLD_ACTIVATIONS] / m->live;
    if (split->zero == 0 && split->dp > 1)
        m->bytes[CB_HOLD_GRADS] += grads;
    else
        m->bytes[CB_HOLD_BUFFERS] += larger(grads - gone, 0);
}

/* From the phases' sizes to what the device holds: blocks that were cut for activations do not serve the optimizer's
 * copies, so an allocator keeps both, and pieces that fit nothing. A planned graph does without. What waits for the
 * host takes no more than there is: then the allocator waits too. */
static void sum_up(cb_device_memory *m, const cb_job *job, const cb_split *split, const cb_regime *regime,
                   double step) {
    double held = m->bytes[CB_HOLD_WEIGHTS] + m->bytes[CB_HOLD_GRADS] + m->bytes[CB_HOLD_OPTIMIZER];
    double moving = m->bytes[CB_HOLD_ACTIVATIONS] + m->bytes[CB_HOLD_LOGITS] + m->bytes[CB_HOLD_BUFFERS];
    cb_constants defaults;
    const cb_constants *c = job->constants ? job->constants : &defaults;
    if (!job->constants) defaults = cb_constants_default();
    m->outside_bytes = outside_bytes(job, split, c);
    m->allocated_bytes = held + larger(moving, step);
    if (regime->planned) step = larger(step - moving, 0);
    m->bytes[CB_HOLD_BUFFERS] += step;
    m->bytes[CB_HOLD_FRAMEWORK] = m->outside_bytes + (regime->planned ? 0 : c->unused * moving);
    double needed = held + moving + step + m->bytes[CB_HOLD_FRAMEWORK], room = job->cluster->device.memory_bytes;
    m->total_bytes = least_of(needed + waiting_bytes(job, split, regime, c), larger(needed, room));
    m->bytes[CB_HOLD_FRAMEWORK] += m->total_bytes - needed;
    m->least_bytes = m->outside_bytes + m->allocated_bytes + (regime->planned ? 0 : c->unused_full * moving);
}

cb_device_memory cb_device_memory_of(const cb_job *job, const cb_split *split, const cb_param_sums *sums, int stage) {
    cb_regime regime = cb_regime_of(job);
    double params = cb_stage_params(job, split, sums, stage), stream = stream_bytes(job, split, &regime);
    cb_device_memory m = {.stage = stage};
    m.live = (double)live_chunks(job, split, stage, &regime) / split->chunks;
    hold_states(&m, split, &regime, params);
    m.bytes[CB_HOLD_ACTIVATIONS] =
        cb_split_layers(job, split, stage) * m.live * cb_layer_activation_bytes(job, split, &regime);
    if (stage == 0 && regime.dropout) /* the mask behind the embedding */
        m.bytes[CB_HOLD_ACTIVATIONS] += m.live * stream / regime.activation;
    m.bytes[CB_HOLD_BUFFERS] = layer_work_bytes(job, split, &regime, sums);
    if (stage == split->pp - 1) hold_head(&m, job, split, &regime);
    m.bytes[CB_HOLD_BUFFERS] +=
        gathered_bytes(split, &regime, sums, params) + message_bytes(split, &regime, stream, m.live);
    hold_loose_grads(&m, split, &regime, params);
    sum_up(&m, job, split, &regime, step_bytes(split, &regime, params));
    return m;
}

double cb_device_memory_as(const cb_device_memory *memory, cb_memory_meaning meaning, double device_bytes) {
    double in_use = memory->total_bytes;
    if (in_use > device_bytes) in_use = larger(memory->least_bytes, device_bytes);
    switch (meaning) {
    case CB_ALLOCATED:
        return memory->allocated_bytes;
    case CB_RESERVED:
        return in_use - memory->outside_bytes;
    default:
        return in_use;
    }
}

/* Stages between the second and the last hold no more layers and no more live microbatches than the second. */
cb_device_memory cb_device_memory_worst(const cb_job *job, const cb_split *split, const cb_param_sums *sums) {
    cb_device_memory worst = cb_device_memory_of(job, split, sums, 0);
    const int others[] = {1, split->pp - 1};
    for (int i = 0; i < 2; i++) {
        if (others[i] >= split->pp || others[i] == 0) continue;
        cb_device_memory other = cb_device_memory_of(job, split, sums, others[i]);
        if (other.total_bytes > worst.total_bytes) worst = other;
    }
    return worst;
}
