/* The time of a matrix product by its shape: the share of the peak that the device family reaches on large ones, less
 * what the last wave of tiles leaves idle, less what short inner dimensions and misaligned ones cost; or the time to
 * move the operands, if longer. Tiles: Osama et al., "Stream-K", arXiv:2301.03598, says why waves matter. */
#include <math.h>

#include "planner/terms.h"

/* The best kernel among common tile sizes: how well tiles fill multiprocessors, times how well a tile reuses what it
 * has loaded, side/(side + tile_half) with `side` the harmonic mean of its sides. */
static double tile_share(const cb_terms *t, double m, double n) {
    static const struct {
        double rows, cols, side;
    } tiles[] = {{256, 128, 170.7}, {128, 256, 170.7}, {128, 128, 128}, {128, 64, 85.3}, {64, 128, 85.3}, {64, 64, 64}};
    double units = t->device->multiprocessors, best = 0;
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        double count = ceil(m / tiles[i].rows) * ceil(n / tiles[i].cols);
        double filled = m * n / (tiles[i].rows * tiles[i].cols) / (ceil(count / units) * units);
        double share = filled * tiles[i].side / (tiles[i].side + t->constants->tile_half);
        if (share > best) best = share;
    }
    return best;
}

/* Sizes that are multiples of 64 elements take the fastest kernels; each factor of two short of that costs alike, down
 * to 8, which are loaded at once. */
double cb_alignment_share(const cb_terms *t, double size) {
    int64_t whole = (int64_t)size;
    int bits = whole > 0 ? __builtin_ctzll((unsigned long long)whole) : 0;
    return bits >= 6 ? 1 : pow(t->constants->misaligned, bits > 3 ? (6 - bits) / 3.0 : 1);
}

static double peak_share(const cb_terms *t, cb_precision precision) {
    const cb_constants *c = t->constants;
    double share = c->gemm[t->device->family];
    if (precision == CB_MATH_8) share *= c->gemm_fp8 * (t->job->rowwise8 ? c->gemm_fp8_rows : 1);
    if (precision == CB_MATH_4) share *= c->gemm_fp4;
    return share;
}

double cb_gemm_s(const cb_terms *t, double m, double n, double k, double wide, cb_precision precision) {
    const cb_constants *c = t->constants;
    double narrower = precision == CB_MATH_8 ? 2 : precision == CB_MATH_4 ? 4 : 1; /* more elements fill the pipe */
    double share = peak_share(t, precision) * tile_share(t, m, n) * k / (k + c->depth_half * narrower) *
                   cb_alignment_share(t, wide);
    double compute_s = 2 * m * n * k / (t->device->peak_flops[precision] * share);
    double memory_s = cb_stream_s(t, t->regime.activation * (m * k + k * n + m * n));
    return (compute_s > memory_s ? compute_s : memory_s) + c->kernel_s;
}

/* forward (m, k) x (k, n); backward the gradients of both operands */
static cb_both product(const cb_terms *t, double m, double n, double k, double wide) {
    cb_precision precision = t->job->precision;
    return (cb_both){cb_gemm_s(t, m, n, k, wide, precision),
                     cb_gemm_s(t, m, k, n, wide, precision) + cb_gemm_s(t, n, k, m, wide, precision)};
}

cb_both cb_layer_gemms(const cb_terms *t) {
    double width = t->heads * t->head_width;
    cb_both of[] = {product(t, t->rows, t->qkv, t->channels, t->qkv), product(t, t->rows, t->channels, width, width),
                    product(t, t->rows, t->fc, t->channels, t->fc), product(t, t->rows, t->channels, t->ffn, t->ffn)};
    cb_both sum = {0, 0};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        sum.forward_s += of[i].forward_s;
        sum.backward_s += of[i].backward_s;
    }
    return sum;
}
