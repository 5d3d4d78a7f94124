/* Tables, pictures and JSON of the tensor-parallel layer; see tp_report.h. */
#include "cli/tp_report.h"

#include <jansson.h>
#include <math.h>

static const char *const pass_names[] = {"forward", "backward"};

double cb_tp_report_efficiency(const cb_tp_report *r, int v, int i, int pass) {
    int tp = (int)r->tp.at[i], threads = r->setup.threads, at_once = r->cores / threads;
    if (at_once < 1) at_once = 1;
    return r->uncut_s[v][pass] / r->result[v][i].pass[pass].together_s / (tp < at_once ? tp : at_once);
}

static void print_rows(const cb_tp_report *r, int v) {
    printf("  %2s %-8s %7s %7s %8s %8s %8s %6s %5s %8s\n", "tp", "pass", "GFLOP", "MB sent", "compute", "comm",
           "together", "hidden", "eff.", "error");
    for (int i = 0; i < r->tp.count; i++) {
        for (int p = 0; p < 2; p++) {
            const cb_tp_time *t = &r->result[v][i].pass[p];
            double share = cb_tp_time_hidden(&cb_tp_variant_at(v)->pass[p], t);
            char hidden[16] = "-";
            if (!isnan(share)) snprintf(hidden, sizeof hidden, "%.0f%%", 100 * share);
            printf("  %2d %-8s %7.3f %7.3f %8.3f %8.3f %8.3f %6s %5.2f", (int)r->tp.at[i], pass_names[p],
                   (double)t->flops / 1e9, (double)t->bytes / 1e6, t->compute_s * 1e3, t->comm_s * 1e3, t->together_s * 1e3, hidden,
                   cb_tp_report_efficiency(r, v, i, p));
            if (p == 0)
                printf(" %8.1e\n", r->result[v][i].error);
            else
                putchar('\n');
        }
    }
}

static void print_steps(const cb_tp_report *r, int v) {
    for (int i = 0; i < r->steps[v]; i++) {
        const cb_tp_step *s = &r->step[v][i];
        printf("  step %d: %s, %.3f ms", i, cb_tp_step_name(s), 1e3 * (s->end_s - s->begin_s));
        if (s->work == CB_TP_COLLECTIVE) {
            printf(", %.3f MB sent, %.3f ms of it beside computation", (double)s->bytes / 1e6, 1e3 * s->beside_s);
        }
        putchar('\n');
    }
}

static void print_cluster(const cb_tp_report *r) {
    const cb_tp_cluster *c = &r->cluster;
    printf("The pair on %d x %s, %d to a node, by the planner's model (16 bits, nothing hidden):\n", c->devices,
           c->name, c->node_devices);
    printf("  %4s %6s %12s %12s %8s\n", "tp", "nodes", "compute, us", "comm, us", "ratio");
    for (int i = 0; i < c->count; i++) {
        const cb_tp_cluster_row *row = &c->row[i];
        printf("  %4d %6d %12.1f %12.1f %8.2f\n", row->tp, row->nodes, row->compute_s * 1e6, row->comm_s * 1e6,
               row->comm_s / row->compute_s);
    }
    int crossing = cb_tp_cluster_crossing(c);
    if (crossing)
        printf("from tp %d on the collectives take longer than the products\n", crossing);
    else
        puts("up to there the collectives take less time than the products");
}

cb_err cb_tp_report_print(const cb_tp_report *r, int columns, bool colour) {
    const cb_tp_sizes *s = &r->setup.size;
    printf("Y = X A of %s: %lld tokens, %lld inputs, %lld outputs; %d thread%s a rank, %d cores\n",
           cb_type_name(s->type), (long long)s->M, (long long)s->C, (long long)s->F, r->setup.threads,
           r->setup.threads == 1 ? "" : "s", r->cores);
    puts("times in ms; eff.: the uncut time over that of the ranks that run at once");
    for (int v = 0; v < CB_TP_VARIANTS; v++) {
        printf("\n%s: %s\n", cb_tp_variant_at(v)->name, cb_tp_variant_at(v)->meaning);
        print_rows(r, v);
        if (!r->drawn) continue;
        putchar('\n');
        TRY(cb_timeline_text(&r->picture[v].timeline, columns, colour, stdout));
        print_steps(r, v);
    }
    putchar('\n');
    print_cluster(r);
    return CB_OK;
}

static json_t *row_json(const cb_tp_report *r, int v, int i, int p) {
    const cb_tp_time *t = &r->result[v][i].pass[p];
    double hidden = cb_tp_time_hidden(&cb_tp_variant_at(v)->pass[p], t);
    json_t *o = json_pack("{s:s,s:s,s:i,s:f,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "variant", cb_tp_variant_at(v)->name, "pass",
                          pass_names[p], "tp", (int)r->tp.at[i], "error", r->result[v][i].error, "flops",
                          (json_int_t)t->flops, "bytes_sent", (json_int_t)t->bytes, "messages", (json_int_t)t->messages, "compute_us", t->compute_s * 1e6, "comm_us",
                          t->comm_s * 1e6, "together_us", t->together_s * 1e6, "efficiency",
                          cb_tp_report_efficiency(r, v, i, p));
    json_object_set_new(o, "hidden", isnan(hidden) ? json_null() : json_real(hidden));
    return o;
}

static json_t *cluster_json(const cb_tp_cluster *c) {
    json_t *rows = json_array();
    for (int i = 0; i < c->count; i++) {
        json_array_append_new(rows,
                              json_pack("{s:i,s:i,s:f,s:f}", "tp", c->row[i].tp, "nodes", c->row[i].nodes, "compute_us",
                                        c->row[i].compute_s * 1e6, "comm_us", c->row[i].comm_s * 1e6));
    }
    int crossing = cb_tp_cluster_crossing(c);
    return json_pack("{s:s,s:i,s:i,s:o,s:o}", "device", c->name, "devices", c->devices, "node_devices", c->node_devices,
                     "crossing_tp", crossing ? json_integer(crossing) : json_null(), "sizes", rows);
}

void cb_tp_report_json(const cb_tp_report *r) {
    const cb_tp_sizes *s = &r->setup.size;
    json_t *rows = json_array();
    for (int v = 0; v < CB_TP_VARIANTS; v++) {
        for (int i = 0; i < r->tp.count; i++) {
            for (int p = 0; p < 2; p++) json_array_append_new(rows, row_json(r, v, i, p));
        }
    }
    json_t *o = json_pack("{s:s,s:I,s:I,s:I,s:i,s:i,s:o,s:o}", "dtype", cb_type_name(s->type), "tokens",
                          (json_int_t)s->M, "in", (json_int_t)s->C, "out", (json_int_t)s->F, "threads",
                          r->setup.threads, "cores", r->cores, "rows", rows, "cluster", cluster_json(&r->cluster));
    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}
