/* A model's configuration: where it comes from and whether its sizes fit together and fit a tensor-parallel size.
 * The limits keep every product of sizes that the project forms inside 63 bits. */
#include "model/model.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mesh/shard.h"

static const int64_t most_vocab = 1 << 30, most_positions = 1 << 30, most_channels = 1 << 20, most_ffn = 1 << 24,
                     most_layers = 1 << 16;

static bool is_path(const char *name) {
    size_t length = strlen(name);
    struct stat status;
    if (strchr(name, '/') || (length > 5 && !strcmp(name + length - 5, ".json"))) return true;
    return stat(name, &status) == 0 && S_ISDIR(status.st_mode);
}

int cb_model_kv_heads(const cb_model *model) {
    return model->kv_heads ? model->kv_heads : model->heads;
}

int64_t cb_model_qkv_width(const cb_model *model) {
    return model->channels + 2 * (model->channels / model->heads) * cb_model_kv_heads(model);
}

int64_t cb_model_fc_width(const cb_model *model) {
    return model->gated ? 2 * model->ffn : model->ffn;
}

cb_err cb_model_load(cb_model *model, const char *name) {
    const char *preset;
    for (int i = 0; (preset = cb_model_preset_name(i)); i++)
        if (!strcmp(preset, name)) return cb_model_preset(model, name);
    return is_path(name) ? cb_model_read_config(model, name) : cb_model_preset(model, name);
}

void cb_model_pad_vocab(cb_model *model, int64_t multiple) {
    model->vocab_multiple = multiple;
    model->vocab_padded = model->vocab;
    if (multiple < 1 || multiple > most_vocab || model->vocab > most_vocab) return; /* refused by cb_model_check */
    model->vocab_padded = (model->vocab + multiple - 1) / multiple * multiple;
}

static cb_err check_size(const cb_model *model, const char *what, int64_t value, int64_t most) {
    if (value >= 1 && value <= most) return CB_OK;
    return cb_fail(CB_EINVAL, "%s: %s is %lld; it must be 1 to %lld", model->name, what, (long long)value,
                   (long long)most);
}

static cb_err check_number(const cb_model *model, const char *what, double value) {
    if (isfinite(value) && value > 0) return CB_OK;
    return cb_fail(CB_EINVAL, "%s: %s is %g; it must be a positive number", model->name, what, value);
}

cb_err cb_model_check(const cb_model *model) {
    TRY(check_size(model, "the vocabulary size", model->vocab, most_vocab));
    TRY(check_size(model, "the multiple of the vocabulary size", model->vocab_multiple, most_vocab));
    TRY(check_size(model, "the number of positions", model->positions, most_positions));
    TRY(check_size(model, "the number of channels", model->channels, most_channels));
    TRY(check_size(model, "the MLP width", model->ffn, most_ffn));
    TRY(check_size(model, "the number of layers", model->layers, most_layers));
    TRY(check_size(model, "the number of heads", model->heads, most_channels));
    TRY(check_number(model, "norm_eps", model->norm_eps));
    TRY(check_number(model, "init_std", model->init_std));
    if (model->channels % model->heads)
        return cb_fail(CB_EINVAL, "%s: %d heads do not divide %lld channels", model->name, model->heads,
                       (long long)model->channels);
    if (model->kv_heads < 0 || model->heads % cb_model_kv_heads(model))
        return cb_fail(CB_EINVAL, "%s: %d heads of keys and values do not divide %d heads", model->name,
                       model->kv_heads, model->heads);
    if (model->vocab_padded < model->vocab || model->vocab_padded % model->vocab_multiple)
        return cb_fail(CB_EINVAL, "%s: the padded vocabulary %lld is not a multiple of %lld that holds %lld tokens",
                       model->name, (long long)model->vocab_padded, (long long)model->vocab_multiple,
                       (long long)model->vocab);
    return CB_OK;
}

cb_err cb_model_check_trainable(const cb_model *model) {
    const struct {
        bool is_used;
        const char *name;
    } parts[] = {
        {cb_model_kv_heads(model) != model->heads, "grouped keys and values"},
        {model->gated, "a gated MLP"},
        {model->norm == CB_RMSNORM, "RMSNorm"},
        {model->position == CB_ROTARY, "rotary positions"},
        {model->position == CB_ALIBI, "ALiBi positions"},
        {model->position == CB_NO_POSITION, "no positions"},
        {model->untied, "a head of its own"},
        {model->unbiased && !model->biased_qkv, "no biases"},
        {model->biased_qkv, "no biases but of q, k and v"},
        {model->embed_norm, "a norm behind the embedding"},
    };
    char list[256] = "";
    for (size_t i = 0, used = 0; i < sizeof parts / sizeof *parts && used < sizeof list; i++) {
        if (!parts[i].is_used) continue;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", parts[i].name);
    }
    if (!list[0]) return CB_OK;
    return cb_fail(CB_EUNSUPPORTED,
                   "%s has %s; what can be trained has none of these: gpt2-*, gpt3-* or a config.json of GPT-2's form. "
                   "`cuboid plan` and `cuboid model` know this one too",
                   model->name, list);
}

/* Names in `out` what tp does not divide: "12 heads", "12 heads and the MLP width 3072". */
static void name_undivided(const cb_model *model, int tp, char *out, size_t out_size) {
    char part[4][64];
    int count = 0, kv_heads = cb_model_kv_heads(model);
    if (model->heads % tp) snprintf(part[count++], sizeof part[0], "%d heads", model->heads);
    if (kv_heads != model->heads && kv_heads % tp)
        snprintf(part[count++], sizeof part[0], "%d heads of keys and values", kv_heads);
    if (model->ffn % tp) snprintf(part[count++], sizeof part[0], "MLP width %lld", (long long)model->ffn);
    if (model->vocab_padded % tp)
        snprintf(part[count++], sizeof part[0], "padded vocabulary %lld", (long long)model->vocab_padded);
    const char *const joint[3] = {"", " and the ", ", the "};
    size_t used = 0;
    for (int i = 0; i < count && used < out_size; i++)
        used += (size_t)snprintf(out + used, out_size - used, "%s%s", i ? joint[i == count - 1 ? 1 : 2] : "", part[i]);
}

/* The least multiple of vocab_multiple that tp divides. */
static int64_t multiple_for(const cb_model *model, int tp) {
    int64_t multiple = model->vocab_multiple;
    while (multiple % tp) multiple += model->vocab_multiple;
    return multiple;
}

cb_err cb_model_check_tp(const cb_model *model, int tp) {
    if (tp < 1) return cb_fail(CB_EINVAL, "tp=%d: a size is at least 1", tp);
    bool body_fits = cb_model_kv_heads(model) % tp == 0 && model->ffn % tp == 0;
    if (body_fits && model->vocab_padded % tp == 0) return CB_OK;
    char what[224], divisors[128], advice[128] = "";
    int64_t values[3] = {cb_model_kv_heads(model), model->ffn, model->vocab_padded}; /* kv_heads divide heads */
    name_undivided(model, tp, what, sizeof what);
    cb_shard_common_divisors(values, 3, model->heads, divisors, sizeof divisors);
    if (body_fits)
        snprintf(advice, sizeof advice, ", or pad the vocabulary with --make-vocab-size-divisible-by %lld",
                 (long long)multiple_for(model, tp));
    return cb_fail(CB_EINVAL, "tp=%d does not divide the %s of %s; tp can be %s%s", tp, what, model->name, divisors,
                   advice);
}
