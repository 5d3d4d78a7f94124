/* `cuboid bench tp`: every way to cut a layer computes what the uncut layer does, for every number of ranks and shards,
 * and sends what its operations cost; and the planner's model of it puts the crossing beyond the node. */
#include "cli/tp_cluster.h"
#include "cli/tp_measure.h"
#include "support/test.h"

enum { M = 24, C = 48, F = 96 };

static cb_tp_setup setup_of(int tp, int shards, cb_type type) {
    return (cb_tp_setup){.size = {.M = M, .C = C, .F = F, .tp = tp, .shards = shards, .type = type},
                         .compute = "ref",
                         .threads = 1,
                         .repeats = 1};
}

static int64_t bytes_of(const cb_tp_pass *pass, int tp, cb_type type) {
    int64_t bytes = 0;
    for (int i = 0; i < pass->comms; i++) {
        int64_t whole = cb_type_bytes(type) * M * (pass->comm[i].wide ? F : C);
        bytes += (pass->comm[i].kind == CB_ALL_REDUCE ? 2 : 1) * whole * (tp - 1) / tp;
    }
    return bytes;
}

/* f32: sums of at most 96 products in another order, of numbers around 1. bf16: what travels and is summed in up to 3
 * levels, and what goes into a product after another, rounded to 8 bits each time. */
static void check_result(const cb_tp_variant *v, const cb_tp_result *result, int tp, cb_type type) {
    CHECK(result->error < (type == CB_F32 ? 2e-6 : 6 * 0x1p-9));
    CHECK(type == CB_F32 || tp == 1 || result->error > 1e-5);
    for (int p = 0; p < 2; p++) {
        CHECK_INT(result->pass[p].bytes, bytes_of(&v->pass[p], tp, type));
        CHECK_INT(result->pass[p].flops, (p + 1) * v->pass[0].products * 2 * M * C * F / tp);
        double hidden = cb_tp_time_hidden(&v->pass[p], &result->pass[p]);
        CHECK(v->pass[p].hides && tp > 1 ? hidden >= 0 && hidden <= 1 : isnan(hidden));
    }
}

static void check_all(cb_type type) {
    static const int sizes[] = {1, 2, 3, 4, 6, 8};
    for (int v = 0; v < CB_TP_VARIANTS; v++) {
        cb_tp_layer uncut;
        cb_tp_setup one = setup_of(1, 1, type);
        if (!CHECK_OK(cb_tp_measure_uncut(&one, cb_tp_variant_at(v), &uncut))) continue;
        for (int i = 0; i < 6; i++) {
            for (int owned = 1; owned <= 2; owned++) {
                cb_tp_setup setup = setup_of(sizes[i], sizes[i] * owned, type);
                cb_tp_result result;
                if (CHECK_OK(cb_tp_measure(&setup, cb_tp_variant_at(v), &uncut, &result, NULL)))
                    check_result(cb_tp_variant_at(v), &result, sizes[i], type);
            }
        }
        cb_tp_layer_free(&uncut);
    }
}

static void every_way_against_the_uncut_layer(void) {
    check_all(CB_F32);
    check_all(CB_BF16);
}

/* A column-parallel backward pass: the all-reduce is begun before the weight gradient and ended after it. */
static void a_watched_pass(void) {
    cb_tp_setup setup = setup_of(2, 2, CB_F32);
    cb_tp_result result;
    cb_tp_watch watch[2];
    cb_tp_step step[CB_TP_MOST_STEPS];
    CHECK_OK(cb_tp_measure(&setup, cb_tp_variant_at(0), NULL, &result, watch));
    static const char *const names[] = {"product", "data gradient", "all-reduce", "weight gradient"};
    if (!CHECK_INT(cb_tp_watch_steps(&watch[0], step), 4)) return;
    for (int i = 0; i < 4; i++) CHECK_STR(cb_tp_step_name(&step[i]), names[i]);
    CHECK(step[2].end_s >= step[3].end_s && step[2].beside_s > 0);
    CHECK_INT(step[2].bytes, 4 * M * C);
}

/* A pass that is said to hide operations computes while one is under way; the others never do. */
static void what_a_pass_hides(void) {
    cb_tp_setup setup = setup_of(2, 2, CB_F32);
    int hiding = 0;
    for (int v = 0; v < CB_TP_VARIANTS; v++) {
        const cb_tp_pass *pass = cb_tp_variant_at(v)->pass;
        cb_tp_result result;
        cb_tp_watch watch[2];
        cb_tp_step step[CB_TP_MOST_STEPS];
        double beside_s[2] = {0};
        CHECK_OK(cb_tp_measure(&setup, cb_tp_variant_at(v), NULL, &result, watch));
        int seen = 0, steps = cb_tp_watch_steps(&watch[1], step);
        for (int i = 0; i < steps; i++)
            if (step[i].work == CB_TP_COLLECTIVE) beside_s[seen++ >= pass[0].comms] += step[i].beside_s;
        CHECK_INT(seen, pass[0].comms + pass[1].comms);
        for (int p = 0; p < 2; p++) {
            CHECK_INT(beside_s[p] > 0, pass[p].hides);
            hiding += pass[p].hides;
        }
    }
    CHECK_INT(hiding, 3); /* the backward passes of column, gathered and pair */
}

static void sizes_that_do_not_divide(void) {
    cb_tp_sizes s = {.M = 24, .C = 48, .F = 96, .tp = 5, .shards = 5};
    CHECK_FAILS(cb_tp_sizes_check(&s), CB_EINVAL,
                "tp=5 does not divide the 48 inputs, 96 outputs and 24 tokens; tp can be 1, 2");
    s = (cb_tp_sizes){.M = 24, .C = 48, .F = 96, .tp = 2, .shards = 3};
    CHECK_FAILS(cb_tp_sizes_check(&s), CB_EINVAL, "shards=3 is no multiple of tp=2");
}

static void the_crossing_is_beyond_the_node(void) {
    cb_tp_cluster c;
    CHECK_OK(cb_tp_cluster_make(&c, "a100-80g:8x4", 2048, 12288, 49152));
    CHECK_INT(c.count, 6);
    CHECK(c.row[0].comm_s == 0);
    CHECK_INT(c.row[3].nodes, 1);
    CHECK(cb_tp_cluster_crossing(&c) > 8); /* 8 devices are joined by links */
    CHECK_OK(cb_tp_cluster_make(&c, "a100-80g:8", 2048, 12288, 49152));
    CHECK_INT(cb_tp_cluster_crossing(&c), 0);
    CHECK_FAILS(cb_tp_cluster_make(&c, "x100:8", 2048, 12288, 49152), CB_EUSAGE, "--cluster x100:8");
}

int main(void) {
    RUN(every_way_against_the_uncut_layer);
    RUN(a_watched_pass);
    RUN(what_a_pass_hides);
    RUN(sizes_that_do_not_divide);
    RUN(the_crossing_is_beyond_the_node);
    return test_end();
}
