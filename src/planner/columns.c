/* Names of columns, and what of a table's first line is missing or unknown. */
#include "planner/columns.h"

#include <stdio.h>
#include <string.h>

#include "base/args.h"

static const char *const names[CB_COLS + 1] = {
    [CB_COL_FILE] = "file",
    [CB_COL_MODEL] = "model",
    [CB_COL_LAYERS] = "layers",
    [CB_COL_HIDDEN] = "hidden",
    [CB_COL_SEQ] = "seq",
    [CB_COL_GPU] = "gpu",
    [CB_COL_GPUS] = "gpus",
    [CB_COL_TP] = "tp",
    [CB_COL_GLOBAL_BATCH] = "global_batch",
    [CB_COL_ITERATION_S] = "iteration_s",
    [CB_COL_PARAMS_B] = "params_b",
    [CB_COL_HEADS] = "heads",
    [CB_COL_KV_HEADS] = "kv_heads",
    [CB_COL_FFN] = "ffn",
    [CB_COL_VOCAB] = "vocab",
    [CB_COL_CLUSTER] = "cluster",
    [CB_COL_DP] = "dp",
    [CB_COL_PP] = "pp",
    [CB_COL_VPP] = "vpp",
    [CB_COL_CP] = "cp",
    [CB_COL_EP] = "ep",
    [CB_COL_ZERO] = "zero",
    [CB_COL_MICRO_BATCH] = "micro_batch",
    [CB_COL_RECOMPUTE] = "recompute",
    [CB_COL_SEQUENCE_PARALLEL] = "sequence_parallel",
    [CB_COL_DTYPE] = "dtype",
    [CB_COL_SCHEDULE] = "schedule",
    [CB_COL_MEMORY_GB] = "memory_gb",
    [CB_COL_SOURCE] = "source",
    [CB_COL_NOTES] = "notes",
    [CB_COL_ITERATION_IS] = "iteration_is",
    [CB_COL_TOKENS_PER_S] = "tokens_per_s",
    [CB_COL_TFLOPS_PER_GPU] = "tflops_per_gpu",
    [CB_COL_MFU_PCT] = "mfu_pct",
    [CB_COL_HFU_PCT] = "hfu_pct",
    [CB_COL_FLOPS_DEF] = "flops_def",
    [CB_COL_DERIVED_FIELDS] = "derived_fields",
    [CB_COL_CONFIDENCE] = "confidence",
};

const char *cb_column_name(cb_column column) {
    return names[column];
}

const char *cb_column_field(const cb_csv *csv, int row, cb_column column) {
    return cb_csv_field(csv, row, cb_csv_column(csv, names[column]));
}

static int index_of(const char *name) {
    for (int i = 0; i < CB_COLS; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* "; did you mean 'gpu'?" of the columns that are read and not there. */
static char *suggest(const cb_csv *csv, const char *given, char out[256]) {
    const char *absent[CB_COLS_READ + 1];
    int count = 0;
    for (int i = 0; i < CB_COLS_READ; i++)
        if (cb_csv_column(csv, names[i]) < 0) absent[count++] = names[i];
    absent[count] = NULL;
    return cb_args_suggest(given, absent, out);
}

static cb_err check_needed(const cb_csv *csv, const char *name) {
    char missing[256] = "", needed[256] = "";
    for (int i = 0; i < CB_COLS_NEEDED; i++) {
        size_t used = strlen(needed);
        snprintf(needed + used, sizeof needed - used, "%s%s", used ? ", " : "", names[i]);
        if (cb_csv_column(csv, names[i]) >= 0) continue;
        used = strlen(missing);
        snprintf(missing + used, sizeof missing - used, "%s'%s'", used ? ", " : "", names[i]);
    }
    if (!*missing) return CB_OK;
    return cb_fail(CB_EFORMAT, "%s:1:1: no column %s; every table needs %s (docs/planner.md says what they hold)", name,
                   missing, needed);
}

cb_err cb_columns_check(const cb_csv *csv, const char *name, cb_columns_warn *warn, void *arg) {
    char text[640], near[256];
    for (int i = 0; warn && i < csv->columns; i++) {
        const char *given = csv->field[i];
        bool again = cb_csv_column(csv, given) < i;
        if (!*given || (index_of(given) >= 0 && !again)) continue;
        int place = (int)(given - csv->field[0]) + 1; /* fields lie where they were read */
        snprintf(text, sizeof text, "%.200s:%d:%d: column '%.60s' %s%s", name, csv->line[0], place, given,
                 again ? "is there twice; the first counts" : "is not known and not read",
                 again ? "" : suggest(csv, given, near));
        warn(arg, text);
    }
    return check_needed(csv, name);
}
