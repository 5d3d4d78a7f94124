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

/* Files as other writers make them: a list of changes to the saved form. */
typedef struct foreign {
    const char *prefix, *dtype;
    bool masks;
    int head;                 /* 0 none, 1 equal to wte, 2 not */
    const char *drop, *extra; /* a tensor left out, one too many */
    const char *reshape;      /* this tensor gets one row more */
    int from, to;             /* only parameters from..to-1; to 0: all */
} foreign;

static void put_value(FILE *file, const char *dtype, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (strcmp(dtype, "F32") == 0) {
        fwrite(&bits, 4, 1, file);
        return;
    }
    uint16_t bf16 = (uint16_t)(bits >> 16);
    uint16_t f16 = (uint16_t)((bits >> 23) ? ((bits >> 23) - 112) << 10 | (bits >> 13 & 1023) : 0);
    fwrite(strcmp(dtype, "BF16") == 0 ? &bf16 : &f16, 2, 1, file);
}

static void put_tensor(FILE *file, const char *dtype, const cb_param *param, int64_t items) {
    bool turned = param->layer >= 0 && param->dims == 2;
    for (int64_t i = 0; i < items; i++) {
        int64_t width = turned ? param->file_rows : param->cols;
        put_value(file, dtype, expected(param, turned ? i % width : i / width, turned ? i / width : i % width));
    }
}

static int add_entry(cb_tensor_info *infos, int count, cb_tensor_info info, const char *prefix, const char *dtype) {
    int64_t bytes = strcmp(dtype, "F32") == 0 ? 4 : 2;
    char name[sizeof info.name];
    snprintf(name, sizeof name, "%s%.60s", prefix, info.name);
    memcpy(info.name, name, sizeof name);
    snprintf(info.dtype, sizeof info.dtype, "%s", dtype);
    for (int d = 0; d < info.dims; d++) bytes *= info.shape[d];
    info.begin = count ? infos[count - 1].end : 0;
    info.end = info.begin + bytes;
    infos[count] = info;
    return count + 1;
}

static void write_foreign(const char *dir, const char *name, const cb_model *model, foreign f) {
    cb_tensor_info infos[MAX_TENSORS + 8];
    cb_param params[MAX_TENSORS + 8];
    int count = 0, to = f.to ? f.to : cb_params_count(model);
    for (int id = f.from; id < to; id++) {
        cb_param param = cb_param_at(model, id);
        cb_tensor_info info = cb_layout_info(&param);
        if (f.drop && strcmp(f.drop, param.name) == 0) continue;
        if (f.reshape && strcmp(f.reshape, param.name) == 0) info.shape[0]++;
        params[count] = param;
        count = add_entry(infos, count, info, f.prefix, f.dtype);
    }
    cb_param wte = cb_param_of(model, CB_WTE, -1);
    cb_tensor_info mask = {.name = "h.1.attn.bias", .dims = 4, .shape = {1, 1, 2, 2}};
    cb_tensor_info masked = {.name = "h.2.attn.masked_bias"}, extra = {.dims = 1, .shape = {3}};
    if (f.masks) {
        params[count] = wte, count = add_entry(infos, count, mask, f.prefix, f.dtype);
        params[count] = wte, count = add_entry(infos, count, masked, f.prefix, f.dtype);
    }
    if (f.extra) {
        snprintf(extra.name, sizeof extra.name, "%s", f.extra);
        params[count] = wte, count = add_entry(infos, count, extra, f.prefix, f.dtype);
    }
    if (f.head) {
        cb_tensor_info head = cb_layout_info(&wte);
        snprintf(head.name, sizeof head.name, "lm_head.weight");
        params[count] = wte, params[count].id += f.head - 1, count = add_entry(infos, count, head, "", f.dtype);
    }
    char path[1024], *header;
    int64_t bytes;
    mkdir(dir, 0777);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    if (!CHECK(file != NULL) || !CHECK_OK(cb_tensor_header_make(infos, count, &header, &bytes))) return;
    fwrite(header, 1, (size_t)bytes, file);
    for (int i = 0; i < count; i++) {
        put_tensor(file, f.dtype, &params[i], (infos[i].end - infos[i].begin) / cb_tensor_dtype_bytes(f.dtype));
    }
    fclose(file);
    free(header);
}

static const layout whole = {1, 1, 1, 1}, cut = {1, 2, 2, 4};

/* Loads into two layouts; code 0: and all is right. */
static void load_says(const char *dir, cb_code code, const char *part) {
    job a = run_job(whole, dir, true, -1), b = run_job(cut, dir, true, -1);
    all_say(&a, code, part);
    all_say(&b, code, part);
}

static void foreign_says(foreign f, cb_code code, const char *part) {
    char dir[512];
    cb_model model = small_model();
    if (!f.prefix) f.prefix = "";
    if (!f.dtype) f.dtype = "F32";
    fresh_dir("weights_foreign", dir);
    write_foreign(dir, "model.safetensors", &model, f);
    load_says(dir, code, part);
    remove_all(dir);
}

static void other_writers(void) {
    static const char *const dtypes[] = {"F32", "F16", "BF16"};
    for (int i = 0; i < 3; i++) {
        foreign_says((foreign){.dtype = dtypes[i]}, 0, "");
        foreign_says((foreign){.dtype = dtypes[i], .prefix = "transformer.", .masks = true, .head = 1}, 0, "");
        foreign_says((foreign){.dtype = dtypes[i], .head = 2}, CB_EUNSUPPORTED,
                     "lm_head.weight differs from wte.weight");
    }
    foreign_says((foreign){.dtype = "I16"}, CB_EFORMAT,
                 "wte.weight has dtype I16; weights are read from F32, F16 and BF16");
    foreign_says((foreign){.extra = "h.3.ln_1.weight"}, CB_EFORMAT,
                 "h.3.ln_1.weight has no place in the model small of 3 layers");
    foreign_says((foreign){.extra = "score.weight"}, CB_EFORMAT, "score.weight has no place");
    foreign_says((foreign){.extra = "transformer.ln_f.bias"}, CB_EFORMAT, "ln_f.bias is there twice");
    foreign_says((foreign){.reshape = "wte.weight"}, CB_EFORMAT,
                 "wte.weight has shape (68, 40), the model needs (67, 40)");
}

/* What only the rank that needs the tensor can find. */
static void missing_tensors(void) {
    char dir[512];
    cb_model model = small_model();
    fresh_dir("weights_missing", dir);
    write_foreign(dir, "model.safetensors", &model,
                  (foreign){.prefix = "", .dtype = "F32", .drop = "h.2.mlp.c_fc.weight"});
    job work = run_job(whole, dir, true, -1);
    all_say(&work, CB_EFORMAT, "there is no tensor h.2.mlp.c_fc.weight (nor transformer.h.2.mlp.c_fc.weight)");
    write_foreign(dir, "model.safetensors", &model,
                  (foreign){.prefix = "", .dtype = "F32", .reshape = "h.0.mlp.c_fc.weight"});
    work = run_job(whole, dir, true, -1);
    all_say(&work, CB_EFORMAT, "h.0.mlp.c_fc.weight has shape (41, 600), the model needs (40, 600)");
    remove_all(dir);
    load_says(dir, CB_EIO, "holds neither model.safetensors nor model.safetensors.index.json");
}

#define FIRST "model-00001-of-00002.safetensors"
#define SECOND "model-00002-of-00002.safetensors"

/* Parameters before `bound` are said to be in FIRST, the rest in SECOND; `instead` stands for one of them. */
static void write_index(const char *dir, const cb_model *model, int bound, int changed, const char *instead) {
    char path[1024];
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
    FILE *file = fopen(path, "w");
    if (!CHECK(file != NULL)) return;
    fprintf(file, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
    for (int id = 0; id < cb_params_count(model); id++) {
        cb_param param = cb_param_at(model, id);
        const char *name = id == changed ? instead : id < bound ? FIRST : SECOND;
        fprintf(file, "%s\"%s\": %s%s%s", id ? ", " : "", param.name, *name == '3' ? "" : "\"", name,
                *name == '3' ? "" : "\"");
    }
    fprintf(file, "}}");
    fclose(file);
}

static void many_files(void) {
    char dir[512], path[1024];
    cb_model model = small_model();
    fresh_dir("weights_many", dir);
    write_foreign(dir, FIRST, &model, (foreign){.prefix = "", .dtype = "F32", .to = 20});
    write_foreign(dir, SECOND, &model,
                  (foreign){.prefix = "", .dtype = "BF16", .from = 20, .to = cb_params_count(&model)});
    write_index(dir, &model, 20, -1, "");
    load_says(dir, 0, "");
    write_index(dir, &model, 19, -1, "");
    load_says(dir, CB_EFORMAT, "weight_map: h.1.attn.c_proj.bias is not in " SECOND);
    write_index(dir, &model, 20, 5, "../" FIRST);
    load_says(dir, CB_EFORMAT, "is no plain file name");
    write_index(dir, &model, 20, 5, "3");
    load_says(dir, CB_EFORMAT, "is no plain file name");
    write_index(dir, &model, 20, 5, "model-00003-of-00002.safetensors");
    load_says(dir, CB_EIO, "model-00003-of-00002.safetensors: No such file");
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", dir);
    files_write(path, "{\"weight_map\": {\"wte.weight\": \"" FIRST "\"}}", 66);
    load_says(dir, CB_EFORMAT, "weight_map says nothing of it");
    files_write(path, "{\"weight_map\": 3}", 17);
    load_says(dir, CB_EFORMAT, "there is no weight_map");
    files_write(path, "{\"weight_map\": ", 15);
    load_says(dir, CB_EFORMAT, ".json:1:15: not JSON: ");
    files_write(path, "", 0);
    load_says(dir, CB_EFORMAT, ".json:1:1: not JSON: ");
    files_write(path, "[[[[[[[[[[[[[[", 14);
    load_says(dir, CB_EFORMAT, "nested more than");
    remove_all(dir);
}

/* All 65536 numbers of binary16 against the definition. */
static void halves(void) {
    static unsigned char bytes[65536 * 2];
    static float values[65536];
    for (int i = 0; i < 65536; i++) bytes[2 * i] = (unsigned char)i, bytes[2 * i + 1] = (unsigned char)(i >> 8);
    cb_param param = {.name = "all", .rows = 65536, .cols = 1, .file_rows = 65536, .dims = 1, .parts = 1};
    cb_local_tensor tensor = {.param = param, .shards = 1, .owned = 1, .data = values};
    CHECK_OK(cb_slice_read(&tensor, bytes, "F16"));
    int wrong = 0;
    for (int i = 0; i < 65536; i++) {
        int exponent = i >> 10 & 31, fraction = i & 1023;
        double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        double want = i >> 15 ? -size : size;
        if (exponent == 31 && fraction) {
            wrong += !isnan(values[i]);
        } else {
            if (exponent == 31) want = i >> 15 ? -HUGE_VAL : HUGE_VAL;
            wrong += values[i] != want || !!signbit(values[i]) != (i >> 15);
        }
    }
    CHECK_INT(wrong, 0);
    CHECK_OK(cb_slice_read(&tensor, bytes, "BF16"));
    for (int i = 0; i < 65536; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], 4);
        wrong += bits != (uint32_t)i << 16;
    }
    CHECK_INT(wrong, 0);
}

/* Whatever stops a save: every rank says the same, nothing partial stays, what was there stays whole. */
static void save_fails(const char *dir, int forget_on, cb_code code, const char *part) {
    job work = run_job(layouts[7], dir, false, forget_on);
    all_say(&work, code, part);
    CHECK(!exists(dir, "config.json.partial"));
}

static void failing_saves(void) {
    char file[512], below[600], dir[512], path[1024];
    files_write(files_path("weights_in_the_way", file), "x", 1);
    save_fails(file, -1, CB_EIO, "it is a file, a directory is needed");
    snprintf(below, sizeof below, "%s/below", file);
    save_fails(below, -1, CB_EIO, "it is a file");
    remove(file);

    fresh_dir("weights_old", dir);
    job old = run_job(whole, dir, false, -1);
    all_say(&old, 0, "");
    for (int rank = 0; rank < 8; rank++) {
        bool writes = rank == 0 || rank == 1 || rank == 4 || rank == 5; /* d is 0 */
        if (writes) save_fails(dir, rank, CB_EINVAL, "bytes of weights together, the model has");
    }
    CHECK(!exists(dir, "model.safetensors.partial"));
    snprintf(path, sizeof path, "%s/model.safetensors.partial", dir);
    mkdir(path, 0777);
    save_fails(dir, -1, CB_EIO, "cannot create");
    remove(path);
    load_says(dir, 0, "");
    remove_all(dir);
}

static void name_taken(void) {
    char dir[512], path[1024], inner[1100];
    fresh_dir("weights_taken", dir);
    mkdir(dir, 0777);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    mkdir(path, 0777);
    snprintf(inner, sizeof inner, "%s/occupied", path);
    files_write(inner, "x", 1);
    save_fails(dir, -1, CB_EIO, "cannot rename");
    CHECK(!exists(dir, "model.safetensors.partial"));
    remove(inner);
    remove_all(dir);
}

/* A limit on the size of files stands for a full disk: the room cannot be had, and the old weights stay. */
static void no_room(void) {
    char dir[512];
    fresh_dir("weights_full", dir);
    job old = run_job(whole, dir, false, -1);
    all_say(&old, 0, "");
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    limit = before, limit.rlim_cur = 100000;
    if (CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0)) {
        save_fails(dir, -1, CB_EIO, "model.safetensors.partial: cannot reserve");
        setrlimit(RLIMIT_FSIZE, &before);
    }
    signal(SIGXFSZ, handler);
    CHECK(!exists(dir, "model.safetensors.partial"));
    load_says(dir, 0, "");
    remove_all(dir);
}

/* Every subset of four ranks fails: all hear of the first. */
static cb_err agree_rank(cb_comm *comm, void *arg) {
    (void)arg;
    int ranks[4] = {0, 1, 2, 3}, me = cb_comm_rank(comm);
    cb_group world;
    TRY(cb_group_make(&world, comm, CB_FOR_WORLD, ranks, 4));
    for (int failing = 0; failing < 16; failing++) {
        cb_err mine = failing >> me & 1 ? cb_fail(CB_EIO, "rank %d has no disk", me) : CB_OK;
        cb_err e = cb_group_agree(&world, mine);
        char want[64];
        snprintf(want, sizeof want, "rank %d has no disk", failing ? __builtin_ctz((unsigned)failing) : -1);
        if (failing) {
            CHECK_FAILS(e, CB_EIO, want);
        } else {
            CHECK_OK(e);
        }
    }
    cb_group_free(&world);
    return CB_OK;
}

static void agreement(void) {
    cb_launch launch = {.backend = "threads", .ranks = 4, .checked = true};
    CHECK_OK(cb_comm_launch(&launch, agree_rank, NULL));
}

int main(void) {
    RUN(every_layout_into_every_other);
    RUN(makes_directories);
    RUN(other_writers);
    RUN(missing_tensors);
    RUN(many_files);
    RUN(halves);
    RUN(failing_saves);
    RUN(name_taken);
    RUN(no_room);
    RUN(agreement);
    return test_end();
}
