/* Timing collective operations; see comm_measure.h. At a size the entries of a kind take turns, so that what disturbs
 * the machine disturbs all alike. A sample is a number of calls one after the other between two looks at the clock, of
 * which the slowest rank's time counts; roots go round, so that none runs ahead of those that it sends to. Where every
 * rank has a core each sample is taken with the pace of a barrier (comm_pace.h), and rows that lack samples of the
 * usual pace are measured again. */
#include "cli/comm_measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/os.h"
#include "cli/bench.h"
#include "cli/comm_data.h"
#include "cli/comm_pace.h"
#include "cli/machine.h"
#include "collectives/algorithms.h"
#include "train/rank.h"

enum { MOST_CALLS = 20000, PASSES = 3, MOST_PASSES = 6, PACE_BARRIERS = 64, PACE_TRIES = 3, PAGE = 4096 };
static const double sample_s = 4e-3,
                    shared_sample_s = 24e-3;     /* the second where ranks share cores: some turns of each */
static const double enough_s = 1.5;              /* of the samples of a row in PASSES */
static const double silent_s = 1, between_s = 2; /* before the first and between two lines of progress */

int64_t cb_comm_bytes_of(cb_kind kind, int ranks, int64_t count, cb_type type) {
    bool whole = kind == CB_ALL_REDUCE || kind == CB_BROADCAST || kind == CB_REDUCE;
    return (whole ? count : ranks * count) * cb_type_bytes(type);
}

int64_t cb_comm_count_of(cb_kind kind, int ranks, int64_t bytes, cb_type type) {
    int64_t count = bytes / cb_comm_bytes_of(kind, ranks, 1, type);
    return count > 0 ? count : 1;
}

double cb_comm_bus_factor(cb_kind kind, int ranks) {
    if (kind == CB_BROADCAST || kind == CB_REDUCE) return 1;
    return (kind == CB_ALL_REDUCE ? 2.0 : 1.0) * (ranks - 1) / ranks;
}

double cb_comm_row_time_s(const cb_comm_row *row) {
    double sorted[CB_COMM_MOST_ROUNDS];
    memcpy(sorted, row->round_s, sizeof sorted);
    return row->rounds ? cb_bench_median(sorted, row->rounds) : 0;
}

const char *cb_comm_row_algorithm(const cb_comm_row *row) {
    return row->algorithm ? row->algorithm->name : "native";
}

double cb_comm_algbw(const cb_comm_row *row) {
    double time_s = cb_comm_row_time_s(row);
    return time_s > 0 ? (double)row->bytes / time_s : 0;
}

typedef struct job {
    const cb_comm_plan *plan;
    cb_comm_row *rows; /* of rank 0; NULL: this rank keeps none */
    cb_comm_found *found;
} job;

typedef struct rank {
    const cb_comm_plan *plan;
    cb_comm *comm;
    cb_group group, control; /* measured; agreeing */
    cb_comm_data data;
    cb_comm_row *rows;
    char *from, *to, *scratch;
    int here_cores; /* of this machine, before the rank is bound to one */
    int64_t room_bytes, available_bytes;
    double begin_s, said_s;
    cb_paced *samples; /* (entries, sizes, MOST_PASSES * repeats) */
    int *taken;        /* (entries, sizes) */
    int passes;        /* so far */
    cb_pace usual;
    cb_memory_rate memory[MOST_PASSES];
    double memory_pace_s[MOST_PASSES];
    cb_comm_found found;
} rank;

/* The row under measurement. */
typedef struct turn {
    rank *r;
    const cb_comm_entry *entry;
    cb_comm_row *row;
    cb_call call;
    int called;
    cb_paced *samples;
    int *taken;
} turn;

static cb_err largest(rank *r, double *value) {
    return cb_all_reduce(&r->control, value, 1, CB_F64, CB_MAX, NULL);
}

static cb_err call_once(turn *t) {
    bool rooted = t->call.kind == CB_BROADCAST || t->call.kind == CB_REDUCE;
    t->call.root = rooted ? t->called++ % t->r->group.size : 0;
    if (t->entry->native) return cb_comm_native(t->r->comm, &t->call);
    return cb_algorithm_run(t->row->algorithm, &t->r->group, &t->call, t->r->scratch);
}

static cb_err check(turn *t) {
    rank *r = t->r;
    cb_comm_data_fill(&r->data, &t->call, r->group.me);
    TRY(cb_barrier(&r->control)); /* none reads what another still fills */
    TRY(call_once(t));
    double wrong = (double)cb_comm_data_wrong(&r->data, &t->call, r->group.me);
    TRY(cb_all_reduce(&r->control, &wrong, 1, CB_F64, CB_SUM, NULL));
    t->row->wrong += (int64_t)wrong;
    return CB_OK;
}

/* In place a sum would grow from call to call, so what is timed is the sum of zeros. */
static void make_lasting(turn *t) {
    if (t->call.kind == CB_ALL_REDUCE) memset(t->call.to, 0, (size_t)t->row->bytes);
}

static cb_err sample(turn *t, int calls, double *each_s) {
    TRY(cb_barrier(&t->r->control));
    double begin_s = cb_now_s();
    for (int i = 0; i < calls; i++) TRY(call_once(t));
    *each_s = (cb_now_s() - begin_s) / calls;
    return largest(t->r, each_s);
}

/* As many calls as fill a sample, the same on all ranks. */
static cb_err choose_calls(turn *t) {
    const rank *r = t->r;
    bool shared = cb_comm_local_size(r->comm) > r->here_cores;
    double wanted_s = shared ? shared_sample_s : sample_s, each_s;
    TRY(largest(t->r, &wanted_s));
    for (int i = 0; i < r->plan->warmup; i++) TRY(call_once(t));
    for (int calls = 1;;) {
        TRY(sample(t, calls, &each_s));
        double fits = wanted_s / (each_s + 1e-9);
        t->row->calls = fits < 1 ? 1 : fits > MOST_CALLS ? MOST_CALLS : (int)fits;
        if (calls * 4 >= t->row->calls) return CB_OK;
        calls = t->row->calls > 16 * calls ? 16 * calls : t->row->calls;
    }
}

static cb_err begin(turn *t) {
    TRY(check(t));
    make_lasting(t);
    return choose_calls(t);
}

/* Seconds of a barrier now; 0 where ranks share cores or are not all of one machine. */
static cb_err look_at_pace(rank *r, double *pace_s) {
    double tries_s[PACE_TRIES];
    *pace_s = 0;
    if (cb_comm_local_size(r->comm) < r->group.size || r->group.size > r->here_cores) return CB_OK;
    for (int i = 0; i < PACE_TRIES; i++) {
        double begin_s = cb_now_s();
        for (int k = 0; k < PACE_BARRIERS; k++) TRY(cb_barrier(&r->control));
        tries_s[i] = (cb_now_s() - begin_s) / PACE_BARRIERS;
    }
    *pace_s = cb_bench_median(tries_s, PACE_TRIES);
    return largest(r, pace_s);
}

static int passes(const cb_comm_plan *p) {
    return p->repeats < PASSES ? p->repeats : PASSES;
}

/* Those of one pass. Of rows that take long fewer samples are taken. */
static cb_err samples(turn *turns, int n) {
    const cb_comm_plan *p = turns->r->plan;
    double spent_s[CB_COMM_MOST_ENTRIES] = {0};
    for (int i = 0; i < (p->repeats + passes(p) - 1) / passes(p); i++) {
        for (int k = 0; k < n; k++) {
            turn *t = &turns[k];
            cb_paced *next = &t->samples[*t->taken];
            if (i > 0 && spent_s[k] > enough_s / passes(p)) continue;
            TRY(look_at_pace(t->r, &next->pace_s));
            TRY(sample(t, t->row->calls, &next->time_s));
            spent_s[k] += next->time_s * t->row->calls;
            ++*t->taken;
        }
    }
    return CB_OK;
}

/* Memory that an operation takes beside its data. */
static int64_t extra_bytes(const rank *r, const cb_comm_row *row) {
    const int64_t E = cb_type_bytes(r->plan->type);
    if (!row->algorithm || !row->algorithm->pattern) return 0;
    const cb_pattern *pattern = row->algorithm->pattern;
    if (row->kind == CB_ALL_REDUCE)
        return cb_all_reduce_scratch_by(cb_all_reduce_way_of(pattern), r->group.size, row->count, r->plan->type);
    cb_shape shape = {.size = r->group.size, .count = row->count};
    return 2 * cb_pattern_elements(pattern, &shape) * E;
}

/* Of all ranks of this machine. */
static int64_t needed_bytes(const rank *r, const cb_comm_row *row) {
    return (extra_bytes(r, row) + 2 * row->bytes) * cb_comm_local_size(r->comm);
}

static int64_t usable_bytes(const rank *r) {
    return r->available_bytes / 4 * 3;
}

/* Fills the row but for its times; false where there is nothing to measure. */
static bool describe(const rank *r, int entry, int size, cb_comm_row *row) {
    const cb_comm_plan *p = r->plan;
    const cb_comm_entry *e = &p->entry[entry];
    const int ranks = r->group.size;
    row->kind = e->kind;
    row->count = cb_comm_count_of(e->kind, ranks, p->size_bytes[size], p->type);
    row->bytes = cb_comm_bytes_of(e->kind, ranks, row->count, p->type);
    const cb_algorithm *choice = cb_choose(e->kind, cb_group_means(&r->group), ranks, row->count);
    row->algorithm = e->native ? NULL : e->algorithm ? e->algorithm : choice;
    row->chosen = row->algorithm == choice;
    bool again = size > 0 && cb_comm_count_of(e->kind, ranks, p->size_bytes[size - 1], p->type) == row->count;
    row->too_large = !again && needed_bytes(r, row) >= usable_bytes(r);
    return !again && !row->too_large;
}

static void say(rank *r, int pass, cb_kind kind, int size) {
    double now_s = cb_now_s();
    char text[16];
    if (r->group.me > 0 || now_s < r->begin_s + silent_s || now_s < r->said_s + between_s) return;
    r->said_s = now_s;
    bool terminal = cb_os_is_terminal(STDERR_FILENO);
    fprintf(stderr, "%spass %d of %d: %s of %s, size %d of %d%s", terminal ? "\r\033[K" : "", pass + 1,
            pass < passes(r->plan) ? passes(r->plan) : pass + 1, cb_kind_name(kind),
            cb_os_human_bytes(r->plan->size_bytes[size], text), size + 1, r->plan->sizes, terminal ? "" : "\n");
}

static int index_of(const rank *r, int entry, int size) {
    return entry * r->plan->sizes + size;
}

static cb_paced *samples_of(const rank *r, int row) {
    return r->samples + (int64_t)row * MOST_PASSES * r->plan->repeats;
}

/* Samples of the usual pace that a row has. */
static int usual_samples(const rank *r, int row) {
    int n = 0;
    for (int i = 0; i < r->taken[row]; i++) n += cb_pace_has(r->usual, samples_of(r, row)[i]);
    return n;
}

/* In as many samples as there are passes one that was disturbed does no harm. */
static bool needs_more(const rank *r, int row) {
    return usual_samples(r, row) < passes(r->plan);
}

/* The entries first .. first + n - 1, all of one kind, at one size, as far as they need samples. */
static cb_err measure_size(rank *r, int pass, int first, int n, int size) {
    turn *turns = calloc((size_t)n, sizeof *turns);
    if (!turns) return cb_fail(CB_ENOMEM, "no memory to measure %d algorithms", n);
    int taking = 0;
    cb_err e = CB_OK;
    for (int i = 0; i < n && !e; i++) {
        const int at = index_of(r, first + i, size);
        cb_comm_row *row = &r->rows[at];
        if (!describe(r, first + i, size, row) || (pass >= passes(r->plan) && !needs_more(r, at))) continue;
        turn *t = &turns[taking++];
        *t = (turn){.r = r, .entry = &r->plan->entry[first + i], .row = row, .taken = &r->taken[at]};
        t->samples = samples_of(r, at);
        t->call = (cb_call){.kind = row->kind, .type = r->plan->type, .op = r->plan->op, .count = row->count};
        t->call.to = r->to;
        t->call.from = cb_comm_in_place(row->kind) ? r->to : r->from;
        e = begin(t);
    }
    if (!e && taking) e = samples(turns, taking);
    for (int k = 0; k < taking && !e; k++) e = check(&turns[k]);
    free(turns);
    return e;
}

static cb_err measure_memory(rank *r, int pass) {
    TRY(look_at_pace(r, &r->memory_pace_s[pass]));
    return cb_memory_rate_measure(&r->memory[pass], &r->control, r->here_cores, r->from, r->to, r->room_bytes,
                                  r->plan->type);
}

static cb_err measure_pass(rank *r, int pass) {
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
static cb_err find_usual_pace(rank *r) {
    const int rows = r->plan->entries * r->plan->sizes;
    int n = 0;
    double *paces_s = malloc((size_t)(rows * MOST_PASSES * r->plan->repeats) * sizeof *paces_s);
    if (!paces_s) return cb_fail(CB_ENOMEM, "no memory for the paces of %d rows", rows);
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < r->taken[row]; i++) paces_s[n++] = samples_of(r, row)[i].pace_s;
    r->usual = cb_pace_usual(paces_s, n);
    free(paces_s);
    return CB_OK;
}

static bool some_need_more(const rank *r) {
    for (int row = 0; row < r->plan->entries * r->plan->sizes; row++)
        if (r->taken[row] > 0 && needs_more(r, row)) return true;
    return false;
}

/* A round of a row: the median of its samples of the usual pace, or where it has none, of all. */
static void take_round(rank *r, int at) {
    double times_s[MOST_PASSES * CB_COMM_MOST_REPEATS];
    cb_comm_row *row = &r->rows[at];
    const cb_paced *all = samples_of(r, at);
    bool any = usual_samples(r, at) > 0;
    int n = 0;
    for (int i = 0; i < r->taken[at]; i++) {
        if (any && !cb_pace_has(r->usual, all[i])) continue;
        times_s[n++] = all[i].time_s;
    }
    r->found.samples += r->taken[at];
    r->found.unusual += r->taken[at] - (any ? n : 0);
    row->unusual |= n > 0 && !any;
    if (n == 0) return;
    row->round_s[row->rounds++] = cb_bench_median(times_s, n);
    if (row->best_s == 0 || times_s[0] < row->best_s) row->best_s = times_s[0];
}

/* The best of the passes at the usual pace, or where none was, of all. */
static void take_memory(rank *r) {
    bool any = false;
    for (int i = 0; i < r->passes; i++) any |= cb_pace_has(r->usual, (cb_paced){.pace_s = r->memory_pace_s[i]});
    for (int i = 0; i < r->passes; i++)
        if (!any || cb_pace_has(r->usual, (cb_paced){.pace_s = r->memory_pace_s[i]}))
            cb_memory_rate_better(&r->found.memory, &r->memory[i]);
}

static cb_err measure_rows(rank *r) {
    const int rows = r->plan->entries * r->plan->sizes;
    r->samples = calloc((size_t)(rows * MOST_PASSES * r->plan->repeats), sizeof *r->samples);
    r->taken = calloc((size_t)rows, sizeof *r->taken);
    if (!r->samples || !r->taken) return cb_fail(CB_ENOMEM, "no memory for the samples of %d rows", rows);
    while (r->passes < passes(r->plan) || (r->passes < MOST_PASSES && some_need_more(r))) {
        TRY(measure_pass(r, r->passes++));
        TRY(find_usual_pace(r));
    }
    take_memory(r);
    for (int row = 0; row < rows; row++) take_round(r, row);
    r->found.pace = r->usual;
    if (r->said_s > 0 && cb_os_is_terminal(STDERR_FILENO)) fputs("\r\033[K", stderr);
    return CB_OK;
}

static cb_err nothing_fits(const rank *r, const cb_comm_row *least) {
    char size[16], needed[16], usable[16];
    return cb_fail(CB_ENOMEM,
                   "no size fits in memory: %s of %s over %d ranks needs %s for the ranks of this machine, of which %s "
                   "may be used; smaller sizes (--sizes, --from) or fewer --ranks do",
                   cb_kind_name(least->kind), cb_os_human_bytes(least->bytes, size), r->group.size,
                   cb_os_human_bytes(needed_bytes(r, least), needed), cb_os_human_bytes(usable_bytes(r), usable));
}

/* Room for the largest row; the pages that a size does not reach cost nothing. */
static cb_err allocate(rank *r) {
    const cb_comm_plan *p = r->plan;
    int64_t scratch = 0;
    cb_comm_row least = {0}; /* of what is left out */
    bool some_fit = false;
    double available = -(double)cb_os_available_bytes();
    TRY(largest(r, &available)); /* all ranks leave out the same rows */
    r->available_bytes = (int64_t)-available;
    for (int i = 0; i < p->entries; i++)
        for (int size = 0; size < p->sizes; size++) {
            cb_comm_row row = {0};
            bool fits = describe(r, i, size, &row);
            if (!fits && (least.bytes == 0 || needed_bytes(r, &row) < needed_bytes(r, &least))) least = row;
            if (!fits) continue;
            some_fit = true;
            if (row.bytes > r->room_bytes) r->room_bytes = row.bytes;
            if (row.kind == CB_ALL_REDUCE && extra_bytes(r, &row) > scratch) scratch = extra_bytes(r, &row);
        }
    if (!some_fit) return nothing_fits(r, &least);
    r->room_bytes = (r->room_bytes / PAGE + 1) * PAGE;
    r->from = aligned_alloc(PAGE, (size_t)r->room_bytes);
    r->to = aligned_alloc(PAGE, (size_t)r->room_bytes);
    r->scratch = aligned_alloc(PAGE, (size_t)(scratch / PAGE + 1) * PAGE);
    if (r->from && r->to && r->scratch) return CB_OK;
    return cb_fail(CB_ENOMEM, "no memory for operations of %lld bytes", (long long)r->room_bytes);
}

static cb_err run(rank *r) {
    int all[CB_COMM_MOST_RANKS], ranks = cb_comm_size(r->comm);
    const cb_comm_plan *p = r->plan;
    const int here = cb_comm_local_size(r->comm);
    for (int i = 0; i < ranks; i++) all[i] = i;
    cb_comm_native_name(r->comm, r->found.library);
    r->here_cores = cb_machine_cores(here);
    r->found.cores = (int)((int64_t)r->here_cores * ranks / here);
    if (p->pin) cb_rank_pin(cb_comm_local_rank(r->comm), here, 1);
    TRY(cb_group_make(&r->control, r->comm, CB_FOR_WORLD, all, ranks));
    TRY(cb_group_make(&r->group, r->comm, CB_FOR_TP, all, ranks));
    r->group.selection = p->selection;
    TRY(allocate(r));
    TRY(cb_comm_data_make(&r->data, ranks, p->type, p->op));
    return measure_rows(r);
}

static cb_err live(cb_comm *comm, void *arg) {
    const job *j = arg;
    rank r = {.plan = j->plan, .comm = comm, .begin_s = cb_now_s(), .found = *j->found};
    bool keeps = cb_comm_rank(comm) == 0 || !cb_comm_in_process(comm);
    cb_comm_row *own = keeps ? NULL : calloc((size_t)(j->plan->entries * j->plan->sizes), sizeof *own);
    r.rows = keeps ? j->rows : own;
    cb_err e = r.rows ? run(&r) : cb_fail(CB_ENOMEM, "no memory for the rows");
    if (e) cb_comm_abort(comm); /* before what others may read is freed */
    if (keeps) *j->found = r.found;
    cb_group_free(&r.group);
    cb_group_free(&r.control);
    cb_comm_data_free(&r.data);
    free(r.from);
    free(r.to);
    free(r.scratch);
    free(r.samples);
    free(r.taken);
    free(own);
    return e;
}

cb_err cb_comm_measure(const cb_comm_plan *plan, cb_comm_row *rows, cb_comm_found *found) {
    job j = {.plan = plan, .rows = rows, .found = found};
    return cb_comm_launch(&plan->launch, live, &j);
}
