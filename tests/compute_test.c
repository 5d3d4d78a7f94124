/* Every operation, on shapes that divide into nothing: `cpu` against `ref` within the bound of its row, and `cpu`
 * against itself on 1, 2 and 3 threads bit for bit. A row runs its operation on given inputs and leaves all outputs in
 * one array. */
#include "compute/compute.h"

#include "support/floats.h"
#include "support/test.h"

typedef struct shape {
    int64_t m, n, k;
} shape;

/* Outputs, one after the other. */
typedef struct room {
    float *data;
    int64_t count;
} room;

static void keep(room *to, const float *x, int64_t n) {
    to->data = realloc(to->data, (size_t)(to->count + n + 1) * sizeof(float));
    if (n > 0) memcpy(to->data + to->count, x, (size_t)n * sizeof(float));
    to->count += n;
}

static void keep_free(room *to, float *x, int64_t n) {
    keep(to, x, n);
    free(x);
}

/* All four transpositions, with leading dimensions larger than the rows, overwriting and adding. */
static void run_gemm(cb_compute *c, shape s, room *out) {
    for (int variant = 0; variant < 8; variant++) {
        bool ta = variant & 1, tb = variant & 2;
        int64_t lda = (ta ? s.m : s.k) + 3, ldb = (tb ? s.k : s.n) + 5, ldc = s.n + 2;
        float *a = floats_new(1, (ta ? s.k : s.m) * lda, 1), *b = floats_new(2, (tb ? s.n : s.k) * ldb, 1);
        float *to = floats_new(3, s.m * ldc, 1);
        cb_gemm g = {ta, tb, s.m, s.n, s.k, a, b, to, lda, ldb, ldc, variant & 4 ? 1.0f : 0.0f, CB_F32};
        c->ops->gemm(c, &g, 1);
        keep_free(out, to, s.m * ldc);
        free(a), free(b);
    }
}

static void run_bias(cb_compute *c, shape s, room *out) {
    float *y = floats_new(1, s.m * s.n, 1), *b = floats_new(2, s.n, 1), *db = floats_new(3, s.n, 1);
    c->ops->bias_grad(c, db, y, s.m, s.n);
    c->ops->bias_add(c, y, NULL, s.m, s.n);
    keep(out, y, s.m * s.n);
    c->ops->bias_add(c, y, b, s.m, s.n);
    keep_free(out, y, s.m * s.n), keep_free(out, db, s.n), free(b);
}

static void run_gelu(cb_compute *c, shape s, room *out) {
    int64_t n = s.m * s.n;
    float *x = floats_new(1, n, 6), *y = floats_new(2, n, 1), *b = floats_new(3, s.n, 1), *dy = floats_new(4, n, 1);
    c->ops->bias_gelu(c, y, x, b, s.m, s.n);
    c->ops->gelu_backward(c, y + n / 2, x + n / 2, dy + n / 2, n - n / 2);
    c->ops->gelu_backward(c, dy, x, dy, n);
    keep_free(out, x, n), keep_free(out, y, n), keep_free(out, dy, n), free(b);
}

static void run_layernorm(cb_compute *c, shape s, room *out) {
    int64_t n = s.m * s.n;
    float *x = floats_new(1, n, 3), *y = floats_new(2, n, 1), *w = floats_new(3, s.n, 1), *b = floats_new(4, s.n, 1);
    float *mean = floats_new(5, s.m, 1), *rstd = floats_new(6, s.m, 1), *dy = floats_new(7, n, 1);
    float *dx = floats_new(8, n, 1), *dw = floats_new(9, s.n, 1), *db = floats_new(10, s.n, 1);
    c->ops->layernorm(c, y, mean, rstd, x, w, b, s.m, s.n, 1e-2f);
    c->ops->layernorm_backward(c, dx, dw, db, dy, x, w, mean, rstd, s.m, s.n);
    keep_free(out, y, n), keep_free(out, mean, s.m), keep_free(out, rstd, s.m), keep_free(out, dx, n);
    keep_free(out, dw, s.n), keep_free(out, db, s.n), free(x), free(w), free(b), free(dy);
}

/* m is B, n is T, k is H * D with H = 3 where that divides */
static void run_attention(cb_compute *c, shape s, room *out) {
    int B = (int)s.m, T = (int)s.n, H = s.k % 3 == 0 ? 3 : 1, D = (int)s.k / H;
    int64_t n = s.m * s.n * s.k, pn = s.m * H * s.n * s.n;
    int64_t scratch = cb_attention_scratch_bytes(B, T, H, D, c->threads);
    float *qkv = floats_new(1, 3 * n, 2), *o = floats_new(2, n, 1), *p = floats_new(3, pn, 1);
    float *dout = floats_new(4, n, 1), *dqkv = floats_new(5, 3 * n, NAN), *work = malloc((size_t)scratch);
    cb_attention a = {B, T, H, D, qkv, o, p, dout, dqkv, work};
    c->ops->attention(c, &a);
    c->ops->attention_backward(c, &a);
    keep_free(out, o, n), keep_free(out, p, pn), keep_free(out, dqkv, 3 * n), free(qkv), free(dout), free(work);
}

static void run_residual(cb_compute *c, shape s, room *out) {
    int64_t n = s.m * s.n;
    float *x = floats_new(1, n, 1), *p = floats_new(2, n, 1), *b = floats_new(3, s.n, 1), *y = floats_new(4, n, 1);
    c->ops->residual(c, y, x, p, b, s.m, s.n);
    c->ops->residual(c, x, x, p, b, s.m, s.n);
    c->ops->residual(c, p, x, p, b, s.m, s.n);
    keep_free(out, y, n), keep_free(out, x, n), keep_free(out, p, n), free(b);
}

/* k rows of table that begin at 5; tokens from 0 to k + 9, many of them twice */
static void run_embedding(cb_compute *c, shape s, room *out) {
    int64_t n = s.m * s.n, begin = 5;
    int32_t *tokens = malloc((size_t)s.m * sizeof *tokens);
    for (int64_t i = 0; i < s.m; i++) tokens[i] = (int32_t)(i * i % (s.k + 10));
    float *x = floats_new(1, n, 1), *table = floats_new(2, s.k * s.n, 1), *dx = floats_new(3, n, 1);
    float *dtable = floats_new(4, s.k * s.n, 1), *dwpe = floats_new(5, s.n * s.k, 1);
    c->ops->embedding(c, x, tokens, table, begin, s.k, s.m, s.n);
    c->ops->embedding_backward(c, dtable, tokens, dx, begin, s.k, s.m, s.n);
    keep_free(out, x, n), keep_free(out, dtable, s.k * s.n), free(table), free(dx), free(tokens);
    float *big = floats_new(6, s.m * s.k * s.n, 1);
    c->ops->positions_backward(c, dwpe, big, s.m, s.k, s.n);
    c->ops->positions(c, big, dwpe, s.m, s.k, s.n);
    keep_free(out, big, s.m * s.k * s.n), keep_free(out, dwpe, s.n * s.k);
}

/* m rows of n columns of which k count */
static void run_loss(cb_compute *c, shape s, room *out) {
    int64_t n = s.m * s.n, begin = 3;
    int32_t *targets = malloc((size_t)s.m * sizeof *targets);
    for (int64_t i = 0; i < s.m; i++) targets[i] = (int32_t)(i * 7 % (s.n + 6));
    float *x = floats_new(1, n, 20), *max = floats_new(2, s.m, 1), *sum = floats_new(3, s.m, 1);
    float *at = floats_new(4, s.m, 1), *global = floats_new(5, s.m, 1);
    for (int64_t i = 0; i < s.m; i++) global[i] += 20;
    c->ops->ce_max(c, max, x, s.m, s.n, s.k);
    c->ops->ce_exp(c, x, sum, at, global, targets, begin, s.m, s.n, s.k);
    keep(out, x, n);
    for (int64_t i = 0; i < s.m; i++) sum[i] += 1e-3f; /* another shard's part */
    c->ops->ce_backward(c, x, sum, targets, begin, s.m, s.n, s.k, 0.25f);
    keep_free(out, x, n), keep_free(out, max, s.m), keep_free(out, sum, s.m), keep_free(out, at, s.m);
    free(global), free(targets);
}

static void run_vectors(cb_compute *c, shape s, room *out) {
    int64_t n = s.m * s.n;
    float *from[9];
    for (int i = 0; i < 9; i++) from[i] = floats_new((uint32_t)i, n, 1);
    for (int i = 2; i <= 9; i++) {
        c->ops->tree_sum(c, i % 2 ? from[0] : from[i - 1], from, i, n);
        keep(out, i % 2 ? from[0] : from[i - 1], n);
    }
    c->ops->tree_sum(c, from[0], from, 2, n);
    c->ops->tree_sum(c, from[1], from + 2, 1, n);
    c->ops->accumulate(c, from[3], from[4], n);
    c->ops->zero(c, from[5], n / 2);
    double squares = c->ops->sum_squares(c, from[6], n);
    float high = (float)squares, low = (float)(squares - (double)high);
    keep(out, &high, 1), keep(out, &low, 1);
    for (int i = 0; i < 9; i++) keep_free(out, from[i], n);
}

static void run_adamw(cb_compute *c, shape s, room *out) {
    int64_t n = s.m * s.n;
    float *p = floats_new(1, n, 1), *g = floats_new(2, n, 1), *m = floats_new(3, n, 0.1f), *v = floats_new(4, n, 1);
    for (int64_t i = 0; i < n; i++) v[i] *= v[i];
    cb_adamw h = {0.01f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.7f, 0.271f, 0.142625f};
    c->ops->adamw(c, p, g, m, v, n, &h);
    keep_free(out, p, n), keep_free(out, m, n), keep_free(out, v, n), free(g);
}

/* bound: of |cpu - ref| / (1 + |ref|), about four times the worst that was seen */
static const struct row {
    const char *name;
    void (*run)(cb_compute *c, shape s, room *out);
    double bound;
    shape shapes[12]; /* ends at m = 0 */
} table[] = {
    {"gemm",
     run_gemm,
     2e-5,
     {{1, 1, 1},
      {1, 7, 3},
      {5, 1, 9},
      {17, 19, 23},
      {64, 64, 64},
      {3, 130, 257},
      {100, 65, 300},
      {256, 96, 40},
      {8, 8, 2000},
      {300, 12, 12},
      {600, 530, 70}}},
    {"bias", run_bias, 1e-5, {{1, 1, 0}, {3, 17, 0}, {129, 65, 0}, {33, 1000, 0}, {2000, 16, 0}}},
    {"gelu", run_gelu, 1e-6, {{1, 1, 0}, {3, 17, 0}, {129, 65, 0}, {33, 1000, 0}}},
    {"layernorm", run_layernorm, 2e-5, {{1, 1, 0}, {2, 3, 0}, {7, 31, 0}, {65, 100, 0}, {40, 768, 0}, {300, 65, 0}}},
    {"attention",
     run_attention,
     1e-5,
     {{1, 1, 1},
      {1, 2, 6},
      {2, 7, 15},
      {1, 63, 24},
      {1, 64, 8},
      {1, 65, 12},
      {3, 100, 48},
      {1, 257, 33},
      {2, 130, 192}}},
    {"residual", run_residual, 1e-7, {{1, 1, 0}, {3, 17, 0}, {129, 165, 0}}},
    {"embedding", run_embedding, 1e-6, {{1, 1, 1}, {5, 3, 4}, {200, 33, 20}, {600, 100, 7}}},
    {"loss", run_loss, 1e-5, {{1, 1, 1}, {1, 1, 0}, {4, 33, 0}, {9, 40, 33}, {20, 2500, 2477}, {64, 512, 512}}},
    {"vectors", run_vectors, 1e-6, {{1, 1, 0}, {1, 4095, 0}, {3, 4099, 0}, {17, 1024, 0}, {3, 100000, 0}}},
    {"adamw", run_adamw, 1e-6, {{1, 1, 0}, {1, 31, 0}, {7, 5003, 0}}},
};
enum { ROWS = sizeof table / sizeof *table };

/* backend: one of compute.h's, or the same with bf16 products. */
static cb_err create(cb_compute **c, const char *backend, int threads) {
    if (strcmp(backend, "cpu bf16") == 0) return cb_compute_create_bf16(c, "cpu", threads);
    if (strcmp(backend, "ref bf16") == 0) return cb_compute_create_bf16(c, "ref", threads);
    return cb_compute_create(c, backend, threads);
}

static room run_on(const char *backend, int threads, const struct row *row, shape s) {
    room out = {0};
    cb_compute *c;
    if (!CHECK_OK(create(&c, backend, threads))) return out;
    row->run(c, s, &out);
    cb_compute_destroy(c);
    return out;
}

static void cpu_agrees_with_ref(void) {
    for (int i = 0; i < ROWS; i++) {
        double worst = 0;
        for (const shape *s = table[i].shapes; s->m > 0; s++) {
            room ref = run_on("ref", 1, &table[i], *s), cpu = run_on("cpu", 2, &table[i], *s);
            CHECK_INT(ref.count, cpu.count);
            double d = floats_distance(cpu.data, ref.data, ref.count);
            if (!CHECK(d <= table[i].bound))
                fprintf(stderr, "    %s of %lld x %lld x %lld: distance %g\n", table[i].name, (long long)s->m,
                        (long long)s->n, (long long)s->k, d);
            if (d > worst) worst = d;
            free(ref.data), free(cpu.data);
        }
        printf("     %s: worst distance %.3g of %.3g\n", table[i].name, worst, table[i].bound);
    }
}

static void threads_change_no_bit(void) {
    for (int i = 0; i < ROWS; i++) {
        for (const shape *s = table[i].shapes; s->m > 0; s++) {
            room one = run_on("cpu", 1, &table[i], *s);
            for (int threads = 2; threads <= 3; threads++) {
                room more = run_on("cpu", threads, &table[i], *s);
                bool same = one.count == more.count && !memcmp(one.data, more.data, (size_t)one.count * sizeof(float));
                if (!CHECK(same))
                    fprintf(stderr, "    %s of %lld x %lld x %lld on %d threads\n", table[i].name, (long long)s->m,
                            (long long)s->n, (long long)s->k, threads);
                free(more.data);
            }
            free(one.data);
        }
    }
}

enum { SHAPES = 6 };

/* Products of one and of many tiles: GPT-2's, and some that divide into nothing. */
static void products_keep_their_bits(void) {
    static const shape shapes[SHAPES] = {{768, 768, 256},  {1024, 2304, 192}, {1024, 5003, 77},
                                         {300, 3001, 400}, {3072, 281, 130},  {541, 545, 1100}};
    for (int i = 0; i < 4 * SHAPES; i++) {
        shape s = shapes[i / 4];
        bool ta = i & 1, tb = i & 2;
        float *a = floats_new(1, s.m * s.k, 1), *b = floats_new(2, s.n * s.k, 1), *to[3];
        for (int threads = 1; threads <= 3; threads++) {
            cb_compute *c;
            to[threads - 1] = floats_new(3, s.m * s.n, 0);
            if (!CHECK_OK(cb_compute_create(&c, "cpu", threads))) continue;
            cb_gemm g = {ta, tb, s.m, s.n, s.k, a, b, to[threads - 1], ta ? s.m : s.k, tb ? s.k : s.n, s.n, 0, CB_F32};
            c->ops->gemm(c, &g, 1);
            cb_compute_destroy(c);
        }
        CHECK(memcmp(to[0], to[1], (size_t)(s.m * s.n) * sizeof(float)) == 0);
        CHECK(memcmp(to[0], to[2], (size_t)(s.m * s.n) * sizeof(float)) == 0);
        free(a), free(b), free(to[0]), free(to[1]), free(to[2]);
    }
}

static double distance_between(const char *one, int threads, const char *other, const struct row *row, shape s) {
    room a = run_on(one, threads, row, s), b = run_on(other, 1, row, s);
    double d = a.count == b.count ? floats_distance(a.data, b.data, a.count) : INFINITY;
    free(a.data), free(b.data);
    return d;
}

/* cpu's bf16 products, of whatever instructions, against ref's on the same rounded operands; which are not the f32's.
 */
static void bf16_products_agree(void) {
    const struct row *row = &table[0];
    for (const shape *s = row->shapes; s->m > 0; s++) {
        double apart = distance_between("cpu bf16", 2, "ref bf16", row, *s);
        if (!CHECK(apart <= row->bound))
            fprintf(stderr, "    %lld x %lld x %lld: distance %g\n", (long long)s->m, (long long)s->n, (long long)s->k,
                    apart);
        CHECK(distance_between("cpu bf16", 1, "cpu bf16", row, *s) == 0);
        CHECK(distance_between("cpu bf16", 3, "cpu bf16", row, *s) == 0);
        CHECK(distance_between("ref bf16", 1, "ref", row, *s) > 1e-4);
    }
}

/* ref's bf16 product is that of the rounded operands. */
static void bf16_products_round_their_operands(void) {
    enum { M = 5, N = 7, K = 11 };
    float *a = floats_new(1, M * K, 1), *b = floats_new(2, N * K, 1), *to = floats_new(3, M * N, 1), rounded[M * N];
    cb_compute *bf16, *f32;
    CHECK_OK(create(&bf16, "ref bf16", 1));
    CHECK_OK(create(&f32, "ref", 1));
    cb_gemm g = {.tb = true, .m = M, .n = N, .k = K, .a = a, .b = b, .c = rounded, .lda = K, .ldb = K, .ldc = N};
    bf16->ops->gemm(bf16, &g, 1);
    for (int i = 0; i < M * K; i++) a[i] = cb_bf16_widen(cb_bf16_narrow(a[i]));
    for (int i = 0; i < N * K; i++) b[i] = cb_bf16_widen(cb_bf16_narrow(b[i]));
    g.c = to;
    f32->ops->gemm(f32, &g, 1);
    CHECK(memcmp(to, rounded, sizeof rounded) == 0);
    cb_compute_destroy(bf16), cb_compute_destroy(f32);
    free(a), free(b), free(to);
}

static void unknown_backends_are_named(void) {
    cb_compute *c;
    CHECK_FAILS(cb_compute_create(&c, "gpu", 1), CB_EUSAGE, "\"gpu\" is unknown; known: cpu, ref");
    CHECK(c == NULL);
    CHECK_FAILS(cb_compute_create(&c, "cpu", 0), CB_EUSAGE, "0 threads");
    cb_compute_destroy(NULL);
}

int main(void) {
    RUN(cpu_agrees_with_ref);
    RUN(threads_change_no_bit);
    RUN(products_keep_their_bits);
    RUN(bf16_products_agree);
    RUN(bf16_products_round_their_operands);
    RUN(unknown_backends_are_named);
    return test_end();
}
