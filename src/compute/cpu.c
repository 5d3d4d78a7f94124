/* The `cpu` backend: its table, and the loops over whole vectors, in blocks whose size is fixed. */
#include "compute/cpu.h"

#include <assert.h>
#include <string.h>

#include "compute/vmath.h"

enum { BLOCK = 4096, GROUP = 256 };

/* In `parallel for simd`, a bare if() would switch off the simd as well where it is false: hence if(parallel : ...). */

/* One piece for each thread: memset is fastest on pieces too large for the cache. */
void cb_cpu_zero(cb_compute *c, float *x, int64_t n) {
    int width = cb_cpu_width(c, n);
    int64_t share = (n + width - 1) / width;
    if (n <= 0) return;
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t i = 0; i < n; i += share) memset(x + i, 0, (size_t)(n - i < share ? n - i : share) * sizeof *x);
}

void cb_cpu_accumulate(cb_compute *c, float *y, const float *x, int64_t n) {
    int width = cb_cpu_width(c, n);
#pragma omp parallel for simd num_threads(width) if (parallel : width > 1)
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

void cb_cpu_adamw(cb_compute *c, float *p, const float *g, float *m, float *v, int64_t n, const cb_adamw *h) {
    int width = cb_cpu_width(c, n);
    const float beta1 = h->beta1, beta2 = h->beta2, rest1 = 1 - h->beta1, rest2 = 1 - h->beta2, eps = h->eps;
    const float scale = h->grad_scale, keep = 1 - h->lr * h->weight_decay, rate = h->lr / h->correction1;
    const float root = 1 / sqrtf(h->correction2);
#pragma omp parallel for simd num_threads(width) if (parallel : width > 1)
    for (int64_t i = 0; i < n; i++) {
        float d = g[i] * scale;
        m[i] = cb_madd(beta1, m[i], rest1 * d);
        v[i] = cb_madd(beta2, v[i], rest2 * d * d);
        p[i] = cb_madd(keep, p[i], -(rate * m[i] / cb_madd(sqrtf(v[i]), root, eps)));
    }
}

static double block_squares(const float *x, int64_t n) {
    double lane[16] = {0};
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (int l = 0; l < 16; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
    }
    for (int l = 0; i + l < n; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
    for (int half = 8; half > 0; half /= 2) {
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    }
    return lane[0];
}

double cb_cpu_sum_squares(cb_compute *c, const float *x, int64_t n) {
    int width = cb_cpu_width(c, n);
    double total = 0, part[GROUP];
    for (int64_t first = 0; first < n; first += GROUP * BLOCK) {
        int64_t left = n - first, blocks = left < GROUP * BLOCK ? (left + BLOCK - 1) / BLOCK : GROUP;
#pragma omp parallel for num_threads(width) if (width > 1)
        for (int64_t i = 0; i < blocks; i++) {
            int64_t rest = left - i * BLOCK;
            part[i] = block_squares(x + first + i * BLOCK, rest < BLOCK ? rest : BLOCK);
        }
        for (int64_t i = 0; i < blocks; i++) total += part[i];
    }
    return total;
}

static bool any_nonfinite(const float *x, int64_t n) {
    uint32_t any = 0;
    for (int64_t i = 0; i < n; i++) any |= (cb_bits_of_float(x[i]) & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
    return any;
}

int64_t cb_cpu_first_nonfinite(cb_compute *c, const float *x, int64_t n) {
    int width = cb_cpu_width(c, n);
    bool bad[GROUP];
    for (int64_t first = 0; first < n; first += GROUP * BLOCK) {
        int64_t left = n - first, blocks = left < GROUP * BLOCK ? (left + BLOCK - 1) / BLOCK : GROUP;
#pragma omp parallel for num_threads(width) if (width > 1)
        for (int64_t i = 0; i < blocks; i++) {
            int64_t rest = left - i * BLOCK;
            bad[i] = any_nonfinite(x + first + i * BLOCK, rest < BLOCK ? rest : BLOCK);
        }
        for (int64_t i = 0; i < blocks; i++) {
            if (!bad[i]) continue;
            int64_t at = first + i * BLOCK;
            while (isfinite(x[at])) at++;
            return at;
        }
    }
    return -1;
}

/* out[0..count) = tree sum of from[0..n)[at..at+count), n > 1; room: one block for each level's right half */
static void tree(float *out, float *const *from, int n, int64_t at, int64_t count, float room[][BLOCK / 4]) {
    int left = 1;
    while (2 * left < n) left *= 2;
    const float *a = from[0] + at, *b = from[n - 1] + at;
    if (left > 1) {
        tree(out, from, left, at, count, room + 1);
        a = out;
    }
    if (n - left > 1) {
        tree(room[0], from + left, n - left, at, count, room + 1);
        b = room[0];
    }
#pragma omp simd
    for (int64_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

void cb_cpu_tree_sum(cb_compute *c, float *to, float *const *from, int n, int64_t count) {
    if (n == 1) {
        if (to != from[0]) memcpy(to, from[0], (size_t)count * sizeof *to);
        return;
    }
    if (n == 2 && to == from[0]) {
        cb_cpu_accumulate(c, to, from[1], count);
        return;
    }
    enum { PART = BLOCK / 4, LEVELS = 12 }; /* up to 4096 operands; 52 KiB of stack */
    assert(n >= 1 && n <= 1 << LEVELS);
    int width = cb_cpu_width(c, count);
#pragma omp parallel for num_threads(width) if (width > 1)
    for (int64_t at = 0; at < count; at += PART) {
        float out[PART], room[LEVELS][PART];
        int64_t part = count - at < PART ? count - at : PART;
        tree(out, from, n, at, part, room);
        memcpy(to + at, out, (size_t)part * sizeof *to);
    }
}

const cb_compute_ops cb_cpu_ops = {
    .name = "cpu",
    .takes_bf16 = cb_cpu_takes_bf16,
    .gemm = cb_cpu_gemm,
    .gemm_sum = cb_cpu_gemm_sum,
    .bias_add = cb_cpu_bias_add,
    .bias_grad = cb_cpu_bias_grad,
    .bias_gelu = cb_cpu_bias_gelu,
    .gelu_backward = cb_cpu_gelu_backward,
    .layernorm = cb_cpu_layernorm,
    .layernorm_backward = cb_cpu_layernorm_backward,
    .attention = cb_cpu_attention,
    .attention_backward = cb_cpu_attention_backward,
    .residual = cb_cpu_residual,
    .embedding = cb_cpu_embedding,
    .embedding_backward = cb_cpu_embedding_backward,
    .positions = cb_cpu_positions,
    .positions_backward = cb_cpu_positions_backward,
    .ce_max = cb_cpu_ce_max,
    .ce_exp = cb_cpu_ce_exp,
    .ce_backward = cb_cpu_ce_backward,
    .adamw = cb_cpu_adamw,
    .sum_squares = cb_cpu_sum_squares,
    .zero = cb_cpu_zero,
    .accumulate = cb_cpu_accumulate,
    .tree_sum = cb_cpu_tree_sum,
    .first_nonfinite = cb_cpu_first_nonfinite,
};
