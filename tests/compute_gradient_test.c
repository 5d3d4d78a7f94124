/* Backward operations of both backends against central differences of their forward ones: with L = sum of out * dout
 * for random dout, dL/din[i] must be (L(in + h) - L(in - h)) / 2h. Steps of 2^-7 keep the rounding of f32 (about 1e-5
 * of L) and the curvature (h^2) both far below the bound, and the gradients are of the order of 1. */
#include "compute/compute.h"

#include "support/floats.h"
#include "support/test.h"

/* All inputs lie one after the other in one array. backward leaves d(in), having started from zero. */
typedef struct problem {
    const char *name;
    int64_t in, out;
    void (*forward)(cb_compute *c, const float *in, float *out);
    void (*backward)(cb_compute *c, const float *in, const float *dout, float *din);
} problem;

enum { M = 5, N = 19, K = 7 };

static float *copy_of(const float *x, int64_t n) {
    float *to = floats_new(0, n, 0);
    memcpy(to, x, (size_t)n * sizeof *x);
    return to;
}

/* in: x (M,K), w (N,K), b (N); out (M,N) = x w^T + b */
static void linear(cb_compute *c, const float *in, float *out) {
    cb_gemm g = {.tb = true, .m = M, .n = N, .k = K, .a = in, .b = in + M * K, .c = out, .lda = K, .ldb = K, .ldc = N};
    c->ops->gemm(c, &g, 1);
    c->ops->bias_add(c, out, in + M * K + N * K, M, N);
}

static void linear_backward(cb_compute *c, const float *in, const float *dout, float *din) {
    cb_gemm dx = {.m = M, .n = K, .k = N, .a = dout, .b = in + M * K, .c = din, .lda = N, .ldb = K, .ldc = K};
    cb_gemm dw = {.ta = true,
                  .m = N,
                  .n = K,
                  .k = M,
                  .a = dout,
                  .b = in,
                  .c = din + M * K,
                  .lda = N,
                  .ldb = K,
                  .ldc = K,
                  .beta = 1};
    c->ops->gemm(c, &dx, 1);
    c->ops->gemm(c, &dw, 1);
    c->ops->bias_grad(c, din + M * K + N * K, dout, M, N);
}

/* in: x (M,N), b (N) */
static void gelu(cb_compute *c, const float *in, float *out) {
    float *x = copy_of(in, M * N);
    c->ops->bias_gelu(c, out, x, in + M * N, M, N);
    free(x);
}

static void gelu_backward(cb_compute *c, const float *in, const float *dout, float *din) {
    float *x = copy_of(in, M * N);
    c->ops->bias_add(c, x, in + M * N, M, N);
    c->ops->gelu_backward(c, din, x, dout, M * N);
    c->ops->bias_grad(c, din + M * N, din, M, N);
    free(x);
}

/* in: x (M,N), w (N), b (N) */
static void norm(cb_compute *c, const float *in, float *out) {
    float mean[M], rstd[M];
    c->ops->layernorm(c, out, mean, rstd, in, in + M * N, in + M * N + N, M, N, 1e-5f);
}

static void norm_backward(cb_compute *c, const float *in, const float *dout, float *din) {
    float mean[M], rstd[M], y[M * N], *dw = din + M * N;
    c->ops->layernorm(c, y, mean, rstd, in, in + M * N, in + M * N + N, M, N, 1e-5f);
    c->ops->layernorm_backward(c, din, dw, dw + N, dout, in, in + M * N, mean, rstd, M, N);
}

enum { B = 2, T = 70, H = 2, D = 4, ROWS = B * T, C = H * D };

static void attend(cb_compute *c, const float *in, float *out) {
    float *probs = floats_new(0, B * H * T * T, NAN);
    cb_attention a = {.B = B, .T = T, .H = H, .D = D, .qkv = in, .out = out, .probs = probs};
    c->ops->attention(c, &a);
    free(probs);
}

static void attend_backward(cb_compute *c, const float *in, const float *dout, float *din) {
    float *probs = floats_new(0, B * H * T * T, NAN), *out = floats_new(0, ROWS * C, NAN);
    float *scratch = malloc((size_t)cb_attention_scratch_bytes(B, T, H, D, 1));
    cb_attention a = {B, T, H, D, in, out, probs, dout, din, scratch};
    c->ops->attention(c, &a);
    c->ops->attention_backward(c, &a);
    free(probs), free(out), free(scratch);
}

/* in: table (K,N), wpe (M,N); out (2M,N): two sequences of M positions; some tokens are another shard's */
static const int32_t tokens[2 * M] = {3, 4, 9, 3, 0, 10, 5, 3, 8, 100};

static void embed(cb_compute *c, const float *in, float *out) {
    c->ops->embedding(c, out, tokens, in, 3, K, 2 * M, N);
    c->ops->positions(c, out, in + K * N, 2, M, N);
}

static void embed_backward(cb_compute *c, const float *in, const float *dout, float *din) {
    (void)in;
    c->ops->embedding_backward(c, din, tokens, dout, 3, K, 2 * M, N);
    c->ops->positions_backward(c, din + K * N, dout, 2, M, N);
}

static const problem problems[] = {
    {"linear", M *K + N *K + N, M *N, linear, linear_backward},
    {"gelu", M *N + N, M *N, gelu, gelu_backward},
    {"layernorm", M *N + 2 * N, M *N, norm, norm_backward},
    {"attention", 3 * ROWS *C, ROWS *C, attend, attend_backward},
    {"embedding", K *N + M *N, 2 * M *N, embed, embed_backward},
};

static double loss(cb_compute *c, const problem *p, const float *in, const float *dout) {
    float *out = floats_new(0, p->out, 0);
    double sum = 0;
    p->forward(c, in, out);
    for (int64_t i = 0; i < p->out; i++) sum += (double)out[i] * (double)dout[i];
    free(out);
    return sum;
}

/* The worst distance from the difference quotient, every stride-th element of the input tried. */
static double worst_of(cb_compute *c, const problem *p, double *greatest) {
    float *in = floats_new(1, p->in, 1.5f), *dout = floats_new(2, p->out, 1), *din = floats_new(0, p->in, 0);
    const float h = 1.0f / 128;
    double worst = 0;
    p->backward(c, in, dout, din);
    int64_t stride = p->in > 1000 ? 7 : 1;
    for (int64_t i = 0; i < p->in; i += stride) {
        float was = in[i];
        in[i] = was + h;
        double up = loss(c, p, in, dout);
        double wide = (double)in[i];
        in[i] = was - h;
        double quotient = (up - loss(c, p, in, dout)) / (wide - (double)in[i]);
        in[i] = was;
        worst = fmax(worst, fabs(quotient - (double)din[i]));
        *greatest = fmax(*greatest, fabs((double)din[i]));
    }
    free(in), free(dout), free(din);
    return worst;
}

static void backward_is_the_derivative(void) {
    static const char *const backends[] = {"ref", "cpu"};
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 1))) continue;
        for (int i = 0; i < 5; i++) {
            double greatest = 0, worst = worst_of(c, &problems[i], &greatest);
            printf("     %s %s: %.2g of %.2g\n", backends[b], problems[i].name, worst, greatest);
            CHECK(worst < 1e-3 * greatest);
            CHECK(greatest > 0.5);
        }
        cb_compute_destroy(c);
    }
}

int main(void) {
    RUN(backward_is_the_derivative);
    return test_end();
}
