/* A slice into a file. What makes it few writes: everything goes out in the order of the file, and touching runs are
 * joined by the writer. Columns of a transposed tensor are turned into rows STRIP at a time, a cache line of each local
 * row. */
#include <stdlib.h>

#include "checkpoint/slice.h"

enum { STRIP = 16 };

static int by_row(const void *a, const void *b) {
    const cb_block *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int64_t rows_in_file(const cb_param *param, const cb_block *block) {
    int64_t rows = param->file_rows - block->row;
    return rows < 0 ? 0 : rows < block->rows ? rows : block->rows;
}

static cb_err write_straight(cb_writer *writer, const cb_local_tensor *tensor, const cb_block *block, int64_t base) {
    const cb_param *param = &tensor->param;
    const float *from = tensor->data + block->offset;
    int64_t rows = rows_in_file(param, block), runs = rows, length = block->cols;
    if (block->cols == param->cols) runs = 1, length = rows * block->cols;
    for (int64_t i = 0; i < runs; i++) {
        int64_t element = (block->row + i) * param->cols + block->col;
        TRY(cb_writer_put(writer, base + element * (int64_t)sizeof(float), from + i * length, length));
    }
    return CB_OK;
}

/* strip (STRIP, rows): columns first..first+n-1 of the block as rows, `stride` apart. */
static void turn(const float *from, const cb_block *block, int64_t rows, int64_t first, int64_t n, int64_t stride,
                 float *strip) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < n; c++) strip[c * stride + r] = from[r * block->cols + first + c];
    }
}

/* Blocks that share their columns, in order of rows: together they give pieces of every one of these rows of the file.
 */
static cb_err write_turned(cb_writer *writer, const cb_local_tensor *tensor, const cb_block *blocks, int count,
                           int64_t base, float *strip, int64_t stride) {
    const cb_param *param = &tensor->param;
    for (int64_t first = 0; first < blocks->cols; first += STRIP) {
        int64_t n = blocks->cols - first < STRIP ? blocks->cols - first : STRIP, at = 0;
        for (int b = 0; b < count; b++) {
            int64_t rows = rows_in_file(param, &blocks[b]);
            turn(tensor->data + blocks[b].offset, &blocks[b], rows, first, n, stride, strip + at);
            at += rows;
        }
        for (int64_t c = 0; c < n; c++) {
            at = c * stride;
            for (int b = 0; b < count; b++) {
                int64_t rows = rows_in_file(param, &blocks[b]);
                int64_t element = (blocks->col + first + c) * param->file_rows + blocks[b].row;
                TRY(cb_writer_put(writer, base + element * (int64_t)sizeof(float), strip + at, rows));
                at += rows;
            }
        }
    }
    return CB_OK;
}

static cb_err write_blocks(cb_writer *writer, const cb_local_tensor *tensor, const cb_block *blocks, int count,
                           int64_t base) {
    const cb_param *param = &tensor->param;
    if (!param->file_transposed || param->dims == 1) {
        for (int b = 0; b < count; b++) TRY(write_straight(writer, tensor, &blocks[b], base));
        return CB_OK;
    }
    int together = param->cut == CB_CUT_COLS ? 1 : count; /* blocks with the same columns */
    int64_t stride = 0;
    for (int b = 0; b < together; b++) stride += blocks[b].rows;
    float *strip = malloc((size_t)(STRIP * stride) * sizeof *strip);
    if (!strip) return cb_fail(CB_ENOMEM, "no memory to turn %d columns of %s", STRIP, param->name);
    cb_err e = CB_OK;
    for (int b = 0; b < count && !e; b += together) {
        e = write_turned(writer, tensor, blocks + b, together, base, strip, stride);
    }
    free(strip);
    return e;
}

cb_err cb_slice_write(cb_writer *writer, const cb_local_tensor *tensor, int64_t base) {
    const cb_param *param = &tensor->param;
    cb_block *blocks = malloc((size_t)param->parts * (size_t)tensor->owned * sizeof *blocks);
    if (!blocks) return cb_fail(CB_ENOMEM, "no memory for the blocks of %s", param->name);
    int count = cb_param_blocks(param, tensor->shards, tensor->first, tensor->owned, blocks);
    qsort(blocks, (size_t)count, sizeof *blocks, by_row);
    cb_err e = write_blocks(writer, tensor, blocks, count, base);
    free(blocks);
    return e;
}
