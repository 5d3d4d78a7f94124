/* Measured steps: what every rank executed, sent and waited for, with times. Recorded by train/tracer.c, written and
 * read as a trace-event file (write.c, read.c), explained by breakdown.c and critical.c. Pure but for the file. */
#ifndef CB_TRACE_TRACE_H
#define CB_TRACE_TRACE_H

#include "comm/record.h"
#include "mesh/mesh.h"
#include "timeline/timeline.h"

/* What a rank does besides instructions. */
typedef enum cb_traced_part {
    CB_TRACED_ZERO, /* sets the gradients to zero, before the first instruction */
    CB_TRACED_DATA, /* reads the tokens of a microbatch, inside F */
    CB_TRACED_PARTS
} cb_traced_part;
const char *cb_traced_part_name(cb_traced_part part); /* "zero gradients", "data" */

typedef struct cb_traced_span {
    int32_t part; /* cb_traced_part */
    int32_t unused;
    double begin_s, end_s;
} cb_traced_span;

/* One step of one rank: its share of the rank's events. */
typedef struct cb_traced_step {
    double begin_s, end_s;
    int64_t instr, instrs; /* from which, how many */
    int64_t span, spans;
    int64_t comm, comms;
} cb_traced_step;

/* Events in the order in which they began. Times of all ranks are of one clock, 0 is the first step's first begin. */
typedef struct cb_traced_rank {
    cb_traced_step *step;  /* (steps) */
    cb_event *instr;       /* row = world rank */
    cb_traced_span *span;  /* zeroing and data */
    cb_comm_event *comm;   /* messages and collective operations */
    int64_t instrs, spans; /* of all steps */
    int64_t comms;
} cb_traced_rank;

/* A run's traced steps. All that it points to is its own: freed by cb_traced_free. */
typedef struct cb_traced {
    char model[64];
    cb_mesh mesh;
    cb_schedule schedule; /* lowered: what each stage executed in every step */
    int B, T;
    int64_t global_batch;
    int steps;
    int64_t *step;        /* (steps) their numbers, from 1, ascending */
    cb_traced_rank *rank; /* (mesh.ranks) */
    int64_t lost;         /* messages and operations for which there was no room */
    double clock_error_s; /* how far clocks of different machines may be apart in it; 0: one clock */
} cb_traced;

void cb_traced_free(cb_traced *traced);
/* Pipeline stage of a rank, and the rank that is at another stage in the same pipeline. */
int cb_traced_stage(const cb_traced *traced, int rank);
int cb_traced_at_stage(const cb_traced *traced, int rank, int stage);

/* From the first begin of step `step` (an index) on any rank to its last end. */
double cb_traced_step_begin_s(const cb_traced *traced, int step);
double cb_traced_step_end_s(const cb_traced *traced, int step);

/* Trace-event JSON (Google, "Trace Event Format"): a process per rank, its thread 0 the instructions within their
 * steps, the others its operations and messages by dimension, on as many threads as are under way at once; under
 * "otherData" what cb_traced_read needs beside them. Error CB_EIO. */
CB_MUST_USE cb_err cb_traced_write(const cb_traced *traced, FILE *to);
/* A file written so. Errors: CB_EIO; CB_EFORMAT for what is not JSON, cut short, of another program, of a newer version
 * or without the events that its schedule has; CB_ENOMEM. */
CB_MUST_USE cb_err cb_traced_read(cb_traced *traced, const char *path);

#endif
