/* A slice out of a file that lies in memory, of any of three number formats, converted exactly (F16 and BF16 are
 * subsets of F32). A transposed tensor is read along its rows in the file, STRIP of them at a time. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint/slice.h"

enum { STRIP = 16, RUN = 256 };

typedef void (*convert_fn)(const unsigned char *from, int64_t count, float *to);

typedef struct source {
    const unsigned char *from;
    int bytes; /* of an element */
    convert_fn convert;
} source;

static void copy_f32(const unsigned char *from, int64_t count, float *to) {
    memcpy(to, from, (size_t)count * sizeof *to);
}

static float of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void convert_bf16(const unsigned char *from, int64_t count, float *to) {
    for (int64_t i = 0; i < count; i++) to[i] = of_bits((uint32_t)from[2 * i] << 16 | (uint32_t)from[2 * i + 1] << 24);
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static float half(uint32_t h) {
    uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return of_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent) return of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

static void convert_f16(const unsigned char *from, int64_t count, float *to) {
    for (int64_t i = 0; i < count; i++) to[i] = half((uint32_t)from[2 * i] | (uint32_t)from[2 * i + 1] << 8);
}

static const struct {
    const char *dtype;
    int bytes;
    convert_fn convert;
} conversions[] = {{"F32", 4, copy_f32}, {"F16", 2, convert_f16}, {"BF16", 2, convert_bf16}};

static void run(const source *in, int64_t element, int64_t count, float *to) {
    in->convert(in->from + element * in->bytes, count, to);
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void read_straight(const cb_param *param, const cb_block *block, int64_t rows, const source *in, float *to) {
    if (block->cols == param->cols) {
        run(in, block->row * param->cols, rows * block->cols, to);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        run(in, (block->row + r) * param->cols + block->col, block->cols, to + r * block->cols);
    }
}

static void read_turned(const cb_param *param, const cb_block *block, int64_t rows, const source *in, float *to) {
    float strip[STRIP * RUN];
    for (int64_t c0 = 0; c0 < block->cols; c0 += STRIP) {
        int64_t n = least(block->cols - c0, STRIP);
        for (int64_t r0 = 0; r0 < rows; r0 += RUN) {
            int64_t m = least(rows - r0, RUN);
            for (int64_t c = 0; c < n; c++) {
                run(in, (block->col + c0 + c) * param->file_rows + block->row + r0, m, strip + c * RUN);
            }
            for (int64_t r = 0; r < m; r++) {
                for (int64_t c = 0; c < n; c++) to[(r0 + r) * block->cols + c0 + c] = strip[c * RUN + r];
            }
        }
    }
}

static void read_block(const cb_param *param, const cb_block *block, const source *in, float *to) {
    int64_t rows = least(param->file_rows - block->row, block->rows);
    if (rows < 0) rows = 0;
    if (param->file_transposed && param->dims == 2) {
        read_turned(param, block, rows, in, to);
    } else {
        read_straight(param, block, rows, in, to);
    }
    for (int64_t i = rows * block->cols; i < block->rows * block->cols; i++) to[i] = 0;
}

static cb_err source_of(const cb_param *param, const unsigned char *from, const char *dtype, source *in) {
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++) {
        if (strcmp(conversions[i].dtype, dtype) != 0) continue;
        *in = (source){from, conversions[i].bytes, conversions[i].convert};
        return CB_OK;
    }
    return cb_fail(CB_EFORMAT, "%s has dtype %s; weights are read from F32, F16 and BF16", param->name, dtype);
}

cb_err cb_slice_read(const cb_local_tensor *tensor, const unsigned char *from, const char *dtype) {
    const cb_param *param = &tensor->param;
    source in = {0};
    TRY(source_of(param, from, dtype, &in));
    cb_block *blocks = malloc((size_t)param->parts * (size_t)tensor->owned * sizeof *blocks);
    if (!blocks) return cb_fail(CB_ENOMEM, "no memory for the blocks of %s", param->name);
    int count = cb_param_blocks(param, tensor->shards, tensor->first, tensor->owned, blocks);
    for (int b = 0; b < count; b++) read_block(param, &blocks[b], &in, tensor->data + blocks[b].offset);
    free(blocks);
    return CB_OK;
}
