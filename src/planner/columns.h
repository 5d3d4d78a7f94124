/* The columns of tables of measurements: which are read, which every table has to have. docs/planner.md says what each
 * means. Pure. */
#ifndef CB_PLANNER_COLUMNS_H
#define CB_PLANNER_COLUMNS_H

#include <stdbool.h>

#include "planner/csv.h"

typedef enum cb_column {
    /* needed */
    CB_COL_FILE,
    CB_COL_MODEL,
    CB_COL_LAYERS,
    CB_COL_HIDDEN,
    CB_COL_SEQ,
    CB_COL_GPU,
    CB_COL_GPUS,
    CB_COL_TP,
    CB_COL_GLOBAL_BATCH,
    CB_COL_ITERATION_S,
    CB_COLS_NEEDED,
    /* read where they are there */
    CB_COL_PARAMS_B = CB_COLS_NEEDED,
    CB_COL_HEADS,
    CB_COL_KV_HEADS,
    CB_COL_FFN,
    CB_COL_VOCAB,
    CB_COL_CLUSTER,
    CB_COL_DP,
    CB_COL_PP,
    CB_COL_VPP,
    CB_COL_CP,
    CB_COL_EP,
    CB_COL_ZERO,
    CB_COL_MICRO_BATCH,
    CB_COL_RECOMPUTE,
    CB_COL_SEQUENCE_PARALLEL,
    CB_COL_DTYPE,
    CB_COL_SCHEDULE,
    CB_COL_MEMORY_GB,
    CB_COL_SOURCE,
    CB_COL_NOTES,
    CB_COLS_READ,
    /* known and not read: they follow from the others, or are for people */
    CB_COL_ITERATION_IS = CB_COLS_READ,
    CB_COL_TOKENS_PER_S,
    CB_COL_TFLOPS_PER_GPU,
    CB_COL_MFU_PCT,
    CB_COL_HFU_PCT,
    CB_COL_FLOPS_DEF,
    CB_COL_DERIVED_FIELDS,
    CB_COL_CONFIDENCE,
    CB_COLS
} cb_column;

const char *cb_column_name(cb_column column);                              /* "global_batch" */
const char *cb_column_field(const cb_csv *csv, int row, cb_column column); /* row from 0; "" where there is none */

/* Calls warn, which may be NULL, for each column that nothing reads because its name is not known or was there before;
 * text: "t.csv:1:27: ..." with the nearest name that is not there. Error CB_EFORMAT: columns that are needed are
 * missing, with all that are. */
typedef void cb_columns_warn(void *arg, const char *text);
CB_MUST_USE cb_err cb_columns_check(const cb_csv *csv, const char *name, cb_columns_warn *warn, void *arg);

#endif
