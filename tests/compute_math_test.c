/* The vectorisable functions against libm in double, over their whole range; and the loss and optimizer formulas of
 * both backends against the same formulas written in double here, on a vocabulary cut into 1, 2 and 4 shards. */
#include "compute/compute.h"
#include "compute/vmath.h"
#include "device/device.h"
#include "support/floats.h"
#include "support/test.h"

static const char *const backends[] = {"ref", "cpu"};

/* Errors of cb_expf in units of the last place of the correct result. */
static double exp_error(float x) {
    double want = exp((double)x), least = 1.1754943508222875e-38;
    double ulp = want < least ? ldexp(1, -149) : ldexp(1, ilogb(want) - 23);
    return fabs((double)cb_expf(x) - want) / ulp;
}

static void exp_is_accurate(void) {
    double worst = exp_error(-27.3791351f); /* the worst of all */
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 2503) {
        float x = cb_float_of_bits((uint32_t)bits);
        if (isnan(x) || x > 88.72283f) continue;
        double error = exp_error(x);
        if (error > worst) worst = error;
    }
    for (float x = -104; x < 88.7f; x += 0.0007f) worst = fmax(worst, exp_error(x));
    CHECK(worst <= 1.01);
    CHECK(worst > 0.5); /* it is not libm's that was measured */
    printf("     exp: at most %.3f ulp\n", worst);
}

static void exp_at_the_ends(void) {
    CHECK(cb_expf(0) == 1);
    CHECK(cb_expf(-0.0f) == 1);
    CHECK(isfinite(cb_expf(88.72283f)));
    CHECK(cb_expf(88.7229f) == INFINITY && cb_expf(INFINITY) == INFINITY && cb_expf(3e38f) == INFINITY);
    CHECK(cb_expf(-INFINITY) == 0 && cb_expf(-3e38f) == 0 && cb_expf(-104) == 0);
    CHECK(cb_expf(-103) > 0 && cb_expf(-88) > 0);
    CHECK(isnan(cb_expf(NAN)) && isnan(cb_expf(-NAN)));
}

static double gelu_of(double x, double *slope) {
    double c = sqrt(2 / M_PI), t = tanh(c * (x + 0.044715 * x * x * x)), du = c * (1 + 3 * 0.044715 * x * x);
    *slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du;
    return 0.5 * x * (1 + t);
}

static void gelu_and_its_slope(void) {
    double worst = 0, worst_slope = 0, slope;
    for (float x = -30; x < 30; x += 0.00037f) {
        double want = gelu_of((double)x, &slope);
        worst = fmax(worst, fabs((double)cb_gelu(x) - want) / (1e-6 + fabs(want)));
        worst_slope = fmax(worst_slope, fabs((double)cb_gelu_slope(x) - slope));
    }
    CHECK(worst < 5e-6); /* relative down to gelu = 1e-6, then absolute 5e-12 */
    CHECK(worst_slope < 5e-7);
    printf("     gelu: relative error %.3g, slope: %.3g\n", worst, worst_slope);
    CHECK(cb_gelu(1e30f) == 1e30f && cb_gelu(-1e30f) == 0);
    CHECK(cb_gelu_slope(1e30f) == 1);
    CHECK_NEAR(cb_gelu_slope(-1e30f), 0, 1e-30);
    CHECK(isnan(cb_gelu(NAN)) && isnan(cb_gelu_slope(NAN)) && isnan(cb_gelu_slope(-NAN)));
}

enum { ROWS = 7, VOCAB = 61, LD = 64 };

/* One row's loss and gradient, in double, from the definition: log sum exp z - z[target]. */
static double loss_of(const float *z, int target, double *dz) {
    double max = -INFINITY, sum = 0;
    for (int j = 0; j < VOCAB; j++) max = fmax(max, (double)z[j]);
    for (int j = 0; j < VOCAB; j++) sum += exp((double)z[j] - max);
    for (int j = 0; j < VOCAB; j++) dz[j] = exp((double)z[j] - max) / sum - (j == target);
    return log(sum) + max - (double)z[target];
}

typedef struct shard {
    float max[ROWS], sum[ROWS], at[ROWS], z[ROWS * LD];
    int64_t begin, ld, valid;
} shard;

/* Forward over all shards, the collectives by hand: maximum, then two sums. Leaves exponentials in the shards. */
static void sharded_loss(cb_compute *c, shard *s, int n, const float *z, const int32_t *targets, float *loss) {
    float max[ROWS], sum[ROWS] = {0}, at[ROWS] = {0};
    for (int i = 0; i < ROWS; i++) max[i] = -INFINITY;
    for (int k = 0; k < n; k++) {
        s[k].ld = LD / n;
        s[k].begin = k * s[k].ld;
        s[k].valid = VOCAB - s[k].begin < s[k].ld ? VOCAB - s[k].begin : s[k].ld;
        for (int64_t i = 0; i < ROWS * s[k].ld; i++) s[k].z[i] = z[i / s[k].ld * LD + s[k].begin + i % s[k].ld];
        c->ops->ce_max(c, s[k].max, s[k].z, ROWS, s[k].ld, s[k].valid);
        for (int i = 0; i < ROWS; i++) max[i] = fmaxf(max[i], s[k].max[i]);
    }
    for (int k = 0; k < n; k++) {
        c->ops->ce_exp(c, s[k].z, s[k].sum, s[k].at, max, targets, s[k].begin, ROWS, s[k].ld, s[k].valid);
        for (int i = 0; i < ROWS; i++) sum[i] += s[k].sum[i], at[i] += s[k].at[i];
    }
    for (int k = 0; k < n; k++) memcpy(s[k].sum, sum, sizeof sum);
    for (int i = 0; i < ROWS; i++) loss[i] = logf(sum[i]) - at[i];
}

/* Logits around `level`, spread over 16; padding holds numbers that would spoil everything. */
static float *logits_new(float level) {
    float *z = floats_new(7, (int64_t)ROWS * LD, 8);
    for (int i = 0; i < ROWS * LD; i++) z[i] = i % LD < VOCAB ? z[i] + level : 1e30f;
    return z;
}

static void check_gradient(const shard *s, int n, const float *z, const int32_t *targets, double scale) {
    double dz[VOCAB], worst = 0, padding = 0;
    for (int i = 0; i < ROWS; i++) {
        loss_of(z + i * LD, targets[i], dz);
        for (int k = 0; k < n; k++) {
            for (int64_t j = 0; j < s[k].ld; j++) {
                double got = (double)s[k].z[i * s[k].ld + j];
                if (j >= s[k].valid)
                    padding = fmax(padding, fabs(got));
                else
                    worst = fmax(worst, fabs(got - dz[s[k].begin + j] * scale));
            }
        }
    }
    CHECK(worst < 1e-6 * scale);
    CHECK(padding == 0);
}

static void loss_over_shards(void) {
    const int32_t targets[ROWS] = {0, 15, 16, 31, 32, 60, 7};
    static const float levels[] = {0, 300, -3000};
    shard *s = calloc(4, sizeof *s);
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 1))) continue;
        for (int l = 0; l < 3; l++) {
            float *z = logits_new(levels[l]), loss[ROWS];
            for (int n = 1; n <= 4; n *= 2) {
                double dz[VOCAB];
                sharded_loss(c, s, n, z, targets, loss);
                for (int i = 0; i < ROWS; i++) CHECK_NEAR(loss[i], loss_of(z + i * LD, targets[i], dz), 5e-6);
                for (int k = 0; k < n; k++) {
                    c->ops->ce_backward(c, s[k].z, s[k].sum, targets, s[k].begin, ROWS, s[k].ld, s[k].valid, 0.125f);
                }
                check_gradient(s, n, z, targets, 0.125);
            }
            free(z);
        }
        cb_compute_destroy(c);
    }
    free(s);
}

/* A logit that is NaN or +infinite must not vanish in a maximum; one that is -infinite has probability 0. */
static void loss_of_broken_logits(void) {
    const int32_t targets[ROWS] = {1, 2, 3, 4, 5, 6, 7};
    shard *s = calloc(4, sizeof *s);
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 1))) continue;
        for (int n = 1; n <= 4; n *= 2) {
            float *z = logits_new(0), loss[ROWS];
            z[0 * LD + 20] = NAN, z[1 * LD + 2] = NAN, z[2 * LD + 60] = -NAN;
            z[3 * LD + 40] = INFINITY, z[4 * LD + 33] = -INFINITY;
            sharded_loss(c, s, n, z, targets, loss);
            for (int i = 0; i < ROWS; i++) CHECK((bool)isnan(loss[i]) == (i < 4));
            free(z);
        }
        cb_compute_destroy(c);
    }
    free(s);
}

static void adamw_formula(void) {
    enum { N = 100 };
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 1))) continue;
        float *p = floats_new(1, N, 1), *m = floats_new(0, N, 0), *v = floats_new(0, N, 0);
        double pd[N], md[N] = {0}, vd[N] = {0};
        for (int i = 0; i < N; i++) pd[i] = (double)p[i];
        for (int t = 1; t <= 5; t++) {
            float *g = floats_new((uint32_t)(10 + t), N, t == 3 ? 1e-6f : 1);
            cb_adamw h = {.lr = 0.02f,
                          .beta1 = 0.9f,
                          .beta2 = 0.99f,
                          .eps = 1e-8f,
                          .weight_decay = 0.3f,
                          .grad_scale = 0.5f,
                          .correction1 = (float)(1 - pow(0.9, t)),
                          .correction2 = (float)(1 - pow(0.99, t))};
            c->ops->adamw(c, p, g, m, v, N, &h);
            for (int i = 0; i < N; i++) {
                double d = 0.5 * (double)g[i];
                md[i] = 0.9 * md[i] + 0.1 * d;
                vd[i] = 0.99 * vd[i] + 0.01 * d * d;
                double step = md[i] / (1 - pow(0.9, t)) / (sqrt(vd[i] / (1 - pow(0.99, t))) + 1e-8);
                pd[i] -= 0.02 * (step + 0.3 * pd[i]);
                CHECK_NEAR(p[i], pd[i], 2e-6);
                CHECK_NEAR(m[i], md[i], 1e-7 + 2e-6 * fabs(md[i]));
                CHECK_NEAR(v[i], vd[i], 1e-9 + 4e-6 * vd[i]);
            }
            free(g);
        }
        free(p), free(m), free(v);
        cb_compute_destroy(c);
    }
}

static void squares_and_nonfinite(void) {
    enum { N = 1100003 }; /* more than one group of blocks */
    float *x = floats_new(4, N, 1);
    double want = 0;
    for (int i = 0; i < N; i++) want += (double)x[i] * (double)x[i];
    static const int64_t at[] = {0, 1, 4095, 4096, 1048575, 1048576, N - 1};
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 2))) continue;
        CHECK_NEAR(c->ops->sum_squares(c, x, N), want, 1e-9 * want);
        CHECK(c->ops->sum_squares(c, x, 0) == 0);
        CHECK_INT(c->ops->first_nonfinite(c, x, N), -1);
        CHECK_INT(c->ops->first_nonfinite(c, x, 0), -1);
        for (int i = 0; i < 7; i++) {
            float was = x[at[i]], last = x[N - 1];
            x[N - 1] = -INFINITY;
            x[at[i]] = i % 2 ? NAN : INFINITY;
            CHECK_INT(c->ops->first_nonfinite(c, x, N), at[i]);
            CHECK_INT(c->ops->first_nonfinite(c, x, at[i]), -1);
            x[N - 1] = last, x[at[i]] = was;
        }
        cb_compute_destroy(c);
    }
    free(x);
}

/* The same tree as the device's, bit for bit, wherever the result goes. */
static void tree_sum_is_the_devices(void) {
    enum { N = 20011, MOST = 33 };
    float *from[MOST], *want = floats_new(0, N, 0), *to = floats_new(0, N, 0);
    for (int i = 0; i < MOST; i++) from[i] = floats_new((uint32_t)i, N, (float)(1 << i % 11));
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 2))) continue;
        for (int n = 1; n <= MOST; n++) {
            cb_device_host()->reduce(want, (const void *const *)from, n, N, CB_F32, CB_SUM);
            c->ops->tree_sum(c, to, from, n, N);
            CHECK(memcmp(to, want, N * sizeof(float)) == 0);
            memcpy(to, from[0], N * sizeof(float));
            c->ops->tree_sum(c, from[0], from, n, N);
            CHECK(memcmp(from[0], want, N * sizeof(float)) == 0);
            memcpy(from[0], to, N * sizeof(float));
        }
        cb_compute_destroy(c);
    }
    for (int i = 0; i < MOST; i++) free(from[i]);
    free(want), free(to);
}

static void rate_is_measured(void) {
    for (int b = 0; b < 2; b++) {
        cb_compute *c;
        if (!CHECK_OK(cb_compute_create(&c, backends[b], 1))) continue;
        double rate = cb_compute_measure_rate(c, 48, 2);
        CHECK(rate > 1e6 && rate < 1e14);
        cb_compute_destroy(c);
    }
}

int main(void) {
    RUN(exp_is_accurate);
    RUN(exp_at_the_ends);
    RUN(gelu_and_its_slope);
    RUN(loss_over_shards);
    RUN(loss_of_broken_logits);
    RUN(adamw_formula);
    RUN(squares_and_nonfinite);
    RUN(tree_sum_is_the_devices);
    RUN(rate_is_measured);
    return test_end();
}
