/* Hugging Face's config.json of GPT-2, read and written. Read strictly: a field of the wrong type, or a value that
 * would mean another arithmetic than GPT-2's, is refused by name instead of ignored; what does not change the model
 * (dropout, token ids, task parameters) is read over. Source: transformers, GPT2Config. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/model.h"

enum { MAX_FILE_BYTES = 1 << 20, MAX_SHOWN = 80, VOCAB_MULTIPLE = 128 };

/* A field's value as short text for messages. */
static const char *shown(const json_t *value, char out[MAX_SHOWN]) {
    if (!value) return "nothing";
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    snprintf(out, MAX_SHOWN, "%s", text ? text : "a value");
    free(text);
    return out;
}

static cb_err wrong(const char *path, const char *field, const json_t *found, const char *expected) {
    char text[MAX_SHOWN];
    return cb_fail(CB_EFORMAT, "%s: %s is %s; expected %s", path, field, shown(found, text), expected);
}

static bool is_null(const json_t *value) {
    return !value || json_is_null(value);
}

/* A positive integer up to 2^30; absent or null it is `otherwise`, or refused where that is 0. */
static cb_err read_size(const json_t *root, const char *path, const char *field, int64_t otherwise, int64_t *to) {
    const json_t *value = json_object_get(root, field);
    *to = otherwise;
    if (is_null(value) && otherwise) return CB_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > 1 << 30)
        return wrong(path, field, value, "an integer from 1 to 1073741824");
    *to = json_integer_value(value);
    return CB_OK;
}

static cb_err read_number(const json_t *root, const char *path, const char *field, double otherwise, double *to) {
    const json_t *value = json_object_get(root, field);
    *to = otherwise;
    if (is_null(value)) return CB_OK;
    if (!json_is_number(value) || !(json_number_value(value) > 0))
        return wrong(path, field, value, "a positive number");
    *to = json_number_value(value);
    return CB_OK;
}

/* A field that is absent, null, or one of the values given (NULL-ended). */
static cb_err require_text(const json_t *root, const char *path, const char *field, const char *const *allowed,
                           const char *expected) {
    const json_t *value = json_object_get(root, field);
    if (is_null(value)) return CB_OK;
    for (; json_is_string(value) && *allowed; allowed++)
        if (!strcmp(json_string_value(value), *allowed)) return CB_OK;
    return wrong(path, field, value, expected);
}

static cb_err require_flag(const json_t *root, const char *path, const char *field, bool required) {
    const json_t *value = json_object_get(root, field);
    if (is_null(value) || (json_is_boolean(value) && json_is_true(value) == required)) return CB_OK;
    return wrong(path, field, value, required ? "true" : "false");
}

/* The fields that say which arithmetic the model means. */
static cb_err require_gpt2(const json_t *root, const char *path) {
    static const char *const types[] = {"gpt2", NULL}, *const gelus[] = {"gelu_new", "gelu_pytorch_tanh", NULL};
    TRY(require_text(root, path, "model_type", types, "\"gpt2\""));
    TRY(require_text(root, path, "activation_function", gelus, "\"gelu_new\" or \"gelu_pytorch_tanh\""));
    TRY(require_flag(root, path, "tie_word_embeddings", true));
    TRY(require_flag(root, path, "scale_attn_weights", true));
    TRY(require_flag(root, path, "scale_attn_by_inverse_layer_idx", false));
    return require_flag(root, path, "add_cross_attention", false);
}

static cb_err read_fields(cb_model *model, const json_t *root, const char *path) {
    if (!json_is_object(root)) return wrong(path, "the top level", root, "an object {...}");
    int64_t layers, heads;
    const char *positions =
        is_null(json_object_get(root, "n_positions")) && json_object_get(root, "n_ctx") ? "n_ctx" : "n_positions";
    TRY(require_gpt2(root, path));
    TRY(read_size(root, path, "vocab_size", 0, &model->vocab));
    TRY(read_size(root, path, positions, 0, &model->positions));
    TRY(read_size(root, path, "n_embd", 0, &model->channels));
    TRY(read_size(root, path, "n_layer", 0, &layers));
    TRY(read_size(root, path, "n_head", 0, &heads));
    TRY(read_size(root, path, "n_inner", 4 * model->channels, &model->ffn));
    TRY(read_number(root, path, "layer_norm_epsilon", 1e-5, &model->norm_eps));
    TRY(read_number(root, path, "initializer_range", 0.02, &model->init_std));
    model->layers = (int)layers, model->heads = (int)heads;
    return CB_OK;
}

/* The model's name: the file's without .json or, for a config.json, its directory's. */
static void set_name(cb_model *model, const char *path) {
    const char *end = path + strlen(path), *slash = memrchr(path, '/', (size_t)(end - path));
    const char *begin = slash ? slash + 1 : path;
    if (slash && !strcmp(begin, "config.json")) {
        end = slash;
        while (end > path && end[-1] == '/') end--;
        slash = memrchr(path, '/', (size_t)(end - path));
        begin = slash ? slash + 1 : path;
    } else if (end - begin > 5 && !strcmp(end - 5, ".json")) {
        end -= 5;
    }
    snprintf(model->name, sizeof model->name, "%.*s", (int)(end - begin), begin);
    if (!model->name[0]) snprintf(model->name, sizeof model->name, "config");
}

cb_err cb_model_parse_config(cb_model *model, const char *text, int64_t length, const char *path) {
    json_error_t where;
    *model = (cb_model){.family = CB_GPT2};
    set_name(model, path);
    json_t *root = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (!root)
        return cb_fail(CB_EFORMAT, "%s: not JSON: line %d, column %d: %s", path, where.line, where.column, where.text);
    cb_err e = read_fields(model, root, path);
    json_decref(root);
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
