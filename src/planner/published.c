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

typedef struct reader {
    const cb_csv *csv;
    const char *name;
    const cb_hardware *hardware;
    int row;
    cb_err error;
} reader;

static const char *text(const reader *r, cb_column column) {
    return cb_column_field(r->csv, r->row, column);
}

/* The column of the field in its line, for messages: fields lie where they were read. */
static int place(const reader *r, cb_column column) {
    return (int)(text(r, column) - cb_csv_field(r->csv, r->row, 0)) + 1;
}

/* 0 where the field is empty. */
static double number(reader *r, cb_column column) {
    const char *field = text(r, column);
    char *end;
    if (!*field || r->error) return 0;
    double value = strtod(field, &end);
    while (*end == ' ') end++;
    if (*end || !isfinite(value) || value < 0 || value > 1e15) {
        r->error = cb_fail(CB_EFORMAT, "%s:%d:%d: %s is '%s'; a number from 0 was due", r->name,
                           r->csv->line[r->row + 1], place(r, column), cb_column_name(column), field);
    }
    return value;
}

static int64_t whole(reader *r, cb_column column, int64_t otherwise) {
    double value = number(r, column);
    return value >= 1 && value < 9e15 ? (int64_t)value : otherwise;
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

static const char *read_model(reader *r, cb_published *p) {
    cb_model *model = &p->model;
    snprintf(model->name, sizeof model->name, "%.60s", text(r, CB_COL_MODEL));
    model->layers = (int)fmin(1e5, (double)whole(r, CB_COL_LAYERS, 0));
    model->channels = whole(r, CB_COL_HIDDEN, 0);
    if (model->layers == 0 || model->channels == 0) return "no layers or hidden size";
    model->heads = (int)fmin(1e6, (double)whole(r, CB_COL_HEADS, 0));
    if (model->heads == 0) model->heads = usual_heads(model->channels, p->split.tp);
    model->kv_heads = (int)fmin(1e6, (double)whole(r, CB_COL_KV_HEADS, model->heads));
    model->ffn = whole(r, CB_COL_FFN, 4 * model->channels);
    model->vocab = whole(r, CB_COL_VOCAB, 50257);
    model->gated = *text(r, CB_COL_PARAMS_B) == 0 && model->ffn < 4 * model->channels;
    bool uncut = p->split.tp == 1 && *text(r, CB_COL_VOCAB) != 0; /* ran as it was given */
    model->vocab_multiple = uncut ? 1 : 128LL * p->split.tp;
    cb_model_pad_vocab(model, model->vocab_multiple);
    bool beyond = model->channels > 1000000 || model->ffn > 10000000 || model->vocab > 100000000;
    if (beyond) return "sizes beyond any model"; /* and beyond what its counts hold */
    choose_family(model, number(r, CB_COL_PARAMS_B));
    if (model->gated) model->unbiased = true, model->norm = CB_RMSNORM, model->position = CB_ROTARY;
    return NULL;
}

static cb_precision precision_of(const char *dtype) {
    if (strcasestr(dtype, "fp8") || strcasestr(dtype, "mxfp8")) return CB_MATH_8;
    if (strcasestr(dtype, "fp4")) return CB_MATH_4;
    return strcasestr(dtype, "fp32") ? CB_MATH_32 : CB_MATH_16;
}

static cb_split_schedule schedule_of(const char *text_) {
    if (strcasestr(text_, "interleaved") || strcasestr(text_, "1F1B-I")) return CB_SPLIT_INTERLEAVED;
    if (strcasestr(text_, "ZB-2p") || strcasestr(text_, "ZB-H2") || strcasestr(text_, "zbv")) return CB_SPLIT_ZB_H2;
    if (strcasestr(text_, "ZB")) return CB_SPLIT_ZB_H1;
    return strcasestr(text_, "gpipe") ? CB_SPLIT_GPIPE : CB_SPLIT_1F1B;
}

static cb_split_recompute recompute_of(const char *text_) {
    if (strcasestr(text_, "full")) return CB_AGAIN_LAYER;
    if (strcasestr(text_, "op")) return CB_AGAIN_CHEAP;
    return strcasestr(text_, "selective") ? CB_AGAIN_ATTENTION : CB_KEEP_ALL;
}

static void read_chunks(reader *r, cb_published *p) {
    cb_split *split = &p->split;
    int layers = p->model.layers, stages = split->pp;
    bool own = cb_stack_traits_of(p->job.stack)->by_weights; /* the program places them */
    if (stages > 1 && layers % stages != 0 && (layers + 2) % stages == 0 && !own) split->placement = CB_PLACE_WITH_ENDS;
    int per_stage = (layers + 2 * (split->placement == CB_PLACE_WITH_ENDS)) / stages;
    split->chunks =
        (int)whole(r, CB_COL_VPP, split->schedule == CB_SPLIT_INTERLEAVED ? (per_stage ? per_stage : 1) : 1);
    if (split->chunks > 1) split->schedule = CB_SPLIT_INTERLEAVED;
    if (split->pp == 1) split->schedule = CB_SPLIT_1F1B;
    if (split->schedule != CB_SPLIT_INTERLEAVED || split->pp == 1) split->chunks = 1;
}

static const char *read_split(reader *r, cb_published *p, int64_t gpus) {
    cb_split *split = &p->split;
    if (gpus == 0) return "no number of devices";
    split->tp = (int)whole(r, CB_COL_TP, 0);
    split->pp = (int)whole(r, CB_COL_PP, 1);
    split->cp = (int)whole(r, CB_COL_CP, 1);
    if (split->tp == 0) return "no tp";
    int64_t model_parallel = (int64_t)split->tp * split->pp * split->cp;
    split->dp = (int)whole(r, CB_COL_DP, gpus / model_parallel);
    if (split->dp * model_parallel != gpus) return "dp x tp x pp x cp is not the number of devices";
    split->schedule = schedule_of(text(r, CB_COL_SCHEDULE));
    split->recompute = recompute_of(text(r, CB_COL_RECOMPUTE));
    split->zero = (int)fmin(3, number(r, CB_COL_ZERO));
    split->sequence_parallel = number(r, CB_COL_SEQUENCE_PARALLEL) != 0;
    return NULL;
}

static const char *read_batch(reader *r, cb_published *p) {
    p->job.seq_length = whole(r, CB_COL_SEQ, 0);
    p->job.global_batch = whole(r, CB_COL_GLOBAL_BATCH, 0);
    if (p->job.seq_length == 0 || p->job.global_batch == 0) return "no sequence length or global batch";
    if (p->job.seq_length > 100000000 || p->job.global_batch > 1000000000) return "sizes beyond any model";
    int64_t per_rank = p->job.global_batch / p->split.dp;
    int64_t usual = p->split.pp > 1 && per_rank >= p->split.pp ? per_rank / p->split.pp : per_rank;
    p->split.micro_batch = (int)fmin(1e6, (double)whole(r, CB_COL_MICRO_BATCH, usual > 0 ? usual : 1));
    const cb_model *m = &p->model; /* activations are counted in 64 bits */
    double tokens = (double)p->split.micro_batch * (double)p->job.seq_length;
    double widest = fmax((double)(m->vocab + m->ffn + m->channels), m->heads * (double)p->job.seq_length);
    if (tokens * widest > 1e16) return "sizes beyond any model";
    /* a global batch with a remainder: what is left runs as part of the last microbatch */
    int64_t at_once = (int64_t)p->split.dp * p->split.micro_batch;
    if (p->job.global_batch < at_once) return "fewer sequences than dp x microbatch";
    p->job.global_batch -= p->job.global_batch % at_once;
    return NULL;
}

/* The device by name, aliases and the words of data sheets; none that is only like it: its rates would be another's. */
static const cb_device_row *find_device(const reader *r, cb_published *p) {
    char near[256];
    const char *name = text(r, CB_COL_GPU);
    const cb_device_row *device = cb_recognize_device(r->hardware, name);
    if (!device)
        snprintf(p->why, sizeof p->why, "device '%.48s' is not known%.100s", name,
                 cb_recognize_near(r->hardware, name, near));
    return device;
}

static void read_hardware(reader *r, cb_published *p, const cb_device_row *device, int64_t gpus) {
    char all[1024];
    p->cluster.devices = (int)fmin(1e7, (double)gpus);
    p->network_guessed = !cb_recognize_network(text(r, CB_COL_CLUSTER), device, &p->cluster);
    p->job.precision = precision_of(text(r, CB_COL_DTYPE));
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
    if (!(p->measured_s > 0)) return "no measured time";
    if (number(r, CB_COL_EP) > 1) return "experts";
    const char *why = read_split(r, p, gpus);
    if (!why) why = read_model(r, p);
    return why ? why : read_batch(r, p);
}

cb_err cb_published_read(cb_published *published, const cb_csv *csv, const char *name, int row,
                         const cb_hardware *hardware) {
    reader r = {.csv = csv, .name = name, .hardware = hardware, .row = row};
    cb_published *p = published;
    *p = (cb_published){.measured_s = 0};
    p->measured_s = number(&r, CB_COL_ITERATION_S);
    p->memory_gb = number(&r, CB_COL_MEMORY_GB);
    int64_t gpus = whole(&r, CB_COL_GPUS, 0);
    const char *why = read_sizes(&r, p, gpus);
    const cb_device_row *device = why || r.error ? NULL : find_device(&r, p);
    if (why) snprintf(p->why, sizeof p->why, "%s", why);
    if (!device) return r.error;
    read_hardware(&r, p, device, gpus);
    read_chunks(&r, p);
    if (p->cluster.device.peak_flops[p->job.precision] <= 0)
        snprintf(p->why, sizeof p->why, "a precision that the device does not have");
    return r.error;
}

cb_job cb_published_job(const cb_published *published) {
    cb_job job = published->job;
    job.model = &published->model;
    job.cluster = &published->cluster;
    return job;
}
