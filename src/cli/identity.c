/* The fields that decide a run's bits; see identity.h. */
#include "cli/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { SAMPLE = 65536 };

/* Enough to tell texts apart without reading terabytes. */
void cb_identity_tokens(const cb_tokens *tokens, char text[64]) {
    int64_t count = cb_tokens_count(tokens), n = count < SAMPLE ? count : SAMPLE;
    int32_t *ids = malloc(2 * SAMPLE * sizeof *ids);
    uint64_t hash = 0;
    if (ids) {
        cb_err_free(cb_tokens_read(tokens, 0, n, INT32_MAX, ids));
        cb_err_free(cb_tokens_read(tokens, count - n, n, INT32_MAX, ids + n));
        hash = cb_hash(ids, 2 * n * (int64_t)sizeof *ids);
    }
    free(ids);
    snprintf(text, 64, "%lld tokens, %016llx", (long long)count, (unsigned long long)hash);
}

/* As text: what a log keeps of a number is then what it compares. */
static void add_real(json_t *j, const char *name, double x) {
    char text[32];
    snprintf(text, sizeof text, "%.9g", x);
    json_object_set_new(j, name, json_string(text));
}

static void add_optimizer(json_t *j, const cb_run *run) {
    add_real(j, "lr", run->lr.peak);
    add_real(j, "min_lr", run->lr.least);
    json_object_set_new(j, "lr_decay_style", json_integer(run->lr.style));
    json_object_set_new(j, "lr_warmup_iters", json_integer(run->lr.warmup));
    json_object_set_new(j, "lr_decay_iters", json_integer(run->lr.decay));
    add_real(j, "weight_decay", run->weight_decay);
    add_real(j, "adam_beta1", run->beta1);
    add_real(j, "adam_beta2", run->beta2);
    add_real(j, "adam_eps", run->adam_eps);
    add_real(j, "clip_grad", run->clip);
}

static void add_data(json_t *j, const cb_options *o, const cb_run *run) {
    char data[64] = "";
    if (run->train.tokens) cb_identity_tokens(run->train.tokens, data);
    json_object_set_new(j, "data", json_string(data));
    json_object_set_new(j, "split", json_string(o->split));
    json_object_set_new(j, "micro_batch_size", json_integer(run->B));
    json_object_set_new(j, "global_batch_size", json_integer(run->global_batch));
    json_object_set_new(j, "seq_length", json_integer(run->T));
    json_object_set_new(j, "seed", json_integer(run->seed));
}

json_t *cb_identity_json(const cb_options *o, const cb_run *run) {
    const cb_model *m = &run->model;
    json_t *j = json_pack("{s:s,s:i,s:I,s:I,s:i,s:I,s:I,s:i,s:i,s:s}", "model", m->name, "layers", m->layers, "channels",
                          (json_int_t)m->channels, "ffn", (json_int_t)m->ffn, "heads", m->heads, "vocab", (json_int_t)m->vocab,
                          "vocab_padded", (json_int_t)m->vocab_padded, "shards", run->shards, "data_shards", run->data_shards,
                          "compute", run->compute);
    if (!j) return NULL;
    add_data(j, o, run);
    add_optimizer(j, run);
    if (run->init) json_object_set_new(j, "init", json_string(run->init));
    return j;
}

static void add_difference(char *text, size_t bytes, const char *name, const json_t *ours, const json_t *theirs) {
    size_t used = strlen(text);
    char *a = ours ? json_dumps(ours, JSON_ENCODE_ANY) : NULL, *b = theirs ? json_dumps(theirs, JSON_ENCODE_ANY) : NULL;
    snprintf(text + used, bytes - used, "%s%s (%s against %s)", used ? ", " : "", name, a ? a : "nothing",
             b ? b : "nothing");
    free(a);
    free(b);
}

cb_err cb_identity_compare(const json_t *ours, const json_t *theirs) {
    char text[1024] = "";
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)ours, name, value) {
        const json_t *other = json_object_get(theirs, name);
        if (!other || !json_equal(value, other)) add_difference(text, sizeof text, name, value, other);
    }
    json_object_foreach((json_t *)(uintptr_t)theirs, name, value) {
        if (!json_object_get(ours, name)) add_difference(text, sizeof text, name, NULL, value);
    }
    return text[0] ? cb_fail(CB_EINVAL, "these runs cannot have the same bits, they differ in: %s", text) : CB_OK;
}
