/* A stream of token ids over mapped files; see tokens.h. The files' formats are rows of one table; each adds runs of
 * items to the stream, and reading only knows runs. */
#include "data/tokens.h"

#include <assert.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/format.h"

static const struct {
    const char *name;
    cb_err (*add)(cb_tokens *tokens, const char *path);
} formats[] = {
    [CB_TOKENS_BYTES] = {"bytes", cb_bytes_add},
    [CB_TOKENS_NANOGPT] = {"nanogpt", cb_nanogpt_add},
    [CB_TOKENS_LLMC] = {"llmc", cb_llmc_add},
    [CB_TOKENS_MEGATRON] = {"megatron", cb_megatron_add},
};

int cb_item_bytes(cb_item item) {
    static const int bytes[] = {1, 1, 2, 2, 4, 4, 8};
    return bytes[item];
}

cb_err cb_tokens_map(cb_tokens *tokens, const char *path, int *file) {
    cb_map *files = realloc(tokens->files, ((size_t)tokens->file_count + 1) * sizeof *files);
    if (!files) return cb_fail(CB_ENOMEM, "no memory for the list of %d data files", tokens->file_count + 1);
    tokens->files = files;
    TRY(cb_map_open(&files[tokens->file_count], path));
    *file = tokens->file_count++;
    if (files[*file].size == 0) return cb_fail(CB_EFORMAT, "%s is empty, expected tokens", path);
    return CB_OK;
}

static cb_err grow_runs(cb_tokens *tokens) {
    if (tokens->run_count < tokens->run_capacity) return CB_OK;
    int64_t capacity = tokens->run_capacity ? 2 * tokens->run_capacity : 16;
    cb_token_run *runs = realloc(tokens->runs, (size_t)capacity * sizeof *runs);
    if (!runs) return cb_fail(CB_ENOMEM, "no memory for %lld runs of tokens", (long long)capacity);
    tokens->runs = runs, tokens->run_capacity = capacity;
    return CB_OK;
}

cb_err cb_tokens_add(cb_tokens *tokens, int file, int64_t offset, int64_t count, cb_item item) {
    const cb_map *map = &tokens->files[file];
    assert(offset >= 0 && count >= 0 && offset <= map->size && count <= (map->size - offset) / cb_item_bytes(item));
    if (count == 0) return CB_OK;
    const unsigned char *at = map->bytes + offset;
    cb_token_run *last = tokens->run_count ? &tokens->runs[tokens->run_count - 1] : NULL;
    if (last && last->file == file && last->item == item && last->at + last->count * cb_item_bytes(item) == at) {
        last->count += count;
    } else {
        TRY(grow_runs(tokens));
        tokens->runs[tokens->run_count++] =
            (cb_token_run){.at = at, .first = tokens->count, .count = count, .item = item, .file = file};
    }
    tokens->count += count;
    return CB_OK;
}

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

/* Text has no zero bytes; what has some near its beginning is tokens of a kind, or no data at all. */
static cb_err check_text(const char *path, const cb_map *map) {
    const int64_t looked_at = 1 << 20;
    const unsigned char *zero = memchr(map->bytes, 0, (size_t)(map->size < looked_at ? map->size : looked_at));
    if (!zero) return CB_OK;
    return cb_fail(
        CB_EFORMAT,
        "%s is no text (byte %lld is zero) and has the look of no other format; name it by --data-format: nanogpt "
        "(16-bit ids without a header), llmc or megatron; or bytes, to take each byte as a token",
        path, (long long)(zero - map->bytes));
}

static cb_err detect(const char *path, cb_token_format *format) {
    if (cb_megatron_recognises(path)) {
        *format = CB_TOKENS_MEGATRON;
        return CB_OK;
    }
    cb_map map;
    TRY(cb_map_open(&map, path));
    bool llmc = cb_llmc_recognises(map.bytes, map.size), index = map.size >= 7 && !memcmp(map.bytes, "MMIDIDX", 7);
    *format = llmc                      ? CB_TOKENS_LLMC
              : index                   ? CB_TOKENS_MEGATRON
              : ends_with(path, ".bin") ? CB_TOKENS_NANOGPT
                                        : CB_TOKENS_BYTES;
    cb_err e = *format == CB_TOKENS_BYTES && map.size > 0 ? check_text(path, &map) : CB_OK;
    cb_map_close(&map);
    return e;
}

static cb_err add_file(cb_tokens *tokens, const char *path, cb_token_format format) {
    if (format == CB_TOKENS_AUTO) TRY(detect(path, &format));
    if (tokens->format && strcmp(tokens->format, formats[format].name) != 0) {
        return cb_fail(CB_EFORMAT,
                       "%s looks like format %s, but the files before it were %s; name the format to read all "
                       "alike",
                       path, formats[format].name, tokens->format);
    }
    tokens->format = formats[format].name;
    return formats[format].add(tokens, path);
}

static cb_err add_matches(cb_tokens *tokens, const char *pattern, const glob_t *found, cb_token_format format) {
    for (size_t i = 0; i < found->gl_pathc; i++) {
        TRY(add_file(tokens, found->gl_pathv[i], format));
        /* A pattern meets both files of a pair, and the tokens would come twice. */
        if (found->gl_pathc > 1 && tokens->format == formats[CB_TOKENS_MEGATRON].name) {
            return cb_fail(CB_EINVAL,
                           "the pattern %s matches %zu files of Megatron sets, such as %s; name one set by its "
                           "prefix",
                           pattern, found->gl_pathc, found->gl_pathv[i]);
        }
    }
    return CB_OK;
}

static cb_err add_pattern(cb_tokens *tokens, const char *pattern, cb_token_format format) {
    glob_t found = {0};
    int answer = glob(pattern, GLOB_ERR, NULL, &found); /* sorted */
    cb_err e = answer == GLOB_NOSPACE ? cb_fail(CB_ENOMEM, "no memory for the files that match %s", pattern)
               : answer != 0          ? cb_fail(CB_EIO, "no file matches the pattern %s", pattern)
                                      : add_matches(tokens, pattern, &found, format);
    globfree(&found);
    return e;
}

cb_err cb_tokens_open(cb_tokens **tokens, const char *path, cb_token_format format) {
    *tokens = NULL;
    cb_tokens *stream = calloc(1, sizeof *stream);
    if (!stream) return cb_fail(CB_ENOMEM, "no memory for the token stream of %s", path);
    bool pattern = strpbrk(path, "*?[") && access(path, F_OK) != 0;
    cb_err e = pattern ? add_pattern(stream, path, format) : add_file(stream, path, format);
    if (!e && stream->count == 0) e = cb_fail(CB_EFORMAT, "%s holds no tokens", path);
    if (e) {
        cb_tokens_close(stream);
    } else {
        *tokens = stream;
    }
    return e;
}

void cb_tokens_close(cb_tokens *tokens) {
    if (!tokens) return;
    for (int i = 0; i < tokens->file_count; i++) cb_map_close(&tokens->files[i]);
    free(tokens->files);
    free(tokens->runs);
    free(tokens);
}

int64_t cb_tokens_count(const cb_tokens *tokens) {
    return tokens->count;
}

const char *cb_tokens_format_name(const cb_tokens *tokens) {
    return tokens->format;
}
