/* The learning rate of every style against its closed form, borders included; and a whole update as a run of the engine
 * makes it (ranks on threads, cb_comm_launch): the clipping coefficient, the decay of matrices only, AdamW's bias
 * corrections, computed again here in double from the gradients that were collected. */
#include "support/ranks.h"

static const double pi = 3.14159265358979323846;

static cb_lr make(cb_decay style, int64_t warmup, int64_t decay) {
    return (cb_lr){.peak = 0.5,
                   .least = 0.1,
                   .warmup = warmup,
                   .decay = decay,
                   .wsd_decay = decay / 5 ? decay / 5 : 1,
                   .style = style};
}

static void warm_up(void) {
    for (cb_decay style = CB_DECAY_COSINE; style <= CB_DECAY_WSD; style++) {
        cb_lr lr = make(style, 10, 100);
        for (int64_t s = 0; s < 10; s++) CHECK_NEAR(cb_lr_at(&lr, s), 0.5 * (double)(s + 1) / 10, 1e-15);
        CHECK_NEAR(cb_lr_at(&lr, 9), 0.5, 1e-15);
        CHECK_NEAR(cb_lr_at(&lr, 10), 0.5, 1e-15); /* the decay begins at the top */
    }
}

static void closed_forms(void) {
    cb_lr cosine = make(CB_DECAY_COSINE, 10, 110), linear = make(CB_DECAY_LINEAR, 10, 110);
    cb_lr constant = make(CB_DECAY_CONSTANT, 10, 110), wsd = make(CB_DECAY_WSD, 10, 110);
    for (int64_t s = 10; s < 110; s++) {
        double x = (double)(s - 10) / 100, y = (double)(s - 88) / 22;
        CHECK_NEAR(cb_lr_at(&cosine, s), 0.1 + 0.4 * (1 + cos(pi * x)) / 2, 1e-14);
        CHECK_NEAR(cb_lr_at(&linear, s), 0.5 - 0.4 * x, 1e-14);
        CHECK_NEAR(cb_lr_at(&constant, s), 0.5, 1e-15);
        CHECK_NEAR(cb_lr_at(&wsd, s), s < 88 ? 0.5 : 0.5 - 0.4 * sqrt(y), 1e-14);
    }
    CHECK_NEAR(cb_lr_at(&cosine, 60), 0.3, 1e-15); /* half way */
    CHECK_NEAR(cb_lr_at(&linear, 60), 0.3, 1e-15);
}

/* The end is reached at `decay` and kept; a constant one never ends. */
static void after_the_end(void) {
    for (cb_decay style = CB_DECAY_COSINE; style <= CB_DECAY_WSD; style++) {
        for (int64_t warmup = 0; warmup <= 20; warmup += 10) {
            cb_lr lr = make(style, warmup, 20);
            double end = style == CB_DECAY_CONSTANT ? 0.5 : 0.1;
            if (warmup < 20) CHECK(cb_lr_at(&lr, 19) >= end && cb_lr_at(&lr, 19) <= 0.5);
            CHECK_NEAR(cb_lr_at(&lr, 20), end, 0);
            CHECK_NEAR(cb_lr_at(&lr, 21), end, 0);
            CHECK_NEAR(cb_lr_at(&lr, INT64_C(1) << 60), end, 0);
        }
    }
}

static void never_outside_and_never_up(void) {
    for (cb_decay style = CB_DECAY_COSINE; style <= CB_DECAY_WSD; style++) {
        for (int64_t warmup = 0; warmup < 6; warmup++) {
            for (int64_t decay = 1; decay < 30; decay++) {
                cb_lr lr = make(style, warmup, decay);
                double before = 0.5;
                for (int64_t s = 0; s < 40; s++) {
                    double now = cb_lr_at(&lr, s);
                    CHECK(isfinite(now) && now > 0 && now <= 0.5 + 1e-15);
                    if (s < warmup) continue;
                    CHECK(now >= 0.1 && now <= before + 1e-15);
                    before = now;
                }
            }
        }
    }
}

static void no_warm_up(void) {
    cb_lr lr = make(CB_DECAY_LINEAR, 0, 4);
    static const double expected[] = {0.5, 0.4, 0.3, 0.2, 0.1, 0.1};
    for (int s = 0; s < 6; s++) CHECK_NEAR(cb_lr_at(&lr, s), expected[s], 1e-15);
    cb_lr flat = {.peak = 0, .least = 0, .warmup = 0, .decay = 4};
    for (int s = 0; s < 6; s++) CHECK_NEAR(cb_lr_at(&flat, s), 0, 0);
}

/* AdamW's step t (from 1) in double on one element. */
static double update(const ranks_case *c, const cb_param *param, double lr, double w, double g, double *m, double *v,
                     int t, double norm) {
    double coefficient = c->clip > 0 && c->clip / (norm + 1e-6) < 1 ? c->clip / (norm + 1e-6) : 1;
    g *= coefficient;
    *m = 0.9 * *m + 0.1 * g;
    *v = 0.95 * *v + 0.05 * g * g;
    double mean = *m / (1 - pow(0.9, t)), square = *v / (1 - pow(0.95, t));
    return w - lr * (mean / (sqrt(square) + 1e-8) + (param->decay ? 0.1 * w : 0));
}

/* Step t of a run from the state after step t - 1 (before, or where there is none the start) and its own gradients. */
static void check_step(const ranks_case *c, const float *w0, const ranks_result *before, const ranks_result *after,
                       int t) {
    double norm = after->reports.norm[t - 1], lr = after->reports.lr[t - 1], worst = 0;
    int64_t k = 0;
    for (int id = 0; id < cb_params_count(&after->model); id++) {
        cb_param param = cb_param_at(&after->model, id);
        CHECK(param.decay == (param.dims == 2));
        for (int64_t i = 0; i < cb_param_elements(&param); i++, k++) {
            double m = before ? (double)before->x[RANKS_M][k] : 0, v = before ? (double)before->x[RANKS_V][k] : 0;
            double w = update(c, &param, lr, (double)w0[k], (double)after->x[RANKS_G][k], &m, &v, t, norm);
            worst = fmax(worst, fabs(w - (double)after->x[RANKS_W][k]) / (1e-3 + fabs(w)));
            worst = fmax(worst, fabs(m - (double)after->x[RANKS_M][k]) / (1e-3 + fabs(m)));
            worst = fmax(worst, fabs(v - (double)after->x[RANKS_V][k]) / (1e-3 + fabs(v)));
        }
    }
    CHECK_NEAR(worst, 0, 5e-5);
}

static void check_updates(ranks_case c) {
    ranks_result start, one, two;
    double lr = c.lr;
    c.lr = 1e-300; /* a run that stays where it starts; its warm-up is over */
    c.steps = 1;
    bool ok = ranks_train(&c, &start);
    c.lr = lr;
    ok &= ranks_train(&c, &one);
    c.steps = 2;
    ok &= ranks_train(&c, &two);
    if (ok) {
        CHECK_NEAR(one.reports.lr[0], lr / 2, 1e-15);
        CHECK_NEAR(two.reports.lr[1], lr, 1e-15);
        CHECK(memcmp(one.x[RANKS_G], two.x[RANKS_FIRST_G], (size_t)one.elements * sizeof(float)) == 0);
        check_step(&c, start.x[RANKS_W], NULL, &one, 1);
        check_step(&c, one.x[RANKS_W], &one, &two, 2);
    }
    ranks_result_free(&start);
    ranks_result_free(&one);
    ranks_result_free(&two);
}

static void updates(void) {
    static const double clips[] = {0, 0.25, 100}; /* off, on, on but larger than the norm */
    for (int i = 0; i < 3; i++) {
        check_updates((ranks_case){.lr = 0.01, .clip = clips[i]});
        check_updates((ranks_case){.lr = 0.01, .clip = clips[i], .dp = 2, .tp = 2, .pp = 2});
    }
    ranks_result off, large;
    ranks_case c = {.clip = 0, .steps = 3}, wide = {.clip = 100, .steps = 3};
    bool both = ranks_train(&c, &off);
    both &= ranks_train(&wide, &large);
    if (both) ranks_same(&off, &large, &c);
    ranks_result_free(&off);
    ranks_result_free(&large);
}

int main(void) {
    RUN(warm_up);
    RUN(closed_forms);
    RUN(after_the_end);
    RUN(never_outside_and_never_up);
    RUN(no_warm_up);
    RUN(updates);
    return test_end();
}
