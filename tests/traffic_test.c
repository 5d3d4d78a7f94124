/* The messages and bytes of a training step, rank by rank and purpose by purpose, against the sums that the papers
 * give: four all-reduces of the residual stream per layer and microbatch over tp, two transfers of it per boundary and
 * microbatch over pp, every gradient once over dp, the tied table once between first and last stage. Ranks are threads
 * (cb_comm_launch). */
#include "support/ranks.h"

typedef struct counts {
    int64_t messages[CB_PURPOSES][CB_KINDS], bytes[CB_PURPOSES][CB_KINDS];
} counts;

static void add_all_reduces(counts *to, const cb_group *group, cb_purpose purpose, int64_t n, int64_t count,
                            cb_type type) {
    if (group->size < 2) return;
    cb_cost one = cb_collective_cost(CB_ALL_REDUCE, group->size, group->me, count, type);
    to->messages[purpose][CB_ALL_REDUCE] += n * one.messages;
    to->bytes[purpose][CB_ALL_REDUCE] += n * one.bytes;
}

static void expect_tp(const cb_rank *rank, counts *to, int64_t M, int64_t C, int64_t m) {
    const cb_group *g = &rank->tp_group;
    add_all_reduces(to, g, CB_FOR_TP, m * 4 * rank->layers, M * C, CB_F32);
    if (rank->first) add_all_reduces(to, g, CB_FOR_TP, m, M * C, CB_F32); /* embedding */
    if (!rank->last) return;
    add_all_reduces(to, g, CB_FOR_TP, m, M * C, CB_F32); /* gradient of the head's input */
    add_all_reduces(to, g, CB_FOR_TP, m, M, CB_F32);     /* maxima */
    add_all_reduces(to, g, CB_FOR_TP, m, 2 * M, CB_F32); /* sums of exponentials, logits of the targets */
}

/* A range of gradients as it is handed over: from the first to the last parameter, the gaps of the arena between them.
 */
static void add_range(cb_rank *rank, counts *to, cb_role from, cb_role until, int layer) {
    cb_held *a = cb_rank_held(rank, from, layer), *b = cb_rank_held(rank, until, layer);
    int64_t count = b->g + b->count - a->g, most = rank->buckets.bucket_elements;
    for (; count > most; count -= most) add_all_reduces(to, &rank->dp_group, CB_FOR_DP, 1, most, CB_F32);
    add_all_reduces(to, &rank->dp_group, CB_FOR_DP, 1, count, CB_F32);
}

static void expect_dp(cb_rank *rank, counts *to) {
    if (rank->last) add_range(rank, to, CB_WTE, CB_WTE, -1);
    if (rank->last) add_range(rank, to, CB_LNF_W, CB_LNF_B, -1);
    for (int l = 0; l < rank->layers; l++) add_range(rank, to, CB_LN1_W, CB_FC2_B, rank->first_layer + l);
    if (rank->first) add_range(rank, to, CB_WTE, CB_WPE, -1);
    add_all_reduces(to, &rank->dp_group, CB_FOR_DP, 1, 2, CB_F64); /* loss, wish to stop */
}

static void expect_pp(const cb_rank *rank, counts *to, int64_t M, int64_t C, int64_t m) {
    int64_t sends = m * ((rank->first ? 0 : 1) + (rank->last ? 0 : 1));
    to->messages[CB_FOR_PP][CB_SENDRECV] += sends;
    to->bytes[CB_FOR_PP][CB_SENDRECV] += sends * 4 * M * C;
}

static void expect_rest(cb_rank *rank, counts *to) {
    int64_t norms = (int64_t)cb_params_count(&rank->run->model) * rank->run->shards + 2;
    add_all_reduces(to, &rank->tp_group, CB_FOR_TP, 1, norms, CB_F64);
    add_all_reduces(to, &rank->pp_group, CB_FOR_PP, 1, norms, CB_F64);
    if (rank->emb_group.size) {
        add_all_reduces(to, &rank->emb_group, CB_FOR_EMB, 1, cb_rank_held(rank, CB_WTE, -1)->count, CB_F32);
    }
}

static cb_err count_step(cb_rank *rank, const ranks_case *c) {
    const cb_run *run = rank->run;
    int64_t M = (int64_t)run->B * run->T, C = run->model.channels, m = run->micro_batches;
    counts expected = {0};
    char name[160];
    bool ok = true;
    expect_tp(rank, &expected, M, C, m);
    expect_dp(rank, &expected);
    expect_pp(rank, &expected, M, C, m);
    expect_rest(rank, &expected);
    TRY(cb_rank_initialise(rank));
    TRY(cb_rank_train_step(rank, 0));
    TRY(cb_rank_train_step(rank, 1)); /* the endpoint counts one step, the rank's own sums both */
    for (int p = 0; p < CB_PURPOSES; p++) {
        for (int k = 0; k < CB_KINDS; k++) {
            const cb_traffic *t = cb_comm_traffic(rank->comm, (cb_purpose)p, (cb_kind)k);
            ok &= CHECK_INT(t->messages, expected.messages[p][k]) & CHECK_INT(t->bytes, expected.bytes[p][k]);
            CHECK_INT(rank->train_traffic[p][k].messages, 2 * expected.messages[p][k]);
            CHECK_INT(rank->train_traffic[p][k].bytes, 2 * expected.bytes[p][k]);
        }
    }
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
            }
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
    RUN(volume_of_a_forward_pass);
    return test_end();
}
