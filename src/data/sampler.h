/* Which tokens are sample k: a function of the seed and k only, never of the layout. The stream is split into training
 * and validation parts; each part into samples of T+1 tokens that overlap by one (inputs 0..T-1, targets 1..T). */
#ifndef CB_DATA_SAMPLER_H
#define CB_DATA_SAMPLER_H

#include "data/tokens.h"

typedef struct cb_sampler {
    const cb_tokens *tokens;
    int64_t first, count; /* tokens of this part */
    int64_t seq_length, samples, vocab;
    uint32_t seed;
    bool shuffle;
    const char *part; /* "train" or "validation" */
} cb_sampler;

/* fraction_begin..fraction_end of the stream, rounded to tokens. Error CB_EINVAL: too short for one sample, with the
 * numbers. */
CB_MUST_USE cb_err cb_sampler_make(cb_sampler *sampler, const cb_tokens *tokens, const char *part,
                                   double fraction_begin, double fraction_end, int64_t seq_length, int64_t vocab,
                                   uint32_t seed, bool shuffle);
/* Sample number k >= 0; beyond the part's end a new epoch begins, shuffled anew by (seed, epoch) with cb_rng_permute.
 * inputs, targets: (seq_length); either may be NULL. */
CB_MUST_USE cb_err cb_sampler_get(const cb_sampler *sampler, int64_t k, int32_t *inputs, int32_t *targets);
/* First token of sample k within the stream. */
int64_t cb_sampler_offset(const cb_sampler *sampler, int64_t k);

#endif
