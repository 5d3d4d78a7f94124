/* Tables of `cuboid bench comm`; see comm_report.h. Columns and definitions are those of nccl-tests. */
#include "cli/comm_report.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

cb_comm_row *cb_comm_report_own(const cb_comm_report *r, int entry, int size) {
    return &r->row[entry * r->plan.sizes + size];
}

cb_comm_row *cb_comm_report_of_peer(const cb_comm_report *r, int peer, int kind, int size) {
    return &r->row[(r->plan.entries + peer * r->kinds + kind) * r->plan.sizes + size];
}

int64_t cb_comm_report_wrong(const cb_comm_report *r) {
    int64_t wrong = 0;
    for (int i = 0; i < r->rows; i++) wrong += r->row[i].wrong;
    return wrong;
}

static bool reduces(cb_kind kind) {
    return kind == CB_ALL_REDUCE || kind == CB_REDUCE || kind == CB_REDUCE_SCATTER;
}

static void print_row(const cb_comm_report *r, const cb_comm_row *row) {
    const double time_s = cb_comm_row_time_s(row), algbw = cb_comm_algbw(row);
    printf("%11lld %10lld %5s %5s %-17s %10.2f %7.3f %7.3f %6lld\n", (long long)row->bytes, (long long)row->count,
           cb_type_name(r->plan.type), reduces(row->kind) ? cb_reduce_op_name(r->plan.op) : "none",
           cb_comm_row_algorithm(row), time_s * 1e6, algbw * 1e-9,
           algbw * cb_comm_bus_factor(row->kind, r->ranks) * 1e-9, (long long)row->wrong);
}

/* Lines of `sizes` rows, under a head of their own. */
static void print_rows(const cb_comm_report *r, const cb_comm_row *rows) {
    int first = 0;
    while (first < r->plan.sizes && !rows[first].rounds) first++;
    if (first == r->plan.sizes) return;
    printf("\n%s, %d ranks, %s\n", cb_kind_name(rows[first].kind), r->ranks, rows[first].by);
    printf("%11s %10s %5s %5s %-17s %10s %7s %7s %6s\n", "size", "count", "type", "redop", "algorithm", "time", "algbw",
           "busbw", "#wrong");
    printf("%11s %10s %5s %5s %-17s %10s %7s %7s\n", "(B)", "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)");
    for (int size = first; size < r->plan.sizes; size++)
        if (rows[size].rounds) print_row(r, &rows[size]);
}

/* The fastest of the own rows of a kind at a size, library or not. */
static const cb_comm_row *fastest(const cb_comm_report *r, cb_kind kind, int size, bool library) {
    const cb_comm_row *best = NULL;
    for (int e = 0; e < r->plan.entries; e++) {
        const cb_comm_row *row = cb_comm_report_own(r, e, size);
        if (!row->rounds || row->kind != kind || r->plan.entry[e].native != library) continue;
        if (!best || cb_comm_row_time_s(row) < cb_comm_row_time_s(best)) best = row;
    }
    return best;
}

static void print_against(const cb_comm_report *r, int kind, int size) {
    const cb_comm_row *own = fastest(r, r->kind[kind], size, false), *native = fastest(r, r->kind[kind], size, true);
    double best_s = 0, own_s;
    if (!own || (!native && !r->peers)) return;
    own_s = cb_comm_row_time_s(own);
    printf("%11lld %-17s %10.2f", (long long)own->bytes, cb_comm_row_algorithm(own), own_s * 1e6);
    for (int peer = native ? -1 : 0; peer < r->peers; peer++) {
        const cb_comm_row *row = peer < 0 ? native : cb_comm_report_of_peer(r, peer, kind, size);
        double time_s = cb_comm_row_time_s(row);
        if (row->rounds && (best_s == 0 || time_s < best_s)) best_s = time_s;
        printf(" %16.2f", time_s * 1e6);
    }
    printf(" %9.2f\n", best_s / own_s);
}

/* The fastest own algorithm at each size against the libraries. */
static void print_comparison(const cb_comm_report *r, int kind) {
    const bool native = r->plan.entry[r->plan.entries - 1].native;
    if (!native && !r->peers) return;
    printf("\n%s, %d ranks: %s against MPI's own\n%11s %-17s %10s", cb_kind_name(r->kind[kind]), r->ranks,
           r->plan.launch.backend, "size (B)", "algorithm", "us");
    if (native) printf(" %13.13s us", r->library);
    for (int peer = 0; peer < r->peers; peer++) printf(" %13.13s us", r->peer[peer]);
    printf(" %9s\n", "faster by");
    for (int size = 0; size < r->plan.sizes; size++) print_against(r, kind, size);
}

void cb_comm_report_print(const cb_comm_report *r) {
    printf("%d ranks on %s%s%s, %d cores; every result checked\n", r->ranks, r->plan.launch.backend,
           *r->library ? ", " : "", r->library, r->cores);
    for (int e = 0; e < r->plan.entries; e++) print_rows(r, cb_comm_report_own(r, e, 0));
    for (int peer = 0; peer < r->peers; peer++)
        for (int kind = 0; kind < r->kinds; kind++) print_rows(r, cb_comm_report_of_peer(r, peer, kind, 0));
    for (int kind = 0; kind < r->kinds; kind++) print_comparison(r, kind);
}

static json_t *row_json(const cb_comm_report *r, const cb_comm_row *row) {
    const double algbw = cb_comm_algbw(row);
    return json_pack("{s:s,s:s,s:s,s:i,s:I,s:I,s:s,s:s,s:f,s:f,s:f,s:I}", "op", cb_kind_name(row->kind), "algo",
                     cb_comm_row_algorithm(row), "comm", row->by, "ranks", r->ranks, "bytes", (json_int_t)row->bytes,
                     "count", (json_int_t)row->count, "dtype", cb_type_name(r->plan.type), "redop",
                     reduces(row->kind) ? cb_reduce_op_name(r->plan.op) : "none", "time_us",
                     cb_comm_row_time_s(row) * 1e6, "algbw_GBps", algbw * 1e-9, "busbw_GBps",
                     algbw * cb_comm_bus_factor(row->kind, r->ranks) * 1e-9, "wrong", (json_int_t)row->wrong);
}

void cb_comm_report_json(const cb_comm_report *r) {
    json_t *rows = json_array();
    for (int i = 0; i < r->rows; i++)
        if (r->row[i].rounds) json_array_append_new(rows, row_json(r, &r->row[i]));
    json_t *o = json_pack("{s:s,s:s,s:i,s:i,s:i,s:o}", "comm", r->plan.launch.backend, "library", r->library, "ranks",
                          r->ranks, "cores", r->cores, "rounds", r->rounds, "rows", rows);
    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}
