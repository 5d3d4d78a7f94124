/* Reading safetensors files. The header may come from anywhere, so nothing in it is believed before it is checked:
 * lengths against the file, the JSON's depth before it is parsed, products of sizes before they overflow, and at last
 * that the tensors tile the data without overlap or hole. Source: Hugging Face safetensors, README (Format). */
#include "checkpoint/safetensors.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

/* The reference implementation's limit too. */
enum { MAX_HEADER_BYTES = 100000000, MAX_DEPTH = 8 };

static const struct {
    const char *name;
    int bytes;
} dtypes[] = {
    {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},  {"I32", 4},     {"I16", 2},     {"I8", 1},
    {"U64", 8}, {"U32", 4}, {"U16", 2}, {"U8", 1},   {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"C64", 8},
};

int cb_tensor_dtype_bytes(const char *dtype) {
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, dtype) == 0) return dtypes[i].bytes;
    }
    return 0;
}

cb_err cb_json_check_depth(const char *path, const char *text, int64_t bytes, int64_t offset) {
    int depth = 0;
    bool quoted = false;
    for (int64_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\') i++;
            if (c == '"') quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH) {
                return cb_fail(CB_EFORMAT, "%s: offset %lld: nested more than %d deep", path, (long long)(i + offset),
                               MAX_DEPTH);
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return CB_OK;
}

static cb_err check_length(cb_tensor_file *file) {
    if (file->map_bytes < 8) {
        return cb_fail(CB_EFORMAT, "%s: found %lld bytes, expected at least the 8 of a safetensors header's length",
                       file->path, (long long)file->map_bytes);
    }
    uint64_t length = 0, most = (uint64_t)file->map_bytes - 8;
    for (int i = 7; i >= 0; i--) length = length << 8 | file->map[i];
    if (most > MAX_HEADER_BYTES) most = MAX_HEADER_BYTES;
    if (length < 2 || length > most) {
        return cb_fail(CB_EFORMAT,
                       "%s: offset 0: found a header of %llu bytes, expected 2 to %llu in a file of %lld; is it "
                       "a safetensors file, and whole?",
                       file->path, (unsigned long long)length, (unsigned long long)most, (long long)file->map_bytes);
    }
    file->data_offset = 8 + (int64_t)length;
    if (file->map[8] != '{') {
        return cb_fail(CB_EFORMAT, "%s: offset 8: found byte %02x, expected { (7b)", file->path, file->map[8]);
    }
    return cb_json_check_depth(file->path, (const char *)file->map + 8, (int64_t)length, 8);
}

/* *bytes: an element's when called, the tensor's afterwards. */
static cb_err read_shape(const char *path, cb_tensor_info *info, const json_t *shape, int64_t *bytes) {
    if (!json_is_array(shape) || json_array_size(shape) > 4) {
        return cb_fail(CB_EFORMAT, "%s: %s: the shape is no list of at most 4 sizes", path, info->name);
    }
    info->dims = (int)json_array_size(shape);
    for (int d = 0; d < info->dims; d++) {
        const json_t *size = json_array_get(shape, (size_t)d);
        info->shape[d] = json_is_integer(size) ? (int64_t)json_integer_value(size) : -1;
        if (info->shape[d] < 0 || __builtin_mul_overflow(*bytes, info->shape[d], bytes)) {
            return cb_fail(CB_EFORMAT, "%s: %s: size %d of the shape is negative, no integer or too large", path,
                           info->name, d);
        }
    }
    return CB_OK;
}

static cb_err read_offsets(const char *path, cb_tensor_info *info, const json_t *offsets) {
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
        return cb_fail(CB_EFORMAT, "%s: %s: data_offsets are not two integers", path, info->name);
    }
    info->begin = json_integer_value(begin), info->end = json_integer_value(end);
    if (info->begin < 0 || info->end < info->begin) {
        return cb_fail(CB_EFORMAT, "%s: %s: data_offsets %lld to %lld are no range", path, info->name,
                       (long long)info->begin, (long long)info->end);
    }
    return CB_OK;
}

static cb_err read_tensor(const char *path, cb_tensor_info *info, const char *name, const json_t *entry) {
    if (strlen(name) >= sizeof info->name) {
        return cb_fail(CB_EFORMAT, "%s: a tensor's name has %zu characters, at most %zu are read: %.40s...", path,
                       strlen(name), sizeof info->name - 1, name);
    }
    strcpy(info->name, name);
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    int64_t bytes = dtype ? cb_tensor_dtype_bytes(dtype) : 0;
    if (!bytes) return cb_fail(CB_EFORMAT, "%s: %s: unknown dtype %.20s", path, name, dtype ? dtype : "(none)");
    strcpy(info->dtype, dtype);
    TRY(read_shape(path, info, json_object_get(entry, "shape"), &bytes));
    TRY(read_offsets(path, info, json_object_get(entry, "data_offsets")));
    if (bytes != info->end - info->begin) {
        char shape[96];
        return cb_fail(CB_EFORMAT, "%s: %s: found %lld bytes (data_offsets), expected %lld for shape %s of %s", path,
                       name, (long long)(info->end - info->begin), (long long)bytes, cb_tensor_shape_text(info, shape),
                       info->dtype);
    }
    return CB_OK;
}

static int by_place(const void *a, const void *b) {
    const cb_tensor_info *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Sorts the tensors by place; afterwards each lies inside the file. */
static cb_err check_places(cb_tensor_file *file) {
    if (file->count > 0) qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_place);
    int64_t end = 0, data_bytes = file->map_bytes - file->data_offset;
    for (int i = 0; i < file->count; i++) {
        const cb_tensor_info *info = &file->tensors[i];
        if (info->begin != end) {
            return cb_fail(CB_EFORMAT,
                           "%s: %s: found its data at %lld, expected %lld, where %s ends: an overlap or a hole",
                           file->path, info->name, (long long)info->begin, (long long)end,
                           i ? file->tensors[i - 1].name : "the header");
        }
        end = info->end;
    }
    if (end != data_bytes) {
        return cb_fail(CB_EFORMAT, "%s: found %lld bytes of data, expected %lld: the file is cut off or has a tail",
                       file->path, (long long)data_bytes, (long long)end);
    }
    return CB_OK;
}

static cb_err read_header(cb_tensor_file *file, json_t *root) {
    size_t entries = json_object_size(root);
    file->tensors = calloc(entries ? entries : 1, sizeof *file->tensors);
    if (!file->tensors) return cb_fail(CB_ENOMEM, "%s: no memory for %zu tensors' entries", file->path, entries);
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry) {
        if (strcmp(name, "__metadata__") == 0) continue;
        TRY(read_tensor(file->path, &file->tensors[file->count], name, entry));
        file->count++;
    }
    return check_places(file);
}

static cb_err parse(cb_tensor_file *file) {
    TRY(check_length(file));
    json_error_t where;
    json_t *root =
        json_loadb((const char *)file->map + 8, (size_t)(file->data_offset - 8), JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        return cb_fail(CB_EFORMAT, "%s: offset %d: the header is not JSON: %s", file->path, where.position + 8,
                       where.text);
    }
    cb_err e = read_header(file, root);
    json_decref(root);
    return e;
}

cb_err cb_tensor_file_open(cb_tensor_file *file, const char *path) {
    *file = (cb_tensor_file){0};
    cb_map map;
    TRY(cb_map_open(&map, path));
    file->path = map.path, file->map = map.bytes, file->map_bytes = map.size;
    cb_err e = parse(file);
    if (e) cb_tensor_file_close(file);
    return e;
}

void cb_tensor_file_close(cb_tensor_file *file) {
    cb_map_close(&(cb_map){.path = file->path, .bytes = file->map, .size = file->map_bytes});
    free(file->tensors);
    *file = (cb_tensor_file){0};
}

const cb_tensor_info *cb_tensor_file_find(const cb_tensor_file *file, const char *name) {
    for (int i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    }
    return NULL;
}

char *cb_tensor_shape_text(const cb_tensor_info *info, char out[96]) {
    int n = snprintf(out, 96, "(");
    for (int d = 0; d < info->dims; d++) {
        n += snprintf(out + n, (size_t)(96 - n), "%s%lld", d ? ", " : "", (long long)info->shape[d]);
    }
    snprintf(out + n, (size_t)(96 - n), ")");
    return out;
}
