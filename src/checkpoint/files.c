/* One file of tensors or many; see files.h. Source of the index's form: Hugging Face transformers, "sharded
 * checkpoints":
 * {"metadata": {...}, "weight_map": {tensor: file}}. */
#include "checkpoint/files.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/map.h"

enum { MAX_INDEX_BYTES = 100000000 };

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const cb_tensor_file *file_named(const cb_tensor_dir *found, const char *name) {
    for (int i = 0; i < found->count; i++) {
        if (strcmp(base_name(found->files[i].path), name) == 0) return &found->files[i];
    }
    return NULL;
}

static cb_err add_file(cb_tensor_dir *found, const char *dir, const char *name) {
    cb_tensor_file *files = realloc(found->files, ((size_t)found->count + 1) * sizeof *files);
    if (!files) return cb_fail(CB_ENOMEM, "no memory for a list of %d files", found->count + 1);
    found->files = files;
    char *path;
    if (asprintf(&path, "%s/%s", dir, name) < 0) return cb_fail(CB_ENOMEM, "no memory for the path of %s", name);
    cb_err e = cb_tensor_file_open(&files[found->count], path);
    if (!e) found->count++;
    free(path);
    return e;
}

static cb_err open_mapped(cb_tensor_dir *found, const char *dir, const char *index, const json_t *map) {
    if (!json_is_object(map)) return cb_fail(CB_EFORMAT, "%s: there is no weight_map", index);
    const char *tensor;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, tensor, value) {
        const char *name = json_string_value(value);
        if (!name || !*name || strchr(name, '/')) {
            return cb_fail(CB_EFORMAT, "%s: weight_map: the file of %.95s is no plain file name", index, tensor);
        }
        if (!file_named(found, name)) TRY(add_file(found, dir, name));
        if (!cb_tensor_file_find(file_named(found, name), tensor)) {
            return cb_fail(CB_EFORMAT, "%s: weight_map: %.95s is not in %s", index, tensor, name);
        }
    }
    return CB_OK;
}

/* Every tensor of every file is in the map, and the map sends it there. */
static cb_err check_mapped(const cb_tensor_dir *found, const char *index, const json_t *map) {
    for (int f = 0; f < found->count; f++) {
        const cb_tensor_file *file = &found->files[f];
        for (int i = 0; i < file->count; i++) {
            const char *name = json_string_value(json_object_get(map, file->tensors[i].name));
            if (!name || strcmp(name, base_name(file->path)) != 0) {
                return cb_fail(CB_EFORMAT, "%s: %s is in %s, weight_map says %s", index, file->tensors[i].name,
                               file->path, name ? name : "nothing of it");
            }
        }
    }
    return CB_OK;
}

static cb_err parse_index(cb_tensor_dir *found, const char *dir, const cb_map *text) {
    if (text->size > MAX_INDEX_BYTES) {
        return cb_fail(CB_EFORMAT, "%s: found %lld bytes, expected an index of at most %d", text->path,
                       (long long)text->size, MAX_INDEX_BYTES);
    }
    TRY(cb_json_check_depth(text->path, (const char *)text->bytes, text->size, 0));
    cb_json json;
    TRY(cb_json_parse(&json, text->path, (const char *)text->bytes, text->size, JSON_REJECT_DUPLICATES));
    const json_t *map = json_object_get(json.root, "weight_map");
    cb_err e = open_mapped(found, dir, text->path, map);
    if (!e) e = check_mapped(found, text->path, map);
    json_decref(json.root);
    return e;
}

static cb_err open_index(cb_tensor_dir *found, const char *dir) {
    char *path;
    if (asprintf(&path, "%s/model.safetensors.index.json", dir) < 0) {
        return cb_fail(CB_ENOMEM, "no memory for the path of the index in %s", dir);
    }
    cb_map text = {0};
    cb_err e = access(path, F_OK) == 0
                   ? cb_map_open(&text, path)
                   : cb_fail(CB_EIO,
                             "%s holds neither model.safetensors nor model.safetensors.index.json (%m); other "
                             "formats are read after save_pretrained with safetensors",
                             dir);
    if (!e) e = parse_index(found, dir, &text);
    cb_map_close(&text);
    free(path);
    return e;
}

cb_err cb_tensor_dir_open(cb_tensor_dir *found, const char *dir) {
    *found = (cb_tensor_dir){0};
    char *path;
    if (asprintf(&path, "%s/model.safetensors", dir) < 0)
        return cb_fail(CB_ENOMEM, "no memory for the path of %s", dir);
    bool single = access(path, F_OK) == 0;
    free(path);
    cb_err e = single ? add_file(found, dir, "model.safetensors") : open_index(found, dir);
    if (e) cb_tensor_dir_close(found);
    return e;
}

void cb_tensor_dir_close(cb_tensor_dir *found) {
    for (int i = 0; i < found->count; i++) cb_tensor_file_close(&found->files[i]);
    free(found->files);
    *found = (cb_tensor_dir){0};
}
