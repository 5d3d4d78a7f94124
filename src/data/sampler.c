/* Which tokens are sample k; see sampler.h. */
#include "data/sampler.h"

#include <math.h>

#include "base/rng.h"

/* Streams of the random generator that belong to epochs: far from the parameters' numbers. */
enum { EPOCH_STREAM = 0x5a3b0000 };

static cb_err check_length(const cb_sampler *sampler) {
    if (sampler->seq_length < 1) {
        return cb_fail(CB_EINVAL, "a sequence length of %lld is too short: at least 1 is needed",
                       (long long)sampler->seq_length);
    }
    if (sampler->count < 2 || sampler->count - 1 < sampler->seq_length) {
        return cb_fail(CB_EINVAL,
                       "the %s part has %lld of the data's %lld tokens, one sample of sequence length %lld needs "
                       "%llu; take more data, a larger part or a shorter sequence",
                       sampler->part, (long long)sampler->count, (long long)cb_tokens_count(sampler->tokens),
                       (long long)sampler->seq_length, (unsigned long long)sampler->seq_length + 1);
    }
    return CB_OK;
}

cb_err cb_sampler_make(cb_sampler *sampler, const cb_tokens *tokens, const char *part, double fraction_begin,
                       double fraction_end, int64_t seq_length, int64_t vocab, uint32_t seed, bool shuffle) {
    *sampler = (cb_sampler){.tokens = tokens, .seq_length = seq_length, .vocab = vocab, .seed = seed};
    sampler->shuffle = shuffle, sampler->part = part;
    if (!(fraction_begin >= 0 && fraction_begin <= fraction_end && fraction_end <= 1)) {
        return cb_fail(CB_EINVAL,
                       "the %s part from %g to %g of the data is no part of it: 0 <= begin <= end <= 1 is needed", part,
                       fraction_begin, fraction_end);
    }
    double all = (double)cb_tokens_count(tokens);
    sampler->first = llround(fraction_begin * all);
    sampler->count = llround(fraction_end * all) - sampler->first;
    TRY(check_length(sampler));
    sampler->samples = (sampler->count - 1) / seq_length;
    return CB_OK;
}

int64_t cb_sampler_offset(const cb_sampler *sampler, int64_t k) {
    int64_t epoch = k / sampler->samples, i = k % sampler->samples;
    if (sampler->shuffle) {
        cb_rng_key key = {.seed = sampler->seed, .stream = (uint32_t)(EPOCH_STREAM + (uint64_t)epoch)};
        i = (int64_t)cb_rng_permute(key, (uint64_t)sampler->samples, (uint64_t)i);
    }
    return sampler->first + i * sampler->seq_length;
}

cb_err cb_sampler_get(const cb_sampler *sampler, int64_t k, int32_t *inputs, int32_t *targets) {
    if (k < 0) return cb_fail(CB_EINVAL, "sample %lld asked for; samples are numbered from 0", (long long)k);
    int64_t offset = cb_sampler_offset(sampler, k), length = sampler->seq_length;
    if (inputs) TRY(cb_tokens_read(sampler->tokens, offset, length, sampler->vocab, inputs));
    return targets ? cb_tokens_read(sampler->tokens, offset + 1, length, sampler->vocab, targets) : CB_OK;
}
