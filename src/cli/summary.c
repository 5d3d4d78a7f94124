/* The end of a run: for people as curve, timeline and tables, for programs as JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "cli/progress.h"
#include "cli/tables.h"

enum { NAME_WIDTH = 11 }; /* "d0 p11 t3" */

static cb_traffic_table traffic(const cb_run_summary *s) {
    cb_traffic_table table = {.steps = s->steps};
    for (int r = 0; r < s->ranks; r++) cb_traffic_table_add(&table, s->rank[r].traffic);
    return table;
}

static int64_t used(const cb_rank_summary *rank, bool predicted) {
    int64_t sum = 0;
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) sum += predicted ? rank->predicted_bytes[kind] : rank->used_bytes[kind];
    return sum;
}

static bool is_as_predicted(const cb_rank_summary *rank) {
    return memcmp(rank->used_bytes, rank->predicted_bytes, sizeof rank->used_bytes) == 0;
}

/* A rank's bytes; where they are not what was predicted, the prediction in a row below. */
static void print_memory_row(const cb_progress *p, const cb_run_summary *s, int r, FILE *to) {
    char name[48];
    const cb_rank_summary *rank = &s->rank[r];
    cb_memory_table_row(cb_mesh_name(&p->run->mesh, r, name), NAME_WIDTH, rank->used_bytes, to);
    fputc('\n', to);
    if (is_as_predicted(rank)) return;
    cb_memory_table_row("  predicted", NAME_WIDTH, rank->predicted_bytes, to);
    fputc('\n', to);
}

/* All ranks up to 16; of more, one of each stage (the others of a stage are alike) and any that are not as predicted. */
static void print_memory(const cb_progress *p, const cb_run_summary *s, FILE *to) {
    int astray = 0;
    for (int r = 0; r < s->ranks; r++) astray += !is_as_predicted(&s->rank[r]);
    fprintf(to, "\nmemory per rank%s, ", s->ranks > 16 ? " (one of each stage)" : "");
    if (astray)
        fprintf(to, "NOT as predicted on %d of %d ranks\n", astray, s->ranks);
    else
        fputs("used and predicted, to the byte the same\n", to);
    cb_memory_table_head("rank", NAME_WIDTH, to);
    fputc('\n', to);
    for (int r = 0; r < s->ranks; r++) {
        int coord[CB_DIMS];
        cb_mesh_coords(&p->run->mesh, r, coord);
        bool is_shown = s->ranks <= 16 || (coord[CB_TP] == 0 && coord[CB_DP] == 0);
        if (is_shown || !is_as_predicted(&s->rank[r])) print_memory_row(p, s, r, to);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the steps' times; NaN without any. */
static double median_s(const cb_progress *p) {
    size_t n = (size_t)p->losses;
    double *sorted = n ? malloc(n * sizeof *sorted) : NULL, median = NAN;
    if (sorted) {
        memcpy(sorted, p->step_s, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_value);
        median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    }
    free(sorted);
    return median;
}

static double last_s(const cb_progress *p) {
    return p->losses ? p->step_s[p->losses - 1] : NAN;
}

static void print_steps(const cb_progress *p, const cb_run_summary *s, FILE *to) {
    double step_s = s->train_s / (double)s->steps;
    int64_t left = p->run->steps - s->steps;
    fprintf(to, "%lld step%s in %.1f s: %.3f s per step in the mean, %.0f tokens/s", (long long)s->steps,
            s->steps == 1 ? "" : "s", s->train_s, step_s, p->tokens_per_step / step_s);
    if (s->steps > 1) fprintf(to, "; median %.3f s, last %.3f s", median_s(p), last_s(p));
    fputc('\n', to);
    if (s->stopped)
        fprintf(to, "stopped by a signal: %lld of %lld steps%s not done\n", (long long)left, (long long)p->run->steps,
                p->run->eval_samples > 0 ? " and the final evaluation were" : " were");
}

static void print_replicas(const cb_progress *p, const cb_run_summary *s, FILE *to) {
    if (p->run->check_replicas == 0) return;
    int64_t times = s->steps / p->run->check_replicas;
    int tensors = cb_run_replicated(p->run);
    if (tensors == 0)
        fprintf(to, "replicas: no tensor is on more than one rank in this layout\n");
    else
        fprintf(to, "replicas: all copies of %d tensor%s were equal, bit for bit, %lld time%s (every %lld step%s)\n",
                tensors, tensors == 1 ? "" : "s", (long long)times, times == 1 ? "" : "s",
                (long long)p->run->check_replicas, p->run->check_replicas == 1 ? "" : "s");
}

static void print_speed(const cb_progress *p, const cb_run_summary *s, FILE *to) {
    if (!isnan(s->val_loss)) {
        fprintf(to, "validation loss %.4f nats per token (%lld sample%s of %d tokens)\n", s->val_loss,
                (long long)p->run->eval_samples, p->run->eval_samples == 1 ? "" : "s", p->run->T);
    }
    if (s->steps == 0) return;
    double step_s = s->train_s / (double)s->steps, mfu = cb_progress_mfu(p, step_s);
    print_steps(p, s, to);
    print_replicas(p, s, to);
    fprintf(to, "MFU %.1f%% of a peak of %.3g FLOP/s; a step has %.4g model FLOPs\n", 100 * mfu, p->peak_flops,
            p->flops_per_step);
    if (mfu > 1)
        fputs(p->peak_measured
                  ? "(more than 100%: the machine had other work when that peak was measured at the start; "
                    "--peak-flops states it)\n"
                  : "(more than 100%: the machine does more than --peak-flops says)\n",
              to);
    fputs("(per token 6 x the weights of products, and causal attention)\n", to);
    if (p->run->recompute.kind) {
        fprintf(to, "HFU %.1f%%: with what is computed again, %.4g hardware FLOPs\n", 100 * cb_progress_hfu(p, step_s),
                p->hardware_flops_per_step);
    }
}

void cb_summary_print(const cb_progress *p, const cb_run_summary *s, FILE *to) {
    int columns = cb_os_terminal_columns(STDOUT_FILENO);
    if (columns > 120) columns = 120;
    fputc('\n', to);
    if (p->losses > 1) cb_chart_print(p->loss, p->losses, columns - 12, 12, "training loss over steps, nats per token", to);
    if (s->timeline) {
        fputc('\n', to);
        cb_err_free(cb_timeline_text(s->timeline, columns - 14, cb_os_wants_colour(STDOUT_FILENO), to));
    }
    cb_traffic_table table = traffic(s);
    if (s->steps > 0) cb_traffic_table_print(&table, to);
    print_memory(p, s, to);
    fputc('\n', to);
    print_speed(p, s, to);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *memory_json(const cb_progress *p, const cb_run_summary *s) {
    json_t *ranks = json_array();
    for (int r = 0; r < s->ranks; r++) {
        char name[48];
        const cb_rank_summary *rank = &s->rank[r];
        json_t *o = json_pack("{s:i,s:s,s:I,s:I}", "rank", r, "name", cb_mesh_name(&p->run->mesh, r, name), "used_bytes",
                              (json_int_t)used(rank, false), "predicted_bytes", (json_int_t)used(rank, true));
        cb_memory_to_json(o, rank->used_bytes);
        json_t *predicted = json_object();
        cb_memory_to_json(predicted, rank->predicted_bytes);
        json_object_set_new(o, "predicted", predicted);
        json_array_append_new(ranks, o);
    }
    return ranks;
}

json_t *cb_summary_json(const cb_progress *p, const cb_run_summary *s) {
    double step_s = s->steps > 0 ? s->train_s / (double)s->steps : NAN;
    cb_traffic_table table = traffic(s);
    json_t *o = json_object();
    json_object_set_new(o, "steps", json_integer(s->steps));
    json_object_set_new(o, "val_loss", number(s->val_loss));
    json_object_set_new(o, "val_samples", json_integer(p->run->eval_samples));
    json_object_set_new(o, "step_s", number(step_s));
    json_object_set_new(o, "step_median_s", number(median_s(p)));
    json_object_set_new(o, "step_last_s", number(last_s(p)));
    json_object_set_new(o, "tokens_per_s", number(p->tokens_per_step / step_s));
    json_object_set_new(o, "mfu", number(cb_progress_mfu(p, step_s)));
    json_object_set_new(o, "hfu", number(cb_progress_hfu(p, step_s)));
    json_object_set_new(o, "peak_flops", number(p->peak_flops));
    json_object_set_new(o, "bubble", s->timeline ? number(s->bubble) : json_null());
    json_object_set_new(o, "traffic", cb_traffic_table_json(&table));
    json_object_set_new(o, "memory", memory_json(p, s));
    return o;
}
