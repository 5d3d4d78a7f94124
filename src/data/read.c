/* Reading ids out of a stream's runs. Ids pass through 64 bits, so that negative ones and ones too large for a model
 * are seen, never wrapped. Files are little-endian, as is every machine this is built for. */
#include <stdlib.h>
#include <string.h>

#include "data/format.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "token files are little-endian");

enum { CHUNK = 1024 };

#define DECODE(type)                                                  \
    for (int64_t i = 0; i < count; i++) {                             \
        type value;                                                   \
        memcpy(&value, at + i * (int64_t)sizeof value, sizeof value); \
        out[i] = value;                                               \
    }                                                                 \
    break

static void decode(const unsigned char *at, cb_item item, int64_t count, int64_t *out) {
    switch (item) {
    case CB_ITEM_U8:
        DECODE(uint8_t);
    case CB_ITEM_I8:
        DECODE(int8_t);
    case CB_ITEM_U16:
        DECODE(uint16_t);
    case CB_ITEM_I16:
        DECODE(int16_t);
    case CB_ITEM_U32:
        DECODE(uint32_t);
    case CB_ITEM_I32:
        DECODE(int32_t);
    case CB_ITEM_I64:
        DECODE(int64_t);
    }
}

/* The run that holds `position`, which lies inside the stream. */
static const cb_token_run *run_at(const cb_tokens *tokens, int64_t position) {
    int64_t low = 0, high = tokens->run_count - 1;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        if (tokens->runs[middle].first <= position) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return &tokens->runs[low];
}

static cb_err bad_id(const cb_tokens *tokens, const cb_token_run *run, int64_t position, int64_t id, int64_t vocab) {
    const cb_map *file = &tokens->files[run->file];
    int64_t offset = run->at - file->bytes + (position - run->first) * cb_item_bytes(run->item);
    return cb_fail(CB_EFORMAT,
                   "%s: offset %lld: found id %lld as token %lld of the stream, expected 0 to %lld (the "
                   "vocabulary has %lld)",
                   file->path, (long long)offset, (long long)id, (long long)position, (long long)vocab - 1,
                   (long long)vocab);
}

/* At most CHUNK ids of one run. */
static cb_err read_chunk(const cb_tokens *tokens, const cb_token_run *run, int64_t first, int64_t count, int64_t vocab,
                         int32_t *out) {
    int64_t ids[CHUNK];
    decode(run->at + (first - run->first) * cb_item_bytes(run->item), run->item, count, ids);
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= vocab) return bad_id(tokens, run, first + i, ids[i], vocab);
        out[i] = (int32_t)ids[i];
    }
    return CB_OK;
}

cb_err cb_tokens_read(const cb_tokens *tokens, int64_t first, int64_t count, int64_t vocab, int32_t *out) {
    if (first < 0 || count < 0 || first > tokens->count || count > tokens->count - first) {
        return cb_fail(CB_EINVAL, "tokens %lld to %lld asked for, the stream has %lld", (long long)first,
                       (long long)first + (long long)count - 1, (long long)tokens->count);
    }
    if (count == 0) return CB_OK;
    const cb_token_run *run = run_at(tokens, first);
    while (count > 0) {
        int64_t left = run->first + run->count - first, n = count < left ? count : left;
        if (n > CHUNK) n = CHUNK;
        TRY(read_chunk(tokens, run, first, n, vocab, out));
        first += n, count -= n, out += n;
        if (first == run->first + run->count) run++;
    }
    return CB_OK;
}

static int64_t largest_of_run(const cb_token_run *run) {
    int64_t ids[CHUNK], largest = INT64_MIN;
    for (int64_t done = 0; done < run->count; done += CHUNK) {
        int64_t n = run->count - done < CHUNK ? run->count - done : CHUNK;
        decode(run->at + done * cb_item_bytes(run->item), run->item, n, ids);
        for (int64_t i = 0; i < n; i++) largest = ids[i] > largest ? ids[i] : largest;
    }
    return largest;
}

int64_t cb_tokens_largest(const cb_tokens *tokens) {
    int64_t largest = INT64_MIN;
    for (int64_t r = 0; r < tokens->run_count; r++) {
        int64_t here = largest_of_run(&tokens->runs[r]);
        largest = here > largest ? here : largest;
    }
    return largest;
}
