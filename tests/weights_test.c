/* Weights out of one layout and into another: the same file and the same bits whatever the cut; files of other writers;
 * and failures, of which every rank hears. */
#include "checkpoint/weights.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "checkpoint/agree.h"
#include "checkpoint/layout.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/slice.h"
#include "support/files.h"
#include "support/test.h"

enum { MAX_RANKS = 8, MAX_TENSORS = 64 };

/* Sizes that are no multiple of the strips in which tensors are turned, and longer than one run of them. */
static cb_model small_model(void) {
    cb_model model = {.name = "small",
                      .vocab = 67,
                      .positions = 16,
                      .channels = 40,
                      .ffn = 600,
                      .layers = 3,
                      .heads = 4,
                      .norm_eps = 1e-5,
                      .init_std = 0.02};
    cb_model_pad_vocab(&model, 128);
    return model;
}

typedef struct layout {
    int dp, pp, tp, shards;
} layout;

static const layout layouts[] = {{1, 1, 1, 1}, {1, 1, 1, 4}, {1, 1, 2, 2}, {1, 2, 1, 1}, {2, 1, 1, 2},
                                 {1, 3, 1, 2}, {1, 2, 2, 4}, {2, 2, 2, 2}, {1, 1, 4, 4}, {1, 2, 4, 4}};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

/* The value of global element `element` of parameter `id`: never zero, and a multiple of 1/8 that F16 and BF16 hold
 * too. */
static float value_at(int id, int64_t element) {
    return (float)((element * 31 + id * 17) % 120 + 1) / 8.0f;
}

static float expected(const cb_param *param, int64_t row, int64_t col) {
    return row < param->file_rows ? value_at(param->id, row * param->cols + col) : 0;
}

static void fill(cb_local_tensor *tensor) {
    cb_block blocks[16];
    int count = cb_param_blocks(&tensor->param, tensor->shards, tensor->first, tensor->owned, blocks);
    for (int b = 0; b < count; b++) {
        for (int64_t r = 0; r < blocks[b].rows; r++) {
            for (int64_t c = 0; c < blocks[b].cols; c++) {
                tensor->data[blocks[b].offset + r * blocks[b].cols + c] =
                    expected(&tensor->param, blocks[b].row + r, blocks[b].col + c);
            }
        }
    }
}

static bool equals(const cb_local_tensor *tensor) {
    cb_block blocks[16];
    int count = cb_param_blocks(&tensor->param, tensor->shards, tensor->first, tensor->owned, blocks);
    bool equal = true;
    for (int b = 0; b < count; b++) {
        for (int64_t r = 0; r < blocks[b].rows; r++) {
            for (int64_t c = 0; c < blocks[b].cols; c++) {
                equal = equal && tensor->data[blocks[b].offset + r * blocks[b].cols + c] ==
                                     expected(&tensor->param, blocks[b].row + r, blocks[b].col + c);
            }
        }
    }
    return equal;
}

/* One rank's tensors: those it holds, or only those it is the one to write. */
static int make_tensors(const cb_model *model, layout l, int rank, bool to_write, cb_local_tensor *tensors) {
    int t = rank % l.tp, d = rank / l.tp % l.dp, p = rank / (l.tp * l.dp), count = 0;
    cb_placement placement;
    cb_err e = cb_placement_make(&placement, model, l.pp, 16, "even");
    if (!CHECK_OK(e)) return 0;
    for (int id = 0; id < cb_params_count(model); id++) {
        cb_param param = cb_param_at(model, id);
        bool mine = cb_param_on_stage(&param, &placement, p);
        bool copy = d > 0 || (param.cut == CB_CUT_NONE && t > 0) || (param.role == CB_WTE && p > 0);
        if (!mine || (to_write && copy)) continue;
        int owned = l.shards / l.tp;
        int64_t elements = cb_param_local_elements(&param, l.shards, owned);
        tensors[count] = (cb_local_tensor){.param = param, .shards = l.shards, .first = t * owned, .owned = owned};
        tensors[count].data = malloc((size_t)elements * sizeof(float));
        for (int64_t i = 0; i < elements; i++) tensors[count].data[i] = NAN;
        count++;
    }
    return count;
}

static void free_tensors(cb_local_tensor *tensors, int count) {
    for (int i = 0; i < count; i++) free(tensors[i].data);
}

/* A program for all ranks: save or load, and what each rank said. */
typedef struct job {
    layout layout;
    const char *dir;
    bool load;
    int forget_on; /* this rank leaves its last tensor out; -1: none */
    cb_code code[MAX_RANKS];
    char text[MAX_RANKS][600];
} job;

static void note(job *work, int rank, cb_err e) {
    work->code[rank] = e ? cb_err_code(e) : 0;
    snprintf(work->text[rank], sizeof work->text[rank], "%s", cb_err_text(e));
    cb_err_free(e);
}

static cb_err run_rank(cb_comm *comm, void *arg) {
    job *work = arg;
    cb_model model = small_model();
    cb_local_tensor tensors[MAX_TENSORS];
    int ranks[MAX_RANKS] = {0, 1, 2, 3, 4, 5, 6, 7}, me = cb_comm_rank(comm);
    cb_group world;
    TRY(cb_group_make(&world, comm, CB_FOR_WORLD, ranks, cb_comm_size(comm)));
    int count = make_tensors(&model, work->layout, me, !work->load, tensors);
    if (work->load) {
        note(work, me, cb_weights_load(work->dir, &model, tensors, count));
        for (int i = 0; i < count; i++) CHECK(work->code[me] || equals(&tensors[i]));
    } else {
        for (int i = 0; i < count; i++) fill(&tensors[i]);
        note(work, me, cb_weights_save(&world, work->dir, &model, tensors, count - (me == work->forget_on)));
    }
    free_tensors(tensors, count);
    cb_group_free(&world);
    return CB_OK;
}

static job run_job(layout l, const char *dir, bool load, int forget_on) {
    job work = {.layout = l, .dir = dir, .load = load, .forget_on = forget_on};
    cb_launch launch = {.backend = "threads", .ranks = l.dp * l.pp * l.tp, .checked = true};
    CHECK_OK(cb_comm_launch(&launch, run_rank, &work));
    return work;
}

static void all_say(const job *work, cb_code code, const char *part) {
    int ranks = work->layout.dp * work->layout.pp * work->layout.tp;
    for (int r = 0; r < ranks; r++) {
        CHECK_INT(work->code[r], code);
        if (code && !CHECK(strstr(work->text[r], part) != NULL)) fprintf(stderr, "    got: %s\n", work->text[r]);
        if (!work->load) CHECK_STR(work->text[r], work->text[0]);
        if (!code && work->code[r]) fprintf(stderr, "    rank %d: %s\n", r, work->text[r]);
    }
}

static bool exists(const char *dir, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void remove_all(const char *dir) {
    static const char *const names[] = {"model.safetensors",
                                        "model.safetensors.partial",
                                        "config.json",
                                        "config.json.partial",
                                        "model.safetensors.index.json",
                                        "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        remove(path);
    }
    remove(dir);
}

static const char *fresh_dir(const char *name, char out[512]) {
    remove_all(files_path(name, out));
    return out;
}

/* A file as saved against the formula, element by element, with the format's reader. */
static void check_file(const char *dir, const cb_model *model) {
    char path[1024];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    cb_tensor_file file;
    if (!CHECK_OK(cb_tensor_file_open(&file, path))) return;
    CHECK_INT(file.count, cb_params_count(model));
    CHECK_INT(file.data_offset % 64, 0);
    for (int id = 0; id < cb_params_count(model); id++) {
        cb_param param = cb_param_at(model, id);
        const cb_tensor_info *info = cb_tensor_file_find(&file, param.name);
        if (!CHECK(info != NULL)) continue;
        bool turned = param.layer >= 0 && param.dims == 2, equal = true;
        CHECK_INT(info->shape[0], turned ? param.cols : param.file_rows);
        if (param.dims == 2) CHECK_INT(info->shape[1], turned ? param.file_rows : param.cols);
        const float *values = (const float *)(const void *)(file.map + file.data_offset + info->begin);
        for (int64_t r = 0; r < param.file_rows; r++) {
            for (int64_t c = 0; c < param.cols; c++) {
                float value = values[turned ? c * param.file_rows + r : r * param.cols + c];
                equal = equal && value == expected(&param, r, c);
            }
        }
        CHECK(equal);
    }
    cb_tensor_file_close(&file);
}

static void every_layout_into_every_other(void) {
    char dir[512], path[1024];
    cb_model model = small_model(), read;
    for (int s = 0; s < LAYOUTS; s++) {
        fresh_dir("weights", dir);
        job saved = run_job(layouts[s], dir, false, -1);
        all_say(&saved, 0, "");
        CHECK(!exists(dir, "model.safetensors.partial") && !exists(dir, "config.json.partial"));
        check_file(dir, &model);
        snprintf(path, sizeof path, "%s/config.json", dir);
        CHECK_OK(cb_model_load(&read, path));
        CHECK(read.vocab == model.vocab && read.layers == model.layers && read.ffn == model.ffn);
        for (int l = 0; l < LAYOUTS; l++) {
            job loaded = run_job(layouts[l], dir, true, -1);
            all_say(&loaded, 0, "");
        }
    }
}

static void makes_directories(void) {
    char outer[512], inner[600];
    fresh_dir("weights_outer", outer);
    snprintf(inner, sizeof inner, "%s/inner//", outer);
    job saved = run_job(layouts[2], inner, false, -1);
    all_say(&saved, 0, "");
    saved = run_job(layouts[7], inner, false, -1); /* once more, over what is there */
    all_say(&saved, 0, "");
    cb_model model = small_model();
    check_file(inner, &model);
    remove_all(inner);
    remove_all(outer);
}

int main(void) {
    RUN(every_layout_into_every_other);
    RUN(makes_directories);
    return test_end();
}
