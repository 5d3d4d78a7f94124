/* The model, described once: configuration, presets, and checks. GPT-2 family: learned positions, pre-norm, GELU (tanh),
 * tied embedding, biases. Letters: V vocabulary, T positions, C channels, L layers, H heads, F MLP width. Pure. */
#ifndef CB_MODEL_MODEL_H
#define CB_MODEL_MODEL_H

#include <stdint.h>

#include "base/err.h"

typedef enum cb_family { CB_GPT2 } cb_family; /* other families are further rows of the tables in params.c */

typedef struct cb_model {
    char name[64];
    cb_family family;
    int64_t vocab;        /* true vocabulary size, e.g. 50257 */
    int64_t vocab_padded; /* rounded up to vocab_multiple; independent of the layout */
    int64_t vocab_multiple;
    int64_t positions;    /* longest sequence */
    int64_t channels, ffn;
    int layers, heads;
    double norm_eps;      /* 1e-5 */
    double init_std;      /* 0.02; projections into the residual stream get init_std / sqrt(2 L) */
} cb_model;

/* A preset by name ("gpt2-124m") or a config.json in Hugging Face's GPT-2 form (a name with '/' or ending in .json).
 * Errors: CB_EUSAGE with the nearest preset's name; CB_EIO, CB_EFORMAT with the field. */
CB_MUST_USE cb_err cb_model_load(cb_model *model, const char *name);
CB_MUST_USE cb_err cb_model_preset(cb_model *model, const char *name);
const char *const *cb_model_preset_names(void); /* NULL-ended */
/* Sets vocab_padded = ceil(vocab / multiple) * multiple. */
void cb_model_pad_vocab(cb_model *model, int64_t multiple);
/* Consistency: positive sizes, H divides C. Error CB_EINVAL. */
CB_MUST_USE cb_err cb_model_check(const cb_model *model);
/* tp divides heads, F and padded vocabulary. Error CB_EINVAL: "tp=8 does not divide the 12 heads of gpt2-124m; tp can be
 * 1, 2, 3, 4, 6 or 12". */
CB_MUST_USE cb_err cb_model_check_tp(const cb_model *model, int tp);

/* config_json.c: the reader and the writer of Hugging Face's GPT-2 config.json. path: the file, or the directory that holds a
 * config.json. Dropout fields are read over: training here has none. Errors: CB_EIO; CB_EFORMAT with the path, the field, what
 * was found and what was expected. */
CB_MUST_USE cb_err cb_model_read_config(cb_model *model, const char *path);
/* The same from `length` bytes of text; `path` names the model and stands in messages. */
CB_MUST_USE cb_err cb_model_parse_config(cb_model *model, const char *text, int64_t length, const char *path);
/* A config.json that transformers' GPT2Config loads. The caller frees *json_text (0-ended). Error: CB_ENOMEM. */
CB_MUST_USE cb_err cb_model_write_config(const cb_model *model, char **json_text);

int64_t cb_model_parameters(const cb_model *model); /* true count, without padded vocabulary rows */
/* FLOPs of one token of a training step (forward + backward): 6 * (weights of matrix products, logits included) + attention
 * with the causal half, 6 * L * C * T. The logits count the true vocabulary: padding is no useful work. Source: Megatron-LM's
 * current reporter; see docs/notation.md. */
double cb_model_flops_per_token(const cb_model *model, int64_t seq_length);
/* The same for one transformer layer, and for the head (logits) alone. */
double cb_model_layer_flops_per_token(const cb_model *model, int64_t seq_length);
double cb_model_head_flops_per_token(const cb_model *model);

#endif
