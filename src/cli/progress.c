/* Progress: on a terminal one line, rewritten in place; otherwise a line per step. The JSON log gets a line per step at once,
 * so that what was measured survives a crash. */
#include "cli/progress.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"

cb_err cb_progress_open(cb_progress *p, const cb_run *run, double peak_flops, int64_t log_interval, const char *log_path,
                        const char *timeline_path) {
    double tokens = (double)run->global_batch * run->T;
    *p = (cb_progress){.run = run, .peak_flops = peak_flops, .begin_s = cb_now_s(), .tokens_per_step = tokens,
                       .flops_per_step = tokens * cb_model_flops_per_token(&run->model, run->T), .log_interval = log_interval,
                       .terminal = cb_os_is_terminal(STDERR_FILENO), .log_path = log_path, .timeline_path = timeline_path};
    p->loss = calloc((size_t)(run->steps > 0 ? run->steps : 1), sizeof *p->loss);
    if (!p->loss) return cb_fail(CB_ENOMEM, "no memory for the losses of %lld steps", (long long)run->steps);
    if (!log_path) return CB_OK;
    p->log = fopen(log_path, "w");
    return p->log ? CB_OK : cb_fail(CB_EIO, "cannot write the log %s: %s", log_path, strerror(errno));
}

cb_err cb_progress_close(cb_progress *p) {
    if (p->log && fclose(p->log) != 0 && !p->failed) {
        p->failed = cb_fail(CB_EIO, "cannot write the log %s: %s", p->log_path, strerror(errno));
    }
    free(p->loss);
    p->loss = NULL;
    p->log = NULL;
    return p->failed;
}

double cb_progress_mfu(const cb_progress *p, double step_s) { return p->flops_per_step / (step_s * p->peak_flops); }

/* One JSON object on a line, flushed. Takes the reference. */
static void write_line(cb_progress *p, json_t *object) {
    if (p->log && !p->failed) {
        int bad = json_dumpf(object, p->log, JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (bad || fputc('\n', p->log) == EOF || fflush(p->log) != 0) {
            p->failed = cb_fail(CB_EIO, "cannot write the log %s: %s", p->log_path, strerror(errno));
        }
    }
    json_decref(object);
}

/* JSON has no NaN: null stands for it. */
static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static void log_step(cb_progress *p, const cb_step_report *r) {
    json_t *o = json_object();
    json_object_set_new(o, "step", json_integer(r->step));
    json_object_set_new(o, "loss", number(r->loss));
    json_object_set_new(o, "grad_norm", number(r->grad_norm));
    json_object_set_new(o, "lr", number(r->lr));
    json_object_set_new(o, "tokens_per_s", number(p->tokens_per_step / r->step_s));
    json_object_set_new(o, "mfu", number(cb_progress_mfu(p, r->step_s)));
    json_object_set_new(o, "step_s", number(r->step_s));
    if (!isnan(r->val_loss)) json_object_set_new(o, "val_loss", number(r->val_loss));
    write_line(p, o);
}

static void duration_text(double s, char out[24]) {
    if (s < 60) snprintf(out, 24, "%.0f s", s);
    else if (s < 3600) snprintf(out, 24, "%d:%02d min", (int)(s / 60), (int)s % 60);
    else snprintf(out, 24, "%d:%02d h", (int)(s / 3600), (int)(s / 60) % 60);
}

static void print_step(const cb_progress *p, const cb_step_report *r) {
    const cb_run *run = p->run;
    bool last = r->step + 1 == run->steps || r->stop, shown = last || !isnan(r->val_loss) || (r->step + 1) % p->log_interval == 0;
    if (!p->terminal && !shown) return;
    char eta[24], val[40] = "";
    duration_text((cb_now_s() - p->begin_s) / (double)(r->step + 1) * (double)(run->steps - r->step - 1), eta);
    if (!isnan(r->val_loss)) snprintf(val, sizeof val, " | val loss %.4f", r->val_loss);
    fprintf(stderr, "%sstep %*lld/%lld | loss %.4f | norm %.3f | lr %.2e | %.0f tokens/s | MFU %.1f%% | ETA %s%s%s",
            p->terminal ? "\r\033[K" : "", (int)snprintf(NULL, 0, "%lld", (long long)run->steps), (long long)(r->step + 1),
            (long long)run->steps, r->loss, r->grad_norm, r->lr, p->tokens_per_step / r->step_s,
            100 * cb_progress_mfu(p, r->step_s), eta, val, p->terminal && isnan(r->val_loss) && !last ? "" : "\n");
    fflush(stderr);
}

void cb_progress_step(void *arg, const cb_step_report *report) {
    cb_progress *p = arg;
    p->loss[p->losses++] = report->loss;
    log_step(p, report);
    print_step(p, report);
}

static void draw_timeline(cb_progress *p, const cb_timeline *timeline) {
    FILE *file = fopen(p->timeline_path, "w");
    cb_err e = CB_OK;
    if (file) e = cb_timeline_svg(timeline, file);
    if (!file || (fclose(file) != 0 && !e)) e = cb_fail(CB_EIO, "cannot write %s: %s", p->timeline_path, strerror(errno));
    if (p->failed) cb_err_free(e);
    else p->failed = e;
}

void cb_progress_summary(void *arg, const cb_run_summary *summary) {
    cb_progress *p = arg;
    json_t *line = json_object();
    json_object_set_new(line, "summary", cb_summary_json(p, summary));
    write_line(p, line);
    cb_summary_print(p, summary, stdout);
    if (p->timeline_path && summary->timeline) draw_timeline(p, summary->timeline);
}
