/* The model, described once: configuration, presets, and checks. A pre-norm decoder; what families differ in is fields,
 * whose zero is GPT-2: learned positions, LayerNorm, GELU (tanh), tied embedding, biases. Tables, counts, memory and the
 * planner know all of them; what `cuboid train` can run says cb_model_check_trainable.
 * Letters: V vocabulary, T positions, C channels, L layers, H heads, F MLP width. Pure. */
#ifndef CB_MODEL_MODEL_H
#define CB_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef enum cb_norm { CB_LAYERNORM, CB_RMSNORM } cb_norm; /* RMSNorm has no bias */
typedef enum cb_position { CB_LEARNED, CB_ROTARY, CB_ALIBI, CB_NO_POSITION } cb_position; /* only learned ones are a table */

typedef struct cb_model {
    char name[64];
    int64_t vocab;        /* true vocabulary size, e.g. 50257 */
    int64_t vocab_padded; /* rounded up to vocab_multiple; independent of the layout */
    int64_t vocab_multiple;
    int64_t positions;    /* longest sequence; without learned positions the longest that it was made for */
    int64_t channels, ffn;
    int layers, heads;
    int kv_heads;         /* heads of keys and values, each shared by heads / kv_heads queries; 0: heads */
    bool gated;           /* MLP: fc2(silu(gate) * up); fc holds gate and up */
    bool untied;          /* the head has a matrix of its own */
    bool unbiased;        /* no biases at all, those of norms included */
    bool biased_qkv;      /* but those of q, k and v */
    bool embed_norm;      /* a norm behind the embedding */
    cb_norm norm;
    cb_position position;
    double norm_eps;      /* 1e-5 */
    double init_std;      /* 0.02; projections into the residual stream get init_std / sqrt(2 L) */
} cb_model;

/* A preset by name ("gpt2-124m") or Hugging Face's config.json of GPT-2, Llama, Mistral, Qwen2 or BLOOM (a name with
 * '/' or ending in .json). Errors: CB_EUSAGE with the nearest presets' names; CB_EIO, CB_EFORMAT with the field. */
CB_MUST_USE cb_err cb_model_load(cb_model *model, const char *name);
CB_MUST_USE cb_err cb_model_preset(cb_model *model, const char *name);
const char *cb_model_preset_name(int index);   /* from 0; NULL: there are no more */
const char *cb_model_preset_source(int index); /* of its sizes, at most 25 letters */
/* Sets vocab_padded = ceil(vocab / multiple) * multiple. */
void cb_model_pad_vocab(cb_model *model, int64_t multiple);
/* Consistency: positive sizes, H divides C, kv_heads divide H. Error CB_EINVAL. */
CB_MUST_USE cb_err cb_model_check(const cb_model *model);
/* The trainer has this model's arithmetic. Error CB_EUNSUPPORTED naming what it does not have. */
CB_MUST_USE cb_err cb_model_check_trainable(const cb_model *model);
/* tp divides heads, kv_heads, F and padded vocabulary. Error CB_EINVAL: "tp=8 does not divide the 12 heads of gpt2-124m; tp can be
 * 1, 2, 3, 4, 6 or 12". */
CB_MUST_USE cb_err cb_model_check_tp(const cb_model *model, int tp);

int cb_model_kv_heads(const cb_model *model);
int64_t cb_model_qkv_width(const cb_model *model); /* outputs of c_attn: C + 2 kv_heads C/H */
int64_t cb_model_fc_width(const cb_model *model);  /* outputs of c_fc: F, 2 F if gated */

/* config_json.c: the reader of Hugging Face's config.json of these families, and the writer of GPT-2's. path: the file,
 * or the directory that holds a config.json. Of Mistral's sliding window only its length is kept, as the longest
 * sequence. Dropout fields are read over: training here has none. Errors: CB_EIO; CB_EFORMAT with the path, the field,
 * what was found and what was expected. */
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
