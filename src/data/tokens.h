/* Memory-mapped token files: raw text as bytes, nanoGPT .bin (u16), llm.c shards (magic 20240520, or 20240801 with
 * u32), Megatron .bin/.idx. All become one stream of token ids. */
#ifndef CB_DATA_TOKENS_H
#define CB_DATA_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef enum cb_token_format {
    CB_TOKENS_AUTO,
    CB_TOKENS_BYTES,
    CB_TOKENS_NANOGPT,
    CB_TOKENS_LLMC,
    CB_TOKENS_MEGATRON
} cb_token_format;

typedef struct cb_tokens cb_tokens;

/* path: a file; a Megatron prefix (prefix.bin and prefix.idx exist); a glob of llm.c shards
 * ("data/fineweb_train_*.bin"), taken in sorted order. CB_TOKENS_AUTO: by magic number and ending: .idx beside ->
 * Megatron; llm.c's magic -> llm.c; .bin -> nanoGPT; anything else -> bytes. Every header is validated against the
 * file's size. Errors CB_EIO, CB_EFORMAT with path, offset, found and expected value. */
CB_MUST_USE cb_err cb_tokens_open(cb_tokens **tokens, const char *path, cb_token_format format);
void cb_tokens_close(cb_tokens *tokens);
int64_t cb_tokens_count(const cb_tokens *tokens);
const char *cb_tokens_format_name(const cb_tokens *tokens);
/* out (count) = ids first..first+count-1. Error CB_EFORMAT: an id at or beyond vocab, with its position and the
 * vocabulary. */
CB_MUST_USE cb_err cb_tokens_read(const cb_tokens *tokens, int64_t first, int64_t count, int64_t vocab, int32_t *out);
/* Scans the whole stream for the largest id (shows nothing; about 1 GB/s). */
int64_t cb_tokens_largest(const cb_tokens *tokens);

#endif
