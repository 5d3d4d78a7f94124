/* What `cuboid trace` says: tables for people, JSON for programs. */
#include <stdlib.h>

#include "base/args.h"
#include "cli/trace_report.h"

enum { MOST_RANKS = 32, MOST_STAGES = 16 };

static void print_row(const char *name, const double *use_s, double unit, FILE *to) {
    double sum_s = 0;
    fprintf(to, "  %-12s", name);
    for (int use = 0; use < CB_USES; use++) {
        fprintf(to, " %9.2f", use_s[use] / unit);
        sum_s += use_s[use];
    }
    fprintf(to, " %9.2f\n", sum_s / unit);
}

/* Of many ranks the first of each stage. */
static void print_uses(const cb_trace_report *r, FILE *to) {
    const cb_traced *t = r->traced;
    bool all = t->mesh.ranks <= MOST_RANKS;
    double mean_s[CB_USES];
    fprintf(to, "\nwhere the time went, ms%s\n  %-12s", all ? "" : " (the first rank of each stage)", "rank");
    for (int use = 0; use < CB_USES; use++) fprintf(to, " %9s", cb_use_name((cb_use)use));
    fprintf(to, " %9s\n", "sum");
    for (int rank = 0; rank < t->mesh.ranks; rank++) {
        bool first = cb_traced_at_stage(t, 0, cb_traced_stage(t, rank)) == rank;
        if (all || first) print_row(r->names[rank], r->use_s + (int64_t)rank * CB_USES, 1e-3, to);
    }
    for (int use = 0; use < CB_USES; use++) mean_s[use] = cb_trace_report_mean_s(r, (cb_use)use);
    if (t->mesh.ranks > 1) print_row("mean", mean_s, 1e-3, to);
    print_row("% of step", mean_s, r->step_s / 100, to);
    fputs("tp, dp, pp: held up by communication, also by ranks that came late to it; bubble: waiting for\n"
          "another stage\n",
          to);
}

/* One long line: "critical path, 45.23 ms: compute 65.4% (p0 62.7%, p1 2.7%), tp 15.3%, ..." */
static void write_critical(const cb_trace_report *r, FILE *to) {
    int stages = r->traced->schedule.stages;
    const char *separator = ":";
    fprintf(to, "critical path, %.2f ms", 1e3 * r->step_s);
    for (int use = 0; use < CB_USES; use++) {
        double time_s = cb_trace_report_critical_s(r, (cb_use)use, -1);
        if (time_s <= 0) continue;
        fprintf(to, "%s %s %.1f%%", separator, use == CB_USE_BUBBLE ? "waiting" : cb_use_name((cb_use)use),
                100 * time_s / r->step_s);
        separator = ",";
        for (int p = 0; use == CB_USE_COMPUTE && stages > 1 && p < stages && p < MOST_STAGES; p++) {
            fprintf(to, "%sp%d %.1f%%%s", p ? ", " : " (", p,
                    100 * cb_trace_report_critical_s(r, CB_USE_COMPUTE, p) / r->step_s,
                    p + 1 == stages        ? ")"
                    : p + 1 == MOST_STAGES ? ", ...)"
                                           : "");
        }
    }
}

static void print_critical(const cb_trace_report *r, FILE *to) {
    char *line = NULL;
    size_t size;
    FILE *text = open_memstream(&line, &size);
    if (text) write_critical(r, text);
    if (text && fclose(text) == 0) {
        fputc('\n', to);
        cb_args_wrap(line, 0, to);
    }
    free(line);
}

static void print_costs(const cb_trace_report *r, FILE *to) {
    const cb_schedule *s = &r->traced->schedule;
    fprintf(to, "\nmeasured costs of a microbatch, ms (medians)\n  %-12s %9s %9s %9s\n", "stage", "F", "B", "W");
    for (int p = 0; p < s->stages; p++) {
        fprintf(to, "  p%-11d", p);
        for (int kind = CB_F; kind <= (s->split_backward ? CB_W : CB_B); kind++) {
            fprintf(to, " %9.3f", 1e3 * cb_durations_of_stage(s, &r->costs, (cb_instr_kind)kind, p));
        }
        if (!s->split_backward)
            fprintf(to, " %9s", "in B");
        fputc('\n', to);
    }
    fprintf(to, "  message %.3f, end of the step %.3f\n", 1e3 * r->costs.message_s, 1e3 * r->costs.step_s);
    fprintf(to, "\nmeasured %.2f ms, simulated %.2f ms: %.3f x\n", 1e3 * r->step_s, 1e3 * r->simulated_s,
            r->step_s / r->simulated_s);
}

void cb_trace_report_print(const cb_trace_report *r, FILE *to) {
    const cb_traced *t = r->traced;
    print_uses(r, to);
    print_critical(r, to);
    print_costs(r, to);
    if (t->lost > 0) {
        fprintf(to,
                "%lld messages and operations are not in the trace, for want of room: their time counts as compute\n",
                (long long)t->lost);
    }
    if (t->clock_error_s > 0) {
        fprintf(to, "clocks of different machines may be %.3f ms apart in it\n", 1e3 * t->clock_error_s);
    }
}

static json_t *uses_json(const double *use_s) {
    json_t *o = json_object();
    for (int use = 0; use < CB_USES; use++) {
        char key[32];
        snprintf(key, sizeof key, "%s_s", cb_use_name((cb_use)use));
        json_object_set_new(o, key, json_real(use_s[use]));
    }
    return o;
}

static json_t *ranks_json(const cb_trace_report *r) {
    json_t *ranks = json_array();
    for (int rank = 0; rank < r->traced->mesh.ranks; rank++) {
        json_t *o = uses_json(r->use_s + (int64_t)rank * CB_USES);
        json_object_set_new(o, "rank", json_integer(rank));
        json_object_set_new(o, "name", json_string(r->names[rank]));
        json_array_append_new(ranks, o);
    }
    return ranks;
}

static json_t *critical_json(const cb_trace_report *r) {
    double use_s[CB_USES];
    json_t *stages = json_array();
    for (int use = 0; use < CB_USES; use++) use_s[use] = cb_trace_report_critical_s(r, (cb_use)use, -1);
    for (int p = 0; p < r->traced->schedule.stages; p++) {
        json_array_append_new(stages, json_real(cb_trace_report_critical_s(r, CB_USE_COMPUTE, p)));
    }
    json_t *o = uses_json(use_s);
    json_object_set_new(o, "compute_of_stage_s", stages);
    return o;
}

json_t *cb_trace_report_json(const cb_trace_report *r) {
    const cb_traced *t = r->traced;
    json_t *o = json_object();
    json_object_set_new(o, "model", json_string(t->model));
    json_object_set_new(o, "schedule", json_string(t->schedule.name));
    json_object_set_new(o, "step", json_integer(t->step[r->step]));
    json_object_set_new(o, "step_s", json_real(r->step_s));
    json_object_set_new(o, "simulated_s", json_real(r->simulated_s));
    json_object_set_new(o, "measured_to_simulated", json_real(r->step_s / r->simulated_s));
    json_object_set_new(o, "ranks", ranks_json(r));
    json_object_set_new(o, "critical_path", critical_json(r));
    json_object_set_new(o, "costs", cb_durations_json(&t->schedule, &r->costs));
    json_object_set_new(o, "lost", json_integer(t->lost));
    json_object_set_new(o, "clock_error_s", json_real(t->clock_error_s));
    return o;
}
