/* What the fields of config.json mean in each family. Read strictly: a field of the wrong type, or a value that would
 * mean another arithmetic than the family's, is refused by name instead of ignored; what does not change the model
 * (dropout, token ids, task parameters) is read over. Source: transformers, GPT2Config, LlamaConfig, MistralConfig,
 * Qwen2Config, BloomConfig. */
#include "model/config_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SHOWN = 80 };

/* A field's value as short text for messages. */
static const char *shown(const json_t *value, char out[MAX_SHOWN]) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    snprintf(out, MAX_SHOWN, "%s", text ? text : "a value");
    free(text);
    return out;
}

/* Names the field and where it stands; a field that is missing is missing in the whole. */
static cb_err wrong(const cb_json *file, const char *field, const json_t *found, const char *expected) {
    char text[MAX_SHOWN];
    int64_t top = cb_json_top(file);
    if (!found) return cb_json_wrong(file, top, "%s is missing; expected %s", field, expected);
    return cb_json_wrong(file, cb_json_key(file, top, field), "%s is %s; expected %s", field, shown(found, text),
                         expected);
}

static bool is_null(const json_t *value) {
    return !value || json_is_null(value);
}

/* A positive integer up to 2^30; absent or null it is `otherwise`, or refused where that is 0. */
static cb_err read_size(const cb_json *file, const char *field, int64_t otherwise, int64_t *to) {
    const json_t *value = json_object_get(file->root, field);
    *to = otherwise;
    if (is_null(value) && otherwise) return CB_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > 1 << 30)
        return wrong(file, field, value, "an integer from 1 to 1073741824");
    *to = json_integer_value(value);
    return CB_OK;
}

static cb_err read_number(const cb_json *file, const char *field, double otherwise, double *to) {
    const json_t *value = json_object_get(file->root, field);
    *to = otherwise;
    if (is_null(value)) return CB_OK;
    if (!json_is_number(value) || !(json_number_value(value) > 0))
        return wrong(file, field, value, "a positive number");
    *to = json_number_value(value);
    return CB_OK;
}

/* A field that is absent, null, or one of the values given (NULL-ended). */
static cb_err require_text(const cb_json *file, const char *field, const char *const *allowed, const char *expected) {
    const json_t *value = json_object_get(file->root, field);
    if (is_null(value)) return CB_OK;
    for (; json_is_string(value) && *allowed; allowed++)
        if (!strcmp(json_string_value(value), *allowed)) return CB_OK;
    return wrong(file, field, value, expected);
}

static cb_err require_flag(const cb_json *file, const char *field, bool required) {
    const json_t *value = json_object_get(file->root, field);
    if (is_null(value) || (json_is_boolean(value) && json_is_true(value) == required)) return CB_OK;
    return wrong(file, field, value, required ? "true" : "false");
}

static cb_err read_flag(const cb_json *file, const char *field, bool otherwise, bool *to) {
    const json_t *value = json_object_get(file->root, field);
    *to = otherwise;
    if (is_null(value)) return CB_OK;
    if (!json_is_boolean(value)) return wrong(file, field, value, "true or false");
    *to = json_is_true(value);
    return CB_OK;
}

/* Of two names of a field the one that the file has; the first, if neither. */
static const char *either(const cb_json *file, const char *name, const char *other) {
    return is_null(json_object_get(file->root, name)) && json_object_get(file->root, other) ? other : name;
}

/* Names of the sizes that every family has. */
typedef struct size_names {
    const char *positions, *channels, *layers, *heads, *norm_eps;
} size_names;

static cb_err read_sizes(cb_model *model, const cb_json *file, const size_names *names, int64_t positions) {
    int64_t layers, heads;
    TRY(read_size(file, "vocab_size", 0, &model->vocab));
    TRY(read_size(file, names->positions, positions, &model->positions));
    TRY(read_size(file, names->channels, 0, &model->channels));
    TRY(read_size(file, names->layers, 0, &layers));
    TRY(read_size(file, names->heads, 0, &heads));
    TRY(read_number(file, names->norm_eps, 1e-5, &model->norm_eps));
    TRY(read_number(file, "initializer_range", 0.02, &model->init_std));
    model->layers = (int)layers, model->heads = model->kv_heads = (int)heads;
    return CB_OK;
}

static cb_err read_gpt2(cb_model *model, const cb_json *file) {
    static const char *const gelus[] = {"gelu_new", "gelu_pytorch_tanh", NULL};
    size_names names = {either(file, "n_positions", "n_ctx"), "n_embd", "n_layer", "n_head", "layer_norm_epsilon"};
    TRY(require_text(file, "activation_function", gelus, "\"gelu_new\" or \"gelu_pytorch_tanh\""));
    TRY(require_flag(file, "tie_word_embeddings", true));
    TRY(require_flag(file, "scale_attn_weights", true));
    TRY(require_flag(file, "scale_attn_by_inverse_layer_idx", false));
    TRY(require_flag(file, "add_cross_attention", false));
    TRY(read_sizes(model, file, &names, 0));
    return read_size(file, "n_inner", 4 * model->channels, &model->ffn);
}

static cb_err check_head_channels(const cb_model *model, const cb_json *file) {
    int64_t channels, usual = model->channels / model->heads;
    TRY(read_size(file, "head_dim", usual > 0 ? usual : 1, &channels));
    if (channels * model->heads == model->channels || !json_object_get(file->root, "head_dim")) return CB_OK;
    return wrong(file, "head_dim", json_object_get(file->root, "head_dim"), "hidden_size / num_attention_heads");
}

/* What the three families of gated layers share. positions, kv_heads: where the file does not have the field; null is
 * as many as heads. */
static cb_err read_gated(cb_model *model, const cb_json *file, int64_t positions, int64_t kv_heads) {
    static const char *const silus[] = {"silu", "swish", NULL};
    size_names names = {"max_position_embeddings", "hidden_size", "num_hidden_layers", "num_attention_heads",
                        "rms_norm_eps"};
    bool tied;
    TRY(require_text(file, "hidden_act", silus, "\"silu\""));
    TRY(read_sizes(model, file, &names, positions));
    TRY(read_size(file, "intermediate_size", 0, &model->ffn));
    if (kv_heads == 0 || json_object_get(file->root, "num_key_value_heads")) kv_heads = model->heads;
    TRY(read_size(file, "num_key_value_heads", kv_heads, &kv_heads));
    TRY(check_head_channels(model, file));
    TRY(read_flag(file, "tie_word_embeddings", false, &tied));
    model->kv_heads = (int)kv_heads, model->untied = !tied;
    model->gated = model->unbiased = true;
    model->norm = CB_RMSNORM, model->position = CB_ROTARY;
    return CB_OK;
}

static cb_err read_llama(cb_model *model, const cb_json *file) {
    TRY(require_flag(file, "attention_bias", false));
    TRY(require_flag(file, "mlp_bias", false));
    return read_gated(model, file, 2048, 0);
}

/* Llama's layers. A sequence no longer than the sliding window sees all of itself: so long are sequences here. */
static cb_err read_mistral(cb_model *model, const cb_json *file) {
    int64_t window = 4096;
    TRY(read_gated(model, file, 4096 * 32, 8));
    if (json_object_get(file->root, "sliding_window")) window = model->positions; /* null: none */
    TRY(read_size(file, "sliding_window", window, &window));
    if (window < model->positions) model->positions = window;
    return CB_OK;
}

/* Llama's layers, with biases of q, k and v. */
static cb_err read_qwen2(cb_model *model, const cb_json *file) {
    TRY(require_flag(file, "use_sliding_window", false));
    TRY(read_gated(model, file, 32768, 32));
    model->biased_qkv = true;
    return CB_OK;
}

static cb_err read_bloom(cb_model *model, const cb_json *file) {
    size_names names = {"seq_length", either(file, "hidden_size", "n_embed"),
                        either(file, "n_layer", "num_hidden_layers"), either(file, "n_head", "num_attention_heads"),
                        "layer_norm_epsilon"};
    TRY(require_flag(file, "apply_residual_connection_post_layernorm", false));
    TRY(require_flag(file, "tie_word_embeddings", true));
    TRY(read_sizes(model, file, &names, 2048));
    model->ffn = 4 * model->channels;
    model->embed_norm = true, model->position = CB_ALIBI;
    return CB_OK;
}

cb_err cb_config_read_fields(cb_model *model, const cb_json *file) {
    static const struct {
        const char *type;
        cb_err (*read)(cb_model *model, const cb_json *file);
    } families[] = {{"gpt2", read_gpt2},
                    {"llama", read_llama},
                    {"mistral", read_mistral},
                    {"qwen2", read_qwen2},
                    {"bloom", read_bloom}};
    if (!json_is_object(file->root)) return wrong(file, "the top level", file->root, "an object {...}");
    const json_t *type = json_object_get(file->root, "model_type");
    if (is_null(type)) return read_gpt2(model, file);
    for (size_t i = 0; json_is_string(type) && i < sizeof families / sizeof *families; i++)
        if (!strcmp(json_string_value(type), families[i].type)) return families[i].read(model, file);
    return wrong(file, "model_type", type, "\"gpt2\", \"llama\", \"mistral\", \"qwen2\" or \"bloom\"");
}
