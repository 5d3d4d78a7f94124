/* Loading weights: each rank maps the files and reads its own slices, whatever layout wrote them. Strict both ways: a
 * tensor of the model that is missing, and one in the files that the model has no place for, are errors. Only what
 * carries no weights is passed over: GPT-2's causal masks, and an output matrix that equals the tied embedding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/files.h"
#include "checkpoint/layout.h"
#include "checkpoint/slice.h"

static const char prefix[] = "transformer.";

typedef struct place {
    const cb_tensor_file *file;
    const cb_tensor_info *info;
} place;

static const char *plain_name(const char *name) {
    return strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : name;
}

static place find(const cb_tensor_dir *found, const char *name) {
    for (int f = 0; f < found->count; f++) {
        const cb_tensor_file *file = &found->files[f];
        for (int i = 0; i < file->count; i++) {
            if (strcmp(plain_name(file->tensors[i].name), name) == 0) return (place){file, &file->tensors[i]};
        }
    }
    return (place){0};
}

static const unsigned char *data_of(place at) {
    return at.file->map + at.file->data_offset + at.info->begin;
}

static bool ends_with(const char *text, const char *ending) {
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

static bool is_mask(const char *name) {
    return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias");
}

static bool same_shape(const cb_tensor_info *a, const cb_tensor_info *b) {
    return a->dims == b->dims && memcmp(a->shape, b->shape, (size_t)a->dims * sizeof *a->shape) == 0;
}

/* The head is the embedding in this family; a file where it is not would lose weights. */
static cb_err check_head(const cb_tensor_dir *found, place head) {
    place wte = find(found, "wte.weight");
    int64_t bytes = head.info->end - head.info->begin;
    if (wte.info && strcmp(wte.info->dtype, head.info->dtype) == 0 && same_shape(wte.info, head.info) &&
        memcmp(data_of(wte), data_of(head), (size_t)bytes) == 0) {
        return CB_OK;
    }
    return cb_fail(CB_EUNSUPPORTED, "%s: %s differs from wte.weight; only models that tie the two are supported",
                   head.file->path, head.info->name);
}

static bool in_table(const cb_tensor_info *table, int count, const char *name) {
    for (int i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) return true;
    }
    return false;
}

static cb_err check_tensor(const cb_tensor_dir *found, place at, const cb_model *model, const cb_tensor_info *table,
                           int count) {
    const char *name = plain_name(at.info->name);
    if (in_table(table, count, name)) {
        if (find(found, name).info == at.info) return CB_OK;
        return cb_fail(CB_EFORMAT, "%s: %s is there twice, with and without \"%s\"", at.file->path, name, prefix);
    }
    if (is_mask(name)) return CB_OK;
    if (strcmp(name, "lm_head.weight") == 0) return check_head(found, at);
    return cb_fail(CB_EFORMAT, "%s: %s has no place in the model %s of %d layers", at.file->path, at.info->name,
                   model->name, model->layers);
}

static cb_err check_all(const cb_tensor_dir *found, const cb_model *model) {
    cb_tensor_info *table;
    int count;
    TRY(cb_layout_make(model, &table, &count));
    cb_err e = CB_OK;
    for (int f = 0; f < found->count && !e; f++) {
        for (int i = 0; i < found->files[f].count && !e; i++) {
            e = check_tensor(found, (place){&found->files[f], &found->files[f].tensors[i]}, model, table, count);
        }
    }
    free(table);
    return e;
}

static cb_err load_one(const cb_tensor_dir *found, const char *dir, const cb_local_tensor *tensor) {
    cb_tensor_info wanted = cb_layout_info(&tensor->param);
    place at = find(found, wanted.name);
    if (!at.info)
        return cb_fail(CB_EFORMAT, "%s: there is no tensor %s (nor %s%s)", dir, wanted.name, prefix, wanted.name);
    if (!same_shape(at.info, &wanted)) {
        char has[96], needs[96];
        return cb_fail(CB_EFORMAT, "%s: %s has shape %s, the model needs %s", at.file->path, at.info->name,
                       cb_tensor_shape_text(at.info, has), cb_tensor_shape_text(&wanted, needs));
    }
    return cb_err_context(cb_slice_read(tensor, data_of(at), at.info->dtype), "%s", at.file->path);
}

cb_err cb_weights_load(const char *dir, const cb_model *model, cb_local_tensor *tensors, int count) {
    cb_tensor_dir found;
    TRY(cb_tensor_dir_open(&found, dir));
    cb_err e = check_all(&found, model);
    for (int i = 0; i < count && !e; i++) e = load_one(&found, dir, &tensors[i]);
    cb_tensor_dir_close(&found);
    return e;
}
