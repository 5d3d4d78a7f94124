/* One layout's run, remembered as hashes; see verify.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/verify_run.h"

static void on_step(void *arg, const cb_step_report *report) {
    cb_trace *t = arg;
    int64_t i = t->steps++;
    t->loss[i] = report->loss;
    t->norm[i] = report->grad_norm;
    t->state[i] = report->digest->state;
    memcpy(t->hash + i * t->per_step, report->digest->hash, (size_t)t->per_step * sizeof *t->hash);
}

static cb_err make(cb_trace *t, const cb_run *run) {
    int64_t n = run->steps > 0 ? run->steps : 1;
    t->params = cb_params_count(&run->model);
    t->shards = run->shards;
    t->per_step = (int64_t)CB_DIGEST_KINDS * t->params * t->shards;
    t->loss = calloc((size_t)n, sizeof *t->loss);
    t->norm = calloc((size_t)n, sizeof *t->norm);
    t->state = calloc((size_t)n, sizeof *t->state);
    t->hash = calloc((size_t)(n * t->per_step), sizeof *t->hash);
    if (t->loss && t->norm && t->state && t->hash) return CB_OK;
    return cb_fail(CB_ENOMEM, "no memory for the hashes of %lld steps", (long long)n);
}

void cb_trace_free(cb_trace *t) {
    free(t->loss);
    free(t->norm);
    free(t->state);
    free(t->hash);
    *t = (cb_trace){0};
}

cb_options cb_layout_options(const cb_options *options, const cb_layout *layout) {
    cb_options own = *options;
    own.dp = layout->dp;
    own.tp = layout->tp;
    own.pp = layout->pp;
    own.ranks = (int64_t)layout->dp * layout->tp * layout->pp;
    own.schedule = layout->schedule;
    if (layout->schedule != options->schedule) own.schedule_file = NULL; /* the layout names one */
    if (strcmp(layout->schedule, "interleaved") != 0) own.chunks = own.group = 0;
    if (layout->recompute) own.recompute = layout->recompute;
    own.eval_iters = 0;
    return own;
}

cb_err cb_layout_resolve(const cb_options *options, const cb_layout *layout, cb_options *own, cb_resolved *resolved) {
    *own = cb_layout_options(options, layout);
    return cb_options_resolve(own, resolved);
}

cb_err cb_layouts_check(const cb_options *options, const cb_layout *layouts, int count) {
    for (int i = 0; i < count; i++) {
        cb_options own;
        cb_resolved resolved = {0};
        char name[64];
        cb_err e = cb_layout_resolve(options, &layouts[i], &own, &resolved);
        cb_resolved_free(&resolved);
        if (e) return cb_err_context(e, "%s", cb_layout_text(&layouts[i], name));
    }
    return CB_OK;
}

cb_err cb_trace_run(cb_trace *t, const cb_options *options, const cb_layout *layout) {
    cb_options own;
    cb_resolved resolved = {0};
    double begin_s = cb_now_s();
    *t = (cb_trace){0};
    cb_err e = cb_layout_resolve(options, layout, &own, &resolved);
    if (!e) e = make(t, &resolved.run);
    if (!e) {
        resolved.run.record = false;
        resolved.run.digest_every = 1;
        resolved.run.observer = (cb_observer){.arg = t, .on_step = on_step};
        e = cb_run_train(&resolved.run);
    }
    cb_resolved_free(&resolved);
    t->run_s = cb_now_s() - begin_s;
    return e;
}

int64_t cb_trace_differ(const cb_trace *a, const cb_trace *b) {
    int64_t steps = a->steps < b->steps ? a->steps : b->steps;
    for (int64_t i = 0; i < steps; i++) {
        bool same = a->state[i] == b->state[i] && memcmp(a->hash + i * a->per_step, b->hash + i * b->per_step,
                                                         (size_t)a->per_step * sizeof *a->hash) == 0;
        if (!same) return i;
    }
    return a->steps == b->steps ? -1 : steps;
}
