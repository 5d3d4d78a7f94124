/* llm.c's data shards: a header of 256 little-endian 32-bit numbers (magic, version, tokens), then the tokens.
 * Magic 20240520, version 1: 16-bit ids (GPT-2). Magic 20240801, version 7: 32-bit ids (Llama 3).
 * Source: karpathy/llm.c, dev/data/data_common.py (write_datafile) and llmc/dataloader.h. */
#include <string.h>

#include "data/format.h"

enum { HEADER_BYTES = 1024 };

typedef struct llmc_kind {
    int32_t magic, version; /* version 0: known, but no token shard */
    cb_item item;
    const char *what;
} llmc_kind;

static const llmc_kind kinds[] = {
    {20240520, 1, CB_ITEM_U16, "a GPT-2 token shard"},
    {20240801, 7, CB_ITEM_U32, "a Llama 3 token shard"},
    {20240522, 0, 0, "an evaluation set"},
    {20240326, 0, 0, "a model"},
    {20240327, 0, 0, "a debug state"},
    {20240328, 0, 0, "a tokenizer"},
    {20240527, 0, 0, "an optimizer state"},
};

static int32_t word(const unsigned char *bytes, int index) {
    const unsigned char *at = bytes + (size_t)index * 4;
    return (int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
}

static const llmc_kind *kind_of(int32_t magic) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].magic == magic) return &kinds[i];
    }
    return NULL;
}

bool cb_llmc_recognises(const unsigned char *head, int64_t bytes) {
    return bytes >= 4 && kind_of(word(head, 0));
}

static cb_err check_header(const cb_map *map, const llmc_kind **kind) {
    const char *path = map->path;
    if (map->size < HEADER_BYTES) {
        return cb_fail(CB_EFORMAT, "%s: found %lld bytes, expected at least the %d of llm.c's header", path,
                       (long long)map->size, HEADER_BYTES);
    }
    *kind = kind_of(word(map->bytes, 0));
    if (!*kind) {
        return cb_fail(CB_EFORMAT, "%s: offset 0: found magic number %d, expected llm.c's 20240520 or 20240801", path,
                       word(map->bytes, 0));
    }
    if ((*kind)->version == 0) {
        return cb_fail(CB_EFORMAT,
                       "%s: offset 0: found magic number %d, llm.c's mark of %s; expected a token shard "
                       "(20240520 or 20240801)",
                       path, (*kind)->magic, (*kind)->what);
    }
    if (word(map->bytes, 1) != (*kind)->version) {
        return cb_fail(CB_EFORMAT, "%s: offset 4: found version %d, expected %d for %s", path, word(map->bytes, 1),
                       (*kind)->version, (*kind)->what);
    }
    return CB_OK;
}

cb_err cb_llmc_add(cb_tokens *tokens, const char *path) {
    int file;
    const llmc_kind *kind = NULL;
    TRY(cb_tokens_map(tokens, path, &file));
    const cb_map *map = &tokens->files[file];
    TRY(check_header(map, &kind));
    int64_t count = word(map->bytes, 2), bytes = HEADER_BYTES + count * cb_item_bytes(kind->item);
    if (count <= 0) {
        return cb_fail(CB_EFORMAT, "%s: offset 8: found %lld tokens, expected at least 1", path, (long long)count);
    }
    if (map->size != bytes) {
        return cb_fail(
            CB_EFORMAT, "%s: found %lld bytes, expected %lld: a header of %d and %lld tokens of %d (offset 8)", path,
            (long long)map->size, (long long)bytes, HEADER_BYTES, (long long)count, cb_item_bytes(kind->item));
    }
    if (tokens->run_count > 0 && tokens->runs[0].item != kind->item) {
        return cb_fail(CB_EFORMAT, "%s is %s, but %s before it is not: shards of one stream are of one kind", path,
                       kind->what, tokens->files[0].path);
    }
    return cb_tokens_add(tokens, file, HEADER_BYTES, count, kind->item);
}
