/* Timelines in a terminal: a character per cell of time. See timeline.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "timeline/layout.h"

enum { MOST_ROWS = 32, LEAST_CELLS = 20, CELLS_PER_TICK = 10 };

typedef struct cell {
    cb_fill fill;
    const cb_bar *bar; /* the longest of this fill in the cell; NULL in a wait */
} cell;

typedef struct canvas {
    const cb_drawing *layout;
    FILE *to;
    bool colour;
    int label, cells;       /* widths */
    double from_s, shown_s; /* the piece at work: begin and length, from the first event */
    cell *line;             /* (cells): the row at work */
    int *shown;             /* (shown_count): its rows */
    int shown_count;
    const char *choice; /* how they were chosen, or NULL: all */
} canvas;

/* What fills most of the cell from begin_s to end_s, of bars[0..n) that may reach into it. Idle time counts as waiting.
 */
static cell fill_cell(const cb_bar *bars, int64_t n, double begin_s, double end_s) {
    double time_s[CB_FILLS] = {0}, longest_s[CB_FILLS] = {0}, busy_s = 0;
    const cb_bar *longest[CB_FILLS] = {0};
    for (int64_t i = 0; i < n && bars[i].begin_s < end_s; i++) {
        double from_s = bars[i].begin_s > begin_s ? bars[i].begin_s : begin_s;
        double part_s = (bars[i].end_s < end_s ? bars[i].end_s : end_s) - from_s;
        cb_fill fill = bars[i].fill;
        if (part_s <= 0 || fill == CB_FILL_WAIT) continue;
        time_s[fill] += part_s;
        busy_s += part_s;
        if (part_s <= longest_s[fill]) continue;
        longest_s[fill] = part_s;
        longest[fill] = &bars[i];
    }
    time_s[CB_FILL_WAIT] = end_s - begin_s - busy_s;
    cb_fill most = CB_FILL_WAIT;
    for (int fill = 1; fill < CB_FILLS; fill++) {
        /* In favour of work where halves meet, whatever the last bit says. */
        if (time_s[fill] * (most == CB_FILL_WAIT ? 1 + 1e-9 : 1 - 1e-9) > time_s[most]) most = (cb_fill)fill;
    }
    return (cell){.fill = most, .bar = longest[most]};
}

static void fill_line(canvas *c, int row) {
    const cb_bar *bar = c->layout->bars + c->layout->row_begin[row],
                 *end = c->layout->bars + c->layout->row_begin[row + 1];
    for (int i = 0; i < c->cells; i++) {
        double begin_s = c->from_s + c->shown_s * i / c->cells, end_s = c->from_s + c->shown_s * (i + 1) / c->cells;
        while (bar < end && bar->end_s <= begin_s) bar++;
        c->line[i] = fill_cell(bar, end - bar, begin_s, end_s);
    }
}

static char symbol(cell it) {
    const cb_fill_style *style = cb_fill_style_of(it.fill);
    return (char)(style->first + (style->is_numbered && it.bar ? it.bar->micro_batch % 10 : 0));
}

/* A run of cells of one bar: its number in the middle, on its colour. */
static void print_run(const canvas *c, cell it, int width) {
    const cb_fill_style *style = cb_fill_style_of(it.fill);
    if (it.fill == CB_FILL_WAIT) {
        for (int i = 0; i < width; i++) fputc(style->first, c->to);
        return;
    }
    char number[16] = {style->first, 0};
    if (style->is_numbered) snprintf(number, sizeof number, "%d", it.bar->micro_batch);
    int length = (int)strlen(number);
    const char *digits = length > width ? number + length - 1 : number;
    length = (int)strlen(digits);
    int before = (width - length) / 2;
    fprintf(c->to, "\033[%s38;5;16;48;5;%dm%*s%s%*s\033[0m", it.bar->chunk % 2 ? "4;" : "",
            style->shade[it.bar->micro_batch % 2], before, "", digits, width - length - before, "");
}

static void print_coloured(const canvas *c) {
    for (int i = 0, next; i < c->cells; i = next) {
        for (next = i + 1; next < c->cells; next++) {
            if (c->line[next].fill != c->line[i].fill || c->line[next].bar != c->line[i].bar) break;
        }
        print_run(c, c->line[i], next - i);
    }
}

static void print_row(canvas *c, int row) {
    fill_line(c, row);
    fprintf(c->to, "%-*s ", c->label, cb_drawing_row_name(c->layout, row));
    if (c->colour) {
        print_coloured(c);
    } else {
        for (int i = 0; i < c->cells; i++) fputc(symbol(c->line[i]), c->to);
    }
    fputc('\n', c->to);
}

/* On which row the path is, in the middle of each cell. */
static void print_path(const canvas *c) {
    const cb_timeline *timeline = c->layout->timeline;
    int64_t i = 0;
    fprintf(c->to, "%-*s ", c->label, "path");
    for (int k = 0; k < c->cells; k++) {
        double middle_s = c->layout->begin_s + c->from_s + c->shown_s * (k + 0.5) / c->cells;
        while (i < timeline->path_count && timeline->path[i].end_s <= middle_s) i++;
        bool on = i < timeline->path_count && timeline->path[i].begin_s <= middle_s;
        fputc(!on ? ' ' : timeline->path[i].waits ? '.' : '0' + timeline->path[i].row % 10, c->to);
    }
    fputc('\n', c->to);
}

/* Marks, and below them numbers, the last with the unit. */
static cb_err print_axis(const canvas *c) {
    const cb_drawing *layout = c->layout;
    size_t width = (size_t)c->cells + 16;
    char *marks = calloc(2, width), *numbers = marks + width;
    if (!marks) return cb_fail(CB_ENOMEM, "not enough memory for an axis of %d columns", c->cells);
    memset(marks, '-', (size_t)c->cells);
    memset(numbers, ' ', width - 1);
    int pieces = (int)(layout->span_s / c->shown_s + 0.5);
    double tick_s = cb_drawing_tick_s(layout, c->cells * pieces / CELLS_PER_TICK), per_s = c->cells / c->shown_s;
    for (int i = (int)ceil(c->from_s / tick_s - 1e-9);; i++) {
        int at = (int)((i * tick_s - c->from_s) * per_s + 0.5);
        if (at >= c->cells) break;
        marks[at] = '+';
        bool is_last = ((i + 1) * tick_s - c->from_s) * per_s + 0.5 >= c->cells;
        int n = snprintf(numbers + at, width - (size_t)at, is_last ? "%g %s" : "%g", i * tick_s / layout->unit_s,
                         layout->unit);
        if (!is_last) numbers[at + n] = ' ';
    }
    fprintf(c->to, "%*s %s\n%*s %s\n", c->label, "", marks, c->label, "", numbers);
    free(marks);
    return CB_OK;
}

/* Returns how many columns it takes. */
static int print_mark(const canvas *c, cb_fill fill) {
    const cb_fill_style *style = cb_fill_style_of(fill);
    const char *name = cb_drawing_fill_name(c->layout, fill);
    if (c->colour && fill != CB_FILL_WAIT) {
        fprintf(c->to, " \033[38;5;16;48;5;%dm %c \033[0m %s ", style->shade[0], style->is_numbered ? '0' : style->first,
                name);
        return 6 + (int)strlen(name);
    }
    if (style->is_numbered) return fprintf(c->to, " %c-%c %s ", style->first, style->first + 9, name);
    return fprintf(c->to, " %c %s ", style->first, name);
}

/* What the marks are; on a second line what does not fit on the first. */
static void print_legend(const canvas *c) {
    const int width = 100;
    int used = fprintf(c->to, "%*s", c->label, "");
    for (int i = 1; i <= CB_FILLS; i++) {
        int fill = i % CB_FILLS; /* waiting last */
        if (fill != CB_FILL_WAIT && !c->layout->occurs[fill]) continue;
        int length = 8 + (int)strlen(cb_drawing_fill_name(c->layout, (cb_fill)fill));
        if (used + length > width) used = fprintf(c->to, "\n%*s", c->label, "") - 1;
        used += print_mark(c, (cb_fill)fill);
    }
    if (c->colour && c->layout->has_chunks) fputs(" \033[4mlined\033[0m odd chunks", c->to);
    const char *numbers = cb_drawing_numbers(c->layout);
    if (!c->colour && used + (int)strlen(numbers) + 10 > width) fprintf(c->to, "\n%*s", c->label, "");
    if (c->colour)
        fputc('\n', c->to);
    else
        fprintf(c->to, " (%s mod 10)\n", numbers);
}

/* The stage in a row's name "d0 p1 t0", or -1. */
static int stage_of(const char *name) {
    for (const char *p = name; *p; p++) {
        if (*p == 'p' && (p == name || p[-1] == ' ') && p[1] >= '0' && p[1] <= '9') return atoi(p + 1);
    }
    return -1;
}

/* Rows whose stage no row before has. Returns how many, 0 where they are too many or some name has no stage. */
static int choose_stages(const cb_drawing *layout, int shown[MOST_ROWS]) {
    int stages[MOST_ROWS], count = 0;
    for (int row = 0; row < layout->timeline->rows; row++) {
        int stage = stage_of(cb_drawing_row_name(layout, row)), i = 0;
        while (i < count && stages[i] != stage) i++;
        if (i < count) continue;
        if (stage < 0 || count == MOST_ROWS) return 0;
        stages[count] = stage;
        shown[count++] = row;
    }
    return count;
}

static void choose_rows(canvas *c) {
    int rows = c->layout->timeline->rows;
    if (rows > MOST_ROWS) {
        c->shown_count = choose_stages(c->layout, c->shown);
        c->choice = c->shown_count > 0 ? "the first of each stage" : "evenly spaced";
    }
    if (c->shown_count > 0) return;
    c->shown_count = rows < MOST_ROWS ? rows : MOST_ROWS;
    for (int i = 0; i < c->shown_count; i++) c->shown[i] = (int)((int64_t)i * rows / c->shown_count);
}

static cb_err print_all(canvas *c) {
    const cb_timeline *timeline = c->layout->timeline;
    char summary[64];
    choose_rows(c);
    fprintf(c->to, "%s: %s", timeline->title, cb_drawing_summary(c->layout, summary));
    if (c->choice) fprintf(c->to, " (%d of %d rows: %s)", c->shown_count, timeline->rows, c->choice);
    fputc('\n', c->to);
    int pieces = timeline->pieces > 1 ? timeline->pieces : 1;
    c->shown_s = c->layout->span_s / pieces;
    for (int piece = 0; piece < pieces; piece++) {
        c->from_s = piece * c->shown_s;
        for (int i = 0; i < c->shown_count; i++) print_row(c, c->shown[i]);
        if (timeline->path_count) print_path(c);
        TRY(print_axis(c));
    }
    print_legend(c);
    return fflush(c->to) || ferror(c->to) ? cb_fail(CB_EIO, "timeline '%s': writing its text failed", timeline->title)
                                          : CB_OK;
}

cb_err cb_timeline_text(const cb_timeline *timeline, int columns, bool colour, FILE *to) {
    cb_drawing layout;
    int shown[MOST_ROWS];
    TRY(cb_drawing_make(&layout, timeline));
    canvas c = {
        .layout = &layout, .to = to, .colour = colour, .label = cb_drawing_longest_name(&layout), .shown = shown};
    if (timeline->path_count && c.label < 4) c.label = 4;
    c.cells = columns - c.label - 1 > LEAST_CELLS ? columns - c.label - 1 : LEAST_CELLS;
    c.line = malloc((size_t)c.cells * sizeof *c.line);
    cb_err e = c.line ? print_all(&c) : cb_fail(CB_ENOMEM, "not enough memory for a line of %d columns", columns);
    free(c.line);
    cb_drawing_free(&layout);
    return e;
}
