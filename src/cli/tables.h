/* Tables that the plan of a run and the summary of one that was done share. */
#ifndef CB_CLI_TABLES_H
#define CB_CLI_TABLES_H

#include <jansson.h>
#include <stdio.h>

#include "train/run.h"

/* Bytes by kind, one row per rank or for ranks that are alike. What stands before the numbers is the caller's text,
 * `width` characters. The row's end of line is the caller's too. */
void cb_memory_table_head(const char *before, int width, FILE *to);
void cb_memory_table_row(const char *before, int width, const int64_t bytes[CB_MEM_KINDS], FILE *to);
/* A field for each kind. */
void cb_memory_to_json(json_t *to, const int64_t bytes[CB_MEM_KINDS]);

/* Traffic by purpose and kind, planned for one step or counted over several. */
typedef struct cb_traffic_table {
    bool planned; /* times are not known */
    int ranks;
    int64_t steps;
    cb_traffic all[CB_PURPOSES][CB_KINDS];                                        /* of all ranks and steps */
    double exposed_s[CB_PURPOSES][CB_KINDS], overlapped_s[CB_PURPOSES][CB_KINDS]; /* of the rank that has most */
} cb_traffic_table;
void cb_traffic_table_add(cb_traffic_table *table, const cb_traffic of_rank[CB_PURPOSES][CB_KINDS]);
/* Of a step: counts of all ranks, times of a rank. */
void cb_traffic_table_print(const cb_traffic_table *table, FILE *to);
/* Of all steps: {"tp": {"all-reduce": {"operations", "messages", "bytes"[, times]}}} */
json_t *cb_traffic_table_json(const cb_traffic_table *table);

#endif
