/* The messages of a run, timed between ranks as many as it has, all of them at once, with nothing to compute: gradients
 * over dp by the trainer's buckets, the tied table between first and last stage, activations between neighbouring
 * stages, and what is agreed at the end of a step. See measure.h. */
#include <stdlib.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/measure.h"
#include "train/rank.h"

enum { ROUNDS = 7, EXCHANGES = 16, MOST_GRADS = 4 << 20, MOST_TABLE = 4 << 20 };
enum { REDUCE, TIED, AGREE, MESSAGE, TIMES };
static const double instruction_s = 2e-3; /* for which a stage waits for a message: it sleeps by then */

typedef struct talk {
    const cb_run *run;
    int64_t grads, table, stream; /* elements of what is sent */
    double *s;                    /* (ranks, TIMES): medians of each rank */
    double *sent_s;               /* (ranks) when each sent its last message */
} talk;

typedef struct talker {
    const talk *what;
    cb_comm *comm;
    cb_group group[CB_DIMS], world, ends;
    int coord[CB_DIMS];
    cb_buckets buckets;
    float *data; /* grads or table or stream, the largest */
    char *scratch;
    double *norms;
} talker;

static int64_t norms_of(const cb_run *run) {
    return (int64_t)cb_params_count(&run->model) * run->shards + 2;
}

static cb_err make_group(talker *t, cb_group *group, cb_purpose purpose, unsigned mask) {
    const cb_mesh *mesh = &t->what->run->mesh;
    int size = cb_mesh_group_size(mesh, mask), *ranks = malloc((size_t)size * sizeof *ranks);
    if (!ranks) return cb_fail(CB_ENOMEM, "no memory for a group of %d ranks", size);
    cb_mesh_group(mesh, mask, cb_comm_rank(t->comm), ranks);
    cb_err e = cb_group_make(group, t->comm, purpose, ranks, size);
    free(ranks);
    group->selection = t->what->run->selection;
    return e;
}

/* First and last rank of the pipeline: where the tied table lies, if that is two stages. */
static cb_err make_groups(talker *t) {
    TRY(make_group(t, &t->group[CB_TP], CB_FOR_TP, CB_MASK(CB_TP)));
    TRY(make_group(t, &t->group[CB_DP], CB_FOR_DP, CB_MASK(CB_DP)));
    TRY(make_group(t, &t->group[CB_PP], CB_FOR_PP, CB_MASK(CB_PP)));
    TRY(make_group(t, &t->world, CB_FOR_WORLD, CB_MASK_ALL));
    const cb_group *pp = &t->group[CB_PP];
    int two[2] = {pp->ranks[0], pp->ranks[pp->size - 1]};
    bool is_end = pp->me == 0 || pp->me == pp->size - 1;
    cb_err e = pp->size > 1 && is_end ? cb_group_make(&t->ends, t->comm, CB_FOR_EMB, two, 2) : CB_OK;
    t->ends.selection = t->what->run->selection;
    return e;
}

static cb_err make_memory(talker *t) {
    const talk *what = t->what;
    int64_t most = what->grads > what->table ? what->grads : what->table;
    if (what->stream > most) most = what->stream;
    cb_buckets_init(&t->buckets, &t->group[CB_DP], what->run->bucket_elements);
    int64_t bucket = what->grads < what->run->bucket_elements ? what->grads : what->run->bucket_elements;
    int64_t scratch = cb_all_reduce_scratch_most(cb_run_means(what->run), t->group[CB_DP].size, bucket, CB_F32);
    t->data = malloc((size_t)most * sizeof *t->data);
    t->scratch = malloc((size_t)(CB_BUCKETS_UNDER_WAY * scratch) + 1);
    t->norms = calloc((size_t)norms_of(what->run), sizeof *t->norms);
    if (!t->data || !t->scratch || !t->norms)
        return cb_fail(CB_ENOMEM, "no memory for messages of %lld elements", (long long)most);
    for (int64_t i = 0; i < most; i++) t->data[i] = 0;
    for (int i = 0; i < CB_BUCKETS_UNDER_WAY; i++) t->buckets.scratch[i] = (float *)(void *)(t->scratch + i * scratch);
    return CB_OK;
}

static cb_err reduce(talker *t) {
    TRY(cb_buckets_ready(&t->buckets, t->data, t->what->grads));
    return cb_buckets_finish(&t->buckets);
}

static cb_err reduce_tied(talker *t) {
    if (t->ends.size == 0) return CB_OK;
    return cb_all_reduce(&t->ends, t->data, t->what->table, CB_F32, CB_SUM, NULL);
}

static cb_err agree(talker *t) {
    int64_t n = norms_of(t->what->run);
    if (t->group[CB_DP].size > 1) TRY(cb_all_reduce(&t->group[CB_DP], t->norms, 2, CB_F64, CB_SUM, NULL));
    if (t->group[CB_TP].size > 1) TRY(cb_all_reduce(&t->group[CB_TP], t->norms, n, CB_F64, CB_SUM, NULL));
    if (t->group[CB_PP].size > 1) TRY(cb_all_reduce(&t->group[CB_PP], t->norms, n, CB_F64, CB_SUM, NULL));
    return CB_OK;
}

/* A message that is waited for, from the send to the end of the receive; EXCHANGES, of which the median counts. */
static cb_err take_messages(talker *t, int from, double *median_s) {
    cb_group *pp = &t->group[CB_PP];
    double each_s[EXCHANGES], *sent_s = &t->what->sent_s[pp->ranks[from]];
    for (int i = 0; i < EXCHANGES; i++) {
        TRY(cb_recv(pp, t->data, t->what->stream, CB_F32, from));
        each_s[i] = cb_now_s() - *sent_s;
        TRY(cb_send(pp, t->data, 1, CB_F32, from)); /* and the next one, please */
    }
    *median_s = cb_bench_median(each_s, EXCHANGES);
    return CB_OK;
}

static cb_err send_messages(talker *t, int to) {
    cb_group *pp = &t->group[CB_PP];
    double *sent_s = &t->what->sent_s[pp->ranks[pp->me]];
    for (int i = 0; i < EXCHANGES; i++) {
        for (double begin_s = cb_now_s(); cb_now_s() < begin_s + instruction_s;) {
        }
        *sent_s = cb_now_s();
        TRY(cb_send(pp, t->data, t->what->stream, CB_F32, to));
        TRY(cb_recv(pp, t->data, 1, CB_F32, to));
    }
    return CB_OK;
}

/* There and back again between the first two stages. */
static cb_err exchange(talker *t, double *message_s) {
    const int me = t->group[CB_PP].me;
    *message_s = 0;
    TRY(cb_barrier(&t->world));
    if (t->group[CB_PP].size < 2 || me > 1) return CB_OK;
    if (me == 0) TRY(send_messages(t, 1));
    TRY(take_messages(t, 1 - me, message_s));
    return me == 1 ? send_messages(t, 0) : CB_OK;
}

static cb_err times(talker *t, double s[TIMES]) {
    cb_err (*const what[])(talker *) = {[REDUCE] = reduce, [TIED] = reduce_tied, [AGREE] = agree};
    for (int i = 0; i < MESSAGE; i++) {
        double each_s[ROUNDS];
        for (int round = -1; round < ROUNDS; round++) { /* the first warms up */
            TRY(cb_barrier(&t->world));
            double begin_s = cb_now_s();
            TRY(what[i](t));
            if (round >= 0) each_s[round] = cb_now_s() - begin_s;
        }
        s[i] = cb_bench_median(each_s, ROUNDS);
    }
    return exchange(t, &s[MESSAGE]);
}

static cb_err talk_all(talker *t) {
    const cb_run *run = t->what->run;
    cb_mesh_coords(&run->mesh, cb_comm_rank(t->comm), t->coord);
    if (run->pin) cb_rank_pin(cb_comm_local_rank(t->comm), cb_comm_local_size(t->comm), run->threads_per_rank);
    TRY(make_groups(t));
    TRY(make_memory(t));
    return times(t, t->what->s + (int64_t)cb_comm_rank(t->comm) * TIMES);
}

static cb_err live(cb_comm *comm, void *arg) {
    talker t = {.what = arg, .comm = comm};
    cb_err e = talk_all(&t);
    if (e) cb_comm_abort(comm);
    cb_group *groups[] = {&t.group[CB_TP], &t.group[CB_DP], &t.group[CB_PP], &t.world, &t.ends};
    for (int i = 0; i < 5; i++) cb_group_free(groups[i]);
    cb_buckets_free(&t.buckets);
    free(t.data);
    free(t.scratch);
    free(t.norms);
    return e;
}

/* Of all ranks the slowest counts: the others wait for it. */
static double slowest(const talk *t, int what) {
    double most_s = 0;
    for (int r = 0; r < t->run->mesh.ranks; r++) {
        if (t->s[r * TIMES + what] > most_s) most_s = t->s[r * TIMES + what];
    }
    return most_s;
}

cb_err cb_measure_messages(const cb_run *run, int cores, cb_step_costs *costs) {
    talk t = {.run = run, .stream = (int64_t)run->B * run->T * run->model.channels};
    for (int s = 0; s < run->mesh.size[CB_PP]; s++) {
        cb_stage_elements e = cb_run_stage_elements(run, s);
        if (e.grads > t.grads) t.grads = e.grads;
        if (e.table > t.table) t.table = e.table;
    }
    if (t.grads > MOST_GRADS) t.grads = MOST_GRADS;
    if (t.table > MOST_TABLE) t.table = MOST_TABLE;
    costs->reduce_s = costs->tied_s = costs->agree_s = costs->message_s = 0;
    if (run->mesh.ranks == 1) return CB_OK;
    t.s = calloc((size_t)run->mesh.ranks * TIMES, sizeof *t.s);
    t.sent_s = calloc((size_t)run->mesh.ranks, sizeof *t.sent_s);
    cb_err e = t.s && t.sent_s ? cb_comm_launch(&run->launch, live, &t)
                               : cb_fail(CB_ENOMEM, "no memory for the times of %d ranks", run->mesh.ranks);
    double wanted = (double)run->mesh.ranks * run->threads_per_rank, share = wanted > cores ? cores / wanted : 1;
    if (!e) {
        costs->reduce_s = slowest(&t, REDUCE) * share / (double)t.grads;
        costs->tied_s = slowest(&t, TIED) * share / (double)t.table;
        costs->agree_s = slowest(&t, AGREE) * share;
        costs->message_s = slowest(&t, MESSAGE);
    }
    free(t.sent_s);
    free(t.s);
    return cb_err_context(e, "measuring messages between %d ranks", run->mesh.ranks);
}
