/* What every renderer needs to know of a timeline, worked out once: bars in order, the axis, what occurs. Times are
 * seconds from the first event. Not for other rooms. */
#ifndef CB_TIMELINE_LAYOUT_H
#define CB_TIMELINE_LAYOUT_H

#include "timeline/timeline.h"

typedef struct cb_fill_style {
    const char *name;   /* in legends */
    const char *colour; /* light, under dark text */
    int shade[2];       /* of 256 terminal colours, for even and odd microbatches */
    char first;         /* character of microbatch 0, or the one character where is_numbered is false */
    bool is_numbered;
} cb_fill_style;

const cb_fill_style *cb_fill_style_of(cb_fill fill);
cb_fill cb_fill_of(const cb_timeline *timeline, int32_t kind);

typedef struct cb_bar {
    cb_fill fill;
    int32_t row, kind, micro_batch, chunk;
    double begin_s, end_s;
} cb_bar;

typedef struct cb_drawing {
    const cb_timeline *timeline;
    cb_bar *bars;       /* by row, then begin */
    int64_t *row_begin; /* (rows + 1): bars of row r are row_begin[r] .. row_begin[r+1]-1 */
    double begin_s;     /* of the first event, in the timeline's time */
    double span_s;      /* > 0 */
    const char *unit;   /* "ms" */
    double unit_s;
    bool occurs[CB_FILLS];
    bool has_chunks; /* more than chunk 0: odd ones are told apart */
} cb_drawing;

CB_MUST_USE cb_err cb_drawing_make(cb_drawing *layout, const cb_timeline *timeline);
void cb_drawing_free(cb_drawing *layout);

/* A round distance of ticks (1, 2 or 5 times a power of ten, in the layout's unit), at most `most` of them after 0. In
 * s. */
double cb_drawing_tick_s(const cb_drawing *layout, int most);
const char *cb_drawing_row_name(const cb_drawing *layout, int row);
int cb_drawing_longest_name(const cb_drawing *layout); /* in bytes */
const char *cb_drawing_fill_name(const cb_drawing *layout, cb_fill fill); /* in legends */
/* Bars of this kind have a number: of a training step all that belongs to a microbatch. */
bool cb_drawing_has_number(const cb_drawing *layout, int32_t kind);
const char *cb_drawing_numbers(const cb_drawing *layout);                  /* what the numbers count */
/* "33 ms, bubble 27.3%"; of what is no training step "33 ms" */
char *cb_drawing_summary(const cb_drawing *layout, char out[64]);

#endif
