/* config.json: what is read, what is refused and with which words, what is written; and 20,000 mutations of a valid
 * text, none of which may end in anything but a model that passes its check, or an error. */
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "model/model.h"
#include "support/test.h"

/* GPT-2's published config.json: fields, values, dropout and task parameters included. */
static const char gpt2[] =
    "{\n  \"activation_function\": \"gelu_new\",\n  \"architectures\": [\"GPT2LMHeadModel\"],\n  \"attn_pdrop\": 0.1,\n"
    "  \"bos_token_id\": 50256,\n  \"embd_pdrop\": 0.1,\n  \"eos_token_id\": 50256,\n  \"initializer_range\": 0.02,\n"
    "  \"layer_norm_epsilon\": 1e-05,\n  \"model_type\": \"gpt2\",\n  \"n_ctx\": 1024,\n  \"n_embd\": 768,\n"
    "  \"n_head\": 12,\n  \"n_inner\": null,\n  \"n_layer\": 12,\n  \"n_positions\": 1024,\n  \"resid_pdrop\": 0.1,\n"
    "  \"summary_type\": \"cls_index\",\n  \"task_specific_params\": {\"text-generation\": {\"do_sample\": true}},\n"
    "  \"vocab_size\": 50257\n}\n";

static cb_err parse(cb_model *model, const char *text) {
    return cb_model_parse_config(model, text, (int64_t)strlen(text), "m/config.json");
}

static void published_config(void) {
    cb_model model, preset;
    CHECK_OK(parse(&model, gpt2));
    CHECK_OK(cb_model_preset(&preset, "gpt2-124m"));
    CHECK_STR(model.name, "m");
    CHECK(model.vocab == preset.vocab && model.vocab_padded == preset.vocab_padded && model.vocab_multiple == 128);
    CHECK(model.positions == preset.positions && model.channels == preset.channels && model.ffn == preset.ffn);
    CHECK(model.layers == preset.layers && model.heads == preset.heads);
    CHECK(model.norm_eps == preset.norm_eps && model.init_std == preset.init_std);
    CHECK_INT(cb_model_parameters(&model), 124439808);
}

/* Replaces `from` in GPT-2's config by `to` and reads it. */
static cb_err parse_with(cb_model *model, const char *from, const char *to) {
    char text[2 * sizeof gpt2];
    const char *at = strstr(gpt2, from);
    CHECK(at != NULL);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - gpt2), gpt2, to, at + strlen(from));
    return parse(model, text);
}

static void accepted_variants(void) {
    cb_model model;
    CHECK_OK(parse_with(&model, "\"n_inner\": null", "\"n_inner\": 1000"));
    CHECK_INT(model.ffn, 1000);
    CHECK_OK(parse_with(&model, "  \"n_inner\": null,\n", ""));
    CHECK_INT(model.ffn, 3072);
    CHECK_OK(parse_with(&model, "  \"n_positions\": 1024,\n", ""));
    CHECK_INT(model.positions, 1024); /* of n_ctx */
    CHECK_OK(parse_with(&model, "\"gelu_new\"", "\"gelu_pytorch_tanh\""));
    CHECK_OK(parse_with(&model, "\"n_inner\": null", "\"tie_word_embeddings\": true"));
    CHECK_OK(parse_with(&model, "1e-05", "1"));
    CHECK_NEAR(model.norm_eps, 1, 0);
    CHECK_OK(parse_with(&model, "  \"model_type\": \"gpt2\",\n", ""));
    CHECK_OK(parse(&model, "{\"vocab_size\":300,\"n_ctx\":8,\"n_embd\":16,\"n_layer\":1,\"n_head\":2}"));
    CHECK(model.ffn == 64 && model.vocab_padded == 384 && model.norm_eps == 1e-5 && model.init_std == 0.02);
}

static void refused_fields(void) {
    static const struct {
        const char *from, *to, *part;
    } bad[] = {
        {"\"n_embd\": 768", "\"n_embd\": \"768\"",
         "m/config.json:12:3: n_embd is \"768\"; expected an integer from 1 to 1073741824"},
        {"\"n_embd\": 768", "\"n_embd\": 768.0", "n_embd is 768.0; expected an integer"},
        {"\"n_embd\": 768", "\"n_embd\": -768", "n_embd is -768; expected an integer"},
        {"\"n_embd\": 768", "\"n_embd\": 4294967296", "n_embd is 4294967296; expected an integer from 1 to"},
        {"  \"n_embd\": 768,\n", "", "m/config.json:1:1: n_embd is missing; expected an integer"},
        {"\"n_layer\": 12", "\"n_layer\": null", "n_layer is null; expected an integer"},
        {"\"n_layer\": 12", "\"n_layer\": 0", "n_layer is 0; expected an integer"},
        {"\"n_head\": 12", "\"n_head\": [12]", "n_head is [12]; expected an integer"},
        {"\"n_inner\": null", "\"n_inner\": 0", "n_inner is 0; expected an integer"},
        {"\"n_positions\": 1024", "\"n_positions\": true", "n_positions is true; expected an integer"},
        {"\"vocab_size\": 50257", "\"vocab_size\": {}", "vocab_size is {}; expected an integer"},
        {"1e-05", "-1e-05", "layer_norm_epsilon is -1e-5; expected a positive number"},
        {"1e-05", "0", "layer_norm_epsilon is 0; expected a positive number"},
        {"0.02", "\"small\"", "initializer_range is \"small\"; expected a positive number"},
        {"\"gelu_new\"", "\"relu\"", "activation_function is \"relu\"; expected \"gelu_new\" or \"gelu_pytorch_tanh\""},
        {"\"gelu_new\"", "7", "activation_function is 7; expected \"gelu_new\""},
        {"\"gpt2\"", "\"mamba\"", "model_type is \"mamba\"; expected \"gpt2\", \"llama\", \"mistral\", \"qwen2\" or \"bloom\""},
        {"\"gpt2\"", "7", "model_type is 7; expected \"gpt2\""},
        {"\"n_inner\": null", "\"tie_word_embeddings\": false", "tie_word_embeddings is false; expected true"},
        {"\"n_inner\": null", "\"tie_word_embeddings\": 1", "tie_word_embeddings is 1; expected true"},
        {"\"n_inner\": null", "\"scale_attn_weights\": false", "scale_attn_weights is false; expected true"},
        {"\"n_inner\": null", "\"scale_attn_by_inverse_layer_idx\": true",
         "scale_attn_by_inverse_layer_idx is true; expected"},
        {"\"n_inner\": null", "\"add_cross_attention\": true", "add_cross_attention is true; expected false"},
        {"\"n_inner\": null", "\"n_head\": 6", "m/config.json:14:10: not JSON: duplicate object key"},
        {"\"n_ctx\": 1024,", "\"n_ctx\": 1024", "m/config.json:12:10: not JSON"},
    };
    cb_model model;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(parse_with(&model, bad[i].from, bad[i].to), CB_EFORMAT, bad[i].part);
    CHECK_FAILS(parse_with(&model, "\"n_head\": 12", "\"n_head\": 13"), CB_EINVAL,
                "m/config.json: m: 13 heads do not divide 768");
    CHECK_FAILS(parse_with(&model, "\"n_embd\": 768", "\"n_embd\": 1073741824"), CB_EINVAL,
                "channels is 1073741824; it must");
}

/* Published files, cut down to what is read. */
static void other_families(void) {
    static const char llama[] =
        "{\"model_type\": \"llama\", \"hidden_act\": \"silu\", \"hidden_size\": 8192,"
        "\"intermediate_size\": 28672, \"max_position_embeddings\": 8192, \"num_attention_heads\": 64,"
        "\"num_hidden_layers\": 80, \"num_key_value_heads\": 8, \"rms_norm_eps\": 1e-05,"
        "\"tie_word_embeddings\": false, \"vocab_size\": 128256}";
    static const char bloom[] =
        "{\"model_type\": \"bloom\", \"apply_residual_connection_post_layernorm\": false, \"n_embed\": 14336,"
        "\"n_layer\": 70, \"num_attention_heads\": 112, \"seq_length\": 2048, \"vocab_size\": 250880}";
    static const char mistral[] =
        "{\"model_type\": \"mistral\", \"hidden_act\": \"silu\", \"hidden_size\": 4096, \"initializer_range\": 0.02,"
        "\"intermediate_size\": 14336, \"max_position_embeddings\": 32768, \"num_attention_heads\": 32,"
        "\"num_hidden_layers\": 32, \"num_key_value_heads\": 8, \"rms_norm_eps\": 1e-05, \"sliding_window\": %s,"
        "\"tie_word_embeddings\": false, \"vocab_size\": 32000}";
    static const char qwen2[] =
        "{\"model_type\": \"qwen2\", \"attention_dropout\": 0.0, \"hidden_act\": \"silu\", \"hidden_size\": 896,"
        "\"intermediate_size\": 4864, \"max_position_embeddings\": 32768, \"num_attention_heads\": 14,"
        "\"num_hidden_layers\": 24, \"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-06, \"sliding_window\": 32768,"
        "\"tie_word_embeddings\": true, \"use_sliding_window\": false, \"vocab_size\": 151936}";
    char text[640];
    cb_model model, preset;
    snprintf(text, sizeof text, mistral, "4096");
    CHECK_OK(parse(&model, text));
    CHECK_OK(cb_model_preset(&preset, "mistral-7b"));
    snprintf(model.name, sizeof model.name, "%s", preset.name);
    CHECK(memcmp(&model, &preset, sizeof model) == 0);
    snprintf(text, sizeof text, mistral, "null");
    CHECK_OK(parse(&model, text));
    CHECK_INT(model.positions, 32768); /* no window */
    CHECK_OK(parse(&model, qwen2));
    CHECK_OK(cb_model_preset(&preset, "qwen2-0.5b"));
    snprintf(model.name, sizeof model.name, "%s", preset.name);
    CHECK(memcmp(&model, &preset, sizeof model) == 0);
    CHECK_OK(parse(&model, llama));
    CHECK_OK(cb_model_preset(&preset, "llama-3-70b"));
    snprintf(model.name, sizeof model.name, "%s", preset.name);
    CHECK(memcmp(&model, &preset, sizeof model) == 0);
    CHECK_OK(parse(&model, bloom));
    CHECK_OK(cb_model_preset(&preset, "bloom-176b"));
    snprintf(model.name, sizeof model.name, "%s", preset.name);
    CHECK(memcmp(&model, &preset, sizeof model) == 0);
}

static void other_families_refused(void) {
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"{\"model_type\":\"llama\",\"attention_bias\":true}", "attention_bias is true; expected false"},
        {"{\"model_type\":\"llama\",\"hidden_act\":\"gelu\"}", "hidden_act is \"gelu\"; expected \"silu\""},
        {"{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":64,\"num_hidden_layers\":1}",
         "m/config.json:1:1: num_attention_heads is missing; expected an integer"},
        {"{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":64,\"num_hidden_layers\":1,"
         "\"num_attention_heads\":8,\"intermediate_size\":9,\"head_dim\":16}",
         "head_dim is 16; expected hidden_size / num_attention_heads"},
        {"{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":64,\"num_hidden_layers\":1,"
         "\"num_attention_heads\":8,\"intermediate_size\":9,\"tie_word_embeddings\":0}",
         "tie_word_embeddings is 0; expected true or false"},
        {"{\"model_type\":\"bloom\",\"apply_residual_connection_post_layernorm\":true}", "expected false"},
        {"{\"model_type\":\"qwen2\",\"use_sliding_window\":true}", "use_sliding_window is true; expected false"},
        {"{\"model_type\":\"mistral\",\"vocab_size\":9,\"hidden_size\":64,\"num_hidden_layers\":1,"
         "\"num_attention_heads\":8,\"intermediate_size\":9,\"sliding_window\":0}",
         "sliding_window is 0; expected an integer from 1"},
        {"{\"model_type\":\"bloom\",\"vocab_size\":9}", "hidden_size is missing; expected an integer"},
    };
    cb_model model;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_FAILS(parse(&model, bad[i].text), CB_EFORMAT, bad[i].part);
    CHECK_FAILS(parse(&model, "{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":64,\"num_hidden_layers\":1,"
                              "\"num_attention_heads\":8,\"intermediate_size\":9,\"num_key_value_heads\":3}"),
                CB_EINVAL, "m: 3 heads of keys and values do not divide 8 heads");
}

static void refused_texts(void) {
    cb_model model;
    CHECK_FAILS(parse(&model, ""), CB_EFORMAT, "m/config.json:1:1: not JSON");
    CHECK_FAILS(parse(&model, "[1]"), CB_EFORMAT, "the top level is [1]; expected an object");
    CHECK_FAILS(parse(&model, "12"), CB_EFORMAT, "the top level is 12; expected an object");
    CHECK_FAILS(parse(&model, "{} {}"), CB_EFORMAT, "not JSON");
    CHECK_FAILS(parse(&model, "{\"vocab_size\": 1\xff}"), CB_EFORMAT, "not JSON");
    char deep[100000]; /* only '[' */
    memset(deep, '[', sizeof deep);
    CHECK_FAILS(cb_model_parse_config(&model, deep, sizeof deep, "deep"), CB_EFORMAT, "deep:1:2049: not JSON: ");
    /* a value too long to show is cut, not overrun */
    char text[400];
    snprintf(text, sizeof text, "{\"model_type\": \"%0300d\"}", 7);
    CHECK_FAILS(parse(&model, text), CB_EFORMAT, "model_type is \"00000");
}

static void write_file(const char *path, const char *text, size_t length) {
    FILE *file = fopen(path, "wb");
    if (!CHECK(file != NULL)) return;
    fwrite(text, 1, length, file);
    fclose(file);
}

static void names_of_models(void) {
    static const struct {
        const char *path, *name;
    } known[] = {{"a/b/gpt2/config.json", "gpt2"},
                 {"gpt2//config.json", "gpt2"},
                 {"small.json", "small"},
                 {"/x/small.json", "small"},
                 {"/config.json", "config"},
                 {"/x/.json", ".json"},
                 {"/x/model", "model"}};
    cb_model model;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CHECK_OK(cb_model_parse_config(&model, gpt2, sizeof gpt2 - 1, known[i].path));
        CHECK_STR(model.name, known[i].name);
    }
}

/* A folder is known by its name, however the path leads there. */
static void names_of_folders(void) {
    static const char *const ways[] = {"config.json", ".", "./", "./config.json", "../named", "below/..", "../named/."};
    char *before = getcwd(NULL, 0);
    cb_model model;
    mkdir(CB_BINARY_DIR "/config_test", 0777);
    mkdir(CB_BINARY_DIR "/config_test/named", 0777);
    mkdir(CB_BINARY_DIR "/config_test/named/below", 0777);
    write_file(CB_BINARY_DIR "/config_test/named/config.json", gpt2, sizeof gpt2 - 1);
    if (!CHECK(before && chdir(CB_BINARY_DIR "/config_test/named") == 0)) return;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        CHECK_OK(cb_model_load(&model, ways[i]));
        if (!CHECK_STR(model.name, "named")) printf("    by %s: %s\n", ways[i], model.name);
    }
    CHECK(chdir(before) == 0);
    free(before);
}

static void files(void) {
    cb_model model;
    mkdir(CB_BINARY_DIR "/config_test", 0777);
    write_file(CB_BINARY_DIR "/config_test/config.json", gpt2, sizeof gpt2 - 1);
    CHECK_OK(cb_model_load(&model, CB_BINARY_DIR "/config_test/config.json"));
    CHECK_STR(model.name, "config_test");
    CHECK_OK(cb_model_load(&model, CB_BINARY_DIR "/config_test"));
    CHECK_OK(cb_model_load(&model, CB_BINARY_DIR "/config_test/"));
    CHECK_STR(model.name, "config_test");
    CHECK_FAILS(cb_model_load(&model, CB_BINARY_DIR "/config_test/none.json"), CB_EIO,
                "/config_test/none.json: cannot open: No");
    CHECK_FAILS(cb_model_load(&model, "./no-such-directory"), CB_EIO, "./no-such-directory: cannot open: No such file");
    mkdir(CB_BINARY_DIR "/config_test/empty", 0777);
    CHECK_FAILS(cb_model_load(&model, CB_BINARY_DIR "/config_test/empty"), CB_EIO,
                "/empty/config.json: cannot open: No such");
    mkdir(CB_BINARY_DIR "/config_test/directory", 0777);
    mkdir(CB_BINARY_DIR "/config_test/directory/config.json", 0777);
    CHECK_FAILS(cb_model_load(&model, CB_BINARY_DIR "/config_test/directory"), CB_EIO,
                "config.json: cannot read: Is a directory");
    size_t huge = (1 << 20) + 1;
    char *spaces = malloc(huge);
    memset(spaces, ' ', huge);
    write_file(CB_BINARY_DIR "/config_test/huge.json", spaces, huge);
    CHECK_FAILS(cb_model_load(&model, CB_BINARY_DIR "/config_test/huge.json"), CB_EFORMAT,
                "huge.json: more than 1048576 bytes");
    memcpy(spaces, gpt2, sizeof gpt2 - 1); /* the most that is read */
    write_file(CB_BINARY_DIR "/config_test/huge.json", spaces, huge - 1);
    CHECK_OK(cb_model_load(&model, CB_BINARY_DIR "/config_test/huge.json"));
    free(spaces);
}

/* What is written is read back as the same model, for every preset. */
static void written_and_read(void) {
    const char *name;
    for (int i = 0; (name = cb_model_preset_name(i)); i++) {
        cb_model model, again;
        char *text = NULL, path[80];
        CHECK_OK(cb_model_preset(&model, name));
        CHECK_OK(cb_model_write_config(&model, &text));
        snprintf(path, sizeof path, "%s.json", name);
        CHECK_OK(cb_model_parse_config(&again, text, (int64_t)strlen(text), path));
        CHECK_STR(again.name, model.name);
        CHECK(again.vocab == model.vocab && again.vocab_padded == model.vocab_padded &&
              again.positions == model.positions);
        CHECK(again.channels == model.channels && again.ffn == model.ffn && again.heads == model.heads);
        CHECK(again.layers == model.layers && again.norm_eps == model.norm_eps && again.init_std == model.init_std);
        free(text);
    }
    cb_model exact;
    char *text = NULL;
    CHECK_OK(cb_model_preset(&exact, "demo"));
    exact.norm_eps = 1.0 / 3, exact.init_std = 0.1 + 0.2;
    CHECK_OK(cb_model_write_config(&exact, &text));
    cb_model again;
    CHECK_OK(parse(&again, text));
    CHECK(again.norm_eps == exact.norm_eps && again.init_std == exact.init_std);
    free(text);
}

static void written_fields(void) {
    cb_model model;
    char *text = NULL;
    CHECK_OK(cb_model_preset(&model, "gpt2-124m"));
    CHECK_OK(cb_model_write_config(&model, &text));
    static const char *const lines[] = {"\"activation_function\": \"gelu_new\"",
                                        "\"model_type\": \"gpt2\"",
                                        "\"attn_pdrop\": 0.0",
                                        "\"embd_pdrop\": 0.0",
                                        "\"resid_pdrop\": 0.0",
                                        "\"bos_token_id\": 50256",
                                        "\"eos_token_id\": 50256",
                                        "\"vocab_size\": 50257",
                                        "\"n_positions\": 1024",
                                        "\"n_embd\": 768",
                                        "\"n_inner\": 3072",
                                        "\"n_layer\": 12",
                                        "\"n_head\": 12",
                                        "\"initializer_range\": 0.02",
                                        "\"tie_word_embeddings\": true",
                                        "\"torch_dtype\": \"float32\""};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) CHECK(strstr(text, lines[i]) != NULL);
    CHECK(strstr(text, "\"layer_norm_epsilon\": 1e-5") != NULL ||
          strstr(text, "\"layer_norm_epsilon\": 1e-05") != NULL);
    json_t *root = json_loads(text, 0, NULL);
    CHECK_STR(json_string_value(json_array_get(json_object_get(root, "architectures"), 0)), "GPT2LMHeadModel");
    json_decref(root);
    free(text);
}

/* One change: a byte set, a bit flipped, a span cut out, a span repeated, a span replaced by an awkward piece of JSON.
 */
static size_t mutate_once(char *text, size_t length, size_t room, uint64_t r) {
    static const char *const pieces[] = {
        "null",    "-1",   "1e999", "9223372036854775808", "\"",   "{", "}",          "[[[[",
        "\\u0000", "\xc3", "0.5",   "\"n_head\":",         "true", ",", "1073741824", ""};
    size_t at = length ? (r >> 8) % length : 0, span = (r >> 40) % 24;
    if (at + span > length) span = length - at;
    const char *piece = pieces[(r >> 4) % 16];
    size_t piece_length = strlen(piece);
    switch (r % 5) {
    case 0:
        if (length) text[at] = (char)(r >> 48);
        return length;
    case 1:
        if (length) text[at] ^= (char)(1 << ((r >> 48) % 8));
        return length;
    case 2:
        memmove(text + at, text + at + span, length - at - span);
        return length - span;
    case 3:
        if (length + span > room) return length;
        memmove(text + at + span, text + at, length - at);
        return length + span;
    default:
        if (length - span + piece_length > room) return length;
        memmove(text + at + piece_length, text + at + span, length - at - span);
        memcpy(text + at, piece, piece_length);
        return length - span + piece_length;
    }
}

/* Each text lies in memory of exactly its length, so that reading past its end is seen by the address sanitizer. */
static void mutations(void) {
    enum { TEXTS = 20000, ROOM = 2048 };
    cb_rng_key key = {20240607, 1};
    int read = 0, refused = 0;
    for (uint64_t i = 0; i < TEXTS; i++) {
        char text[ROOM];
        size_t length = sizeof gpt2 - 1, changes = 1 + (size_t)(cb_rng_u64(key, 16 * i) % 6);
        memcpy(text, gpt2, length);
        for (size_t c = 0; c < changes; c++) length = mutate_once(text, length, ROOM, cb_rng_u64(key, 16 * i + 1 + c));
        char *exact = malloc(length ? length : 1);
        memcpy(exact, text, length);
        cb_model model;
        cb_err e = cb_model_parse_config(&model, exact, (int64_t)length, "mutated.json");
        if (e) {
            CHECK(cb_err_code(e) == CB_EFORMAT || cb_err_code(e) == CB_EINVAL);
            CHECK(strncmp(cb_err_text(e), "mutated.json:", 13) == 0);
            refused++;
        } else {
            CHECK_OK(cb_model_check(&model));
            CHECK(cb_model_parameters(&model) > 0 && isfinite(cb_model_flops_per_token(&model, model.positions)));
            read++;
        }
        cb_err_free(e);
        free(exact);
    }
    CHECK_INT(read + refused, TEXTS);
    CHECK(read > TEXTS / 50 && refused > TEXTS / 2); /* the mutations reach both ends */
}

int main(void) {
    RUN(published_config);
    RUN(accepted_variants);
    RUN(refused_fields);
    RUN(other_families);
    RUN(other_families_refused);
    RUN(refused_texts);
    RUN(names_of_models);
    RUN(names_of_folders);
    RUN(files);
    RUN(written_and_read);
    RUN(written_fields);
    RUN(mutations);
    return test_end();
}
