/* What tensor parallelism relies on: attention over some of the heads, and elementwise operations over some of the
 * columns, give bit for bit what the whole gives there. Also that attention is causal and stays inside its scratch. */
#include "compute/compute.h"

#include "support/floats.h"
#include "support/test.h"

static const char *const backends[] = {"ref", "cpu"};

typedef struct attention_run {
    float *qkv, *dout;         /* inputs */
    float *out, *probs, *dqkv; /* outputs */
} attention_run;

static void run_free(attention_run *r) {
    free(r->qkv), free(r->dout), free(r->out), free(r->probs), free(r->dqkv);
}

/* to (rows, 3, n) or (rows, 1, n) = columns first.. of each of the `parts` groups of `whole` columns */
static float *columns_of(const float *from, int64_t rows, int parts, int64_t whole, int64_t first, int64_t n) {
    float *to = floats_new(0, rows * parts * n, 0);
    for (int64_t i = 0; i < rows * parts; i++) memcpy(to + i * n, from + i * whole + first, (size_t)n * sizeof *to);
    return to;
}

static void attend(cb_compute *c, attention_run *r, int B, int T, int H, int D) {
    int64_t n = (int64_t)B * T * H * D, scratch = cb_attention_scratch_bytes(B, T, H, D, c->threads);
    enum { GUARD = 64 };
    char *work = malloc((size_t)scratch + GUARD);
    memset(work + scratch, 0x5a, GUARD);
    r->out = floats_new(0, n, NAN), r->probs = floats_new(0, (int64_t)B * H * T * T, NAN);
    r->dqkv = floats_new(0, 3 * n, NAN);
    cb_attention a = {B, T, H, D, r->qkv, r->out, r->probs, r->dout, r->dqkv, (float *)(void *)work};
    c->ops->attention(c, &a);
    c->ops->attention_backward(c, &a);
    bool kept = true;
    for (int i = 0; i < GUARD; i++) kept = kept && work[scratch + i] == 0x5a;
    CHECK(kept);
    free(work);
}

/* Heads first..first+n-1 on their own against the same heads in the run of all. */
static void check_part(cb_compute *c, const attention_run *all, int B, int T, int H, int D, int first, int n) {
    int64_t rows = (int64_t)B * T, C = (int64_t)H * D, from = (int64_t)first * D, part = (int64_t)n * D;
    attention_run r = {.qkv = columns_of(all->qkv, rows, 3, C, from, part),
                       .dout = columns_of(all->dout, rows, 1, C, from, part)};
    attend(c, &r, B, T, n, D);
    float *out = columns_of(all->out, rows, 1, C, from, part), *dqkv = columns_of(all->dqkv, rows, 3, C, from, part);
    float *probs = columns_of(all->probs, B, 1, (int64_t)H * T * T, (int64_t)first * T * T, (int64_t)n * T * T);
    CHECK(memcmp(out, r.out, (size_t)(rows * part) * sizeof *out) == 0);
    CHECK(memcmp(dqkv, r.dqkv, (size_t)(3 * rows * part) * sizeof *out) == 0);
    CHECK(memcmp(probs, r.probs, (size_t)((int64_t)B * n * T * T) * sizeof *out) == 0);
    free(out), free(dqkv), free(probs), run_free(&r);
}

/* Head sizes and counts whose strides are odd, and multiples of 64, 256 and 1024 (where libraries change their ways).
 */
static void heads_do_not_know_of_each_other(void) {
    static const struct {
        int B, T, H, D;
    } shapes[] = {{2, 5, 2, 3}, {1, 70, 4, 16}, {1, 200, 6, 11}, {2, 129, 12, 64}, {1, 256, 16, 64}, {1, 300, 2, 128}};
    for (int b = 0; b < 2; b++) {
        for (int s = 0; s < 6; s++) {
            int B = shapes[s].B, T = shapes[s].T, H = shapes[s].H, D = shapes[s].D;
            if (b == 0 && T > 128) continue; /* ref is slow, and plain */
            cb_compute *c;
            if (!CHECK_OK(cb_compute_create(&c, backends[b], 2))) continue;
            int64_t n = (int64_t)B * T * H * D;
            attention_run all = {.qkv = floats_new(1, 3 * n, 2), .dout = floats_new(2, n, 1)};
            attend(c, &all, B, T, H, D);
            for (int parts = 2; parts <= H; parts++) {
                if (H % parts) continue;
                int each = H / parts;
                check_part(c, &all, B, T, H, D, 0, each);
                check_part(c, &all, B, T, H, D, H - each, each);
            }
            run_free(&all);
            cb_compute_destroy(c);
        }
    }
}

/* What comes after position t changes nothing up to t; rows of probs sum to 1 and are 0 after the diagonal. */
static void attention_is_causal(void) {
    enum { T = 150, H = 2, D = 8, SEEN = 97, C = H * D };
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 1))) continue;
        attention_run one = {.qkv = floats_new(1, 3 * T * C, 2), .dout = floats_new(2, T * C, 1)};
        attention_run two = {.qkv = floats_new(1, 3 * T * C, 2), .dout = floats_new(2, T * C, 1)};
        for (int i = SEEN * 3 * C; i < T * 3 * C; i++) two.qkv[i] = -3 * two.qkv[i] + 1;
        attend(c, &one, 1, T, H, D);
        attend(c, &two, 1, T, H, D);
        CHECK(floats_distance(one.out, two.out, SEEN * C) == 0);
        CHECK(floats_distance(one.out + SEEN * C, two.out + SEEN * C, C) > 0.01);
        for (int i = 0; i < H * T; i++) {
            double sum = 0, after = 0;
            for (int j = 0; j < T; j++) *(j <= i % T ? &sum : &after) += fabs((double)one.probs[i * T + j]);
            CHECK_NEAR(sum, 1, 2e-6);
            CHECK(after == 0);
        }
        run_free(&one), run_free(&two);
        cb_compute_destroy(c);
    }
}

/* The sum of `count` products, of which product s has a (m, k) and b (k, n) of its own, and the sum in pieces as ranks
 * make it: each product alone, then the tree. */
static void check_gemm_sum(const char *backend, int64_t m, int64_t n, int64_t k, int count) {
    float *a = floats_new(1, count * m * k, 1), *b = floats_new(2, count * n * k, 1);
    float *parts = floats_new(3, count * m * n, 1), *first = NULL, *from[64];
    for (int threads = 1; threads <= 3; threads++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backend, threads))) continue;
        float *to = floats_new(3, m * n, 1),
              *scratch = malloc((size_t)cb_gemm_sum_scratch_bytes(m, n, count, threads) + 1);
        cb_gemm g[64];
        for (int s = 0; s < count; s++) {
            from[s] = parts + s * m * n;
            g[s] = (cb_gemm){false, true, m, n, k, a + s * m * k, b + s * n * k, from[s], k, k, n, 0, CB_F32};
            c->ops->gemm_sum(c, &g[s], 1, NULL);
        }
        g[0].c = to;
        c->ops->gemm_sum(c, g, count, scratch);
        c->ops->tree_sum(c, from[0], from, count, m * n);
        CHECK(memcmp(to, from[0], (size_t)(m * n) * sizeof *to) == 0);
        CHECK(!first || memcmp(to, first, (size_t)(m * n) * sizeof *to) == 0);
        if (!first) first = to;
        if (first != to) free(to);
        free(scratch);
        cb_compute_destroy(c);
    }
    free(first), free(a), free(b), free(parts);
}

static void a_sum_of_products_does_not_know_who_has_them(void) {
    for (int count = 1; count <= 17; count++) {
        check_gemm_sum("ref", 9, 11, 5, count);
        check_gemm_sum("cpu", 9, 11, 5, count);
        check_gemm_sum("cpu", 200, 500, 70, count);
        check_gemm_sum("cpu", 128, 384, 600, count);
    }
    CHECK_INT(cb_gemm_sum_scratch_bytes(1024, 1024, 1, 2), 0);
    CHECK_INT(cb_gemm_sum_scratch_bytes(64, 64, 8, 2), 2 * 4 * 64 * 64 * 4);
}

enum { M = 37, N = 700, CUT = 293 };

typedef struct rows_run {
    float *x, *y, *dx, *sum, *db;
} rows_run;

/* Every operation without a sum over columns, on columns first..first+n-1 of the same inputs. */
static rows_run run_rows(cb_compute *c, int64_t first, int64_t n) {
    float *x = floats_new(1, M * N, 5), *dy = floats_new(2, M * N, 1), *b = floats_new(3, N, 1);
    rows_run r = {.x = columns_of(x, M, 1, N, first, n),
                  .y = floats_new(0, M * n, 0),
                  .dx = floats_new(0, M * n, 0),
                  .sum = floats_new(0, M * n, 0),
                  .db = floats_new(0, n, 0)};
    float *d = columns_of(dy, M, 1, N, first, n);
    c->ops->bias_gelu(c, r.y, r.x, b + first, M, n);
    c->ops->gelu_backward(c, r.dx, r.x, d, M * n);
    c->ops->bias_grad(c, r.db, d, M, n);
    c->ops->residual(c, r.sum, r.x, d, b + first, M, n);
    c->ops->bias_add(c, r.sum, b + first, M, n);
    free(x), free(dy), free(b), free(d);
    return r;
}

static void check_columns(const float *whole, const float *part, int64_t rows, int64_t first, int64_t n) {
    float *same = columns_of(whole, rows, 1, N, first, n);
    CHECK(memcmp(same, part, (size_t)(rows * n) * sizeof *same) == 0);
    free(same);
}

static void columns_do_not_know_of_each_other(void) {
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 2))) continue;
        rows_run all = run_rows(c, 0, N);
        for (int half = 0; half < 2; half++) {
            int64_t first = half ? CUT : 0, n = half ? N - CUT : CUT;
            rows_run r = run_rows(c, first, n);
            check_columns(all.x, r.x, M, first, n), check_columns(all.y, r.y, M, first, n);
            check_columns(all.dx, r.dx, M, first, n), check_columns(all.sum, r.sum, M, first, n);
            check_columns(all.db, r.db, 1, first, n);
            free(r.x), free(r.y), free(r.dx), free(r.sum), free(r.db);
        }
        free(all.x), free(all.y), free(all.dx), free(all.sum), free(all.db);
        cb_compute_destroy(c);
    }
}

/* Known to the planner by formula, so by number here: two blocks of 64 rows of T + 16 floats for each thread. */
static void scratch_by_hand(void) {
    CHECK_INT(cb_attention_scratch_bytes(4, 1024, 12, 64, 1), 2 * 64 * 1040 * 4);
    CHECK_INT(cb_attention_scratch_bytes(1, 1, 1, 1, 3), 3 * 2 * 64 * 17 * 4);
}

int main(void) {
    RUN(heads_do_not_know_of_each_other);
    RUN(a_sum_of_products_does_not_know_who_has_them);
    RUN(attention_is_causal);
    RUN(columns_do_not_know_of_each_other);
    RUN(scratch_by_hand);
    return test_end();
}
