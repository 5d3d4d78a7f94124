/* Errors of predictions, and how well they order what was measured. */
#include "planner/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/columns.h"
#include "planner/search.h"

/* In the unit of the table. Nothing where the row does not say what is computed again. */
static double memory_gb(const cb_published *published, const cb_job *job, const cb_csv *csv, int row) {
    cb_param_sums sums = cb_param_sums_of(job->model);
    cb_device_memory memory = published->report.first_stage ? cb_device_memory_of(job, &published->split, &sums, 0)
                                                            : cb_device_memory_worst(job, &published->split, &sums);
    if (published->memory_gb <= 0 || !*cb_column_field(csv, row, CB_COL_RECOMPUTE)) return 0;
    double room = job->cluster->device.memory_bytes;
    return cb_device_memory_as(&memory, published->report.meaning, room) / published->report.unit_bytes;
}

static cb_err predict(cb_checked_row *to, const cb_csv *csv, const char *name, int row, const cb_hardware *hardware,
                      const cb_constants *constants) {
    cb_published published;
    cb_estimate estimate;
    const char *file = cb_column_field(csv, row, CB_COL_FILE);
    *to = (cb_checked_row){.file = *file ? file : "(no file)",
                           .group = cb_column_field(csv, row, CB_COL_MODEL),
                           .line = csv->line[row + 1]};
    TRY(cb_published_read(&published, csv, name, row, hardware));
    memcpy(to->why, published.why, sizeof to->why);
    to->measured_s = published.measured_s;
    to->measured_memory_gb = published.memory_gb;
    to->devices = published.cluster.devices;
    to->guessed = published.network_guessed || published.stack_guessed;
    if (*to->why) return CB_OK;
    cb_job job = cb_published_job(&published);
    job.constants = constants;
    int broken = cb_rule_of_any_run_broken(&job, &published.split);
    if (broken >= 0) {
        snprintf(to->why, sizeof to->why, "a layout that cannot be: %s", cb_rule_at(broken)->reason);
        return CB_OK;
    }
    cb_err e = cb_estimate_time(&job, &published.split, constants, &estimate);
    if (e) {
        snprintf(to->why, sizeof to->why, "a layout that cannot be: %.200s", cb_err_text(e));
        cb_err_free(e);
        return CB_OK;
    }
    to->predicted_s = estimate.step_s;
    to->predicted_memory_gb = memory_gb(&published, &job, csv, row);
    return CB_OK;
}

cb_err cb_check_table(cb_check *check, const cb_csv *csv, const char *name, const cb_hardware *hardware,
                      const cb_constants *constants) {
    if (csv->rows == 0) return cb_fail(CB_EFORMAT, "%s:2:1: no rows; the first line names the columns alone", name);
    *check = (cb_check){.rows = csv->rows};
    check->row = calloc((size_t)csv->rows + 1, sizeof *check->row);
    if (!check->row) return cb_fail(CB_ENOMEM, "%s: no memory for %d rows", name, csv->rows);
    cb_err e = CB_OK;
    for (int i = 0; i < csv->rows && !e; i++) e = predict(&check->row[i], csv, name, i, hardware, constants);
    if (e) cb_check_free(check);
    return e;
}

void cb_check_free(cb_check *check) {
    free(check->row);
    *check = (cb_check){0};
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Middle ranks where values are equal. */
static double rank_of(const double *values, int count, double value) {
    int below = 0, equal = 0;
    for (int i = 0; i < count; i++) {
        below += values[i] < value;
        equal += values[i] == value;
    }
    return below + (equal - 1) / 2.0;
}

/* Spearman's rank correlation; NaN where all of one side are equal. */
static double spearman(const double *x, const double *y, int count) {
    double mean = (count - 1) / 2.0, xy = 0, xx = 0, yy = 0;
    for (int i = 0; i < count; i++) {
        double dx = rank_of(x, count, x[i]) - mean, dy = rank_of(y, count, y[i]) - mean;
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    return xy / sqrt(xx * yy);
}

typedef struct scratch {
    double *x, *y;
} scratch;

static bool belongs(const cb_checked_row *row, const char *file) {
    return !file || strcmp(row->file, file) == 0;
}

static bool same_group(const cb_checked_row *a, const cb_checked_row *b) {
    return a->devices == b->devices && strcmp(a->file, b->file) == 0 && strcmp(a->group, b->group) == 0;
}

static void rank(const cb_check *check, const char *file, const scratch *s, cb_score *score) {
    double sum = 0;
    for (int i = 0; i < check->rows; i++) {
        const cb_checked_row *row = &check->row[i];
        int count = 0;
        bool is_first = belongs(row, file) && !*row->why;
        for (int j = 0; j < i && is_first; j++) is_first = *check->row[j].why || !same_group(row, &check->row[j]);
        for (int j = i; j < check->rows && is_first; j++) {
            if (*check->row[j].why || !same_group(row, &check->row[j])) continue;
            s->x[count] = check->row[j].measured_s;
            s->y[count++] = check->row[j].predicted_s;
        }
        double correlation = count >= 3 ? spearman(s->x, s->y, count) : NAN;
        if (isnan(correlation)) continue;
        sum += count * correlation;
        score->ranked += count;
    }
    score->rank_correlation = score->ranked ? sum / score->ranked : NAN;
}

static void add_memory(const cb_checked_row *row, cb_score *score) {
    if (row->measured_memory_gb <= 0 || row->predicted_memory_gb <= 0) return;
    score->memory_mean_abs_error_pct += 100 * fabs(row->predicted_memory_gb / row->measured_memory_gb - 1);
    score->memory_rows++;
}

static void finish(double *errors, cb_score *score) {
    int n = score->predicted;
    if (score->memory_rows) score->memory_mean_abs_error_pct /= score->memory_rows;
    if (n == 0) return;
    score->mean_abs_error_pct /= n;
    score->bias_pct /= n;
    qsort(errors, (size_t)n, sizeof *errors, by_value);
    score->max_abs_error_pct = errors[n - 1];
    score->median_abs_error_pct = (errors[n / 2] + errors[(n - 1) / 2]) / 2;
}

cb_err cb_check_score(const cb_check *check, const char *file, cb_score *score) {
    scratch s = {.x = calloc(2 * (size_t)check->rows + 2, sizeof *s.x)};
    if (!s.x) return cb_fail(CB_ENOMEM, "no memory for the errors of %d rows", check->rows);
    s.y = s.x + check->rows + 1;
    *score = (cb_score){.rows = 0};
    for (int i = 0; i < check->rows; i++) {
        const cb_checked_row *row = &check->row[i];
        if (!belongs(row, file)) continue;
        score->rows++;
        score->skipped += *row->why != 0;
        if (*row->why) continue;
        score->guessed += row->guessed;
        double error = 100 * (row->predicted_s / row->measured_s - 1);
        s.x[score->predicted++] = fabs(error);
        score->mean_abs_error_pct += fabs(error);
        score->bias_pct += error;
        add_memory(row, score);
    }
    finish(s.x, score);
    rank(check, file, &s, score);
    free(s.x);
    return CB_OK;
}
