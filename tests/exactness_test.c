/* Same bits in every layout, and the check that says so can fail: with faults put between the engine and its collectives (by
 * the linker's --wrap, see CMakeLists.txt), `cuboid verify` must name the right tensor at the right step. */
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "cli/commands.h"
#include "cli/verify.h"
#include "data_parallel/buckets.h"
#include "support/test.h"
#include "train/rank.h"

enum { MOST_RANKS = 64, BYTES = 40000 };

/* The fault of the runs to come. Counters are per rank and start anew with every launch; ranks are threads, each touches its own. */
typedef enum fault { NO_FAULT, DROPPED, WRONG_ORDER, COUNTED_TWICE } fault;
static fault active;
static int fault_at; /* the call that goes wrong, from 0 */
static int calls[MOST_RANKS];

cb_err __real_cb_comm_launch(const cb_launch *launch, cb_rank_fn fn, void *arg);
cb_err __wrap_cb_comm_launch(const cb_launch *launch, cb_rank_fn fn, void *arg);
cb_err __real_cb_all_reduce_start(cb_pending *p, cb_group *g, void *data, int64_t n, cb_type type, cb_reduce_op op, void *scratch);
cb_err __wrap_cb_all_reduce_start(cb_pending *p, cb_group *g, void *data, int64_t n, cb_type type, cb_reduce_op op, void *scratch);
cb_err __real_cb_all_reduce_finish(cb_pending *p);
cb_err __wrap_cb_all_reduce_finish(cb_pending *p);
cb_err __real_cb_buckets_ready(cb_buckets *b, float *data, int64_t count);
cb_err __wrap_cb_buckets_ready(cb_buckets *b, float *data, int64_t count);

cb_err __wrap_cb_comm_launch(const cb_launch *launch, cb_rank_fn fn, void *arg) {
    for (int i = 0; i < MOST_RANKS; i++) calls[i] = 0;
    return __real_cb_comm_launch(launch, fn, arg);
}

static bool goes_wrong(cb_comm *comm) { return calls[cb_comm_rank(comm)]++ == fault_at; }

/* Sums one after the other instead of as a tree. */
static cb_err sum_in_sequence(cb_group *g, float *data, int64_t n) {
    float *all = malloc((size_t)(n * g->size) * sizeof *all);
    if (!all) return cb_fail(CB_ENOMEM, "test");
    cb_err e = cb_all_gather(g, all, data, n, CB_F32);
    for (int64_t i = 0; i < n && !e; i++) {
        data[i] = all[i];
        for (int r = 1; r < g->size; r++) data[i] += all[r * n + i];
    }
    free(all);
    return e;
}

/* Marks an operation that the fault has taken the place of. */
enum { REPLACED = -7 };

cb_err __wrap_cb_all_reduce_start(cb_pending *p, cb_group *g, void *data, int64_t n, cb_type type, cb_reduce_op op, void *scratch) {
    bool reduces = g->purpose == CB_FOR_TP && type == CB_F32 && (active == DROPPED || active == WRONG_ORDER);
    if (!reduces || !goes_wrong(g->comm)) return __real_cb_all_reduce_start(p, g, data, n, type, op, scratch);
    p->phases = REPLACED;
    return active == WRONG_ORDER ? sum_in_sequence(g, data, n) : CB_OK;
}

cb_err __wrap_cb_all_reduce_finish(cb_pending *p) {
    return p->phases == REPLACED ? CB_OK : __real_cb_all_reduce_finish(p);
}

cb_err __wrap_cb_buckets_ready(cb_buckets *b, float *data, int64_t count) {
    bool mine = active == COUNTED_TWICE && b->group->size > 1 && goes_wrong(b->group->comm) && b->group->me == 1;
    for (int64_t i = 0; mine && i < count; i++) data[i] *= 2;
    return __real_cb_buckets_ready(b, data, count);
}

static char path[64] = "/tmp/cuboid-exactness-XXXXXX";

static bool make_data(void) {
    int fd = mkstemp(path);
    char *text = malloc(BYTES);
    bool ok = fd >= 0 && text;
    for (int i = 0; ok && i < BYTES; i++) text[i] = (char)('a' + cb_rng_u32((cb_rng_key){7, 7}, (uint64_t)i) % 17);
    ok = ok && write(fd, text, BYTES) == BYTES;
    free(text);
    if (fd >= 0) close(fd);
    return ok;
}

static const char *recompute = "none";

static cb_err verify(const char *layouts, const char *steps, const char *shards, const char *data_shards) {
    const char *words[] = {"--model", "test-tiny", "--data",  path,     "--seq-length",  "16",        "--micro-batch-size", "1",
                           "--steps", steps,       "--shards", shards,   "--data-shards", data_shards, "--global-batch-size", "8",
                           "--recompute", recompute,
                           layouts ? "--layouts" : "--mpi=false", layouts};
    return cb_cmd_verify(layouts ? 20 : 19, (char **)(uintptr_t)words);
}

static void every_layout_gives_the_same_bits(void) {
    active = NO_FAULT;
    CHECK_OK(verify(NULL, "2", "8", "8"));
}

/* Names of schedules for layouts that name none; what the sizes do not allow is left out. */
static void schedules_of_named_layouts(void) {
    cb_model model;
    const char *names[16];
    cb_layout out[32];
    int count;
    CHECK_OK(cb_model_preset(&model, "test-tiny"));
    CHECK_OK(cb_layouts_schedules("all", names, 16));
    cb_layouts_spec spec = {.model = &model, .shards = 8, .data_shards = 8, .most_ranks = 8, .micro_batches = 8, .schedules = names};
    CHECK_OK(cb_layouts_parse("1x1x2,2x1x1,1x1x4:gpipe,1x1x3", "1f1b", &spec, out, 32, &count));
    CHECK_INT(count, 7 + 1 + 1 + 4); /* of 4 layers 3 stages of 2 chunks cannot be made */
    CHECK_OK(cb_layouts_parse("1x1x2,1x1x4:gpipe", "1f1b", NULL, out, 32, &count));
    CHECK_INT(count, 2);
    CHECK_FAILS(cb_layouts_schedules("gpipe,foo", names, 16), CB_EUSAGE, "there is no schedule 'foo'; the nearest are");
}

static void many_ranks(void) {
    CHECK_OK(verify("4x4x1,2x8x2,4x2x4:gpipe,8x8x1,8x4x2", "2", "8", "8"));
}

static void shards_of_a_tp_that_is_no_power_of_two(void) {
    CHECK_OK(verify("1x1x2,1x1x4:gpipe", "2", "1", "2"));
    CHECK_FAILS(verify("1x1x2", "2", "3", "2"), CB_EINVAL, "1, 2, 4, 8 would work");
    CHECK_FAILS(verify("1x1x2", "2", "4", "3"), CB_EINVAL, "1, 2, 4, 8 would work");
    CHECK_FAILS(verify("1x8x1", "2", "4", "2"), CB_EINVAL, "--shards 4");
    CHECK_FAILS(verify("1x2", "2", "4", "2"), CB_EUSAGE, "such as 2x2x2");
    CHECK_FAILS(verify("", "2", "4", "2"), CB_EUSAGE, "such as 2x2x2");
}

/* Four layers, so a microbatch sums over tp 8 times forward and 9 times backward in the layers' products; with 8 microbatches a
 * step has 136 such sums. */
enum { SUMS_PER_MICRO_BATCH = 17, SUMS_PER_STEP = 8 * SUMS_PER_MICRO_BATCH };

static void a_dropped_sum_is_found(void) {
    active = DROPPED;
    fault_at = SUMS_PER_STEP + SUMS_PER_MICRO_BATCH + 2; /* step 2, microbatch 1, third sum forward: layer 1's projection */
    CHECK_FAILS(verify("1x2x1", "3", "8", "8"), CB_EMISMATCH, "step 2: h.1 attn.residual of microbatch 1, shard 0, element 0: ");
    fault_at = 2 * SUMS_PER_STEP + 7; /* step 3, microbatch 0, layer 3's MLP */
    CHECK_FAILS(verify("1x4x1", "3", "8", "8"), CB_EMISMATCH, "step 3: h.3 output of microbatch 0");
    fault_at = 8; /* step 1: the head's data gradient, the first sum backward */
    CHECK_FAILS(verify("1x2x1", "1", "8", "8"), CB_EMISMATCH, "step 1: gradient of ln_f of microbatch 0");
}

static void a_wrong_order_of_sums_is_found(void) {
    active = WRONG_ORDER;
    fault_at = SUMS_PER_STEP + 5; /* step 2, microbatch 0, sixth sum forward: layer 2's MLP */
    CHECK_FAILS(verify("1x4x1", "3", "8", "8"), CB_EMISMATCH, "step 2: h.2 output of microbatch 0");
    CHECK_FAILS(verify("1x8x1", "3", "8", "8"), CB_EMISMATCH, "step 2: h.2 output of microbatch 0");
    CHECK_OK(verify("1x2x1", "3", "8", "8")); /* of two ranks there is one order only */
}

/* Handed over per step: the head's table, the last norm, four layers, the tables of the first stage. */
static void a_gradient_counted_twice_is_found(void) {
    active = COUNTED_TWICE;
    fault_at = 7 + 3; /* step 2, the fourth: layer 2 */
    CHECK_FAILS(verify("2x1x1", "3", "8", "8"), CB_EMISMATCH, "step 2: gradient of h.2.mlp.c_proj.bias, row 0, column 0: ");
    fault_at = 2 * 7 + 1; /* step 3: the last norm */
    CHECK_FAILS(verify("2x1x1", "3", "8", "8"), CB_EMISMATCH, "step 3: gradient of ln_f.bias");
}

/* The reference keeps all activations. A sum that is dropped while activations are computed again is seen in the gradient
 * that was computed from them; the forward tensors are those of the reference, and are looked at once. */
static void recomputation_gives_the_same_bits(void) {
    static const char *const policies[] = {"selective", "full", "full:1"};
    active = NO_FAULT;
    for (int i = 0; i < 3; i++) {
        recompute = policies[i];
        CHECK_OK(verify("1x1x1,2x2x2,1x8x1,1x1x4:gpipe,1x2x3:gpipe", "2", "8", "8"));
    }
    recompute = "full:5";
    CHECK_FAILS(verify("1x1x1", "2", "8", "8"), CB_EINVAL, "full:4 or less would work");
    recompute = "full";
    active = DROPPED;
    fault_at = 8 + 1 + 3; /* step 1: after the forward pass and the head's sum, layer 3's three sums; then layer 2's first */
    CHECK_FAILS(verify("1x2x1", "1", "8", "8"), CB_EMISMATCH, "step 1: h.2 gradient of mlp of microbatch 0");
    recompute = "none";
}

/* One replica's weight changes by one bit after the first step. */
static cb_err drift(cb_comm *comm, void *arg) {
    cb_rank *rank = calloc(1, sizeof *rank);
    if (!rank) return cb_fail(CB_ENOMEM, "test");
    cb_err e = cb_rank_create(rank, arg, comm);
    if (!e) e = cb_rank_initialise(rank);
    if (!e) e = cb_rank_train_step(rank, 0);
    if (!e) e = cb_rank_check_replicas(rank);
    if (!e && cb_comm_rank(comm) == 2) {
        uint32_t *bits = (uint32_t *)(void *)cb_rank_held(rank, CB_LN1_W, 1)->w;
        bits[3] ^= 1;
    }
    if (!e) e = cb_rank_check_replicas(rank);
    if (e) cb_comm_abort(comm);
    cb_rank_destroy(rank);
    free(rank);
    return e;
}

static void a_replica_that_drifted_is_named(void) {
    char *words[] = {(char *)"--model", (char *)"test-tiny", (char *)"--data", path, (char *)"--seq-length", (char *)"16",
                     (char *)"--dp", (char *)"2", (char *)"--tp", (char *)"2", (char *)"--eval-iters", (char *)"0"};
    int rows;
    const cb_arg *table = cb_options_table(&rows);
    cb_options options;
    cb_resolved resolved = {0};
    active = NO_FAULT;
    CHECK_OK(cb_args_parse(table, rows, &options, 12, words));
    CHECK_OK(cb_options_resolve(&options, &resolved));
    CHECK_FAILS(cb_comm_launch(&resolved.run.launch, drift, &resolved.run), CB_EMISMATCH,
                "step 1: replicas of h.1.ln_1.weight drifted apart: ranks ");
    cb_resolved_free(&resolved);
}

int main(void) {
    if (!CHECK(make_data())) return test_end();
    RUN(every_layout_gives_the_same_bits);
    RUN(schedules_of_named_layouts);
    RUN(many_ranks);
    RUN(shards_of_a_tp_that_is_no_power_of_two);
    RUN(a_dropped_sum_is_found);
    RUN(a_wrong_order_of_sums_is_found);
    RUN(a_gradient_counted_twice_is_found);
    RUN(recomputation_gives_the_same_bits);
    RUN(a_replica_that_drifted_is_named);
    unlink(path);
    return test_end();
}
