/* A row of a published table as a job and a layout. What a row leaves out is filled in by these rules: heads of 128
 * channels; a vocabulary of 50257; the MLP gated, and the head a matrix of its own, where that comes nearest to the
 * number of parameters; with a gated MLP the rest of Llama, rotary positions and norms without means; embedding and
 * head placed as layers where only then the layers come out even; one layer per chunk where an interleaved schedule has
 * no number of chunks. */
#include "planner/published.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/columns.h"
#include "planner/recognize.h"

/* More than any model or cluster has, and few enough for its counts. */
enum {
    MOST_LAYERS = 10000,
    MOST_CHANNELS = 1000000,
    MOST_FFN = 10000000,
    MOST_VOCAB = 100000000,
    MOST_GPUS = 1 << 20,
    MOST_SEQ = 100000000,
    MOST_BATCH = 1000000000,
    MOST_OFF = 2 /* times, of a stated number of parameters and the sizes' own: beyond it is another model */
};

typedef struct reader {
    const cb_csv *csv;
    const char *name;
    const cb_hardware *hardware;
    int row;
    cb_err error;
    char bad[160]; /* "", or the first value that cannot be: the row is skipped for it */
} reader;

static const char *text(const reader *r, cb_column column) {
    return cb_column_field(r->csv, r->row, column);
}

/* The column of the field in its line, for messages: fields lie where they were read. */
static int place(const reader *r, cb_column column) {
    return (int)(text(r, column) - cb_csv_field(r->csv, r->row, 0)) + 1;
}

static void set_bad(reader *r, cb_column column, const char *due) {
    if (*r->bad) return;
    snprintf(r->bad, sizeof r->bad, "%s is '%.40s'; %.80s", cb_column_name(column), text(r, column), due);
}

/* 0 where the field is empty, or the number cannot be. */
static double number(reader *r, cb_column column) {
    const char *field = text(r, column);
    char *end;
    if (!*field || r->error) return 0;
    double value = strtod(field, &end);
    while (*end == ' ') end++;
    if (*end) {
        r->error = cb_fail(CB_EFORMAT, "%s:%d:%d: %s is '%s'; a number was due", r->name, r->csv->line[r->row + 1],
                           place(r, column), cb_column_name(column), field);
        return 0;
    }
    if (value >= 0 && value <= 1e15) return value;
    set_bad(r, column, "a number from 0 to 1e15 was due");
    return 0;
}

/* A count from `least` to `most`; `otherwise` where the field is empty, or is the 0 of what is not used. */
static int64_t whole(reader *r, cb_column column, int64_t otherwise, int least, int64_t most) {
    char due[80];
    double value = number(r, column);
    if (!*text(r, column) || r->error) return otherwise;
    if (value < least || value > (double)most || value != floor(value)) {
        snprintf(due, sizeof due, "a whole number from %d to %lld was due", least, (long long)most);
        set_bad(r, column, due);
        return otherwise;
    }
    return value >= 1 ? (int64_t)value : otherwise;
}

/* A word of a column and what it means; the first that the text holds counts. */
typedef struct meaning {
    const char *word;
    int value;
} meaning;

/* Ends with a row without a word; its value is that of an empty field. */
static int meaning_of(reader *r, cb_column column, const meaning *m, const char *due) {
    const char *field = text(r, column);
    while (m->word && !strcasestr(field, m->word)) m++;
    if (!m->word && *field) set_bad(r, column, due);
    return m->value;
}

/* Heads of about 128 channels that divide the width and are a multiple of tp. */
static int usual_heads(int64_t channels, int tp) {
    int best = tp;
    for (int heads = tp; heads <= channels; heads += tp) {
        if (channels % heads == 0 && llabs(channels / heads - 128) < llabs(channels / best - 128)) best = heads;
    }
    return best;
}

static double billions(const cb_model *model) {
    double c = (double)model->channels, f = (double)model->ffn, kv = (double)model->kv_heads / model->heads;
    double layer = 2 * c * c * (1 + kv) + (model->gated ? 3 : 2) * c * f;
    return (model->layers * layer + (model->untied ? 2 : 1) * c * (double)model->vocab) / 1e9;
}

/* Gated or not, tied or not: whichever comes nearest to the number of parameters. */
static void choose_family(cb_model *model, double params_b) {
    double best = INFINITY;
    cb_model nearest = *model;
    for (int i = 0; params_b > 0 && i < 4; i++) {
        model->gated = i & 1;
        model->untied = i >> 1;
        double off = fabs(log(billions(model) / params_b)) + 0.01 * model->untied; /* a tie keeps it tied */
        if (off >= best) continue;
        best = off;
        nearest = *model;
    }
    *model = nearest;
}

/* A column that every row needs. */
static const char *empty(cb_published *p, cb_column column) {
    snprintf(p->why, sizeof p->why, "%s is empty: a row without it cannot be predicted", cb_column_name(column));
    return p->why;
}

static const char *other_size(cb_published *p, double params_b) {
    snprintf(p->why, sizeof p->why, "params_b is %g; layers, hidden and the other sizes make %.3g", params_b,
             billions(&p->model));
    return p->why;
}

static const char *divide(cb_published *p) {
    const cb_model *m = &p->model;
    snprintf(p->why, sizeof p->why, "hidden %lld, heads %d, kv_heads %d: each is a multiple of the next in any model",
             (long long)m->channels, m->heads, m->kv_heads);
    return p->why;
}

static const char *read_model(reader *r, cb_published *p) {
    cb_model *model = &p->model;
    snprintf(model->name, sizeof model->name, "%.60s", text(r, CB_COL_MODEL));
    model->layers = (int)whole(r, CB_COL_LAYERS, 0, 1, MOST_LAYERS);
    model->channels = whole(r, CB_COL_HIDDEN, 0, 1, MOST_CHANNELS);
    if (model->layers == 0 || model->channels == 0)
        return model->layers == 0 ? empty(p, CB_COL_LAYERS) : empty(p, CB_COL_HIDDEN);
    model->heads = (int)whole(r, CB_COL_HEADS, 0, 1, MOST_CHANNELS);
    if (model->heads == 0) model->heads = usual_heads(model->channels, p->split.tp);
    model->kv_heads = (int)whole(r, CB_COL_KV_HEADS, model->heads, 1, MOST_CHANNELS);
    model->ffn = whole(r, CB_COL_FFN, 4 * model->channels, 1, MOST_FFN);
    model->vocab = whole(r, CB_COL_VOCAB, 50257, 1, MOST_VOCAB);
    model->gated = *text(r, CB_COL_PARAMS_B) == 0 && model->ffn < 4 * model->channels;
    bool uncut = p->split.tp == 1 && *text(r, CB_COL_VOCAB) != 0; /* ran as it was given */
    model->vocab_multiple = uncut ? 1 : 128LL * p->split.tp;
    cb_model_pad_vocab(model, model->vocab_multiple);
    if (model->channels % model->heads != 0 || model->heads % model->kv_heads != 0) return divide(p);
    double params_b = number(r, CB_COL_PARAMS_B);
    choose_family(model, params_b);
    bool said = *text(r, CB_COL_PARAMS_B) != 0, other = !(fabs(log(billions(model) / params_b)) < log(MOST_OFF));
    if (said && other && !r->error) return other_size(p, params_b);
    if (model->gated) model->unbiased = true, model->norm = CB_RMSNORM, model->position = CB_ROTARY;
    return NULL;
}

static cb_precision precision_of(reader *r) {
    static const meaning words[] = {{"fp8", CB_MATH_8},   {"float8", CB_MATH_8},   {"fp4", CB_MATH_4},
                                    {"fp32", CB_MATH_32}, {"float32", CB_MATH_32}, {"16", CB_MATH_16},
                                    {"half", CB_MATH_16}, {"mixed", CB_MATH_16},   {NULL, CB_MATH_16}};
    return (cb_precision)meaning_of(r, CB_COL_DTYPE, words, "bf16, fp16, fp8, fp4 or fp32 was due");
}

/* The schedule of a single stage is nothing, whatever it is called. */
static cb_split_schedule schedule_of(reader *r, int stages) {
    static const meaning words[] = {{"interleaved", CB_SPLIT_INTERLEAVED},
                                    {"1F1B-I", CB_SPLIT_INTERLEAVED},
                                    {"ZB-2p", CB_SPLIT_ZB_H2},
                                    {"ZB-H2", CB_SPLIT_ZB_H2},
                                    {"zbv", CB_SPLIT_ZB_H2},
                                    {"ZB", CB_SPLIT_ZB_H1},
                                    {"gpipe", CB_SPLIT_GPIPE},
                                    {"1F1B", CB_SPLIT_1F1B},
                                    {"none", CB_SPLIT_1F1B},
                                    {"zero bubble", CB_SPLIT_ZB_H1},
                                    {"zero-bubble", CB_SPLIT_ZB_H1},
                                    {"virtual", CB_SPLIT_INTERLEAVED},
                                    {"AFAB", CB_SPLIT_GPIPE},
                                    {"PipeDream", CB_SPLIT_1F1B},
                                    {"Megatron", CB_SPLIT_1F1B},
                                    {"DeepSpeed", CB_SPLIT_1F1B},
                                    {NULL, CB_SPLIT_1F1B}};
    if (stages == 1) return CB_SPLIT_1F1B;
    return (cb_split_schedule)meaning_of(r, CB_COL_SCHEDULE, words,
                                         "1F1B, interleaved, gpipe, ZB-1p, ZB-2p or none was due");
}

static cb_split_recompute recompute_of(reader *r) {
    static const meaning words[] = {{"full", CB_AGAIN_LAYER}, {"op", CB_AGAIN_CHEAP}, {"selective", CB_AGAIN_ATTENTION},
                                    {"no", CB_KEEP_ALL},      {"off", CB_KEEP_ALL},   {"0", CB_KEEP_ALL},
                                    {NULL, CB_KEEP_ALL}};
    return (cb_split_recompute)meaning_of(r, CB_COL_RECOMPUTE, words, "none, selective, by-op or full was due");
}

static void read_chunks(reader *r, cb_published *p) {
    cb_split *split = &p->split;
    int layers = p->model.layers, stages = split->pp;
    bool own = cb_stack_traits_of(p->job.stack)->by_weights; /* the program places them */
    if (stages > 1 && layers % stages != 0 && (layers + 2) % stages == 0 && !own) split->placement = CB_PLACE_WITH_ENDS;
    int per_stage = (layers + 2 * (split->placement == CB_PLACE_WITH_ENDS)) / stages;
    split->chunks = (int)whole(r, CB_COL_VPP, split->schedule == CB_SPLIT_INTERLEAVED ? (per_stage ? per_stage : 1) : 1,
                               0, MOST_LAYERS);
    if (split->chunks > 1) split->schedule = CB_SPLIT_INTERLEAVED;
    if (split->pp == 1) split->schedule = CB_SPLIT_1F1B;
    if (split->schedule != CB_SPLIT_INTERLEAVED || split->pp == 1) split->chunks = 1;
}

static const char *read_split(reader *r, cb_published *p, int64_t gpus) {
    cb_split *split = &p->split;
    static const char not_devices[] = "dp x tp x pp x cp is not the number of devices";
    if (gpus == 0) return empty(p, CB_COL_GPUS);
    split->tp = (int)whole(r, CB_COL_TP, 0, 1, MOST_GPUS);
    split->pp = (int)whole(r, CB_COL_PP, 1, 1, MOST_GPUS);
    split->cp = (int)whole(r, CB_COL_CP, 1, 0, MOST_GPUS);
    if (split->tp == 0) return empty(p, CB_COL_TP);
    int64_t model_parallel = (int64_t)split->tp * split->pp * split->cp;
    if (model_parallel > gpus) return not_devices;
    split->dp = (int)whole(r, CB_COL_DP, gpus / model_parallel, 1, MOST_GPUS);
    if (split->dp * model_parallel != gpus) return not_devices;
    split->schedule = schedule_of(r, split->pp);
    split->recompute = recompute_of(r);
    split->zero = (int)whole(r, CB_COL_ZERO, 0, 0, 3);
    split->sequence_parallel = whole(r, CB_COL_SEQUENCE_PARALLEL, 0, 0, 1) != 0;
    return NULL;
}

/* A replica's share of the batch in as many microbatches as there are stages, or the next larger number that divides
 * it; whole where it is less than that. */
static int64_t usual_micro_batch(const cb_published *p) {
    int64_t share = p->job.global_batch / p->split.dp, count = p->split.pp;
    if (share < count) return share > 0 ? share : 1;
    while (share % count != 0 && count < MOST_GPUS) count++;
    return share % count == 0 ? share / count : 1;
}

static const char *read_batch(reader *r, cb_published *p) {
    p->job.seq_length = whole(r, CB_COL_SEQ, 0, 1, MOST_SEQ);
    p->job.global_batch = whole(r, CB_COL_GLOBAL_BATCH, 0, 1, MOST_BATCH);
    if (p->job.seq_length == 0) return empty(p, CB_COL_SEQ);
    if (p->job.global_batch == 0) return empty(p, CB_COL_GLOBAL_BATCH);
    p->split.micro_batch = (int)whole(r, CB_COL_MICRO_BATCH, usual_micro_batch(p), 1, MOST_BATCH);
    const cb_model *m = &p->model; /* activations are counted in 64 bits */
    double tokens = (double)p->split.micro_batch * (double)p->job.seq_length;
    double widest = fmax((double)(m->vocab + m->ffn + m->channels), m->heads * (double)p->job.seq_length);
    if (tokens * widest > 1e16) return "micro_batch x seq x the model's sizes is beyond any model";
    return NULL;
}

/* The device by name, aliases and the words of data sheets; none that is only like it: its rates would be another's. */
static const cb_device_row *find_device(const reader *r, cb_published *p) {
    char near[256];
    const char *name = text(r, CB_COL_GPU);
    const cb_device_row *device = cb_recognize_device(r->hardware, name);
    if (!device)
        snprintf(p->why, sizeof p->why, "device '%.48s' is not known%.180s", name,
                 cb_recognize_near(r->hardware, name, near));
    return device;
}

static void read_hardware(reader *r, cb_published *p, const cb_device_row *device) {
    char all[1024];
    p->network_guessed = !cb_recognize_network(text(r, CB_COL_CLUSTER), device, &p->cluster);
    p->job.precision = precision_of(r);
    snprintf(all, sizeof all, "%.200s %.300s %.100s %.100s %.200s", text(r, CB_COL_SOURCE), text(r, CB_COL_NOTES),
             text(r, CB_COL_SCHEDULE), text(r, CB_COL_MODEL), text(r, CB_COL_FILE));
    p->job.eager = strcasestr(all, "eager") != NULL;
    p->job.grads_32 = strcasestr(all, "fp32 gradient accumulation") != NULL;
    p->job.moments_8 = strcasestr(all, "8-bit Adam") != NULL;
    p->job.sync_tp = p->split.tp > 1 && strcasestr(all, "vanilla TP") != NULL;
    p->job.rowwise8 = strcasestr(all, "rowwise") != NULL || strcasestr(all, "row-wise") != NULL;
    p->report = cb_recognize_memory(all);
    if (cb_recognize_zero(all) && p->split.zero == 0) p->split.zero = 1;
    p->stack_guessed = !cb_recognize_stack(all, &p->cluster.device, p->job.precision, p->split.pp > 1, &p->job.stack);
}

/* Why the sizes cannot be predicted; NULL: they can. */
static const char *read_sizes(reader *r, cb_published *p, int64_t gpus) {
    if (!*text(r, CB_COL_ITERATION_S)) return empty(p, CB_COL_ITERATION_S);
    if (!(p->measured_s > 0)) set_bad(r, CB_COL_ITERATION_S, "a number above 0 was due");
    if (number(r, CB_COL_EP) > 1) return "ep is more than 1: models with experts are not predicted";
    const char *why = read_split(r, p, gpus);
    if (!why) why = read_model(r, p);
    return why ? why : read_batch(r, p);
}

static void read_rest(reader *r, cb_published *p, const cb_device_row *device) {
    read_hardware(r, p, device);
    read_chunks(r, p);
    if (p->cluster.device.peak_flops[p->job.precision] <= 0)
        snprintf(p->why, sizeof p->why, "dtype is a precision that the device does not have");
}

cb_err cb_published_read(cb_published *published, const cb_csv *csv, const char *name, int row,
                         const cb_hardware *hardware) {
    reader r = {.csv = csv, .name = name, .hardware = hardware, .row = row};
    cb_published *p = published;
    *p = (cb_published){.measured_s = 0};
    p->measured_s = number(&r, CB_COL_ITERATION_S);
    p->memory_gb = number(&r, CB_COL_MEMORY_GB);
    int64_t gpus = whole(&r, CB_COL_GPUS, 0, 1, MOST_GPUS);
    p->cluster.devices = (int)gpus;
    const char *why = read_sizes(&r, p, gpus);
    const cb_device_row *device = why || r.error ? NULL : find_device(&r, p);
    if (why && why != p->why) snprintf(p->why, sizeof p->why, "%s", why);
    if (device) read_rest(&r, p, device);
    if (*r.bad) snprintf(p->why, sizeof p->why, "%s", r.bad);
    return r.error;
}
cb_job cb_published_job(const cb_published *published) {
    cb_job job = published->job;
    job.model = &published->model;
    job.cluster = &published->cluster;
    return job;
}
