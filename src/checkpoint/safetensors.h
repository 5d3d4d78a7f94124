/* The safetensors format: u64 header length, JSON header, then the data. Reader maps files; writer lays out a header
 * first so that ranks can write their own slices side by side. Source: Hugging Face safetensors, format description. */
#ifndef CB_CHECKPOINT_SAFETENSORS_H
#define CB_CHECKPOINT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct cb_tensor_info {
    char name[96];
    char dtype[8]; /* "F32" "BF16" "F16" ... */
    int dims;
    int64_t shape[4];
    int64_t begin, end; /* bytes, relative to the start of the data */
} cb_tensor_info;

typedef struct cb_tensor_file {
    char *path;
    const unsigned char *map;
    int64_t map_bytes, data_offset; /* data_offset: of the data, in the file */
    cb_tensor_info *tensors;        /* in the order of their data */
    int count;
} cb_tensor_file;

/* Maps and validates: header length, JSON, ranges without overlap or hole, sizes equal to shape * dtype. Errors CB_EIO,
 * CB_EFORMAT. */
CB_MUST_USE cb_err cb_tensor_file_open(cb_tensor_file *file, const char *path);
void cb_tensor_file_close(cb_tensor_file *file); /* also of a zeroed struct */
/* NULL if there is none of that name. */
const cb_tensor_info *cb_tensor_file_find(const cb_tensor_file *file, const char *name);

/* Bytes of an element of a dtype by its name in files, 0 for an unknown one. */
int cb_tensor_dtype_bytes(const char *dtype);
/* "(768, 3072)". Returns out. */
char *cb_tensor_shape_text(const cb_tensor_info *info, char out[96]);

/* JSON from elsewhere before it is parsed: nested no deeper than headers and indices are, since the parser recurses and
 * a rank's stack is small. offset: of the text in its file, for the message. Error CB_EFORMAT. */
CB_MUST_USE cb_err cb_json_check_depth(const char *path, const char *text, int64_t bytes, int64_t offset);

/* Serialises the header for tensors (begin/end are set, contiguous in the given order; data starts 64-byte aligned by
 * space padding). *header holds the u64 length and the JSON, *bytes their size; to be freed. */
CB_MUST_USE cb_err cb_tensor_header_make(const cb_tensor_info *tensors, int count, char **header, int64_t *bytes);

#endif
