/* Megatron's indexed data sets: prefix.bin holds tokens, prefix.idx says where each sequence lies and which sequences
 * make a document. The stream is the sequences in the order of the index, each where its pointer says. All integers are
 * little-endian; the arrays of the index begin at byte 34, so nothing in it is aligned.
 *
 *   0 "MMIDIDX\0\0" | 9 u64 version 1 | 17 u8 type | 18 u64 sequences S | 26 u64 document bounds D |
 *   34 i32 length[S] | i64 pointer[S] (bytes into .bin) | i64 bound[D] (sequence numbers) | i8 mode[S] or nothing
 *
 * Source: Megatron-LM, megatron/core/datasets/indexed_dataset.py. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/format.h"

enum { FIXED_BYTES = 34, MAGIC_BYTES = 9 };

typedef struct index_view {
    const cb_map *map;
    int64_t sequences, bounds;
    const unsigned char *lengths, *pointers, *bound;
    cb_item item;
} index_view;

static uint64_t u64_at(const unsigned char *at) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | at[i];
    return value;
}

static int64_t i64_at(const unsigned char *at) {
    return (int64_t)u64_at(at);
}

static int32_t i32_at(const unsigned char *at) {
    return (int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
}

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

/* prefix + ending, where path may already carry .bin or .idx. To be freed. */
static char *companion(const char *path, const char *ending) {
    size_t n = strlen(path);
    if (ends_with(path, ".bin") || ends_with(path, ".idx")) n -= 4;
    char *name = malloc(n + strlen(ending) + 1);
    if (!name) return NULL;
    memcpy(name, path, n);
    strcpy(name + n, ending);
    return name;
}

bool cb_megatron_recognises(const char *path) {
    if (!ends_with(path, ".bin") && !ends_with(path, ".idx") && access(path, F_OK) == 0) return false;
    char *idx = companion(path, ".idx");
    bool found = idx && access(idx, F_OK) == 0;
    free(idx);
    return found;
}

static cb_err check_type(index_view *view) {
    static const cb_item items[] = {
        [1] = CB_ITEM_U8, [2] = CB_ITEM_I8, [3] = CB_ITEM_I16, [4] = CB_ITEM_I32, [5] = CB_ITEM_I64, [8] = CB_ITEM_U16};
    int code = view->map->bytes[17];
    if (code == 6 || code == 7) {
        return cb_fail(CB_EFORMAT,
                       "%s: offset 17: found type %d (floating point), expected integers: 1, 2, 3, 4, 5 or 8",
                       view->map->path, code);
    }
    if (code < 1 || code > 8) {
        return cb_fail(CB_EFORMAT, "%s: offset 17: found type %d, expected 1, 2, 3, 4, 5 or 8", view->map->path, code);
    }
    view->item = items[code];
    return CB_OK;
}

static cb_err check_magic(const cb_map *map) {
    if (map->size < FIXED_BYTES) {
        return cb_fail(CB_EFORMAT, "%s: found %lld bytes, expected at least the %d of an index's header", map->path,
                       (long long)map->size, FIXED_BYTES);
    }
    if (memcmp(map->bytes, "TNTIDX\0\0", 8) == 0) {
        return cb_fail(CB_EFORMAT,
                       "%s: offset 0: found TNTIDX, fairseq's old index; expected MMIDIDX: preprocess the data "
                       "again with Megatron's preprocess_data.py",
                       map->path);
    }
    if (memcmp(map->bytes, "MMIDIDX\0\0", MAGIC_BYTES) != 0) {
        return cb_fail(CB_EFORMAT, "%s: offset 0: found bytes %02x %02x %02x %02x, expected 4d 4d 49 44 (MMIDIDX)",
                       map->path, map->bytes[0], map->bytes[1], map->bytes[2], map->bytes[3]);
    }
    if (u64_at(map->bytes + 9) != 1) {
        return cb_fail(CB_EFORMAT, "%s: offset 9: found version %llu, expected 1", map->path,
                       (unsigned long long)u64_at(map->bytes + 9));
    }
    return CB_OK;
}

/* The numbers of entries against the size of the file; afterwards every array lies inside. */
static cb_err check_counts(index_view *view) {
    const cb_map *map = view->map;
    uint64_t s = u64_at(map->bytes + 18), d = u64_at(map->bytes + 26), room = (uint64_t)map->size - FIXED_BYTES;
    if (s == 0 || s > room / 12) {
        return cb_fail(CB_EFORMAT, "%s: offset 18: found %llu sequences, expected 1 to %llu in a file of %lld bytes",
                       map->path, (unsigned long long)s, (unsigned long long)(room / 12), (long long)map->size);
    }
    if (d > room / 8) {
        return cb_fail(CB_EFORMAT,
                       "%s: offset 26: found %llu document bounds, expected at most %llu in a file of %lld bytes",
                       map->path, (unsigned long long)d, (unsigned long long)(room / 8), (long long)map->size);
    }
    uint64_t bytes = FIXED_BYTES + 12 * s + 8 * d;
    if ((uint64_t)map->size != bytes && (uint64_t)map->size != bytes + s) {
        return cb_fail(CB_EFORMAT,
                       "%s: found %lld bytes, expected %llu (or %llu with modes) for %llu sequences and %llu "
                       "document bounds",
                       map->path, (long long)map->size, (unsigned long long)bytes, (unsigned long long)(bytes + s),
                       (unsigned long long)s, (unsigned long long)d);
    }
    view->sequences = (int64_t)s, view->bounds = (int64_t)d;
    view->lengths = map->bytes + FIXED_BYTES;
    view->pointers = view->lengths + 4 * s;
    view->bound = view->pointers + 8 * s;
    return CB_OK;
}

static cb_err check_bounds(const index_view *view) {
    int64_t base = view->bound - view->map->bytes, before = 0;
    if (view->bounds < 2) {
        return cb_fail(CB_EFORMAT, "%s: offset 26: found %lld document bounds, expected at least 2 (0 and the end)",
                       view->map->path, (long long)view->bounds);
    }
    for (int64_t i = 0; i < view->bounds; i++) {
        int64_t bound = i64_at(view->bound + 8 * i), least = i == 0 ? 0 : before;
        int64_t most = i == 0 ? 0 : view->sequences;
        if (i == view->bounds - 1) least = view->sequences;
        if (bound < least || bound > most) {
            return cb_fail(CB_EFORMAT, "%s: offset %lld: found document bound %lld, expected %lld to %lld",
                           view->map->path, (long long)(base + 8 * i), (long long)bound, (long long)least,
                           (long long)most);
        }
        before = bound;
    }
    return CB_OK;
}

/* One sequence: its pointer is at or beyond the end of the one before, and it ends inside the .bin file. */
static cb_err check_sequence(const index_view *view, const cb_map *bin, int64_t i, int64_t end_before) {
    int64_t length = i32_at(view->lengths + 4 * i), pointer = i64_at(view->pointers + 8 * i);
    int64_t item = cb_item_bytes(view->item), base = view->pointers - view->map->bytes;
    if (length < 0) {
        return cb_fail(CB_EFORMAT, "%s: offset %lld: found length %lld of sequence %lld, expected 0 or more",
                       view->map->path, (long long)(FIXED_BYTES + 4 * i), (long long)length, (long long)i);
    }
    if (pointer < end_before) {
        return cb_fail(CB_EFORMAT,
                       "%s: offset %lld: found pointer %lld of sequence %lld, expected at least %lld, where the "
                       "sequence before it ends",
                       view->map->path, (long long)(base + 8 * i), (long long)pointer, (long long)i,
                       (long long)end_before);
    }
    if (pointer > bin->size || length * item > bin->size - pointer) {
        return cb_fail(
            CB_EFORMAT,
            "%s: offset %lld: found pointer %lld of sequence %lld with %lld bytes, expected an end within the "
            "%lld bytes of %s",
            view->map->path, (long long)(base + 8 * i), (long long)pointer, (long long)i, (long long)(length * item),
            (long long)bin->size, bin->path);
    }
    return CB_OK;
}

static cb_err add_sequences(cb_tokens *tokens, const index_view *view, int bin) {
    int64_t end = 0, item = cb_item_bytes(view->item);
    for (int64_t i = 0; i < view->sequences; i++) {
        TRY(check_sequence(view, &tokens->files[bin], i, end));
        int64_t pointer = i64_at(view->pointers + 8 * i), length = i32_at(view->lengths + 4 * i);
        TRY(cb_tokens_add(tokens, bin, pointer, length, view->item));
        end = pointer + length * item;
    }
    if (end != tokens->files[bin].size) {
        return cb_fail(CB_EFORMAT, "%s: found %lld bytes, expected %lld, where the last sequence of %s ends",
                       tokens->files[bin].path, (long long)tokens->files[bin].size, (long long)end, view->map->path);
    }
    return CB_OK;
}

static cb_err add_pair(cb_tokens *tokens, const cb_map *idx, const char *bin_path) {
    index_view view = {.map = idx};
    int bin;
    TRY(check_magic(idx));
    TRY(check_type(&view));
    TRY(check_counts(&view));
    TRY(check_bounds(&view));
    TRY(cb_tokens_map(tokens, bin_path, &bin));
    return add_sequences(tokens, &view, bin);
}

cb_err cb_megatron_add(cb_tokens *tokens, const char *path) {
    char *idx_path = companion(path, ".idx"), *bin_path = companion(path, ".bin");
    cb_map idx = {0};
    cb_err e =
        idx_path && bin_path ? cb_map_open(&idx, idx_path) : cb_fail(CB_ENOMEM, "no memory for the name of %s", path);
    if (!e) e = add_pair(tokens, &idx, bin_path);
    cb_map_close(&idx);
    free(idx_path);
    free(bin_path);
    return e;
}
