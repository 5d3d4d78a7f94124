/* The messages and bytes of a training step, rank by rank and purpose by purpose, against the sums that the papers
 * give: four all-reduces of the residual stream per layer and microbatch over tp, one more where it is recomputed, two
 * transfers of it per boundary and microbatch over pp, every gradient once over dp, the tied table once between first
 * and last stage. Ranks are threads (cb_comm_launch). */
#include "support/ranks.h"
#include "train/plan.h"

/* Of the last step: a rank stands in one operation at a time, and what is under way while it works does not take longer
 * than the rest of the step. Gradients are on their way over dp while later ones are computed; what a rank waits for at
 * once overlaps nothing. */
static bool check_times(const cb_rank *rank) {
    double exposed_s = 0, step_s = rank->report.step_s;
    bool ok = true;
    for (int p = 0; p < CB_PURPOSES; p++)
        for (int k = 0; k < CB_KINDS; k++)
            exposed_s += cb_comm_traffic(rank->comm, (cb_purpose)p, (cb_kind)k)->exposed_s;
    ok &= CHECK(exposed_s <= step_s);
    for (int p = 0; p < CB_PURPOSES; p++) {
        for (int k = 0; k < CB_KINDS; k++) {
            const cb_traffic *t = cb_comm_traffic(rank->comm, (cb_purpose)p, (cb_kind)k);
            ok &= CHECK((t->exposed_s > 0) ==
                        (t->operations > 0 || (p == CB_FOR_PP && k == CB_SENDRECV && rank->pp_group.size > 1)));
            ok &= CHECK(t->overlapped_s >= 0 && t->overlapped_s <= step_s - exposed_s + 1e-9);
        }
    }
    ok &= CHECK(rank->dp_group.size == 1 || cb_comm_traffic(rank->comm, CB_FOR_DP, CB_ALL_REDUCE)->overlapped_s > 0);
    ok &= CHECK(cb_comm_traffic(rank->comm, CB_FOR_EMB, CB_ALL_REDUCE)->overlapped_s == 0);
    return ok;
}

static cb_err count_step(cb_rank *rank, const ranks_case *c) {
    const cb_run *run = rank->run;
    cb_sent expected = cb_run_sent(run, &rank->schedule, rank->world.me);
    char name[160];
    bool ok = true;
    TRY(cb_rank_initialise(rank));
    TRY(cb_rank_train_step(rank, 0));
    TRY(cb_rank_train_step(rank, 1)); /* the endpoint counts one step, the rank's own sums both */
    for (int p = 0; p < CB_PURPOSES; p++) {
        for (int k = 0; k < CB_KINDS; k++) {
            const cb_traffic *t = cb_comm_traffic(rank->comm, (cb_purpose)p, (cb_kind)k);
            ok &= CHECK_INT(t->operations, expected.of[p][k].operations);
            ok &= CHECK_INT(t->messages, expected.of[p][k].messages);
            ok &= CHECK_INT(t->bytes, expected.of[p][k].bytes);
            CHECK_INT(rank->train_traffic[p][k].operations, 2 * expected.of[p][k].operations);
            CHECK_INT(rank->train_traffic[p][k].messages, 2 * expected.of[p][k].messages);
            CHECK_INT(rank->train_traffic[p][k].bytes, 2 * expected.of[p][k].bytes);
        }
    }
    ok &= check_times(rank);
    if (!ok) fprintf(stderr, "    on %s of %s\n", rank->name, ranks_name(c, name));
    return CB_OK;
}

typedef struct job {
    const cb_run *run;
    const ranks_case *c;
} job;

static cb_err live(cb_comm *comm, void *arg) {
    const job *j = arg;
    cb_rank rank;
    cb_err e = cb_rank_create(&rank, j->run, comm);
    if (!e) e = count_step(&rank, j->c);
    cb_rank_destroy(&rank);
    return e;
}

static void check_case(const ranks_case *c) {
    cb_run run;
    cb_tokens *tokens;
    if (CHECK_OK(ranks_run_make(&run, &tokens, c))) {
        job j = {&run, c};
        CHECK_OK(cb_comm_launch(&run.launch, live, &j));
    }
    cb_tokens_close(tokens);
}

static void every_layout(void) {
    for (int dp = 1; dp <= 8; dp *= 2) {
        for (int tp = 1; dp * tp <= 8; tp *= 2) {
            for (int pp = 1; dp * tp * pp <= 8; pp++) {
                ranks_case c = {.dp = dp,
                                .tp = tp,
                                .pp = pp,
                                .schedule = pp % 2 ? "1f1b" : "gpipe",
                                .B = 1 + pp % 2,
                                .bucket = 1000 * pp};
                check_case(&c);
                c.shards = c.data_shards = 8; /* where arithmetic is cut changes no message */
                check_case(&c);
                static const char *const policies[] = {"selective", "full", "full:1"};
                c.recompute = policies[(pp + tp) % 3];
                check_case(&c);
            }
        }
    }
}

/* Chunks send more between stages; in a V the tied table has both its gradients on one. */
static void every_schedule(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int pp = 1; pp <= 4; pp++) {
            ranks_case c = {.dp = 2, .pp = pp, .schedule = *name, .batch = 24, .B = 1, .bucket = 3000};
            check_case(&c);
            c.dp = 1, c.tp = 2, c.recompute = "full";
            check_case(&c);
        }
    }
}

/* Large enough for all-reduces in blocks: the bytes that a ring would take, 2 (t - 1) / t of the data, 8 (t - 1) / t
 * per layer. */
static cb_err check_volume(cb_rank *rank) {
    const cb_run *run = rank->run;
    int64_t t = rank->tp_group.size, stream = 4 * (int64_t)run->B * run->T * run->model.channels,
            m = run->micro_batches;
    double loss;
    TRY(cb_rank_initialise(rank));
    cb_comm_traffic_reset(rank->comm);
    TRY(cb_rank_evaluate(rank, &loss));
    int64_t small = 3 * (t - 1) * 4 * (int64_t)run->B * run->T; /* three numbers per row, whole */
    int64_t forward = (2 * run->model.layers + 1) * 2 * (t - 1) * stream / t + small;
    CHECK_INT(cb_comm_traffic(rank->comm, CB_FOR_TP, CB_ALL_REDUCE)->bytes,
              m * forward + 8 * (t - 1)); /* and the loss */
    return CB_OK;
}

static cb_err live_volume(cb_comm *comm, void *arg) {
    cb_rank rank;
    cb_err e = cb_rank_create(&rank, arg, comm);
    if (!e) e = check_volume(&rank);
    cb_rank_destroy(&rank);
    return e;
}

static void volume_of_a_forward_pass(void) {
    for (int tp = 2; tp <= 8; tp *= 2) {
        cb_run run;
        cb_tokens *tokens;
        ranks_case c = {.preset = "test-tiny", .tp = tp, .B = 4, .T = 64, .batch = 8, .eval = 8};
        if (CHECK_OK(ranks_run_make(&run, &tokens, &c))) CHECK_OK(cb_comm_launch(&run.launch, live_volume, &run));
        cb_tokens_close(tokens);
    }
}

int main(void) {
    RUN(every_layout);
    RUN(every_schedule);
    RUN(volume_of_a_forward_pass);
    return test_end();
}
