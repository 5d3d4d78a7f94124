/* Files without a header: raw text, whose bytes are the tokens (vocabulary 256), and nanoGPT's .bin, 16-bit unsigned
 * little-endian ids back to back. Source: karpathy/nanoGPT, data/openwebtext/prepare.py. */
#include "data/format.h"

cb_err cb_bytes_add(cb_tokens *tokens, const char *path) {
    int file;
    TRY(cb_tokens_map(tokens, path, &file));
    return cb_tokens_add(tokens, file, 0, tokens->files[file].size, CB_ITEM_U8);
}

cb_err cb_nanogpt_add(cb_tokens *tokens, const char *path) {
    int file;
    TRY(cb_tokens_map(tokens, path, &file));
    int64_t size = tokens->files[file].size;
    if (size % 2 != 0) {
        return cb_fail(CB_EFORMAT, "%s: found %lld bytes, expected an even number: nanoGPT tokens are 2 bytes each",
                       path, (long long)size);
    }
    return cb_tokens_add(tokens, file, 0, size / 2, CB_ITEM_U16);
}
