/* Where two layouts part: both run again up to the step, with every tensor hashed, then once more for the one tensor
 * that differs first, to find the element. See verify.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verify_run.h"

typedef struct look {
    cb_seen *seen;
    int64_t count;
    float *data;
    int64_t elements;
} look;

static void on_inspect(void *arg, const cb_inspection *i) {
    look *l = arg;
    l->seen = malloc((size_t)(i->count + 1) * sizeof *l->seen);
    l->data = malloc((size_t)(i->elements + 1) * sizeof *l->data);
    if (l->seen && i->count) memcpy(l->seen, i->seen, (size_t)i->count * sizeof *l->seen);
    if (l->data && i->elements) memcpy(l->data, i->data, (size_t)i->elements * sizeof *l->data);
    l->count = l->seen ? i->count : 0;
    l->elements = l->data ? i->elements : 0;
}

static void look_free(look *l) {
    free(l->seen);
    free(l->data);
    *l = (look){0};
}

static cb_err look_at(const cb_options *options, const cb_layout *layout, const cb_inspect *what, look *l) {
    cb_options own;
    cb_resolved resolved = {0};
    cb_err e = cb_layout_resolve(options, layout, &own, &resolved);
    if (!e) {
        resolved.run.record = false;
        resolved.run.steps = what->step + 1;
        resolved.run.inspect = what;
        resolved.run.observer = (cb_observer){.arg = l, .on_inspect = on_inspect};
        e = cb_run_train(&resolved.run);
    }
    cb_resolved_free(&resolved);
    return e;
}

/* The first tensor that is not the same in both lists, which are sorted alike; NULL if there is none. */
static const cb_seen *first_unlike(const look *a, const look *b) {
    int64_t i = 0;
    while (i < a->count && i < b->count && a->seen[i].key == b->seen[i].key && a->seen[i].hash == b->seen[i].hash) i++;
    if (i < a->count) return &a->seen[i];
    return i < b->count ? &b->seen[i] : NULL;
}

/* The first of gradients (last parameter first), then weights and optimizer state (first parameter first), that
 * differs. */
static bool first_parameter(const cb_trace *a, const cb_trace *b, int64_t step, cb_inspect *what) {
    const uint64_t *x = a->hash + step * a->per_step, *y = b->hash + step * b->per_step;
    for (int kind = 0; kind < CB_DIGEST_KINDS; kind++) {
        for (int i = 0; i < a->params; i++) {
            int param = kind == CB_DIGEST_GRADIENT ? a->params - 1 - i : i;
            for (int s = 0; s < a->shards; s++) {
                int64_t at = ((int64_t)kind * a->params + param) * a->shards + s;
                if (x[at] == y[at]) continue;
                *what = (cb_inspect){.step = what->step, .kind = kind, .param = param, .shard = s};
                return true;
            }
        }
    }
    return false;
}

/* Element of a parameter's shard as global row and column. */
static void global_place(const cb_options *options, const cb_inspect *what, int shards, int64_t e, char *text,
                         int bytes) {
    cb_model m;
    cb_block blocks[16];
    cb_err error = cb_model_load(&m, options->model ? options->model : options->init);
    if (error) {
        cb_err_free(error);
        return;
    }
    cb_model_pad_vocab(&m, options->vocab_multiple);
    cb_param p = cb_param_at(&m, what->param);
    int n = cb_param_blocks(&p, shards, p.cut == CB_CUT_NONE ? 0 : what->shard, 1, blocks);
    for (int i = 0; i < n; i++) {
        int64_t in = e - blocks[i].offset;
        if (in < 0 || in >= blocks[i].rows * blocks[i].cols) continue;
        snprintf(text, (size_t)bytes, "%s%s, row %lld, column %lld", cb_digest_kind_name((cb_digest_kind)what->kind),
                 p.name, (long long)(blocks[i].row + in / blocks[i].cols),
                 (long long)(blocks[i].col + in % blocks[i].cols));
    }
}

static int64_t first_element(const look *a, const look *b) {
    int64_t n = a->elements < b->elements ? a->elements : b->elements;
    for (int64_t i = 0; i < n; i++) {
        if (memcmp(&a->data[i], &b->data[i], sizeof *a->data) != 0) return i;
    }
    return -1;
}

static void say(const look *a, const look *b, int64_t e, const char *place, int64_t step, char *text, int bytes) {
    if (e < 0)
        snprintf(text, (size_t)bytes, "step %lld: %s", (long long)step + 1, place);
    else
        snprintf(text, (size_t)bytes, "step %lld: %s: %.9g against %.9g", (long long)step + 1, place, (double)a->data[e],
                 (double)b->data[e]);
}

static void seen_place(const cb_seen *s, int layers, int64_t e, char *text, int bytes) {
    char where[16] = "";
    if (s->layer >= 0 && s->layer < layers) snprintf(where, sizeof where, "h.%d ", s->layer);
    snprintf(text, (size_t)bytes, "%s%s of microbatch %d, shard %d, element %lld", where, s->tensor, s->micro_batch,
             s->shard, (long long)e);
}

cb_err cb_trace_locate(const cb_options *options, const cb_layout *first, const cb_layout *second, const cb_trace *a,
                       const cb_trace *b, int64_t step, char *text, int text_bytes) {
    look x = {0}, y = {0};
    cb_inspect what = {.step = step, .list = true, .kind = -1};
    char place[160] = "the loss or the norm, but no tensor";
    cb_seen seen = {0};
    cb_err e = look_at(options, first, &what, &x);
    if (!e) e = look_at(options, second, &what, &y);
    const cb_seen *unlike = e ? NULL : first_unlike(&x, &y);
    if (unlike) seen = *unlike;
    look_free(&x);
    look_free(&y);
    what = (cb_inspect){.step = step, .key = seen.key, .kind = -1};
    bool found = !e && (unlike || first_parameter(a, b, step, &what));
    if (found) e = look_at(options, first, &what, &x);
    if (found && !e) e = look_at(options, second, &what, &y);
    if (!e) {
        int64_t element = found ? first_element(&x, &y) : -1;
        if (unlike)
            seen_place(&seen, (a->params - 4) / CB_LAYER_ROLES, element, place, sizeof place);
        else if (found)
            global_place(options, &what, a->shards, element < 0 ? 0 : element, place, sizeof place);
        say(&x, &y, element, place, step, text, text_bytes);
    }
    look_free(&x);
    look_free(&y);
    return e;
}
