/* Inside data/: how a file format adds its tokens to a stream. A stream is a list of runs, each a stretch of a mapped
 * file that holds items of one type back to back; a format is one row of the table in tokens.c. Nothing outside data/
 * includes this. */
#ifndef CB_DATA_FORMAT_H
#define CB_DATA_FORMAT_H

#include "base/map.h"
#include "data/tokens.h"

typedef enum cb_item {
    CB_ITEM_U8,
    CB_ITEM_I8,
    CB_ITEM_U16,
    CB_ITEM_I16,
    CB_ITEM_U32,
    CB_ITEM_I32,
    CB_ITEM_I64
} cb_item;

typedef struct cb_token_run {
    const unsigned char *at; /* of any alignment */
    int64_t first, count;    /* position in the stream, tokens; count > 0 */
    cb_item item;
    int file;
} cb_token_run;

struct cb_tokens {
    const char *format;
    cb_map *files;
    int file_count;
    cb_token_run *runs; /* ascending by first, without holes */
    int64_t run_count, run_capacity;
    int64_t count;
};

int cb_item_bytes(cb_item item);

/* Maps one more file, which the stream then owns; *file is its number. An empty file is an error CB_EFORMAT. */
CB_MUST_USE cb_err cb_tokens_map(cb_tokens *tokens, const char *path, int *file);
/* Adds count items at byte `offset` of file, which the caller has checked to lie inside. Joins the last run where they
 * touch. */
CB_MUST_USE cb_err cb_tokens_add(cb_tokens *tokens, int file, int64_t offset, int64_t count, cb_item item);

/* The formats: each adds one file (for Megatron a prefix) to the stream. Errors CB_EIO, CB_EFORMAT. */
CB_MUST_USE cb_err cb_bytes_add(cb_tokens *tokens, const char *path);
CB_MUST_USE cb_err cb_nanogpt_add(cb_tokens *tokens, const char *path);
CB_MUST_USE cb_err cb_llmc_add(cb_tokens *tokens, const char *path);
CB_MUST_USE cb_err cb_megatron_add(cb_tokens *tokens, const char *path);

/* Does the file begin as an llm.c file of any kind (data, evaluation, model, ...)? */
bool cb_llmc_recognises(const unsigned char *head, int64_t bytes);
/* path is prefix, prefix.bin or prefix.idx, and prefix.idx exists? A plain file of that very name counts only with
 * ending. */
bool cb_megatron_recognises(const char *path);

#endif
