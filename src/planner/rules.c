/* The rules of layouts: what cannot be, or never pays, and why. One row each; the first that is broken counts. */
#include "planner/search.h"

#include <stddef.h>
#include <stdio.h>

typedef bool breaks(const cb_job *job, const cb_split *split);

static bool breaks_devices(const cb_job *job, const cb_split *s) {
    return (int64_t)s->dp * s->tp * s->pp * s->cp != job->cluster->devices;
}

static bool breaks_heads(const cb_job *job, const cb_split *s) {
    const cb_model *m = job->model;
    return m->heads % s->tp || m->ffn % s->tp || m->vocab_padded % s->tp;
}

static bool breaks_kv_heads(const cb_job *job, const cb_split *s) {
    return cb_model_kv_heads(job->model) % s->tp != 0;
}

static bool breaks_node(const cb_job *job, const cb_split *s) {
    int node = job->cluster->node_devices;
    return s->tp <= node ? node % s->tp != 0 : s->tp % node != 0;
}

/* DeepSpeed's engine places embedding and head like layers: a stage may hold one of them alone. */
static bool breaks_stages(const cb_job *job, const cb_split *s) {
    bool alone = s->placement == CB_PLACE_WITH_ENDS && cb_stack_traits_of(job->stack)->engine;
    return s->pp > job->model->layers + (alone ? 2 : 0);
}

static bool breaks_layers(const cb_job *job, const cb_split *s) {
    return (int64_t)s->pp * s->chunks > job->model->layers;
}

static bool breaks_batch(const cb_job *job, const cb_split *s) {
    return cb_split_micro_batches(job, s) == 0;
}

static bool breaks_schedule(const cb_job *job, const cb_split *s) {
    (void)job;
    if (s->pp == 1) return s->schedule != CB_SPLIT_1F1B || s->chunks != 1;
    return (s->chunks > 1) != (s->schedule == CB_SPLIT_INTERLEAVED);
}

static const char *nanotron_lacks(const cb_job *job, const cb_split *s, bool simple) {
    if (!simple) return "schedule but gpipe and 1f1b";
    if (s->zero >= 2) return "ZeRO beyond stage 1";
    if (s->cp > 1) return "context parallelism";
    bool few = s->schedule == CB_SPLIT_1F1B && cb_split_micro_batches(job, s) < s->pp - 1;
    return few ? "1f1b of fewer than pp - 1 microbatches" : NULL;
}

static const char *deepspeed_lacks(const cb_split *s, bool simple) {
    if (!simple) return "schedule but gpipe and 1f1b";
    if (s->sequence_parallel) return "sequence parallelism";
    return s->recompute == CB_AGAIN_ATTENTION ? "selective recomputation" : NULL;
}

/* What `cuboid train` has no option for. */
static const char *cuboid_lacks(const cb_split *s) {
    if (s->zero > 0) return "ZeRO";
    if (s->sequence_parallel) return "sequence parallelism in training";
    if (s->cp > 1) return "context parallelism";
    return s->recompute == CB_AGAIN_CHEAP ? "recomputation by operation" : NULL;
}

/* What of the layout the stack does not have; NULL: nothing. FSDP by itself has no pipeline; DeepSpeed's engine and
 * nanotron have no chunks and do not split the backward pass; the first came before sequence parallelism and selective
 * recomputation, the second cuts optimizer states alone and fills the pipeline before 1F1B begins. */
static const char *stack_lacks(const cb_job *job, const cb_split *s) {
    bool simple = s->schedule == CB_SPLIT_1F1B || s->schedule == CB_SPLIT_GPIPE;
    switch (job->stack) {
    case CB_FSDP:
        return s->pp > 1 ? "pipeline" : NULL;
    case CB_NANOTRON:
        return nanotron_lacks(job, s, simple);
    case CB_DEEPSPEED_2021:
        return deepspeed_lacks(s, simple);
    case CB_CUBOID:
        return cuboid_lacks(s);
    default:
        return NULL;
    }
}

static bool breaks_stack(const cb_job *job, const cb_split *s) {
    return stack_lacks(job, s) != NULL;
}

static bool breaks_groups(const cb_job *job, const cb_split *s) {
    return s->chunks > 1 && cb_split_micro_batches(job, s) % s->pp != 0;
}

static bool breaks_chunks(const cb_job *job, const cb_split *s) {
    int layers = job->model->layers + (s->placement == CB_PLACE_WITH_ENDS ? 2 : 0);
    return s->chunks > 1 && layers % (s->pp * s->chunks) != 0;
}

static bool breaks_ends(const cb_job *job, const cb_split *s) {
    if (s->placement != CB_PLACE_WITH_ENDS) return false;
    return s->pp == 1 || cb_stack_traits_of(job->stack)->by_weights || (job->model->layers + 2) % s->pp != 0 ||
           (job->model->layers + 2) / s->pp < 2;
}

static bool breaks_sequence(const cb_job *job, const cb_split *s) {
    return s->sequence_parallel && (s->tp == 1 || job->seq_length / s->cp % s->tp != 0);
}

static bool breaks_selective(const cb_job *job, const cb_split *s) {
    return s->recompute == CB_AGAIN_ATTENTION && cb_stack_traits_of(job->stack)->flash;
}

static bool breaks_zero(const cb_job *job, const cb_split *s) {
    (void)job;
    return s->zero > 0 && s->dp * s->cp == 1;
}

static bool breaks_zero_2(const cb_job *job, const cb_split *s) {
    (void)job;
    return s->pp > 1 && s->zero == 2;
}

static bool breaks_zero_3(const cb_job *job, const cb_split *s) {
    return s->pp > 1 && s->zero == 3 && job->stack != CB_TITAN;
}

static bool breaks_context(const cb_job *job, const cb_split *s) {
    return s->cp > 1 && (job->seq_length % (2LL * s->cp) != 0 || !cb_stack_traits_of(job->stack)->flash);
}

static bool breaks_positions(const cb_job *job, const cb_split *s) {
    (void)s;
    return job->model->position == CB_LEARNED && job->seq_length > job->model->positions;
}

/* What published runs may break although a search need not look at it: a row seldom says how many positions a model
 * has; tp 6 on nodes of 8 is slow, not impossible; programs copy heads of keys that tp does not divide, and place
 * embedding and head as they like (NVIDIA's Llama 405B: 126 layers in 16 x 8 chunks; BLOOM's tuning: 70 layers on 36
 * stages, with ZeRO 1 on one replica too); and which program ran is read from a few words, so that what others can do
 * may be what this one did. */
static const struct {
    cb_rule rule;
    breaks *breaks;
} rules[] = {
    {{"devices", "dp x tp x pp x cp is the number of devices", true}, breaks_devices},
    {{"positions", "a sequence is no longer than the model's learned positions", false}, breaks_positions},
    {{"heads", "tp divides the heads, the MLP width and the padded vocabulary", true}, breaks_heads},
    {{"kv-heads", "tp divides the heads of keys and values", false}, breaks_kv_heads},
    {{"node", "a tensor-parallel group fills a part of a node or whole nodes", false}, breaks_node},
    {{"stages", "every stage holds a layer: pp is at most the number of layers", true}, breaks_stages},
    {{"layers", "every chunk of a stage holds a layer: pp x chunks is at most the number of layers", false},
     breaks_layers},
    {{"batch", "dp x microbatch divides the global batch", true}, breaks_batch},
    {{"schedule", "chunks go with the interleaved schedule, and schedules with a pipeline", true}, breaks_schedule},
    {{"stack",
      "the stack does not have it: a pipeline, a schedule, few microbatches, a stage of ZeRO, recomputation, SP or cp",
      false},
     breaks_stack},
    {{"groups", "interleaved: microbatches pass in groups of pp, so pp divides their number", true}, breaks_groups},
    {{"chunks", "interleaved: pp x chunks divides the layers", true}, breaks_chunks},
    {{"ends", "embedding and head count as a layer each only where pp then divides the layers", false}, breaks_ends},
    {{"sequence", "sequence parallelism goes with tp > 1, which divides the sequence", true}, breaks_sequence},
    {{"selective", "attention in blocks keeps no scores: selective recomputation has nothing to do", false},
     breaks_selective},
    {{"zero", "ZeRO cuts over dp and cp: there is more than one", false}, breaks_zero},
    {{"zero-2", "in a pipeline ZeRO 2 keeps all gradients to the step's end, as 1 does", false}, breaks_zero_2},
    {{"zero-3", "ZeRO 3 together with a pipeline is torchtitan's alone", true}, breaks_zero_3},
    {{"context", "context parallelism needs attention in blocks and two equal parts of the sequence per rank", false},
     breaks_context},
};
enum { RULES = sizeof rules / sizeof *rules };
_Static_assert(sizeof rules / sizeof *rules <= (size_t)CB_MOST_RULES, "room for a count of each rule");

int cb_rules_count(void) {
    return RULES;
}

const cb_rule *cb_rule_at(int index) {
    return &rules[index].rule;
}

static int first_broken(const cb_job *job, const cb_split *split, bool of_any_run) {
    for (int i = 0; i < RULES; i++)
        if ((rules[i].rule.of_any_run || !of_any_run) && rules[i].breaks(job, split)) return i;
    return -1;
}

int cb_rule_broken(const cb_job *job, const cb_split *split) {
    return first_broken(job, split, false);
}

int cb_rule_of_any_run_broken(const cb_job *job, const cb_split *split) {
    return first_broken(job, split, true);
}

const char *cb_rule_reason(const cb_job *job, const cb_split *s, int broken, char out[128]) {
    if (rules[broken].breaks != breaks_stack) return rules[broken].rule.reason;
    snprintf(out, 128, "%s has no %s", cb_stack_traits_of(job->stack)->name, stack_lacks(job, s));
    return out;
}
