/* How many shards the arithmetic is defined on: S of every cut dimension, D of the global batch. With S and D fixed the
 * layout changes no bit (docs/exactness.md). What does not fit is refused with the values that would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "model/shards.h"

enum { TEXT = 160 };

/* Adds a number to a list in words: "2, 4, 8". */
static void add(char text[TEXT], int64_t value) {
    size_t used = strlen(text);
    snprintf(text + used, TEXT - used, "%s%lld", used ? ", " : "", (long long)value);
}

static void list_shards(const cb_model *m, int64_t tp, char text[TEXT]) {
    text[0] = '\0';
    if (!cb_power_of_two(tp)) add(text, tp);
    for (int64_t s = 1; s <= m->heads; s *= 2) {
        if (cb_model_allows_shards(m, (int)tp, s)) add(text, s);
    }
}

static cb_err resolve_shards(cb_options *o, cb_run *run) {
    const cb_model *m = &run->model;
    int64_t tp = o->tp, s = cb_model_default_shards(m, (int)tp);
    if (o->shards && strcmp(o->shards, "tp") == 0)
        s = tp;
    else if (o->shards) {
        char *end;
        s = strtoll(o->shards, &end, 10);
        if (end == o->shards || *end) return cb_fail(CB_EUSAGE, "--shards: '%s' is not a number and not tp", o->shards);
    }
    if (cb_model_allows_shards(m, (int)tp, s)) {
        run->shards = (int)s;
        snprintf(o->shards_text, sizeof o->shards_text, "%lld", (long long)s);
        o->shards = o->shards_text;
        return CB_OK;
    }
    char fits[TEXT];
    list_shards(m, tp, fits);
    return cb_fail(
        CB_EINVAL,
        "--shards %lld: a power of two (or tp itself) is needed that is a multiple of tp=%lld and divides the %d "
        "heads, the MLP width %lld and the padded vocabulary %lld of %s; %s would work",
        (long long)s, (long long)tp, m->heads, (long long)m->ffn, (long long)m->vocab_padded, m->name, fits);
}

static void list_data_shards(const cb_options *o, char text[TEXT]) {
    text[0] = '\0';
    if (!cb_power_of_two(o->dp)) add(text, o->dp);
    for (int64_t d = 1; d * o->micro_batch_size <= o->global_batch_size; d *= 2) {
        if (d % o->dp == 0 && o->global_batch_size % (d * o->micro_batch_size) == 0) add(text, d);
    }
}

static cb_err resolve_data_shards(cb_options *o, cb_run *run) {
    if (o->data_shards == 0) o->data_shards = o->dp;
    int64_t d = o->data_shards;
    bool shape = d % o->dp == 0 && (cb_power_of_two(d) || d == o->dp);
    if (shape && o->global_batch_size % (d * o->micro_batch_size) == 0) {
        run->data_shards = (int)d;
        return CB_OK;
    }
    char fits[TEXT];
    list_data_shards(o, fits);
    return cb_fail(
        CB_EINVAL,
        "--data-shards %lld: a power of two (or dp itself) is needed that is a multiple of dp=%lld and cuts the "
        "global batch of %lld sequences into parts of whole microbatches of %lld; %s would work",
        (long long)d, (long long)o->dp, (long long)o->global_batch_size, (long long)o->micro_batch_size, fits);
}

cb_err cb_options_resolve_shards(cb_options *o, cb_run *run) {
    TRY(resolve_shards(o, run));
    return resolve_data_shards(o, run);
}
