/* Placements against brute force over every way to cut the layers, known examples, refusals. */
#include <stdlib.h>

#include "model/params.h"
#include "model/placement.h"
#include "support/test.h"

static cb_model model_of(int layers, int64_t vocab) {
    cb_model model = {.vocab = vocab,
                      .positions = 64,
                      .channels = 64,
                      .ffn = 256,
                      .layers = layers,
                      .heads = 4,
                      .norm_eps = 1e-5,
                      .init_std = 0.02};
    snprintf(model.name, sizeof model.name, "model");
    cb_model_pad_vocab(&model, 128);
    CHECK_OK(cb_model_check(&model));
    return model;
}

/* Every layer on exactly one stage, in order, none empty; stage_of agrees. */
static bool complete(const cb_placement *placement, const cb_model *model, int stages) {
    bool fits = placement->stages == stages && placement->first[0] == 0 && placement->first[stages] == model->layers;
    for (int s = 0; s < stages; s++) {
        fits = fits && cb_placement_layers(placement, s) >= 1;
        for (int layer = placement->first[s]; layer < placement->first[s + 1]; layer++)
            fits = fits && cb_placement_stage_of(placement, layer) == s;
    }
    return fits;
}

static double largest_stage(const cb_placement *placement, const cb_model *model, int64_t seq_length) {
    double largest = 0;
    for (int s = 0; s < placement->stages; s++) {
        double flops = cb_placement_flops_per_token(placement, model, s, seq_length);
        if (flops > largest) largest = flops;
    }
    return largest;
}

typedef struct best {
    double largest;
    int last_layers; /* fewest layers on the last stage among those that reach it */
} best;

/* Tries every composition of the layers from `stage` on. */
static void search(cb_placement *trial, const cb_model *model, int stage, best *found) {
    if (stage == trial->stages) {
        double largest = largest_stage(trial, model, 64);
        int last = cb_placement_layers(trial, stage - 1);
        if (found->largest == 0 || largest < found->largest) *found = (best){largest, last};
        if (largest == found->largest && last < found->last_layers) found->last_layers = last;
        return;
    }
    bool is_last = stage == trial->stages - 1;
    int begin = trial->first[stage], most = model->layers - (trial->stages - 1 - stage);
    for (int end = is_last ? model->layers : begin + 1; end <= most; end++) {
        trial->first[stage + 1] = end;
        search(trial, model, stage + 1, found);
    }
}

static void auto_is_the_smallest(void) {
    static const int64_t vocabularies[] = {1, 256, 1100, 5000, 40000}; /* heads of about 0 to 50 layers */
    for (int v = 0; v < 5; v++)
        for (int layers = 1; layers <= 10; layers++)
            for (int stages = 1; stages <= 6 && stages <= layers; stages++) {
                cb_model model = model_of(layers, vocabularies[v]);
                cb_placement placement, trial = {.stages = stages, .chunks = 1};
                best found = {0, 0};
                search(&trial, &model, 0, &found);
                CHECK_OK(cb_placement_make(&placement, &model, stages, 64, "auto"));
                CHECK(complete(&placement, &model, stages));
                CHECK_NEAR(largest_stage(&placement, &model, 64), found.largest, 0);
                CHECK_INT(cb_placement_layers(&placement, stages - 1), found.last_layers);
                for (int s = 0; s < stages - 1; s++) { /* the others: even, larger first */
                    int here = cb_placement_layers(&placement, s), first = cb_placement_layers(&placement, 0);
                    CHECK(first - here <= 1 && (s == 0 || here <= cb_placement_layers(&placement, s - 1)));
                }
            }
}

static void even_counts_layers_only(void) {
    for (int layers = 1; layers <= 12; layers++)
        for (int stages = 1; stages <= layers; stages++) {
            cb_model model = model_of(layers, 40000);
            cb_placement placement;
            CHECK_OK(cb_placement_make(&placement, &model, stages, 64, "even"));
            CHECK(complete(&placement, &model, stages));
            for (int s = 0; s < stages; s++)
                CHECK_INT(cb_placement_layers(&placement, s), layers / stages + (s < layers % stages));
        }
}

static void gpt2_on_two_stages(void) {
    cb_model model;
    cb_placement placement;
    CHECK_OK(cb_model_preset(&model, "gpt2-124m"));
    double head = cb_model_head_flops_per_token(&model) / cb_model_layer_flops_per_token(&model, 256);
    CHECK_NEAR(head, 5.306, 0.001); /* the head costs as much as 5.3 layers */
    CHECK_OK(cb_placement_make(&placement, &model, 2, 256, "auto"));
    CHECK_INT(placement.first[1], 9);
    CHECK_OK(cb_placement_make(&placement, &model, 4, 256, "auto"));
    CHECK(placement.first[1] == 4 && placement.first[2] == 8 && placement.first[3] == 11);
    CHECK_OK(cb_placement_make(&placement, &model, 12, 256, "auto"));
    CHECK(complete(&placement, &model, 12));
}

static void lists(void) {
    cb_model model = model_of(12, 256);
    cb_placement placement;
    CHECK_OK(cb_placement_make(&placement, &model, 3, 64, "5,6,1"));
    CHECK(complete(&placement, &model, 3) && placement.first[1] == 5 && placement.first[2] == 11);
    CHECK_OK(cb_placement_make(&placement, &model, 1, 64, "12"));
    CHECK(complete(&placement, &model, 1));
}

static void refusals(void) {
    cb_model model, deep = model_of(600, 256);
    cb_placement p;
    CHECK_OK(cb_model_preset(&model, "gpt2-124m"));
    CHECK_FAILS(cb_placement_make(&p, &model, 16, 256, "auto"), CB_EINVAL,
                "pp=16 stages for the 12 layers of gpt2-124m: pp can be at most 12");
    CHECK_FAILS(cb_placement_make(&p, &deep, 513, 256, "auto"), CB_EINVAL,
                "the 600 layers of model: pp can be at most 512");
    CHECK_OK(cb_placement_make(&p, &deep, 512, 256, "auto"));
    CHECK(complete(&p, &deep, 512));
    CHECK_FAILS(cb_placement_make(&p, &model, 0, 256, "even"), CB_EINVAL, "pp=0: a size is at least 1");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "6,5"), CB_EINVAL, "'6,5' holds 11 layers, gpt2-124m has 12");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "6,7"), CB_EINVAL,
                "'6,7' holds more than the 12 layers of gpt2-124m");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "4,4,4"), CB_EINVAL, "'4,4,4' is for pp=3, not for pp=2");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "12"), CB_EINVAL, "'12' is for pp=1, not for pp=2");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "12,0"), CB_EINVAL, "'12,0': stage 1 holds no layer");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "6,"), CB_EINVAL, "'6,' is neither auto, nor even, nor a list");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "6,-6"), CB_EINVAL, "is neither auto, nor even, nor a list");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "6, 6"), CB_EINVAL, "is neither auto, nor even, nor a list");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, ""), CB_EINVAL, "'' is neither auto, nor even, nor a list");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "best"), CB_EINVAL,
                "'best' is neither auto, nor even, nor a list");
    CHECK_FAILS(cb_placement_make(&p, &model, 2, 256, "99999999999999999999,1"), CB_EINVAL,
                "holds more than the 12 layers");
    char longest[4096];
    for (int i = 0; i < 2048; i++) memcpy(longest + 2 * i, "1,", 2);
    longest[4095] = 0;
    CHECK_FAILS(cb_placement_make(&p, &model, 12, 256, longest), CB_EINVAL, "holds more than the 12 layers");
}

/* A role is held somewhere; layers by one stage, wte by the first and the last. */
static void who_holds_what(void) {
    cb_model model = model_of(7, 256);
    for (int stages = 1; stages <= 7; stages++) {
        cb_placement placement;
        CHECK_OK(cb_placement_make(&placement, &model, stages, 64, "auto"));
        for (int id = 0; id < cb_params_count(&model); id++) {
            cb_param param = cb_param_at(&model, id);
            int holders = 0;
            for (int s = 0; s < stages; s++) holders += cb_param_on_stage(&param, &placement, s);
            CHECK_INT(holders, param.role == CB_WTE && stages > 1 ? 2 : 1);
        }
        cb_param wte = cb_param_of(&model, CB_WTE, -1), wpe = cb_param_of(&model, CB_WPE, -1);
        cb_param norm = cb_param_of(&model, CB_LNF_W, -1);
        CHECK(cb_param_on_stage(&wte, &placement, 0) && cb_param_on_stage(&wte, &placement, stages - 1));
        CHECK(cb_param_on_stage(&wpe, &placement, 0) && cb_param_on_stage(&norm, &placement, stages - 1));
    }
}

static void table(void) {
    cb_model model;
    cb_placement placement;
    CHECK_OK(cb_model_preset(&model, "gpt2-124m"));
    CHECK_OK(cb_placement_make(&placement, &model, 2, 256, "auto"));
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    cb_placement_print(&placement, &model, 256, to);
    fclose(to);
    CHECK_STR(text, "stage  layers         held beside      parameters   FLOPs\n"
                    "    0  9 (0-8)        embedding           103174656   52.0%\n"
                    "    1  3 (9-11)       head                 59862528   48.0%\n");
    free(text);
}

int main(void) {
    RUN(auto_is_the_smallest);
    RUN(even_counts_layers_only);
    RUN(gpt2_on_two_stages);
    RUN(lists);
    RUN(refusals);
    RUN(who_holds_what);
    RUN(table);
    return test_end();
}
