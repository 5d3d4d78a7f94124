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

/* Messages and bytes of a step by purpose and kind; wait_s NaN: not measured, its column is left out. */
void cb_traffic_table_head(bool waiting, FILE *to);
void cb_traffic_table_row(cb_purpose purpose, cb_kind kind, double messages, double bytes, double wait_s, FILE *to);

#endif
