/* What `cuboid bench tp` says: tables and pictures for people, one JSON object for programs. */
#ifndef CB_CLI_TP_REPORT_H
#define CB_CLI_TP_REPORT_H

#include "cli/lists.h"
#include "cli/tp_cluster.h"
#include "cli/tp_measure.h"

typedef struct cb_tp_report {
    cb_tp_setup setup; /* size.tp and size.shards vary */
    int cores;
    cb_list tp;
    double uncut_s[CB_TP_VARIANTS][2]; /* a pass at tp = 1, S = 1 */
    cb_tp_result result[CB_TP_VARIANTS][CB_MOST_LISTED];
    int drawn; /* tp of the pictures; 0: none */
    cb_tp_picture picture[CB_TP_VARIANTS];
    cb_tp_step step[CB_TP_VARIANTS][CB_TP_MOST_STEPS]; /* of rank 0 */
    int steps[CB_TP_VARIANTS];
    cb_tp_cluster cluster;
} cb_tp_report;

/* Uncut time over the pass's, times the ranks that the cores run at once. */
double cb_tp_report_efficiency(const cb_tp_report *report, int variant, int index, int pass);
CB_MUST_USE cb_err cb_tp_report_print(const cb_tp_report *report, int columns, bool colour);
void cb_tp_report_json(const cb_tp_report *report);

#endif
