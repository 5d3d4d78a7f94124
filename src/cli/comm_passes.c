/* All rows in several passes; see comm_passes.h. At a size the entries of a kind take turns, so that what disturbs the
 * machine disturbs all alike, and a round goes over all sizes several times, so that what disturbs it for seconds does
 * not fall on a few sizes alone. Where every rank has a core each sample is taken with the pace of a barrier
 * (comm_pace.h), and rows that still lack samples of the usual pace are measured again. */
#include "cli/comm_passes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "cli/bench.h"

enum { PASSES = 3 };
static const double enough_s = 1.5;              /* of the samples of a row in PASSES */
static const double silent_s = 1, between_s = 2; /* before the first and between two lines of progress */

static int passes(const cb_comm_plan *p) {
    return p->repeats < PASSES ? p->repeats : PASSES;
}

/* Those of one pass. Of rows that take long fewer samples are taken. */
static cb_err samples(cb_comm_turn *turns, int n) {
    const cb_comm_plan *p = turns->r->plan;
    double spent_s[CB_COMM_MOST_ENTRIES] = {0};
    for (int i = 0; i < (p->repeats + passes(p) - 1) / passes(p); i++) {
        for (int k = 0; k < n; k++) {
            cb_comm_turn *t = &turns[k];
            if (i > 0 && spent_s[k] > enough_s / passes(p)) continue;
            TRY(cb_comm_turn_sample(t));
            spent_s[k] += t->samples[*t->taken - 1].time_s * t->row->calls;
        }
    }
    return CB_OK;
}

static void say(cb_comm_bench *r, int pass, cb_kind kind, int size) {
    double now_s = cb_now_s();
    char text[16];
    if (r->plan->quiet || r->group.me > 0 || now_s < r->begin_s + silent_s || now_s < r->said_s + between_s) return;
    r->said_s = now_s;
    bool terminal = cb_os_is_terminal(STDERR_FILENO);
    fprintf(stderr, "%spass %d of %d: %s of %s, size %d of %d%s", terminal ? "\r\033[K" : "", pass + 1,
            pass < passes(r->plan) ? passes(r->plan) : pass + 1, cb_kind_name(kind),
            cb_os_human_bytes(r->plan->size_bytes[size], text), size + 1, r->plan->sizes, terminal ? "" : "\n");
}

static int index_of(const cb_comm_bench *r, int entry, int size) {
    return entry * r->plan->sizes + size;
}

static cb_paced *samples_of(const cb_comm_bench *r, int row) {
    return r->samples + (int64_t)row * CB_COMM_MOST_PASSES * r->plan->repeats;
}

/* Samples of the usual pace that a row has. */
static int usual_samples(const cb_comm_bench *r, int row) {
    int n = 0;
    for (int i = 0; i < r->taken[row]; i++) n += cb_pace_has(r->usual, samples_of(r, row)[i]);
    return n;
}

/* In as many samples as there are passes one that was disturbed does no harm. */
static bool needs_more(const cb_comm_bench *r, int row) {
    return usual_samples(r, row) < passes(r->plan);
}

/* The entries first .. first + n - 1, all of one kind, at one size, as far as they need samples. */
static cb_err measure_size(cb_comm_bench *r, int pass, int first, int n, int size) {
    cb_comm_turn *turns = calloc((size_t)n, sizeof *turns);
    if (!turns) return cb_fail(CB_ENOMEM, "no memory to measure %d algorithms", n);
    int taking = 0;
    cb_err e = CB_OK;
    for (int i = 0; i < n && !e; i++) {
        const int at = index_of(r, first + i, size);
        cb_comm_row *row = &r->rows[at];
        if (!cb_comm_describe(r, first + i, size, row) || (pass >= passes(r->plan) && !needs_more(r, at))) continue;
        cb_comm_turn *t = &turns[taking++];
        *t = (cb_comm_turn){.r = r, .entry = &r->plan->entry[first + i], .row = row, .taken = &r->taken[at]};
        t->samples = samples_of(r, at);
        t->call = (cb_call){.kind = row->kind, .type = r->plan->type, .op = r->plan->op, .count = row->count};
        t->call.to = r->to;
        t->call.from = cb_comm_in_place(row->kind) ? r->to : r->from;
        e = cb_comm_turn_begin(t);
    }
    if (!e && taking) e = samples(turns, taking);
    for (int k = 0; k < taking && !e; k++) e = cb_comm_turn_check(&turns[k]);
    free(turns);
    return e;
}

static cb_err measure_memory(cb_comm_bench *r, int pass) {
    TRY(cb_comm_look_at_pace(r, &r->memory_pace_s[pass]));
    return cb_memory_rate_measure(&r->memory[pass], &r->control, r->here_cores, r->from, r->to, r->room_bytes,
                                  r->plan->type);
}

static cb_err measure_pass(cb_comm_bench *r, int pass) {
    const cb_comm_plan *p = r->plan;
    TRY(measure_memory(r, pass));
    for (int first = 0, n; first < p->entries; first += n) {
        for (n = 1; first + n < p->entries && p->entry[first + n].kind == p->entry[first].kind;) n++;
        for (int size = 0; size < p->sizes; size++) {
            say(r, pass, p->entry[first].kind, size);
            TRY(measure_size(r, pass, first, n, size));
        }
    }
    return CB_OK;
}

/* The pace that most samples of all rows have. */
static cb_err find_usual_pace(cb_comm_bench *r) {
    const int rows = r->plan->entries * r->plan->sizes;
    int n = 0;
    double *paces_s = malloc((size_t)(rows * CB_COMM_MOST_PASSES * r->plan->repeats) * sizeof *paces_s);
    if (!paces_s) return cb_fail(CB_ENOMEM, "no memory for the paces of %d rows", rows);
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < r->taken[row]; i++) paces_s[n++] = samples_of(r, row)[i].pace_s;
    r->usual = cb_pace_usual(paces_s, n);
    free(paces_s);
    return CB_OK;
}

static bool some_need_more(const cb_comm_bench *r) {
    for (int row = 0; row < r->plan->entries * r->plan->sizes; row++)
        if (r->taken[row] > 0 && needs_more(r, row)) return true;
    return false;
}

/* A round of a row: the median of its samples of the usual pace, or where it has none, of all. */
static void take_round(cb_comm_bench *r, int at) {
    double times_s[CB_COMM_MOST_PASSES * CB_COMM_MOST_REPEATS];
    cb_comm_row *row = &r->rows[at];
    const cb_paced *all = samples_of(r, at);
    bool any = usual_samples(r, at) > 0;
    int n = 0;
    for (int i = 0; i < r->taken[at]; i++) {
        if (any && !cb_pace_has(r->usual, all[i])) continue;
        times_s[n++] = all[i].time_s;
    }
    r->found.samples += r->taken[at];
    r->found.unusual += r->taken[at] - n; /* of a row without usual ones all count */
    row->unusual |= n > 0 && !any;
    if (n == 0) return;
    row->round_s[row->rounds++] = cb_bench_median(times_s, n);
    if (row->best_s == 0 || times_s[0] < row->best_s) row->best_s = times_s[0];
}

/* The best of the passes at the usual pace, or where none was, of all. */
static void take_memory(cb_comm_bench *r) {
    bool any = false;
    for (int i = 0; i < r->passes; i++) any |= cb_pace_has(r->usual, (cb_paced){.pace_s = r->memory_pace_s[i]});
    for (int i = 0; i < r->passes; i++)
        if (!any || cb_pace_has(r->usual, (cb_paced){.pace_s = r->memory_pace_s[i]}))
            cb_memory_rate_better(&r->found.memory, &r->memory[i]);
}

cb_err cb_comm_passes(cb_comm_bench *r) {
    const int rows = r->plan->entries * r->plan->sizes;
    r->samples = calloc((size_t)(rows * CB_COMM_MOST_PASSES * r->plan->repeats), sizeof *r->samples);
    r->taken = calloc((size_t)rows, sizeof *r->taken);
    if (!r->samples || !r->taken) return cb_fail(CB_ENOMEM, "no memory for the samples of %d rows", rows);
    while (r->passes < passes(r->plan) || (r->passes < CB_COMM_MOST_PASSES && some_need_more(r))) {
        TRY(measure_pass(r, r->passes++));
        TRY(find_usual_pace(r));
    }
    take_memory(r);
    for (int row = 0; row < rows; row++) take_round(r, row);
    r->found.pace = r->usual;
    if (r->said_s > 0 && cb_os_is_terminal(STDERR_FILENO)) fputs("\r\033[K", stderr);
    return CB_OK;
}
