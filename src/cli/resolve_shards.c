/* How many shards the arithmetic is defined on: S of every cut dimension, D of the global batch. With S and D fixed the
 * layout changes no bit (docs/exactness.md). What does not fit is refused with the values that would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

enum { LARGEST_DEFAULT = 8, LARGEST = 64, TEXT = 160 };

static bool power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

static bool divides_model(const cb_model *m, int64_t s) {
    return m->heads % s == 0 && m->ffn % s == 0 && m->vocab_padded % s == 0;
}

/* Adds a number to a list in words: "2, 4, 8". */
static void add(char text[TEXT], int64_t value) {
    size_t used = strlen(text);
    snprintf(text + used, TEXT - used, "%s%lld", used ? ", " : "", (long long)value);
}

static void list_shards(const cb_model *m, int64_t tp, char text[TEXT]) {
    text[0] = '\0';
    if (!power_of_two(tp)) add(text, tp);
    for (int64_t s = 1; s <= LARGEST * tp && s <= m->heads; s *= 2) {
        if (s % tp == 0 && s / tp <= LARGEST && divides_model(m, s)) add(text, s);
    }
}

/* The largest power of two up to 8, and at least tp, that divides what is cut; tp itself where that is no power of two. */
static int64_t default_shards(const cb_model *m, int64_t tp) {
    int64_t best = tp;
    if (!power_of_two(tp)) return tp;
    for (int64_t s = tp; s <= LARGEST_DEFAULT; s *= 2) {
        if (divides_model(m, s)) best = s;
    }
    return best;
}

static cb_err resolve_shards(cb_options *o, cb_run *run) {
    const cb_model *m = &run->model;
    int64_t tp = o->tp, s = default_shards(m, tp);
    if (o->shards && strcmp(o->shards, "tp") == 0) s = tp;
    else if (o->shards) {
        char *end;
        s = strtoll(o->shards, &end, 10);
        if (end == o->shards || *end) return cb_fail(CB_EUSAGE, "--shards: '%s' is not a number and not tp", o->shards);
    }
    if (s >= tp && s % tp == 0 && s / tp <= LARGEST && (power_of_two(s) || s == tp) && divides_model(m, s)) {
        run->shards = (int)s;
        snprintf(o->shards_text, sizeof o->shards_text, "%lld", (long long)s);
        o->shards = o->shards_text;
        return CB_OK;
    }
    char fits[TEXT];
    list_shards(m, tp, fits);
    return cb_fail(CB_EINVAL, "--shards %lld: a power of two (or tp itself) is needed that is a multiple of tp=%lld and divides the %d "
                              "heads, the MLP width %lld and the padded vocabulary %lld of %s; %s would work", (long long)s,
                   (long long)tp, m->heads, (long long)m->ffn, (long long)m->vocab_padded, m->name, fits);
}

static void list_data_shards(const cb_options *o, char text[TEXT]) {
    text[0] = '\0';
    if (!power_of_two(o->dp)) add(text, o->dp);
    for (int64_t d = 1; d * o->micro_batch_size <= o->global_batch_size; d *= 2) {
        if (d % o->dp == 0 && o->global_batch_size % (d * o->micro_batch_size) == 0) add(text, d);
    }
}

static cb_err resolve_data_shards(cb_options *o, cb_run *run) {
    if (o->data_shards == 0) o->data_shards = o->dp;
    int64_t d = o->data_shards;
    bool shape = d % o->dp == 0 && (power_of_two(d) || d == o->dp);
    if (shape && o->global_batch_size % (d * o->micro_batch_size) == 0) {
        run->data_shards = (int)d;
        return CB_OK;
    }
    char fits[TEXT];
    list_data_shards(o, fits);
    return cb_fail(CB_EINVAL, "--data-shards %lld: a power of two (or dp itself) is needed that is a multiple of dp=%lld and cuts the "
                              "global batch of %lld sequences into parts of whole microbatches of %lld; %s would work", (long long)d,
                   (long long)o->dp, (long long)o->global_batch_size, (long long)o->micro_batch_size, fits);
}

cb_err cb_options_resolve_shards(cb_options *o, cb_run *run) {
    TRY(resolve_shards(o, run));
    return resolve_data_shards(o, run);
}
