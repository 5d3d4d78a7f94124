/* What every rank knows, brought together on rank 0 at the end: memory, traffic, the last step's timeline. */
#include <stdlib.h>
#include <string.h>

#include "train/rank.h"

static void fill(const cb_rank *rank, cb_rank_summary *mine) {
    for (int kind = 0; kind < CB_MEM_KINDS; kind++) {
        mine->predicted_bytes[kind] = rank->predicted.bytes[kind];
        mine->used_bytes[kind] = rank->arena[kind].high_bytes;
    }
    memcpy(mine->traffic, rank->train_traffic, sizeof mine->traffic);
}

/* Makes room for n more events. */
static cb_err grow(cb_event **events, int64_t count, int64_t n) {
    cb_event *more = realloc(*events, (size_t)(count + n + 1) * sizeof **events);
    if (!more) return cb_fail(CB_ENOMEM, "no memory for %lld timeline events", (long long)(count + n));
    *events = more;
    return CB_OK;
}

/* Rank 0 gathers the events of all; each other rank sends their number, then them. */
static cb_err gather_events(cb_rank *rank, cb_event **events, int64_t *count) {
    cb_group *world = &rank->world;
    const cb_tracer *tracer = &rank->tracer;
    int64_t n = tracer->own.instrs - tracer->first, size = sizeof(cb_event);
    cb_event *own = n ? tracer->own.instr + tracer->first : NULL;
    for (int64_t i = 0; i < n; i++) {
        own[i].begin_s -= tracer->begin_s;
        own[i].end_s -= tracer->begin_s;
    }
    if (world->me != 0) {
        TRY(cb_send(world, &n, 1, CB_I64, 0));
        return n ? cb_send(world, own, n * size, CB_U8, 0) : CB_OK;
    }
    TRY(grow(events, 0, n));
    if (n) memcpy(*events, own, (size_t)(n * size));
    *count = n;
    for (int r = 1; r < world->size; r++) {
        TRY(cb_recv(world, &n, 1, CB_I64, r));
        TRY(grow(events, *count, n));
        if (n) TRY(cb_recv(world, *events + *count, n * size, CB_U8, r));
        *count += n;
    }
    return CB_OK;
}

typedef struct row_name {
    char text[48];
} row_name;

/* Shows the timeline to the observer with the rest; names and rows (ranks) are room for the rows' names. */
static void show(const cb_rank *rank, cb_run_summary *summary, const cb_event *events, int64_t count, row_name *names,
                 const char **rows) {
    for (int r = 0; r < summary->ranks; r++) rows[r] = cb_mesh_name(&rank->run->mesh, r, names[r].text);
    cb_timeline timeline = {
        .title = "the last training step", .rows = summary->ranks, .row_names = rows, .events = events, .count = count};
    if (count) {
        summary->timeline = &timeline;
        summary->bubble = cb_timeline_bubble(&timeline);
    }
    rank->run->observer.on_summary(rank->run->observer.arg, summary);
}

static cb_err gather_and_show(cb_rank *rank, cb_run_summary *summary, cb_rank_summary *all, row_name *names,
                              const char **rows) {
    cb_rank_summary mine;
    cb_event *events = NULL;
    int64_t count = 0;
    fill(rank, &mine);
    TRY(cb_all_gather(&rank->world, all, &mine, sizeof mine, CB_U8));
    cb_err e = rank->run->record ? gather_events(rank, &events, &count) : CB_OK;
    if (!e && rank->world.me == 0 && rank->run->observer.on_summary) show(rank, summary, events, count, names, rows);
    free(events);
    return e;
}

cb_err cb_rank_summarise(cb_rank *rank, int64_t steps, double train_s, double val_loss) {
    int ranks = rank->world.size;
    cb_rank_summary *all = calloc((size_t)ranks, sizeof *all);
    row_name *names = calloc((size_t)ranks, sizeof *names);
    const char **rows = calloc((size_t)ranks, sizeof *rows);
    cb_run_summary summary = {.steps = steps,
                              .stopped = rank->report.stop,
                              .train_s = train_s,
                              .val_loss = val_loss,
                              .ranks = ranks,
                              .rank = all};
    cb_err e = all && names && rows ? gather_and_show(rank, &summary, all, names, rows)
                                    : cb_fail(CB_ENOMEM, "no memory for the summary of %d ranks", ranks);
    free(rows);
    free(names);
    free(all);
    return e;
}
