/* A timeline: rows of spans, measured or simulated, drawn by one layout in several forms. Pure. */
#ifndef CB_TIMELINE_TIMELINE_H
#define CB_TIMELINE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "pipeline/schedule.h"

/* One instruction as it was run (or simulated). */
typedef struct cb_event {
    int32_t row;         /* index of the row: the rank */
    int32_t kind;        /* cb_instr_kind */
    int32_t micro_batch, chunk;
    double begin_s, end_s;
} cb_event;

typedef struct cb_timeline {
    const char *title;
    int rows;
    const char *const *row_names; /* (rows) "d0 p1 t0" */
    const cb_event *events;
    int64_t count;
} cb_timeline;

/* Rows of `columns` characters: time runs to the right, each cell shows what filled most of it (microbatch digit, F and B told
 * apart by colour, or by case/underline without), '.' for waiting; a time axis and a legend below. colour: ANSI colours. */
CB_MUST_USE cb_err cb_timeline_text(const cb_timeline *timeline, int columns, bool colour, FILE *to);
/* A standalone SVG: a row per rank, F, B, W, waits, reductions and optimizer in distinct colours, microbatch numbers where they
 * fit, axis in ms or s, legend. Readable at 16 rows x 64 microbatches. */
CB_MUST_USE cb_err cb_timeline_svg(const cb_timeline *timeline, FILE *to);
/* Fraction of rows*total that is spent neither in F, B, W: the bubble, communication and the rest; and the pipeline's bubble
 * proper: waiting inside RECV/SEND instructions, as a fraction of the step. */
double cb_timeline_bubble(const cb_timeline *timeline);

#endif
