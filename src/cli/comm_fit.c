/* The fit of the cost model; see comm_fit.h. Least squares of relative errors under weights that grow where the error
 * is large (Lawson's algorithm) or small; of all coefficients found so those count that have most points within the
 * bound, and of these the ones whose worst is the least. Coefficients that would be negative are left out: all subsets
 * of the few columns are tried. */
#include "cli/comm_fit.h"

#include <math.h>
#include <string.h>

enum {
    COLUMNS = 6, /* alpha, what a large message has more of it, beta, handed, factor, factor beyond */
    ROUNDS = 25,
    LEAST_OF_A_PART = 3,
    MOST_EAGER_BYTES = 64 << 10,
    LEAST_CACHE_BYTES = 1 << 20
};
static const double good_enough = 0.2, small_weight = 0.2;

typedef struct problem {
    const cb_fit_point *points;
    int n;
    double gamma_s;
    double split_bytes, cache_bytes;                                   /* 0: one alpha, one factor */
    double row[CB_FIT_MOST_POINTS][COLUMNS], rest[CB_FIT_MOST_POINTS]; /* over the measured time */
    double weight[CB_FIT_MOST_POINTS];
} problem;

static double message_bytes(const cb_fit_point *p) {
    return p->terms.messages > 0 ? p->terms.sent_bytes / p->terms.messages : 0;
}

static void columns(const cb_fit_point *p, double split_bytes, double cache_bytes, double out[COLUMNS]) {
    bool large = split_bytes > 0 && message_bytes(p) > split_bytes;
    bool beyond = cache_bytes > 0 && p->terms.set_bytes >= cache_bytes;
    const double all[COLUMNS] = {p->terms.messages, large ? p->terms.messages : 0, p->terms.sent_bytes,
                                 p->handed_s,       beyond ? 0 : p->memory_s,      beyond ? p->memory_s : 0};
    memcpy(out, all, sizeof all);
}

/* Solves the normal equations of the columns in `set` by Cholesky; false where they depend on each other or one is
 * negative. */
static bool solve(double gram[COLUMNS][COLUMNS], const double right[COLUMNS], unsigned set, double x[COLUMNS]) {
    int at[COLUMNS], n = 0;
    double l[COLUMNS][COLUMNS], y[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        if (set >> i & 1) at[n++] = i;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = gram[at[i]][at[j]];
            for (int k = 0; k < j; k++) sum -= l[i][k] * l[j][k];
            if (i == j && sum <= 1e-12 * gram[at[i]][at[i]]) return false;
            l[i][j] = i == j ? sqrt(sum) : sum / l[j][j];
        }
        y[i] = right[at[i]];
        for (int k = 0; k < i; k++) y[i] -= l[i][k] * y[k];
        y[i] /= l[i][i];
    }
    memset(x, 0, COLUMNS * sizeof *x);
    for (int i = n - 1; i >= 0; i--) {
        double sum = y[i];
        for (int k = i + 1; k < n; k++) sum -= l[k][i] * x[at[k]];
        x[at[i]] = sum / l[i][i];
        if (x[at[i]] < 0) return false;
    }
    return true;
}

static double error_at(const problem *p, int i, const double x[COLUMNS]) {
    double sum = -p->rest[i];
    for (int k = 0; k < COLUMNS; k++) sum += p->row[i][k] * x[k];
    return fabs(sum);
}

/* The best non-negative coefficients under the weights; false: there are none. */
static bool best_subset(const problem *p, double x[COLUMNS]) {
    double gram[COLUMNS][COLUMNS] = {0}, right[COLUMNS] = {0}, least = INFINITY, found[COLUMNS];
    for (int i = 0; i < p->n; i++)
        for (int a = 0; a < COLUMNS; a++) {
            right[a] += p->weight[i] * p->row[i][a] * p->rest[i];
            for (int b = 0; b < COLUMNS; b++) gram[a][b] += p->weight[i] * p->row[i][a] * p->row[i][b];
        }
    for (unsigned set = 1; set < 1u << COLUMNS; set++) {
        if (!solve(gram, right, set, found)) continue;
        double sum = 0;
        for (int i = 0; i < p->n; i++) sum += p->weight[i] * error_at(p, i, found) * error_at(p, i, found);
        if (sum >= least) continue;
        least = sum;
        memcpy(x, found, sizeof found);
    }
    return least < INFINITY;
}

/* How good coefficients are: rows within the bound, and the worst. */
typedef struct score {
    int within;
    double worst;
} score;

static score score_of(const problem *p, const double x[COLUMNS]) {
    score s = {0};
    for (int i = 0; i < p->n; i++) {
        if (!p->points[i].counts) continue;
        double error = error_at(p, i, x);
        s.within += error <= CB_FIT_BOUND;
        s.worst = fmax(s.worst, error);
    }
    return s;
}

static bool is_better(score a, score b) {
    return a.within != b.within ? a.within > b.within : a.worst < b.worst;
}

/* More weight where the error is large, so that the largest becomes small; or less, so that what no coefficients
 * explain (a disturbed row) does not draw them away from the others. */
static void weigh_anew(problem *p, const double x[COLUMNS], bool on_the_worst) {
    double sum = 0;
    int counting = 0;
    for (int i = 0; i < p->n; i++) {
        if (!p->points[i].counts) continue;
        double error = error_at(p, i, x);
        p->weight[i] = on_the_worst ? p->weight[i] * (error + 1e-3) : 1 / (error + 2e-2);
        sum += p->weight[i];
        counting++;
    }
    for (int i = 0; i < p->n; i++) p->weight[i] = p->points[i].counts ? p->weight[i] * counting / sum : small_weight;
}

/* Columns of times, each scaled to about 1, which `scale` undoes. */
static void set_up(problem *p, double scale[COLUMNS]) {
    for (int k = 0; k < COLUMNS; k++) scale[k] = 0;
    for (int i = 0; i < p->n; i++) {
        const cb_fit_point *at = &p->points[i];
        columns(at, p->split_bytes, p->cache_bytes, p->row[i]);
        p->rest[i] = 1 - p->gamma_s * at->terms.reduced_bytes / at->time_s;
        for (int k = 0; k < COLUMNS; k++) {
            p->row[i][k] /= at->time_s;
            scale[k] = fmax(scale[k], p->row[i][k]);
        }
    }
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < COLUMNS; k++)
            if (scale[k] > 0) p->row[i][k] /= scale[k];
}

static void try_weights(problem *p, bool on_the_worst, double best[COLUMNS], score *found) {
    double x[COLUMNS];
    for (int i = 0; i < p->n; i++) p->weight[i] = p->points[i].counts ? 1 : small_weight;
    for (int round = 0; round < ROUNDS && best_subset(p, x); round++) {
        score s = score_of(p, x);
        if (is_better(s, *found)) {
            *found = s;
            memcpy(best, x, sizeof x);
        }
        if (s.worst == 0) return;
        weigh_anew(p, x, on_the_worst);
    }
}

static cb_fit fit_form(problem *p) {
    double best[COLUMNS] = {0}, scale[COLUMNS];
    score found = {-1, INFINITY};
    set_up(p, scale);
    try_weights(p, true, best, &found);
    try_weights(p, false, best, &found);
    for (int k = 0; k < COLUMNS; k++) best[k] = scale[k] > 0 ? best[k] / scale[k] : 0;
    return (cb_fit){.fitted = found.within >= 0,
                    .alpha_s = {best[0], best[0] + best[1]},
                    .split_bytes = best[1] > 0 ? p->split_bytes : 0, /* one alpha will do */
                    .beta_s = best[2],
                    .gamma_s = p->gamma_s,
                    .handed = best[3],
                    .factor = {best[4], p->cache_bytes > 0 ? best[5] : best[4]},
                    .cache_bytes = p->cache_bytes,
                    .within = found.within,
                    .worst = found.worst};
}

static bool is_better_fit(const cb_fit *a, const cb_fit *b) {
    return is_better((score){a->within, a->worst}, (score){b->within, b->worst});
}

/* A place between two points to split them at, which leaves LEAST_OF_A_PART on either side. */
static bool parts(const problem *p, double (*value)(const cb_fit_point *), double at) {
    int below = 0;
    for (int i = 0; i < p->n; i++) below += value(&p->points[i]) < at;
    return at > 0 && below >= LEAST_OF_A_PART && p->n - below >= LEAST_OF_A_PART;
}

static double set_bytes(const cb_fit_point *p) {
    return p->terms.set_bytes;
}

/* With two factors the best of all working sets that a cache may end before: what the caches hold is not known of a
 * machine that shares them with others, or has several of the last level. */
static cb_fit fit_caches(problem *p, bool two_factors) {
    cb_fit best = {.within = -1, .worst = INFINITY};
    p->cache_bytes = 0;
    if (!two_factors) return fit_form(p);
    for (int i = 0; i < p->n; i++) {
        p->cache_bytes = set_bytes(&p->points[i]);
        if (p->cache_bytes < LEAST_CACHE_BYTES || !parts(p, set_bytes, p->cache_bytes)) continue;
        cb_fit one = fit_form(p);
        if (is_better_fit(&one, &best)) best = one;
    }
    return best;
}

/* With two alphas the best of all sizes of messages; libraries send up to some KiB without asking the receiver first.
 */
static cb_fit fit_split(problem *p, bool two_alphas, bool two_factors) {
    cb_fit best = {.within = -1, .worst = INFINITY};
    p->split_bytes = 0;
    if (!two_alphas) return fit_caches(p, two_factors);
    for (int i = 0; i < p->n; i++) {
        p->split_bytes = message_bytes(&p->points[i]);
        if (p->split_bytes > MOST_EAGER_BYTES || !parts(p, message_bytes, nextafter(p->split_bytes, INFINITY)))
            continue;
        cb_fit one = fit_caches(p, two_factors);
        if (is_better_fit(&one, &best)) best = one;
    }
    return best;
}

double cb_fit_time(const cb_fit *f, const cb_fit_point *p) {
    double c[COLUMNS];
    if (!f->fitted) return 0;
    columns(p, f->split_bytes, f->cache_bytes, c);
    return f->alpha_s[0] * c[0] + (f->alpha_s[1] - f->alpha_s[0]) * c[1] + f->beta_s * c[2] + f->handed * c[3] +
           f->factor[0] * c[4] + f->factor[1] * c[5] + f->gamma_s * p->terms.reduced_bytes;
}

static void judge(cb_fit *f, const cb_fit_point *points, int n) {
    f->points = f->within = 0;
    f->worst = 0;
    for (int i = 0; i < n; i++) {
        if (!points[i].counts) continue;
        double error = fabs(cb_fit_time(f, &points[i]) / points[i].time_s - 1);
        f->points++;
        f->within += error <= CB_FIT_BOUND;
        f->worst = fmax(f->worst, error);
    }
}

/* The simplest form that is good enough, or the best; each coefficient has to stand on two points. */
cb_fit cb_fit_make(const cb_fit_point *points, int n, double gamma_s) {
    problem p = {.points = points, .n = n < CB_FIT_MOST_POINTS ? n : CB_FIT_MOST_POINTS, .gamma_s = gamma_s};
    if (n < CB_FIT_LEAST_POINTS) return (cb_fit){0};
    cb_fit best = fit_split(&p, false, false);
    for (int form = 1; form <= 3 && best.worst > good_enough; form++) {
        const bool two_alphas = form & 2, two_factors = form & 1;
        if (p.n < 2 * (3 + two_alphas + two_factors)) continue;
        cb_fit one = fit_split(&p, two_alphas, two_factors);
        if (is_better_fit(&one, &best)) best = one;
    }
    judge(&best, points, p.n);
    return best;
}
