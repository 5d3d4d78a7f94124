/* Tables of `cuboid bench comm`; see comm_report.h. Columns and definitions are those of nccl-tests. */
#include "cli/comm_report.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "base/os.h"

enum { COLUMNS = 100 };
#define NEAR 1.3           /* times the library's time */
enum { LARGE = 64 << 10 }; /* bytes: from here on ours are held against the library's */

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
    printf("%10lld %9lld %5s %5s %-17s %10.2f %7.3f %7.3f %6lld", (long long)row->bytes, (long long)row->count,
           cb_type_name(r->plan.type), reduces(row->kind) ? cb_reduce_op_name(r->plan.op) : "none",
           cb_comm_row_algorithm(row), time_s * 1e6, algbw * 1e-9,
           algbw * cb_comm_bus_factor(row->kind, r->ranks) * 1e-9, (long long)row->wrong);
    if (row->predicted_s > 0)
        printf(" %9.2f", row->predicted_s * 1e6);
    else
        printf(" %9s", "-");
    if (row->floor_s > 0)
        printf(" %5.2f", row->floor_s / time_s);
    else
        printf(" %5s", "-");
    puts(row->unusual ? " at another pace" : "");
}

static void print_alpha(const cb_fit *f) {
    char size[16];
    if (f->split_bytes > 0)
        printf("alpha %.3g us up to %s a message, %.3g us above", f->alpha_s[0] * 1e6,
               cb_os_human_bytes((int64_t)f->split_bytes, size), f->alpha_s[1] * 1e6);
    else
        printf("alpha %.3g us", f->alpha_s[0] * 1e6);
}

/* The model of the algorithms in these rows. */
static void print_models(const cb_comm_report *r, const cb_comm_row *rows) {
    for (int i = 0; i < r->models; i++) {
        const cb_comm_model *m = &r->model[i];
        bool here = false;
        char size[16];
        for (int k = 0; k < r->plan.sizes; k++) here |= rows[k].rounds && rows[k].algorithm == m->algorithm;
        if (!here || !m->fit.fitted) continue;
        printf("model of %s: ", m->algorithm->name);
        print_alpha(&m->fit);
        printf("; beta %.3g ps/B", m->fit.beta_s * 1e12);
        if (reduces(m->algorithm->kind)) printf(", gamma %.3g ps/B", m->fit.gamma_s * 1e12);
        printf("\n  ");
        if (m->fit.handed > 0) printf("time to hand over x %.2f; ", m->fit.handed);
        printf("memory's time x %.2f", m->fit.factor[0]);
        if (m->fit.cache_bytes > 0)
            printf(" where less than %s is used, x %.2f above", cb_os_human_bytes((int64_t)m->fit.cache_bytes, size),
                   m->fit.factor[1]);
        if (m->fit.points == 0) {
            putchar('\n');
            continue;
        }
        printf("; %d of %d rows from 4 KiB up within %.0f%%, the worst %.0f%% off, at %s\n", m->fit.within,
               m->fit.points, CB_FIT_BOUND * 100, m->fit.worst * 100, cb_os_human_bytes(m->worst_bytes, size));
    }
}

/* Lines of `sizes` rows, under a head of their own. */
static void print_rows(const cb_comm_report *r, const cb_comm_row *rows) {
    int first = 0;
    while (first < r->plan.sizes && !rows[first].rounds && !rows[first].too_large) first++;
    if (first == r->plan.sizes) return;
    printf("\n%s, %d rank%s, %s\n", cb_kind_name(rows[first].kind), r->ranks, r->ranks == 1 ? "" : "s", rows[first].by);
    printf("%10s %9s %5s %5s %-17s %10s %7s %7s %6s %9s %5s\n", "size", "count", "type", "redop", "algorithm", "time",
           "algbw", "busbw", "#wrong", "model", "floor");
    printf("%10s %9s %5s %5s %-17s %10s %7s %7s %6s %9s %5s\n", "(B)", "(elem.)", "", "", "", "(us)", "(GB/s)",
           "(GB/s)", "", "(us)", "/time");
    for (int size = first; size < r->plan.sizes; size++)
        if (rows[size].rounds)
            print_row(r, &rows[size]);
        else if (rows[size].too_large)
            printf("%10lld %9lld left out: more memory is needed than there is\n", (long long)rows[size].bytes,
                   (long long)rows[size].count);
    print_models(r, rows);
}

static bool all_fitted(const cb_comm_report *r) {
    for (int i = 0; i < r->models; i++)
        if (!r->model[i].fit.fitted) return false;
    return true;
}

/* Each third point: from what fits a first cache to what fits none. */
static void print_memory(const cb_comm_report *r) {
    const cb_memory_rate *m = &r->found.memory;
    char size[16];
    if (m->points == 0) return;
    printf("memory, read and written by all cores together, GB/s:");
    for (int i = (m->points - 1) % 3; i < m->points; i += 3)
        printf("%s %.0f (%s)", i < 3 ? "" : ",", m->bytes_per_s[i] * 1e-9,
               cb_os_human_bytes((int64_t)m->set_bytes[i], size));
    putchar('\n');
    if (m->handover_s_per_byte[0] <= 0) return;
    printf("handed over, what a core reads of another's, GB/s:");
    for (int i = (m->points - 1) % 3; i < m->points; i += 3)
        printf("%s %.1f (%s)", i < 3 ? "" : ",", 1e-9 / m->handover_s_per_byte[i],
               cb_os_human_bytes((int64_t)m->set_bytes[i], size));
    putchar('\n');
}

/* How near the cores were to each other; comm_pace.h. */
static void print_pace(const cb_comm_found *f) {
    if (f->pace.most_s <= 0) return;
    printf("pace: a barrier takes %.2f to %.2f us; %d of %d samples at another pace left out\n", f->pace.least_s * 1e6,
           f->pace.most_s * 1e6, f->unusual, f->samples);
}

static void print_legend(const cb_comm_report *r) {
    if (r->ranks == 1) {
        puts("model, floor: none, as one rank has nothing to send");
        return;
    }
    printf(
        "model: the fitted cost model%s\nfloor: what memory needs to read each operand and write each result once%s\n",
        all_fitted(r) ? "" : " (- where an algorithm has fewer than 4 sizes, too few for a fit)",
        r->found.memory.points ? "" : " (-: no size is large enough to measure memory)");
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

/* What is held against the library: what is chosen, or where that was not measured the fastest. */
static const cb_comm_row *taken(const cb_comm_report *r, cb_kind kind, int size) {
    for (int e = 0; e < r->plan.entries; e++) {
        const cb_comm_row *row = cb_comm_report_own(r, e, size);
        if (row->rounds && row->kind == kind && row->chosen) return row;
    }
    return fastest(r, kind, size, false);
}

/* Seconds of the fastest library at a size, own run or peers; 0: none. */
static double library_s(const cb_comm_report *r, int kind, int size) {
    const cb_comm_row *native = fastest(r, r->kind[kind], size, true);
    double best_s = native ? cb_comm_row_time_s(native) : 0;
    for (int peer = 0; peer < r->peers; peer++) {
        double time_s = cb_comm_row_time_s(cb_comm_report_of_peer(r, peer, kind, size));
        if (time_s > 0 && (best_s == 0 || time_s < best_s)) best_s = time_s;
    }
    return best_s;
}

static void print_against(const cb_comm_report *r, int kind, int size) {
    const cb_comm_row *own = taken(r, r->kind[kind], size), *native = fastest(r, r->kind[kind], size, true);
    double best_s = library_s(r, kind, size);
    if (!own || best_s == 0) return;
    printf("%10lld %-17s %10.2f", (long long)own->bytes, cb_comm_row_algorithm(own), cb_comm_row_time_s(own) * 1e6);
    if (native) printf(" %17.2f", cb_comm_row_time_s(native) * 1e6);
    for (int peer = 0; peer < r->peers; peer++)
        printf(" %17.2f", cb_comm_row_time_s(cb_comm_report_of_peer(r, peer, kind, size)) * 1e6);
    printf(" %9.2f\n", best_s / cb_comm_row_time_s(own));
}

static const char *reason(cb_kind kind) {
    return reduces(kind)
               ? " all the same,\nas they sum in one order, and a wait inside of a library cannot be ended at "
                 "a deadline"
               : " all the same,\nas a wait inside of a library cannot be ended at a deadline";
}

/* Of what is chosen, from LARGE on. */
static void print_verdict(const cb_comm_report *r, int kind) {
    double worst = 0;
    int64_t at = 0;
    for (int size = 0; size < r->plan.sizes; size++) {
        const cb_comm_row *own = taken(r, r->kind[kind], size);
        double best_s = library_s(r, kind, size);
        if (!own || !own->chosen || best_s == 0 || r->plan.size_bytes[size] < LARGE) continue;
        double ratio = cb_comm_row_time_s(own) / best_s;
        if (ratio <= worst) continue;
        worst = ratio;
        at = own->bytes;
    }
    char text[16];
    if (at == 0) return;
    printf("from 64 KiB up ours take at most %.2f times the library's time, at %s; ours are taken%s\n", worst,
           cb_os_human_bytes(at, text), worst <= NEAR ? "" : reason(r->kind[kind]));
}

/* What is taken at each size against the libraries. */
static void print_comparison(const cb_comm_report *r, int kind) {
    const bool native = r->plan.entry[r->plan.entries - 1].native;
    if ((!native && !r->peers) || (native && r->plan.entries == r->kinds)) return;
    printf("\n%s, %d ranks: %s against MPI's own\n%10s %-17s %10s", cb_kind_name(r->kind[kind]), r->ranks,
           r->plan.launch.backend, "size (B)", "algorithm", "us");
    if (native) printf(" %14.14s us", r->found.library);
    for (int peer = 0; peer < r->peers; peer++) printf(" %14.14s us", r->peer[peer]);
    printf(" %9s\n", "faster by");
    for (int size = 0; size < r->plan.sizes; size++) print_against(r, kind, size);
    print_verdict(r, kind);
}

/* Which of several own algorithms is the fastest from which size on. */
static void print_fastest(const cb_comm_report *r, int kind) {
    const cb_algorithm *before = NULL;
    int own = 0, column;
    char size[16], text[64];
    for (int e = 0; e < r->plan.entries; e++) own += r->plan.entry[e].kind == r->kind[kind] && !r->plan.entry[e].native;
    if (own < 2) return;
    column = printf("\nthe fastest %s by size:", cb_kind_name(r->kind[kind])) - 1;
    for (int i = 0; i < r->plan.sizes; i++) {
        const cb_comm_row *row = fastest(r, r->kind[kind], i, false);
        if (!row || row->algorithm == before) continue;
        int length =
            snprintf(text, sizeof text, "from %s %s", cb_os_human_bytes(row->bytes, size), row->algorithm->name);
        bool wraps = column + length + 2 > COLUMNS;
        column = wraps ? length + 2 : column + length + 2;
        printf("%s%s%s", before ? "," : "", wraps ? "\n  " : " ", text);
        before = row->algorithm;
    }
    putchar('\n');
}

/* Of each operation what it lacks of the named, which stand together, and what it has. */
static void print_lacks(const cb_comm_report *r) {
    for (int i = 0; i < r->lacks; i++) {
        const cb_comm_lack *lack = &r->lack[i];
        bool first = i == 0 || lack[-1].kind != lack->kind, last = i + 1 == r->lacks || lack[1].kind != lack->kind;
        char names[256], text[320];
        if (first) printf("left out: %s has no", cb_kind_name(lack->kind));
        printf("%s %s", first ? "" : ",", lack->name);
        if (!last) continue;
        cb_algorithms_serving(lack->kind, cb_comm_means(r).shared, r->ranks, names, sizeof names);
        snprintf(text, sizeof text, "there are: %s", names);
        fputs("\n  ", stdout);
        cb_args_wrap(text, 2, stdout);
    }
}

void cb_comm_report_print(const cb_comm_report *r) {
    printf("%d rank%s on %s%s%s, %d cores; every result checked\n", r->ranks, r->ranks == 1 ? "" : "s",
           r->plan.launch.backend, *r->found.library ? ", " : "", r->found.library, r->found.cores);
    print_lacks(r);
    print_memory(r);
    print_pace(&r->found);
    print_legend(r);
    for (int e = 0; e < r->plan.entries; e++) print_rows(r, cb_comm_report_own(r, e, 0));
    for (int peer = 0; peer < r->peers; peer++)
        for (int kind = 0; kind < r->kinds; kind++) print_rows(r, cb_comm_report_of_peer(r, peer, kind, 0));
    for (int kind = 0; kind < r->kinds; kind++) {
        print_fastest(r, kind);
        print_comparison(r, kind);
    }
}

static json_t *us_or_null(double seconds) {
    return seconds > 0 ? json_real(seconds * 1e6) : json_null();
}

static json_t *row_json(const cb_comm_report *r, const cb_comm_row *row) {
    const double algbw = cb_comm_algbw(row);
    return json_pack("{s:s,s:s,s:s,s:i,s:I,s:I,s:s,s:s,s:f,s:o,s:f,s:f,s:I,s:o,s:o,s:b}", "op", cb_kind_name(row->kind),
                     "algo", cb_comm_row_algorithm(row), "comm", row->by, "ranks", r->ranks, "bytes",
                     (json_int_t)row->bytes, "count", (json_int_t)row->count, "dtype", cb_type_name(r->plan.type),
                     "redop", reduces(row->kind) ? cb_reduce_op_name(r->plan.op) : "none", "time_us",
                     cb_comm_row_time_s(row) * 1e6, "best_us", us_or_null(row->best_s), "algbw_GBps", algbw * 1e-9,
                     "busbw_GBps", algbw * cb_comm_bus_factor(row->kind, r->ranks) * 1e-9, "wrong",
                     (json_int_t)row->wrong, "predicted_us", us_or_null(row->predicted_s), "floor_us",
                     us_or_null(row->floor_s), "other_pace", row->unusual);
}

static json_t *left_out_json(const cb_comm_row *row) {
    return json_pack("{s:s,s:s,s:s,s:s,s:I}", "op", cb_kind_name(row->kind), "algo", cb_comm_row_algorithm(row), "comm",
                     row->by, "why", "more memory than there is", "bytes", (json_int_t)row->bytes);
}

static json_t *lack_json(const cb_comm_report *r, const cb_comm_lack *lack) {
    char names[256];
    cb_algorithms_serving(lack->kind, cb_comm_means(r).shared, r->ranks, names, sizeof names);
    return json_pack("{s:s,s:s,s:s,s:s,s:s}", "op", cb_kind_name(lack->kind), "algo", lack->name, "comm",
                     r->plan.launch.backend, "why", "the operation has no such algorithm", "there_are", names);
}

static json_t *model_json(const cb_comm_report *r, const cb_comm_model *m) {
    const cb_fit *f = &m->fit;
    return json_pack(
        "{s:s,s:s,s:s,s:i,s:f,s:f,s:I,s:f,s:f,s:f,s:f,s:I,s:i,s:i,s:f}", "op", cb_kind_name(m->algorithm->kind),
        "algo", m->algorithm->name, "comm", r->plan.launch.backend, "ranks", r->ranks, "alpha_us", f->alpha_s[0] * 1e6,
        "alpha_large_us", f->alpha_s[1] * 1e6, "split_bytes", (json_int_t)f->split_bytes, "beta_ps_per_byte", f->beta_s * 1e12,
        "gamma_ps_per_byte", f->gamma_s * 1e12, "memory_factor", f->factor[0], "memory_factor_beyond", f->factor[1],
        "cache_bytes", (json_int_t)f->cache_bytes, "rows", f->points, "rows_within_25_percent", f->within, "worst", f->worst);
}

/* null: not looked at */
static json_t *pace_json(const cb_comm_found *f) {
    if (f->pace.most_s <= 0) return json_null();
    return json_pack("{s:f,s:f,s:i,s:i}", "least_us", f->pace.least_s * 1e6, "most_us", f->pace.most_s * 1e6, "samples",
                     f->samples, "other", f->unusual);
}

void cb_comm_report_json(const cb_comm_report *r) {
    json_t *rows = json_array(), *models = json_array(), *left_out = json_array();
    for (int i = 0; i < r->rows; i++) {
        if (r->row[i].rounds) json_array_append_new(rows, row_json(r, &r->row[i]));
        if (r->row[i].too_large) json_array_append_new(left_out, left_out_json(&r->row[i]));
    }
    for (int i = 0; i < r->lacks; i++) json_array_append_new(left_out, lack_json(r, &r->lack[i]));
    for (int i = 0; i < r->models; i++)
        if (r->model[i].fit.fitted) json_array_append_new(models, model_json(r, &r->model[i]));
    json_t *o = json_pack("{s:s,s:s,s:i,s:i,s:i,s:o,s:o,s:o,s:o,s:o}", "comm", r->plan.launch.backend, "library",
                          r->found.library, "ranks", r->ranks, "cores", r->found.cores, "rounds", r->rounds, "memory",
                          cb_memory_rate_json(&r->found.memory), "pace", pace_json(&r->found), "models", models, "rows", rows,
                          "left_out", left_out);
    json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}
