/* Progress: on a terminal one line, rewritten in place; otherwise a line per step. The JSON log gets a line per step at
 * once, so that what was measured survives a crash. */
#include "cli/progress.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/os.h"

void cb_progress_open(cb_progress *p, const cb_run *run, double peak_flops, int64_t log_interval, const char *log_path,
                      const char *timeline_path, const char *trace_path) {
    double tokens = (double)run->global_batch * run->T;
    double flops = tokens * cb_model_flops_per_token(&run->model, run->T);
    double again = tokens * cb_recompute_flops_per_token(&run->recompute, &run->model, &run->placement, run->T);
    *p = (cb_progress){.run = run,
                       .peak_flops = peak_flops,
                       .begin_s = cb_now_s(),
                       .tokens_per_step = tokens,
                       .flops_per_step = flops,
                       .hardware_flops_per_step = flops + again,
                       .log_interval = log_interval,
                       .terminal = cb_os_is_terminal(STDERR_FILENO),
                       .log_path = log_path,
                       .timeline_path = timeline_path,
                       .trace_path = trace_path};
}

static bool grow(double **values, int64_t count) {
    double *larger = realloc(*values, (size_t)count * sizeof *larger);
    if (larger) *values = larger;
    return larger != NULL;
}

/* Without memory the curve ends early and the median is of the steps until then; nothing else depends on them. */
static void keep_step(cb_progress *p, double loss, double step_s) {
    if (p->losses == p->capacity) {
        int64_t more = p->capacity ? 2 * p->capacity : 1024;
        if (!grow(&p->loss, more) || !grow(&p->step_s, more)) return;
        p->capacity = more;
    }
    p->loss[p->losses] = loss;
    p->step_s[p->losses++] = step_s;
}

static void end_line(cb_progress *p) {
    if (p->line_open) fputc('\n', stderr);
    p->line_open = false;
}

/* Said at once, and once; the run goes on, as its weights are worth more than what is written about it. */
static void fail(cb_progress *p, cb_err e) {
    if (p->failed) {
        cb_err_free(e);
        return;
    }
    end_line(p);
    fprintf(stderr, "cuboid: warning: %s; the run goes on\n", cb_err_text(e));
    p->failed = e;
}

static cb_err log_error(const cb_progress *p) {
    return cb_fail(CB_EIO, "cannot write the log %s: %s", p->log_path, strerror(errno));
}

cb_err cb_progress_close(cb_progress *p) {
    end_line(p);
    if (p->log && fclose(p->log) != 0 && !p->failed) p->failed = log_error(p);
    free(p->loss);
    free(p->step_s);
    json_decref(p->identity);
    p->loss = p->step_s = NULL;
    p->log = NULL;
    return p->failed;
}

double cb_progress_mfu(const cb_progress *p, double step_s) {
    return p->flops_per_step / (step_s * p->peak_flops);
}

double cb_progress_hfu(const cb_progress *p, double step_s) {
    return p->hardware_flops_per_step / (step_s * p->peak_flops);
}

/* One JSON object on a line, flushed. Takes the reference. */
static void write_line(cb_progress *p, json_t *object) {
    if (p->log_path && !p->log && !p->failed) {
        p->log = fopen(p->log_path, "w");
        if (!p->log) fail(p, log_error(p));
    }
    if (p->log && !p->failed) {
        bool bad = json_dumpf(object, p->log, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0;
        if (bad || fputc('\n', p->log) == EOF || fflush(p->log) != 0) fail(p, log_error(p));
    }
    json_decref(object);
}

/* JSON has no NaN: null stands for it. */
static json_t *number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

/* What identifies the run comes first, where digests are logged: they compare only between runs that agree in it. */
static void log_identity(cb_progress *p) {
    if (!p->identity) return;
    json_t *line = json_object();
    json_object_set_new(line, "run", p->identity);
    p->identity = NULL;
    write_line(p, line);
}

static void log_digest(json_t *o, const cb_digest *digest) {
    char text[24];
    if (!digest) return;
    snprintf(text, sizeof text, "%016llx", (unsigned long long)digest->state);
    json_object_set_new(o, "digest", json_string(text));
}

static void log_step(cb_progress *p, const cb_step_report *r) {
    log_identity(p);
    json_t *o = json_object();
    json_object_set_new(o, "step", json_integer(r->step + 1)); /* from 1, as the progress line */
    json_object_set_new(o, "loss", number(r->loss));
    json_object_set_new(o, "grad_norm", number(r->grad_norm));
    json_object_set_new(o, "lr", number(r->lr));
    json_object_set_new(o, "tokens_per_s", number(p->tokens_per_step / r->step_s));
    json_object_set_new(o, "mfu", number(cb_progress_mfu(p, r->step_s)));
    json_object_set_new(o, "hfu", number(cb_progress_hfu(p, r->step_s)));
    json_object_set_new(o, "step_s", number(r->step_s));
    if (!isnan(r->val_loss)) json_object_set_new(o, "val_loss", number(r->val_loss));
    log_digest(o, r->digest);
    write_line(p, o);
}

static void duration_text(double s, char out[24]) {
    if (s < 60)
        snprintf(out, 24, "%.0f s", s);
    else if (s < 3600)
        snprintf(out, 24, "%d:%02d min", (int)(s / 60), (int)s % 60);
    else
        snprintf(out, 24, "%lld:%02d h", (long long)(s / 3600), (int)fmod(s / 60, 60));
}

/* A progress line in parts; those of the highest rank are left out first where the terminal is narrow. */
typedef struct part {
    int rank;
    char text[64];
} part;

enum { STEP, LOSS, VAL_LOSS, NORM, RATE, SPEED, MFU, HFU, ETA, PARTS };

static void make_parts(const cb_progress *p, const cb_step_report *r, part parts[PARTS]) {
    static const int ranks[PARTS] = {
        [STEP] = 0, [LOSS] = 1, [VAL_LOSS] = 2, [ETA] = 3, [SPEED] = 4, [MFU] = 5, [NORM] = 6, [HFU] = 7, [RATE] = 8};
    long long step = r->step + 1, steps = p->run->steps;
    char eta[24];
    for (int i = 0; i < PARTS; i++) parts[i] = (part){.rank = ranks[i]};
    duration_text((cb_now_s() - p->begin_s) / (double)step * (double)(steps - step), eta);
    snprintf(parts[STEP].text, 64, "step %*lld/%lld", snprintf(NULL, 0, "%lld", steps), step, steps);
    snprintf(parts[LOSS].text, 64, "loss %.4f", r->loss);
    if (!isnan(r->val_loss)) snprintf(parts[VAL_LOSS].text, 64, "val loss %.4f", r->val_loss);
    snprintf(parts[NORM].text, 64, "norm %.3f", r->grad_norm);
    snprintf(parts[RATE].text, 64, "lr %.2e", r->lr);
    snprintf(parts[SPEED].text, 64, "%.0f tokens/s", p->tokens_per_step / r->step_s);
    snprintf(parts[MFU].text, 64, "MFU %.1f%%", 100 * cb_progress_mfu(p, r->step_s));
    if (p->run->recompute.kind) snprintf(parts[HFU].text, 64, "HFU %.1f%%", 100 * cb_progress_hfu(p, r->step_s));
    snprintf(parts[ETA].text, 64, "ETA %s", eta);
}

/* Joins the parts into at most `columns` characters. */
static void join_parts(part parts[PARTS], int columns, char line[512]) {
    for (int keep = PARTS;; keep--) {
        int used = 0;
        line[0] = '\0';
        for (int i = 0; i < PARTS; i++) {
            if (parts[i].text[0] == '\0' || parts[i].rank >= keep) continue;
            used += snprintf(line + used, 512 - (size_t)used, "%s%s", used ? " | " : "", parts[i].text);
        }
        if (used <= columns || keep == 1) return;
    }
}

static void print_step(cb_progress *p, const cb_step_report *r) {
    bool last = r->step + 1 == p->run->steps || r->stop, stays = last || !isnan(r->val_loss);
    if (!p->terminal && !stays && (r->step + 1) % p->log_interval != 0) return;
    part parts[PARTS];
    char line[512];
    make_parts(p, r, parts);
    join_parts(parts, p->terminal ? cb_os_terminal_columns(STDERR_FILENO) - 1 : (int)sizeof line, line);
    fprintf(stderr, "%s%s%s", p->terminal ? "\r\033[K" : "", line, p->terminal && !stays ? "" : "\n");
    fflush(stderr);
    p->line_open = p->terminal && !stays;
}

void cb_progress_step(void *arg, const cb_step_report *report) {
    cb_progress *p = arg;
    keep_step(p, report->loss, report->step_s);
    log_step(p, report);
    print_step(p, report);
}

static void draw_timeline(cb_progress *p, const cb_timeline *timeline) {
    FILE *file = fopen(p->timeline_path, "w");
    cb_err e = CB_OK;
    if (file) e = cb_timeline_svg(timeline, file);
    if (!file || (fclose(file) != 0 && !e))
        e = cb_fail(CB_EIO, "cannot write %s: %s", p->timeline_path, strerror(errno));
    if (e) fail(p, e);
}

static cb_err write_traced(FILE *to, const void *traced) {
    return cb_traced_write(traced, to);
}

void cb_progress_trace(void *arg, const cb_traced *traced) {
    cb_progress *p = arg;
    cb_err e = p->trace_path ? cb_file_replace(p->trace_path, write_traced, traced) : CB_OK;
    if (e) fail(p, cb_err_context(e, "--trace %s", p->trace_path));
}

void cb_progress_summary(void *arg, const cb_run_summary *summary) {
    cb_progress *p = arg;
    json_t *line = json_object();
    json_object_set_new(line, "summary", cb_summary_json(p, summary));
    write_line(p, line);
    cb_summary_print(p, summary, stdout);
    if (p->timeline_path && summary->timeline) draw_timeline(p, summary->timeline);
}
