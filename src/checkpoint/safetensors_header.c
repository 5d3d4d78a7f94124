/* The header of a safetensors file to be written; see safetensors.h. */
#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/safetensors.h"

enum { LENGTH_BYTES = 8, ALIGN = 64 };

static json_t *entry_of(const cb_tensor_info *info) {
    json_t *shape = json_array();
    for (int d = 0; d < info->dims; d++) json_array_append_new(shape, json_integer(info->shape[d]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", info->dtype, "shape", shape, "data_offsets",
                     (json_int_t)info->begin, (json_int_t)info->end);
}

/* Transformers refuses files whose metadata does not name a framework. */
static json_t *header_of(const cb_tensor_info *tensors, int count) {
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    bool whole = root != NULL;
    for (int i = 0; i < count; i++) {
        assert(tensors[i].begin == (i ? tensors[i - 1].end : 0));
        whole = json_object_set_new(root, tensors[i].name, entry_of(&tensors[i])) == 0 && whole;
    }
    if (whole) return root;
    json_decref(root);
    return NULL;
}

cb_err cb_tensor_header_make(const cb_tensor_info *tensors, int count, char **header, int64_t *bytes) {
    *header = NULL, *bytes = 0;
    json_t *root = header_of(tensors, count);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (!text) return cb_fail(CB_ENOMEM, "no memory for a header of %d tensors", count);
    size_t length = strlen(text), whole = (LENGTH_BYTES + length + ALIGN - 1) / ALIGN * ALIGN;
    *header = malloc(whole);
    if (!*header) {
        free(text);
        return cb_fail(CB_ENOMEM, "no memory for a header of %zu bytes", whole);
    }
    memset(*header, ' ', whole);
    for (int i = 0; i < LENGTH_BYTES; i++) (*header)[i] = (char)((whole - LENGTH_BYTES) >> (8 * i));
    memcpy(*header + LENGTH_BYTES, text, length);
    *bytes = (int64_t)whole;
    free(text);
    return CB_OK;
}
