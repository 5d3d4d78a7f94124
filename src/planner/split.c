/* Layouts: what can be, how many microbatches it has, which stage holds how many layers. */
#include "planner/planner.h"

const char *cb_cause_name(cb_cause cause) {
    static const char *const names[CB_CAUSES] = {"gemm", "attention", "elementwise", "head", "recompute", "launch",
                                                 "tp",   "cp",        "dp",          "pp",   "bubble",    "optimizer"};
    return names[cause];
}

int64_t cb_split_micro_batches(const cb_job *job, const cb_split *split) {
    int64_t at_once = (int64_t)split->dp * split->micro_batch;
    return at_once > 0 && job->global_batch % at_once == 0 ? job->global_batch / at_once : 0;
}

/* First stages have one more where they do not come out even. */
static int even(int layers, int stages, int stage) {
    return layers / stages + (stage < layers % stages);
}

/* nanotron: the blocks one after the other, each stage until it is beyond its share of all weights that multiply; a
 * layer counts 4 C C + 3 C F, the head V C. */
static int by_weights(const cb_job *job, int stages, int stage) {
    const cb_model *m = job->model;
    double layer = 4.0 * (double)m->channels + 3.0 * (double)m->ffn, head = (double)m->vocab; /* over C */
    double share = (m->layers * layer + head) / stages / layer;
    int end = (int)(share * (stage + 1)) + 1, begin = stage ? (int)(share * stage) + 1 : 0;
    if (stage == stages - 1 || end > m->layers) end = m->layers;
    return begin < end ? end - begin : 0;
}

int cb_split_layers(const cb_job *job, const cb_split *split, int stage) {
    int layers = job->model->layers, stages = split->pp;
    if (stages > 1 && cb_stack_traits_of(job->stack)->by_weights) return by_weights(job, stages, stage);
    if (stages == 1 || split->placement == CB_PLACE_EVEN || layers + 2 < 2 * stages) return even(layers, stages, stage);
    bool is_first = stage == 0, is_last = stage == stages - 1;
    return even(layers + 2, stages, stage) - (is_first || is_last);
}

static cb_err check_sizes(const cb_job *job, const cb_split *split) {
    const int sizes[] = {split->dp, split->tp, split->pp, split->cp, split->chunks, split->micro_batch};
    static const char *const names[] = {"dp", "tp", "pp", "cp", "chunks", "microbatch"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i] < 1) return cb_fail(CB_EINVAL, "%s is %d; it starts at 1", names[i], sizes[i]);
    }
    long long ranks = (long long)split->dp * split->tp * split->pp * split->cp;
    if (ranks != job->cluster->devices) {
        return cb_fail(CB_EINVAL, "dp %d x tp %d x pp %d x cp %d are %lld ranks; the cluster has %d devices", split->dp,
                       split->tp, split->pp, split->cp, ranks, job->cluster->devices);
    }
    return CB_OK;
}

static cb_err check_stages(const cb_job *job, const cb_split *split, int64_t micro_batches) {
    int ends = split->placement == CB_PLACE_WITH_ENDS ? 2 : 0;
    if (split->pp * split->chunks > job->model->layers + ends) {
        return cb_fail(CB_EINVAL, "pp %d x chunks %d are more than the %d layers of %s", split->pp, split->chunks,
                       job->model->layers, job->model->name);
    }
    if (split->chunks > 1 && split->schedule != CB_SPLIT_INTERLEAVED) {
        return cb_fail(CB_EINVAL, "chunks %d: only the interleaved schedule has more than one", split->chunks);
    }
    if (split->schedule == CB_SPLIT_INTERLEAVED && split->pp > 1 && micro_batches % split->pp != 0) {
        return cb_fail(CB_EINVAL, "interleaved: %lld microbatches are no multiple of pp %d", (long long)micro_batches,
                       split->pp);
    }
    return CB_OK;
}

cb_err cb_split_check(const cb_job *job, const cb_split *split) {
    TRY(check_sizes(job, split));
    int64_t micro_batches = cb_split_micro_batches(job, split);
    if (micro_batches == 0) {
        return cb_fail(CB_EINVAL, "dp %d x microbatch %d does not divide the global batch of %lld sequences", split->dp,
                       split->micro_batch, (long long)job->global_batch);
    }
    if (job->seq_length % split->cp != 0) {
        return cb_fail(CB_EINVAL, "cp %d does not divide the sequence of %lld tokens", split->cp,
                       (long long)job->seq_length);
    }
    if (job->cluster->device.peak_flops[job->precision] <= 0) {
        return cb_fail(CB_EINVAL, "%s does not compute in the precision asked for", job->cluster->device.name);
    }
    return check_stages(job, split, micro_batches);
}
