/* Activation recomputation: the policies as sets, their FLOPs; whatever is not kept comes back bit for bit, for every
 * set there is; and training with each policy, in layouts and schedules, gives the bits of training without. Ranks are
 * threads (cb_comm_launch). */
#include "support/ranks.h"

static const char *const policies[] = {"none", "selective", "full", "full:1", "full:3"};
enum { POLICIES = sizeof policies / sizeof *policies };

static cb_recompute policy(const char *text) {
    cb_recompute r = {0};
    CHECK_OK(cb_recompute_parse(&r, text));
    return r;
}

static void words(void) {
    char text[24];
    for (int i = 0; i < POLICIES; i++) {
        cb_recompute r = policy(policies[i]);
        CHECK_STR(cb_recompute_text(&r, text), policies[i]);
    }
    static const char *const bad[] = {
        "",        "all",      "Full",   "full:",       "full:0", "full:-1",
        "full:2x", "full:1e3", "full 2", "selective:1", "none:1", "full:99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cb_recompute r;
        CHECK_FAILS(cb_recompute_parse(&r, bad[i]), CB_EUSAGE, "is not none, selective, full, or full:N");
    }
}

/* full:N up to the layers of the largest stage; smaller stages then keep the inputs of all their layers alone. */
static void sizes_that_fit(void) {
    cb_model model = ranks_nano();
    cb_placement placement;
    CHECK_OK(cb_placement_make(&placement, &model, 3, 8, "5,1,2"));
    for (int n = 1; n <= 8; n++) {
        cb_recompute r = {CB_RECOMPUTE_FULL, n};
        if (n <= 5)
            CHECK_OK(cb_recompute_check(&r, &placement));
        else
            CHECK_FAILS(cb_recompute_check(&r, &placement), CB_EINVAL,
                        "the largest of 3 stages has 5 layers; full:5 or less would work, or full");
        for (int l = 0; l < 5; l++) CHECK((cb_recompute_kept(&r, l) == CB_ALL_LAYER_ACTS) == (l >= n));
        CHECK(cb_recompute_shared(&r, 1) == (CB_ALL_LAYER_ACTS & ~CB_ACT_BIT(CB_ACT_X)));
    }
    cb_recompute none = {0};
    CHECK_OK(cb_recompute_check(&none, &placement));
    CHECK(cb_recompute_shared(&none, 5) == 0);
}

/* Korthikanti et al., section 5: of a layer's 34 sbh + 5 a s^2 b bytes in 16 bits with dropout, selective recomputation
 * drops the second term, the T x T tensors; full keeps 2 sbh. Here, in f32 without dropout: 4 s b a s and 4 sbh. */
static void bytes_that_papers_give(void) {
    cb_model model;
    CHECK_OK(cb_model_preset(&model, "gpt2-124m"));
    cb_act_sizes sizes = {&model, 4, 1024, 4, 4};
    cb_recompute none = policy("none"), selective = policy("selective"), full = policy("full");
    int64_t sbh = (int64_t)1024 * 4 * 768, ass = (int64_t)12 * 1024 * 1024 * 4;
    int64_t all = cb_recompute_slot_bytes(&none, &sizes, 0, 1, false, false);
    CHECK_INT(all - cb_recompute_slot_bytes(&selective, &sizes, 0, 1, false, false), 4 * ass);
    CHECK_INT(cb_recompute_slot_bytes(&full, &sizes, 0, 1, false, false), 4 * sbh);
    CHECK_INT(all, 4 * (16 * sbh + ass + 4 * 4096)); /* 2 norms in, 2 out, 3 q k v, 1 heads, 4 + 4 MLP; mean, rstd */
    CHECK_INT(cb_recompute_slot_bytes(&full, &sizes, 0, 12, false, false), 12 * 4 * sbh);
}

/* A layer's forward is a third of its training FLOPs; full recomputation repeats all of it but the MLP's second
 * product. Selective: attention's scores, half of its forward FLOPs. */
static void flops(void) {
    static const char *const names[] = {"gpt2-124m", "gpt2-1558m", "toy-12"};
    for (int i = 0; i < 3; i++) {
        cb_model m;
        cb_placement placement;
        CHECK_OK(cb_model_preset(&m, names[i]));
        CHECK_OK(cb_placement_make(&placement, &m, 4, 128, "even"));
        double C = (double)m.channels, layer = cb_model_layer_flops_per_token(&m, 128), L = m.layers;
        double again = layer / 3 - 2 * C * (double)m.ffn, scores = C * 128;
        const struct {
            const char *policy;
            double flops;
        } table[] = {{"none", 0}, {"selective", L * scores}, {"full", L * again}, {"full:2", 4 * 2 * again}};
        for (int k = 0; k < 4; k++) {
            cb_recompute r = policy(table[k].policy);
            CHECK_NEAR(cb_recompute_flops_per_token(&r, &m, &placement, 128), table[k].flops, 1e-9 * layer);
        }
    }
}

/* What belongs together and is kept or not as one. */
static const cb_act_set groups[] = {
    CB_ACT_BIT(CB_ACT_LN1) | CB_ACT_BIT(CB_ACT_LN1_MEAN) | CB_ACT_BIT(CB_ACT_LN1_RSTD),
    CB_ACT_BIT(CB_ACT_QKV),
    CB_ACT_BIT(CB_ACT_PROBS),
    CB_ACT_BIT(CB_ACT_ATT),
    CB_ACT_BIT(CB_ACT_MID),
    CB_ACT_BIT(CB_ACT_LN2) | CB_ACT_BIT(CB_ACT_LN2_MEAN) | CB_ACT_BIT(CB_ACT_LN2_RSTD),
    CB_ACT_BIT(CB_ACT_FC) | CB_ACT_BIT(CB_ACT_GELU),
};
enum { GROUPS = sizeof groups / sizeof *groups, FORWARD_ACTS = CB_ACT_DMID };

static void seen_again(void *arg, int layer, const char *tensor, const float *data, int64_t count, int pieces) {
    (void)layer, (void)tensor, (void)data, (void)count, (void)pieces;
    ++*(int *)arg;
}

/* Drops every set of groups after a forward pass, computes them again, and compares all of the layer's activations. */
static cb_err drop_and_recompute(cb_rank *rank) {
    cb_memory_spec spec;
    float **act = cb_slot_layer(&rank->chunk[0].slot[0], 1), *before[FORWARD_ACTS];
    int64_t bytes[FORWARD_ACTS];
    int watched = 0;
    TRY(cb_run_memory_spec(rank->run, rank->p, &spec));
    cb_act_sizes sizes = cb_memory_act_sizes(&spec);
    TRY(cb_rank_initialise(rank));
    ranks_perturb(rank, 0);
    for (int64_t i = 0; i < cb_act_bytes(&sizes, CB_ACT_X) / 4; i++) act[CB_ACT_X][i] = float_at(1, i);
    TRY(cb_block_forward(&rank->transformer, &rank->layer[1], act, rank->transformer.stream));
    for (int a = 0; a < FORWARD_ACTS; a++) {
        bytes[a] = cb_act_bytes(&sizes, (cb_act)a);
        before[a] = malloc((size_t)bytes[a]);
        memcpy(before[a], act[a], (size_t)bytes[a]);
    }
    rank->transformer.watch = seen_again;
    rank->transformer.watch_arg = &watched;
    for (int drop = 0; drop < 1 << GROUPS; drop++) {
        cb_layer *layer = &rank->layer[1];
        layer->kept = CB_ALL_LAYER_ACTS;
        for (int g = 0; g < GROUPS; g++) layer->kept &= drop >> g & 1 ? ~groups[g] : CB_ALL_LAYER_ACTS;
        for (int a = 0; a < FORWARD_ACTS; a++) {
            if (!(layer->kept & CB_ACT_BIT(a))) memset(act[a], 0xff, (size_t)bytes[a]); /* not a number */
        }
        TRY(cb_block_recompute(&rank->transformer, layer, act));
        bool same = true;
        for (int a = 0; a < FORWARD_ACTS; a++) same &= memcmp(act[a], before[a], (size_t)bytes[a]) == 0;
        if (!CHECK(same)) fprintf(stderr, "    dropped groups %x\n", (unsigned)drop);
    }
    CHECK_INT(watched, 0); /* who watches saw these tensors already */
    for (int a = 0; a < FORWARD_ACTS; a++) free(before[a]);
    return CB_OK;
}

static cb_err live_drop(cb_comm *comm, void *arg) {
    cb_rank rank;
    cb_err e = cb_rank_create(&rank, arg, comm);
    if (!e) e = drop_and_recompute(&rank);
    cb_rank_destroy(&rank);
    return e;
}

static void every_set_comes_back(void) {
    static const ranks_case cases[] = {{.preset = "test-tiny", .T = 64},
                                       {.preset = "test-tiny", .tp = 2, .shards = 8, .T = 20},
                                       {.tp = 8},
                                       {.compute = "ref", .tp = 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cb_run run;
        cb_tokens *tokens;
        if (CHECK_OK(ranks_run_make(&run, &tokens, &cases[i]))) CHECK_OK(cb_comm_launch(&run.launch, live_drop, &run));
        cb_tokens_close(tokens);
    }
}

static void check_same(const ranks_case *c, const ranks_result *other) {
    ranks_result r;
    if (ranks_train(c, &r)) ranks_same(&r, other, c);
    ranks_result_free(&r);
}

/* Every policy against one rank that keeps everything: the same bits of losses, gradients, weights, moments. */
static void no_policy_changes_a_bit(void) {
    static const struct {
        int dp, tp, pp;
        const char *schedule, *placement;
    } at[] = {{1, 1, 1, "1f1b", "auto"},  {1, 1, 4, "1f1b", "auto"}, {1, 1, 8, "gpipe", "auto"},
              {1, 8, 1, "1f1b", "auto"},  {2, 1, 3, "1f1b", "even"}, {2, 2, 2, "gpipe", "auto"},
              {1, 2, 3, "1f1b", "4,3,1"}, {4, 1, 2, "gpipe", "3,5"}};
    static const char *const computes[] = {"cpu", "ref"};
    for (int k = 0; k < 2; k++) {
        ranks_case c = {.B = 1,
                        .batch = 8,
                        .steps = k ? 1 : 3,
                        .clip = 0.5,
                        .eval = 8,
                        .shards = 8,
                        .data_shards = 4,
                        .compute = computes[k]};
        ranks_result one;
        if (ranks_train(&c, &one)) {
            for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
                c.dp = at[i].dp, c.tp = at[i].tp, c.pp = at[i].pp;
                c.schedule = at[i].schedule, c.placement = at[i].placement;
                for (int p = 1; p < POLICIES; p++) {
                    if (c.pp >= 4 && p > 3) continue; /* no stage has three layers */
                    c.recompute = policies[p];
                    check_same(&c, &one);
                }
            }
        }
        ranks_result_free(&one);
    }
}

/* What an inspected step saw. */
typedef struct list {
    cb_seen *seen;
    int64_t count;
} list;

static void on_inspect(void *arg, const cb_inspection *inspection) {
    list *l = arg;
    l->count = inspection->count;
    l->seen = calloc((size_t)l->count, sizeof *l->seen);
    memcpy(l->seen, inspection->seen, (size_t)l->count * sizeof *l->seen);
}

static list inspect(const char *recompute) {
    static const cb_inspect what = {.step = 1, .list = true, .kind = -1};
    list l = {0};
    cb_run run;
    cb_tokens *tokens;
    ranks_case c = {.tp = 2, .pp = 2, .shards = 4, .steps = 2, .recompute = recompute};
    if (CHECK_OK(ranks_run_make(&run, &tokens, &c))) {
        run.inspect = &what;
        run.observer = (cb_observer){.arg = &l, .on_inspect = on_inspect};
        CHECK_OK(cb_run_train(&run));
    }
    cb_tokens_close(tokens);
    return l;
}

/* A close look at a step sees the same tensors, once each, under the same names, with the same hashes. */
static void a_close_look_sees_the_same(void) {
    list all = inspect("none");
    CHECK(all.count > 0);
    for (int p = 1; p < POLICIES; p++) {
        list l = inspect(policies[p]);
        CHECK_INT(l.count, all.count);
        CHECK(l.count == all.count && memcmp(l.seen, all.seen, (size_t)all.count * sizeof *all.seen) == 0);
        free(l.seen);
    }
    free(all.seen);
}

int main(void) {
    RUN(words);
    RUN(sizes_that_fit);
    RUN(bytes_that_papers_give);
    RUN(flops);
    RUN(every_set_comes_back);
    RUN(no_policy_changes_a_bit);
    RUN(a_close_look_sees_the_same);
    return test_end();
}
