/* Against PyTorch: a tiny GPT-2 from tests/golden (see tools/reference_torch.py), loaded as Hugging Face writes it:
 * logits, loss and every gradient of the first step, the losses and norms of ten AdamW steps, the weights after them;
 * on one rank and on several layouts (cb_comm_launch of as many threads). The reference is computed in double. */
#include <jansson.h>

#include "checkpoint/safetensors.h"
#include "support/files.h"
#include "support/ranks.h"

#define FOLDER CB_SOURCE_DIR "/tests/golden/gpt2_tiny"
enum { STEPS = 10, SAMPLES = 12, SHOWN = 3, T = 16, V = 67 };

typedef struct reference {
    cb_tensor_file file;
    json_t *numbers;
    cb_model model;
    cb_tokens *tokens;
} reference;

static const unsigned char *data_of(const reference *r, const char *name, int64_t bytes) {
    const cb_tensor_info *info = cb_tensor_file_find(&r->file, name);
    if (!CHECK(info != NULL) || !CHECK_INT(info->end - info->begin, bytes)) return NULL;
    return r->file.map + r->file.data_offset + info->begin;
}

static double number(const reference *r, const char *list, int i) {
    return json_number_value(json_array_get(json_object_get(r->numbers, list), (size_t)i));
}

static bool open_tokens(reference *r) {
    enum { COUNT = STEPS * SAMPLES * T + 1 };
    char path[512];
    unsigned char bytes[COUNT];
    const unsigned char *ids = data_of(r, "tokens", 4 * COUNT);
    if (!ids) return false;
    for (int i = 0; i < COUNT; i++) bytes[i] = ids[4 * i]; /* all below 67 */
    files_write(files_path("reference_tokens", path), bytes, COUNT);
    return CHECK_OK(cb_tokens_open(&r->tokens, path, CB_TOKENS_BYTES));
}

static bool open_reference(reference *r) {
    *r = (reference){0};
    r->numbers = json_load_file(FOLDER "/reference.json", 0, NULL);
    bool ok = CHECK(r->numbers != NULL) && CHECK_OK(cb_tensor_file_open(&r->file, FOLDER "/reference.safetensors"));
    ok = ok && CHECK_OK(cb_model_load(&r->model, FOLDER)) && open_tokens(r);
    cb_model_pad_vocab(&r->model, 8);
    return ok;
}

static void close_reference(reference *r) {
    json_decref(r->numbers);
    cb_tensor_file_close(&r->file);
    cb_tokens_close(r->tokens);
}

/* The settings of the script. */
static bool make_run(const reference *r, const ranks_case *c, cb_run *run, cb_tokens **unused) {
    bool ok = CHECK_OK(ranks_run_make(run, unused, c));
    run->init = FOLDER;
    run->lr = (cb_lr){.peak = 1e-3, .least = 1e-3, .decay = 1, .style = CB_DECAY_CONSTANT};
    run->clip = 1;
    ok = ok && CHECK_OK(cb_sampler_make(&run->train, r->tokens, "train", 0, 1, T, V, 1, false));
    run->validation = run->train;
    return ok;
}

/* Elements first, first + 1, ... of an array against the file's tensor: relative to its norm (Frobenius), and the
 * largest. */
typedef struct distance {
    double relative, largest;
} distance;

static distance compare(const reference *r, const char *kind, const cb_param *param, const float *x, int64_t first,
                        int64_t count) {
    char name[96];
    double apart = 0, size = 0, largest = 0;
    snprintf(name, sizeof name, "%s.%s", kind, param->name);
    const unsigned char *bytes = data_of(r, name, 4 * param->file_rows * param->cols);
    if (!bytes) return (distance){INFINITY, INFINITY};
    for (int64_t k = first; k < first + count; k++) {
        int64_t row = k / param->cols, col = k % param->cols;
        float expected;
        memcpy(&expected, bytes + 4 * (param->file_transposed ? col * param->rows + row : k), 4);
        double d = (double)x[k] - (double)expected;
        apart += d * d;
        size += (double)expected * (double)expected;
        largest = isfinite(d) ? fmax(largest, fabs(d)) : INFINITY;
    }
    return (distance){sqrt(apart / size), largest};
}

/* q, k and v thirds of c_attn.bias: the middle one has no gradient but rounding. */
static void check_qkv_bias(const reference *r, const char *kind, const cb_param *param, const float *x, double bound) {
    int64_t third = param->rows / 3;
    bool final = strcmp(kind, "final") == 0;
    CHECK_NEAR(compare(r, kind, param, x, 0, third).relative, 0, bound);
    CHECK_NEAR(compare(r, kind, param, x, third, third).largest, 0, final ? 10 * 1e-3 : 1e-7);
    CHECK_NEAR(compare(r, kind, param, x, 2 * third, third).relative, 0, bound);
}

static void check_tensors(const reference *r, const char *kind, const ranks_result *got, int array, double bound) {
    int64_t offset = 0;
    for (int id = 0; id < cb_params_count(&got->model); id++) {
        cb_param param = cb_param_at(&got->model, id);
        const float *x = got->x[array] + offset;
        if (param.role == CB_QKV_B) {
            check_qkv_bias(r, kind, &param, x, bound);
        } else if (!CHECK_NEAR(compare(r, kind, &param, x, 0, param.file_rows * param.cols).relative, 0, bound)) {
            fprintf(stderr, "    %s.%s\n", kind, param.name);
        }
        for (int64_t k = param.file_rows * param.cols; k < cb_param_elements(&param); k++) CHECK(x[k] == 0);
        offset += cb_param_elements(&param);
    }
}

static void check_result(const reference *r, const ranks_result *got) {
    CHECK_INT(got->missing + got->torn + got->torn_reports, 0);
    for (int s = 0; s < STEPS; s++) {
        CHECK_NEAR(got->reports.loss[s], number(r, "losses", s), 5e-6);
        CHECK_NEAR(got->reports.norm[s], number(r, "grad_norms", s), 5e-6);
        CHECK_NEAR(got->reports.lr[s], 1e-3, 0);
    }
    check_tensors(r, "grad", got, RANKS_FIRST_G, 5e-6);
    check_tensors(r, "final", got, RANKS_W, 1e-5);
}

static void train(const reference *r, ranks_case c) {
    cb_run run;
    cb_tokens *unused;
    ranks_result got = {0};
    char name[160];
    int failed = atomic_load(&test_failed_);
    c.model = &r->model;
    c.steps = STEPS;
    c.T = T;
    c.batch = SAMPLES;
    if (make_run(r, &c, &run, &unused)) {
        ranks_result_make(&got, &run);
        ranks_job job = {.run = &run, .as_is = true, .result = &got};
        if (CHECK_OK(cb_comm_launch(&run.launch, ranks_live, &job))) check_result(r, &got);
    }
    ranks_result_free(&got);
    cb_tokens_close(unused);
    if (atomic_load(&test_failed_) != failed) fprintf(stderr, "    in %s\n", ranks_name(&c, name));
}

/* The logits that an evaluation writes to a file, of the first samples. */
static void check_logits(const reference *r, const char *path) {
    static float got[SHOWN * T * V];
    const unsigned char *expected = data_of(r, "logits", sizeof got);
    int fd = open(path, O_RDONLY);
    struct stat status;
    if (CHECK(fd >= 0) && CHECK(fstat(fd, &status) == 0) && CHECK_INT(status.st_size, SAMPLES * T * V * 4) &&
        expected) {
        double worst = 0;
        CHECK(read(fd, got, sizeof got) == (ssize_t)sizeof got);
        for (int i = 0; i < SHOWN * T * V; i++) {
            float value;
            memcpy(&value, expected + 4 * i, 4);
            worst = fmax(worst, fabs((double)got[i] - (double)value));
        }
        CHECK_NEAR(worst, 0, 5e-6);
    }
    if (fd >= 0) close(fd);
}

static void take_val_loss(void *arg, const cb_run_summary *summary) {
    double *loss = arg;
    *loss = summary->val_loss;
}

static void evaluate(const reference *r, ranks_case c) {
    cb_run run;
    cb_tokens *unused;
    char path[512];
    double loss = NAN;
    c.model = &r->model;
    c.T = T;
    c.batch = SAMPLES;
    if (make_run(r, &c, &run, &unused)) {
        run.steps = 0;
        run.eval_samples = SAMPLES;
        run.logits = files_path("reference_logits", path);
        run.observer = (cb_observer){.arg = &loss, .on_summary = take_val_loss};
        CHECK_OK(cb_run_train(&run));
        CHECK_NEAR(loss, number(r, "losses", 0), 5e-6);
        check_logits(r, path);
    }
    cb_tokens_close(unused);
}

static const ranks_case cases[] = {
    {.B = 12},
    {.B = 1, .compute = "ref"},
    {.B = 3, .dp = 2},
    {.B = 2, .tp = 2, .pp = 2},
    {.B = 1, .tp = 4, .dp = 3, .schedule = "gpipe"},
    {.B = 2, .dp = 2, .tp = 2, .pp = 2, .schedule = "gpipe"},
    {.B = 4, .shards = 4, .threads = 2},
};
enum { CASES = sizeof cases / sizeof *cases };

static void as_pytorch_trains(void) {
    reference r;
    if (open_reference(&r)) {
        for (int i = 0; i < CASES; i++) train(&r, cases[i]);
    }
    close_reference(&r);
}

static void as_pytorch_evaluates(void) {
    reference r;
    if (open_reference(&r)) {
        for (int i = 0; i < CASES; i++) evaluate(&r, cases[i]);
    }
    close_reference(&r);
}

int main(void) {
    RUN(as_pytorch_trains);
    RUN(as_pytorch_evaluates);
    return test_end();
}
