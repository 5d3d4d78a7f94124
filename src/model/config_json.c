/* Hugging Face's config.json, the file: read into a model by its fields (config_fields.c), and GPT-2's written. Source:
 * transformers, GPT2Config. */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/config_fields.h"
#include "model/model.h"

enum { MAX_FILE_BYTES = 1 << 20, VOCAB_MULTIPLE = 128 };

/* The name of the folder that holds the file, which `.` and `..` do not tell; "config" where there is none. */
static void name_by_folder(cb_model *model, const char *path, const char *file) {
    char folder[PATH_MAX], whole[PATH_MAX];
    int length = file > path ? (int)(file - path) : 1;
    snprintf(folder, sizeof folder, "%.*s", length, file > path ? path : ".");
    while (length > 1 && length < PATH_MAX && folder[length - 1] == '/') folder[--length] = 0;
    const char *slash = strrchr(folder, '/'), *last = slash ? slash + 1 : folder;
    if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
        const char *real = realpath(folder, whole);
        slash = real ? strrchr(real, '/') : NULL;
        last = slash ? slash + 1 : "";
    }
    snprintf(model->name, sizeof model->name, "%.63s", *last ? last : "config");
}

/* The model's name: the file's without .json or, for a config.json, its folder's. */
static void set_name(cb_model *model, const char *path) {
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t length = strlen(file);
    if (strcmp(file, "config.json") == 0) {
        name_by_folder(model, path, file);
        return;
    }
    if (length > 5 && strcmp(file + length - 5, ".json") == 0) length -= 5;
    snprintf(model->name, sizeof model->name, "%.*s", (int)length, length ? file : "config");
}

cb_err cb_model_parse_config(cb_model *model, const char *text, int64_t length, const char *path) {
    cb_json file;
    *model = (cb_model){0};
    set_name(model, path);
    TRY(cb_json_parse(&file, path, text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY));
    cb_err e = cb_config_read_fields(model, &file);
    json_decref(file.root);
    TRY(e);
    cb_model_pad_vocab(model, VOCAB_MULTIPLE);
    return cb_err_context(cb_model_check(model), "%s", path);
}

/* The open file's bytes into `text` of MAX_FILE_BYTES + 1. */
static cb_err read_open(FILE *file, const char *path, char *text, int64_t *length) {
    *length = (int64_t)fread(text, 1, MAX_FILE_BYTES + 1, file);
    if (ferror(file)) return cb_fail(CB_EIO, "%s: cannot read: %s", path, strerror(errno));
    if (*length > MAX_FILE_BYTES)
        return cb_fail(CB_EFORMAT, "%s: more than %d bytes; this is no config.json", path, MAX_FILE_BYTES);
    return CB_OK;
}

static cb_err read_file(cb_model *model, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return cb_fail(CB_EIO, "%s: cannot open: %s", path, strerror(errno));
    int64_t length = 0;
    char *text = malloc(MAX_FILE_BYTES + 1);
    cb_err e = text ? read_open(file, path, text, &length) : cb_fail(CB_ENOMEM, "%s: no memory to read it", path);
    fclose(file);
    if (!e) e = cb_model_parse_config(model, text, length, path);
    free(text);
    return e;
}

cb_err cb_model_read_config(cb_model *model, const char *path) {
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) return read_file(model, path);
    size_t length = strlen(path);
    char *file = NULL;
    if (asprintf(&file, "%s%sconfig.json", path, length && path[length - 1] == '/' ? "" : "/") < 0)
        return cb_fail(CB_ENOMEM, "%s: no memory for the path", path);
    cb_err e = read_file(model, file);
    free(file);
    return e;
}

/* The fewest digits with which both numbers read back exactly: 1e-05, not 1.0000000000000001e-05. */
static size_t precision_for(double a, double b) {
    for (int digits = 1; digits < 17; digits++) {
        char text_a[64], text_b[64];
        snprintf(text_a, sizeof text_a, "%.*g", digits, a);
        snprintf(text_b, sizeof text_b, "%.*g", digits, b);
        if (strtod(text_a, NULL) == a && strtod(text_b, NULL) == b) return (size_t)digits;
    }
    return 17;
}

/* Token ids: GPT-2 begins and ends a text with its last token, <|endoftext|>. */
static json_t *config_of(const cb_model *model) {
    json_int_t end_of_text = model->vocab - 1;
    const struct {
        const char *name;
        json_t *value;
    } fields[] = {
        {"architectures", json_pack("[s]", "GPT2LMHeadModel")},
        {"model_type", json_string("gpt2")},
        {"activation_function", json_string("gelu_new")},
        {"attn_pdrop", json_real(0)},
        {"embd_pdrop", json_real(0)},
        {"resid_pdrop", json_real(0)},
        {"bos_token_id", json_integer(end_of_text)},
        {"eos_token_id", json_integer(end_of_text)},
        {"vocab_size", json_integer(model->vocab)},
        {"n_positions", json_integer(model->positions)},
        {"n_ctx", json_integer(model->positions)},
        {"n_embd", json_integer(model->channels)},
        {"n_inner", json_integer(model->ffn)},
        {"n_layer", json_integer(model->layers)},
        {"n_head", json_integer(model->heads)},
        {"layer_norm_epsilon", json_real(model->norm_eps)},
        {"initializer_range", json_real(model->init_std)},
        {"scale_attn_weights", json_true()},
        {"tie_word_embeddings", json_true()},
        {"use_cache", json_true()},
        {"torch_dtype", json_string("float32")},
    };
    json_t *root = json_object();
    bool whole = root != NULL;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) /* takes every value, also where it fails */
        whole = json_object_set_new(root, fields[i].name, fields[i].value) == 0 && whole;
    if (whole) return root;
    json_decref(root);
    return NULL;
}

cb_err cb_model_write_config(const cb_model *model, char **json_text) {
    json_t *root = config_of(model);
    size_t digits = precision_for(model->norm_eps, model->init_std);
    *json_text = root ? json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(digits)) : NULL;
    json_decref(root);
    if (!*json_text) return cb_fail(CB_ENOMEM, "%s: no memory for its config.json", model->name);
    return CB_OK;
}
