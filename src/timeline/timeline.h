/* A timeline: rows of spans, measured or simulated, drawn by one layout in several forms. Pure. */
#ifndef CB_TIMELINE_TIMELINE_H
#define CB_TIMELINE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "pipeline/simulate.h"

/* One instruction as it was run (or simulated). */
typedef struct cb_event {
    int32_t row;  /* index of the row: the rank */
    int32_t kind; /* cb_instr_kind, or index of the timeline's own kinds */
    int32_t micro_batch, chunk;
    double begin_s, end_s;
} cb_event;

/* A stretch of a path through a timeline. */
typedef struct cb_path_part {
    int32_t row;
    bool waits; /* the row was held up there: by a message, an operation or another row */
    double begin_s, end_s;
} cb_path_part;

/* How a bar is drawn: a colour of its own each. Those of products (F, B, W) are numbered. */
typedef enum cb_fill {
    CB_FILL_WAIT,
    CB_FILL_F,
    CB_FILL_B,
    CB_FILL_W,
    CB_FILL_REDUCE,
    CB_FILL_GATHER,
    CB_FILL_SCATTER,
    CB_FILL_STEP,
    CB_FILLS
} cb_fill;

/* A kind of event in a picture that is not one of a training step. */
typedef struct cb_timeline_kind {
    const char *name; /* in legends */
    cb_fill fill;
} cb_timeline_kind;

/* What such a picture shows. */
typedef struct cb_timeline_words {
    const cb_timeline_kind *kind; /* (kinds) NULL: those of a training step */
    int kinds;
    const char *waiting; /* in place of "waiting, messages"; NULL: that */
    const char *numbers; /* in place of "microbatch" */
    const char *note;    /* lines below the legend of an SVG; NULL: none */
} cb_timeline_words;

typedef struct cb_timeline {
    const char *title;
    const cb_timeline_words *words; /* NULL: a training step's */
    int rows;
    const char *const *row_names; /* (rows) "d0 p1 t0" */
    const cb_event *events;
    int64_t count;
    double span_s;            /* at least so much time is shown, to compare; 0: as much as there is */
    int pieces;               /* of the text, one below the other: each a part of the time; 0: one */
    const cb_path_part *path; /* (path_count) in order of time: marked; NULL: none */
    int64_t path_count;
} cb_timeline;

/* The events of a simulated schedule, row = stage. *events to be freed. Error CB_ENOMEM. */
CB_MUST_USE cb_err cb_timeline_of_schedule(const cb_schedule *schedule, cb_span *const *spans, cb_event **events,
                                           int64_t *count);

/* Rows of `columns` characters (more where names leave less than 20 for the time): time runs to the right, each cell
 * shows what filled most of it: the last digit of the microbatch, forward as 0-9, backward as a-j (a is 0), '.' for
 * waiting; below, if there is a path, the row (mod 10) that it is on, '.' where that is held up; an axis and a legend.
 * colour: forward and backward told apart by ANSI colours instead, with the whole number where it fits. Of more than 32
 * rows only some are shown: the first of each stage ("p3" in the name), or evenly spaced ones. Events come in any
 * order; those of a row do not overlap. Errors: CB_EINVAL for no events or one with a row, kind or time that cannot be;
 * CB_EIO; CB_ENOMEM. */
CB_MUST_USE cb_err cb_timeline_text(const cb_timeline *timeline, int columns, bool colour, FILE *to);
/* A standalone SVG: a row per rank, F, B, W, waits, reductions and optimizer in distinct colours, microbatch numbers
 * where they fit, axis in us, ms or s, legend. Readable at 16 rows x 64 microbatches. Errors as above. */
CB_MUST_USE cb_err cb_timeline_svg(const cb_timeline *timeline, FILE *to);
/* Several in one picture, one below the other, as wide as the widest. */
CB_MUST_USE cb_err cb_timelines_svg(const cb_timeline *timelines, int count, FILE *to);
/* Trace-event JSON for Perfetto and chrome://tracing: a thread per row, what takes time as complete events. Errors as
 * above; CB_EINVAL for kinds that are not a training step's. */
CB_MUST_USE cb_err cb_timeline_chrome(const cb_timeline *timeline, FILE *to);
/* What an instruction's kind is called there: "forward", "message", ... */
const char *cb_timeline_category(int32_t kind);
/* The bubble: of all rows' time from the first event's begin to the last one's end, the fraction in which a row neither
 * computes (F, B, W) nor reduces gradients over dp nor steps. So it is the time spent waiting for other stages and
 * exchanging messages with them (the tied embedding's reduction is one), and idle. (p-1)/(m+p-1) for GPipe and 1F1B
 * with equal stages and free messages. 0 without events. */
double cb_timeline_bubble(const cb_timeline *timeline);

#endif
