/* Timing collective operations; see comm_measure.h. */
#include "cli/comm_measure.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/os.h"
#include "cli/bench.h"
#include "cli/comm_passes.h"
#include "cli/machine.h"
#include "collectives/algorithms.h"
#include "train/rank.h"

enum { PAGE = 4096 };

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

/* Memory that an operation takes beside its data. */
static int64_t extra_bytes(const cb_comm_bench *r, const cb_comm_row *row) {
    const int64_t E = cb_type_bytes(r->plan->type);
    if (!row->algorithm || !row->algorithm->pattern) return 0;
    const cb_pattern *pattern = row->algorithm->pattern;
    if (row->kind == CB_ALL_REDUCE)
        return cb_all_reduce_scratch_by(cb_all_reduce_way_of(pattern), r->group.size, row->count, r->plan->type);
    cb_shape shape = {.size = r->group.size, .count = row->count};
    return 2 * cb_pattern_elements(pattern, &shape) * E;
}

/* Of all ranks of this machine. */
static int64_t needed_bytes(const cb_comm_bench *r, const cb_comm_row *row) {
    return (extra_bytes(r, row) + 2 * row->bytes) * cb_comm_local_size(r->comm);
}

static int64_t usable_bytes(const cb_comm_bench *r) {
    return r->available_bytes / 4 * 3;
}

bool cb_comm_describe(const cb_comm_bench *r, int entry, int size, cb_comm_row *row) {
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

static cb_err nothing_fits(const cb_comm_bench *r, const cb_comm_row *least) {
    char size[16], needed[16], usable[16];
    return cb_fail(CB_ENOMEM,
                   "no size fits in memory: %s of %s over %d ranks needs %s for the ranks of this machine, of which %s "
                   "may be used; smaller sizes (--sizes, --from) or fewer --ranks do",
                   cb_kind_name(least->kind), cb_os_human_bytes(least->bytes, size), r->group.size,
                   cb_os_human_bytes(needed_bytes(r, least), needed), cb_os_human_bytes(usable_bytes(r), usable));
}

/* Room for the largest row; the pages that a size does not reach cost nothing. */
static cb_err allocate(cb_comm_bench *r) {
    const cb_comm_plan *p = r->plan;
    int64_t scratch = 0;
    cb_comm_row least = {0}; /* of what is left out */
    bool some_fit = false;
    double available = -(double)cb_os_available_bytes();
    TRY(cb_comm_largest(r, &available)); /* all ranks leave out the same rows */
    r->available_bytes = (int64_t)-available;
    for (int i = 0; i < p->entries; i++)
        for (int size = 0; size < p->sizes; size++) {
            cb_comm_row row = {0};
            bool fits = cb_comm_describe(r, i, size, &row);
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

static cb_err run(cb_comm_bench *r) {
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
    return cb_comm_passes(r);
}

static cb_err live(cb_comm *comm, void *arg) {
    const job *j = arg;
    cb_comm_bench r = {.plan = j->plan, .comm = comm, .begin_s = cb_now_s(), .found = *j->found};
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
