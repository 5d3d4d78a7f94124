/* What `cuboid bench comm` found, as tables and as JSON. */
#ifndef CB_CLI_COMM_REPORT_H
#define CB_CLI_COMM_REPORT_H

#include <stdio.h>

#include "cli/comm_fit.h"
#include "cli/comm_measure.h"

enum { CB_COMM_MOST_PEERS = 4, CB_COMM_MOST_LACKS = 64 };

/* An operation that has no algorithm of this name. */
typedef struct cb_comm_lack {
    cb_kind kind;
    char name[64];
} cb_comm_lack;

/* The model of one algorithm's rows. */
typedef struct cb_comm_model {
    const cb_algorithm *algorithm;
    cb_fit fit;
    int64_t worst_bytes; /* size of the row that is predicted worst */
} cb_comm_model;

/* Rows of this program's ranks, then those of each peer: MPI's own collectives, in runs under mpiexec. */
typedef struct cb_comm_report {
    cb_comm_plan plan;
    cb_selection selection; /* the plan's, if it has one */
    int ranks, rounds;
    cb_comm_found found;
    int peers, kinds;
    char peer[CB_COMM_MOST_PEERS][64]; /* "Open MPI 4.1.4" */
    cb_kind kind[CB_KINDS];            /* measured (kinds) */
    int lacks;                         /* algorithms that were asked for of several operations, of which some have none such */
    cb_comm_lack lack[CB_COMM_MOST_LACKS];
    int models;
    cb_comm_model model[CB_COMM_MOST_ENTRIES + 8]; /* an entry that chooses may have several algorithms */
    int rows;
    cb_comm_row *row; /* (entries, sizes), then (peers, kinds, sizes); owned */
} cb_comm_report;

cb_comm_row *cb_comm_report_own(const cb_comm_report *report, int entry, int size);
cb_comm_row *cb_comm_report_of_peer(const cb_comm_report *report, int peer, int kind, int size);
/* By what means the measured group chooses. */
cb_means cb_comm_means(const cb_comm_report *report);
/* Wrong elements in all rows. */
int64_t cb_comm_report_wrong(const cb_comm_report *report);

/* Fits the model to what was measured, and fills the rows' predictions and floors. */
void cb_comm_report_predict(cb_comm_report *report);
const cb_comm_model *cb_comm_report_model(const cb_comm_report *report, const cb_algorithm *algorithm); /* NULL: none */

void cb_comm_report_print(const cb_comm_report *report);
/* The picture, for cb_file_replace; report: cb_comm_report. */
CB_MUST_USE cb_err cb_comm_report_plot(FILE *to, const void *report);
void cb_comm_report_json(const cb_comm_report *report);

#endif
