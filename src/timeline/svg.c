/* Timelines as standalone SVG: no scripts, no fonts of its own, light background. Written from a few primitives (rect,
 * line, text, title), in pixels; the viewBox lets it scale. See timeline.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "timeline/layout.h"

enum {
    MARGIN = 20,
    TITLE_HEIGHT = 46,
    AXIS_HEIGHT = 34,
    LEGEND_HEIGHT = 26,
    NOTE_HEIGHT = 18,
    PIXELS_PER_TICK = 100,
    MOST_WIDTH = 7500,
    MOST_HINTS = 20000
};

typedef struct picture {
    const cb_drawing *layout;
    FILE *to;
    double left, top, width, row_height, bar_height; /* of the plot */
    double height;                                   /* of all of it */
    bool hints;                                      /* each bar tells its times when pointed at */
} picture;

static const char style[] =
    "text{font-family:'Inter','Helvetica Neue',Helvetica,Arial,'DejaVu Sans',sans-serif;fill:#24303c;font-size:12px}"
    ".h{font-size:15px;font-weight:600}.s{fill:#5b6875}.r{text-anchor:end}.m{text-anchor:middle}"
    ".n{text-anchor:middle;font-size:11px}.t{fill:#f5f7f9}.g{stroke:#d5dbe1;stroke-width:1}";

/* Text as XML wants it; control characters, which XML 1.0 does not allow, are left out. */
static void put_escaped(FILE *to, const char *text) {
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '&':
            fputs("&amp;", to);
            break;
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        default:
            if ((unsigned char)*p >= 32) fputc(*p, to);
        }
    }
}

static void put_text(const picture *p, const char *class, double x, double y, const char *text) {
    fprintf(p->to, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    put_escaped(p->to, text);
    fputs("</text>\n", p->to);
}

static void put_rect(const picture *p, const char *class, double x, double y, double width, double height) {
    fprintf(p->to, "<rect class=\"%s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"", class, x, y, width,
            height);
}

static void put_number(const picture *p, const char *class, double x, double y, double value) {
    char text[32];
    snprintf(text, sizeof text, "%g", value);
    put_text(p, class, x, y, text);
}

static const char *class_of(cb_fill fill) {
    static const char *const classes[CB_FILLS] = {
        [CB_FILL_WAIT] = "fw", [CB_FILL_F] = "ff",      [CB_FILL_B] = "fb",
        [CB_FILL_W] = "fg",    [CB_FILL_REDUCE] = "fr", [CB_FILL_STEP] = "fs",
        [CB_FILL_GATHER] = "fh", [CB_FILL_SCATTER] = "fk",
    };
    return classes[fill];
}

/* A colour that no training step has stands only in pictures that use it. */
static bool needs_style(const picture *pictures, int count, cb_fill fill) {
    bool occurs = fill != CB_FILL_GATHER && fill != CB_FILL_SCATTER;
    for (int i = 0; i < count && !occurs; i++) occurs = pictures[i].layout->occurs[fill];
    return occurs && fill != CB_FILL_WAIT;
}

/* Waiting is hatched, so that it is told from the pale ground of time without any instruction. */
static void put_style(const picture *p, int count) {
    fprintf(p->to, "<style>%s", style);
    for (int fill = 0; fill < CB_FILLS; fill++) {
        if (!needs_style(p, count, (cb_fill)fill)) continue;
        fprintf(p->to, ".%s{fill:%s}", class_of((cb_fill)fill), cb_fill_style_of((cb_fill)fill)->colour);
    }
    fprintf(p->to, ".%s{fill:url(#wait)}</style>\n", class_of(CB_FILL_WAIT));
    fprintf(p->to,
            "<defs><pattern id=\"wait\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
            "patternTransform=\"rotate(45)\"><rect width=\"2\" height=\"6\" fill=\"%s\"/></pattern></defs>\n",
            cb_fill_style_of(CB_FILL_WAIT)->colour);
}

static double x_of(const picture *p, double time_s) {
    return p->left + time_s / p->layout->span_s * p->width;
}

static double y_of(const picture *p, int row) {
    return p->top + row * p->row_height;
}

static void put_hint(const picture *p, const cb_bar *bar) {
    static const char *const words[CB_INSTR_KINDS] = {
        "F", "B", "W", "receive F", "send F", "receive B", "send B", "tied embedding", "gradients", "optimizer"};
    double unit_s = p->layout->unit_s;
    bool training = !p->layout->timeline->words;
    fprintf(p->to, "><title>%s", training ? words[bar->kind] : cb_drawing_fill_name(p->layout, bar->fill));
    if (cb_drawing_has_number(p->layout, bar->kind)) fprintf(p->to, " %d", bar->micro_batch);
    if (bar->chunk > 0) fprintf(p->to, ".%d", bar->chunk);
    fprintf(p->to, ": %.6g to %.6g %s</title></rect>\n", bar->begin_s / unit_s, bar->end_s / unit_s, p->layout->unit);
}

/* What a bar needs to show its microbatch's number. */
static double number_width(int micro_batch) {
    return 2 + 6.4 * (1 + (micro_batch > 9) + (micro_batch > 99) + (micro_batch > 999));
}

static void put_bar(const picture *p, const cb_bar *bar) {
    const cb_fill_style *fill = cb_fill_style_of(bar->fill);
    double x = x_of(p, bar->begin_s), width = x_of(p, bar->end_s) - x, y = y_of(p, bar->row);
    if (width < (bar->fill == CB_FILL_WAIT ? 0.5 : 0.05)) return;
    double gap = bar->fill == CB_FILL_WAIT ? 0 : width >= 4 ? 1 : 0.15 * width; /* between neighbours */
    put_rect(p, class_of(bar->fill), x + gap / 2, y, width - gap, p->bar_height);
    if (width >= 4 && bar->fill != CB_FILL_WAIT) fputs(" rx=\"2\"", p->to);
    if (bar->chunk % 2 == 1 && bar->fill != CB_FILL_WAIT) fputs(" fill-opacity=\"0.55\"", p->to);
    if (p->hints) {
        put_hint(p, bar);
    } else {
        fputs("/>\n", p->to);
    }
    if (!fill->is_numbered || p->bar_height < 12) return;
    char number[16];
    snprintf(number, sizeof number, "%d", bar->micro_batch);
    if (width >= number_width(bar->micro_batch)) put_text(p, "n", x + width / 2, y + p->bar_height / 2 + 4, number);
}

/* The ground of each row, which the axis's lines are drawn on. */
static void put_ground(const picture *p) {
    for (int row = 0; row < p->layout->timeline->rows; row++) {
        put_text(p, "r", p->left - 10, y_of(p, row) + p->bar_height / 2 + 4, cb_drawing_row_name(p->layout, row));
        put_rect(p, "t", p->left, y_of(p, row), p->width, p->bar_height);
        fputs("/>\n", p->to);
    }
}

static void put_bars(const picture *p) {
    for (int64_t i = 0; i < p->layout->timeline->count; i++) put_bar(p, &p->layout->bars[i]);
}

static void put_axis(const picture *p) {
    const cb_drawing *layout = p->layout;
    double y = y_of(p, layout->timeline->rows), tick_s = cb_drawing_tick_s(layout, (int)(p->width / PIXELS_PER_TICK));
    for (int i = 0; i * tick_s <= layout->span_s * (1 + 1e-9); i++) {
        double x = x_of(p, i * tick_s);
        fprintf(p->to, "<line class=\"g\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x, p->top - 4, x,
                y + 4);
        put_number(p, "s m", x, y + 19, i * tick_s / layout->unit_s);
    }
    put_text(p, "s r", p->left - 10, y + 19, layout->unit);
}

static void put_legend(const picture *p) {
    double x = p->left, y = y_of(p, p->layout->timeline->rows) + AXIS_HEIGHT;
    for (int i = 1; i <= CB_FILLS; i++) {
        cb_fill fill = (cb_fill)(i % CB_FILLS); /* waiting last */
        if (!p->layout->occurs[fill]) continue;
        put_rect(p, "t", x, y, 14, 14); /* the ground shows through the hatching */
        fputs("/>\n", p->to);
        put_rect(p, class_of(fill), x, y, 14, 14);
        fputs(" rx=\"2\"/>\n", p->to);
        put_text(p, "s", x + 20, y + 11, cb_drawing_fill_name(p->layout, fill));
        x += 20 + 6.6 * (double)strlen(cb_drawing_fill_name(p->layout, fill)) + 20;
    }
    if (p->layout->has_chunks) put_text(p, "s", x, y + 11, "paler: odd chunks");
}

static int note_lines(const cb_timeline *timeline) {
    int lines = 0;
    for (const char *at = timeline->words ? timeline->words->note : NULL; at && *at; at += at[strcspn(at, "\n")] == '\n') {
        at += strcspn(at, "\n");
        lines++;
    }
    return lines;
}

static void put_note(const picture *p) {
    double y = y_of(p, p->layout->timeline->rows) + AXIS_HEIGHT + LEGEND_HEIGHT + 10;
    const char *note = p->layout->timeline->words ? p->layout->timeline->words->note : NULL;
    char line[256];
    for (int i = note_lines(p->layout->timeline); i > 0; i--, y += NOTE_HEIGHT) {
        size_t length = strcspn(note, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, note);
        put_text(p, "s", p->left, y, line);
        note += length + 1;
    }
}

/* As wide as the numbers need in bars of the shortest kind's mean length; where that is more than 64 microbatches on 16
 * stages take, numbers get lost and the picture stays a picture. */
static double wanted_width(const cb_drawing *layout) {
    double sum_s[CB_FILLS] = {0}, shortest_s = INFINITY;
    int64_t bars[CB_FILLS] = {0};
    int largest = 0;
    for (int64_t i = 0; i < layout->row_begin[layout->timeline->rows]; i++) {
        const cb_bar *bar = &layout->bars[i];
        if (!cb_fill_style_of(bar->fill)->is_numbered) continue;
        sum_s[bar->fill] += bar->end_s - bar->begin_s;
        bars[bar->fill]++;
        if (bar->micro_batch > largest) largest = bar->micro_batch;
    }
    for (int fill = 0; fill < CB_FILLS; fill++) {
        if (sum_s[fill] > 0) shortest_s = fmin(shortest_s, sum_s[fill] / (double)bars[fill]);
    }
    double wanted = layout->span_s / shortest_s * (number_width(largest) + 2);
    return wanted < 900 ? 900 : wanted > MOST_WIDTH ? 1800 : wanted;
}

/* label: characters of the longest name of a row. */
static void set_sizes(picture *p, double width, int label) {
    int rows = p->layout->timeline->rows;
    p->width = width;
    p->row_height = rows <= 24 ? 30 : rows <= 64 ? 20 : 14;
    p->bar_height = p->row_height - (rows <= 24 ? 6 : 2);
    p->left = MARGIN + 7 * label + 10;
    p->top = MARGIN + TITLE_HEIGHT;
    p->height = y_of(p, rows) + AXIS_HEIGHT + LEGEND_HEIGHT + NOTE_HEIGHT * note_lines(p->layout->timeline) + MARGIN / 2;
    p->hints = p->layout->timeline->count <= MOST_HINTS;
}

/* A line below the bars of the path's rows, and from row to row. */
static void put_path(const picture *p) {
    const cb_timeline *timeline = p->layout->timeline;
    if (!timeline->path_count) return;
    fputs("<path fill=\"none\" stroke=\"#b3202c\" stroke-width=\"2\" stroke-linejoin=\"round\" d=\"", p->to);
    for (int64_t i = 0; i < timeline->path_count; i++) {
        const cb_path_part *part = &timeline->path[i];
        double y = y_of(p, part->row) + p->bar_height + 1;
        fprintf(p->to, "%c%.2f %.1fL%.2f %.1f", i ? 'L' : 'M', x_of(p, part->begin_s - p->layout->begin_s), y,
                x_of(p, part->end_s - p->layout->begin_s), y);
    }
    fputs("\"/>\n", p->to);
    put_text(p, "s", p->left + p->width - 150, MARGIN + 31, "red: the critical path");
}

static void put_picture(const picture *p) {
    char summary[64];
    put_text(p, "h", p->left, MARGIN + 12, p->layout->timeline->title);
    put_text(p, "s", p->left, MARGIN + 31, cb_drawing_summary(p->layout, summary));
    put_ground(p);
    put_axis(p);
    put_bars(p);
    put_path(p);
    put_legend(p);
    put_note(p);
}

static void put_all(const picture *pictures, int count, FILE *to) {
    double width = pictures[0].left + pictures[0].width + MARGIN, height = 0;
    for (int i = 0; i < count; i++) height += pictures[i].height;
    fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n",
            width, height, width, height);
    put_style(pictures, count);
    fprintf(to, "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
    double y = 0;
    for (int i = 0; i < count; y += pictures[i++].height) {
        if (i) fprintf(to, "<g transform=\"translate(0 %.0f)\">\n", y);
        put_picture(&pictures[i]);
        if (i) fputs("</g>\n", to);
    }
    fputs("</svg>\n", to);
}

static cb_err draw(const cb_timeline *timelines, int count, cb_drawing *drawings, picture *pictures, FILE *to) {
    double width = 0;
    int label = 0;
    for (int i = 0; i < count; i++) {
        TRY(cb_drawing_make(&drawings[i], &timelines[i]));
        width = fmax(width, wanted_width(&drawings[i]));
        int longest = cb_drawing_longest_name(&drawings[i]);
        if (longest > label) label = longest;
    }
    for (int i = 0; i < count; i++) {
        pictures[i] = (picture){.layout = &drawings[i], .to = to};
        set_sizes(&pictures[i], width, label);
    }
    put_all(pictures, count, to);
    if (!fflush(to) && !ferror(to)) return CB_OK;
    return cb_fail(CB_EIO, "timeline '%s': writing its SVG failed", timelines[0].title);
}

cb_err cb_timelines_svg(const cb_timeline *timelines, int count, FILE *to) {
    cb_drawing *drawings = calloc((size_t)count, sizeof *drawings);
    picture *pictures = calloc((size_t)count, sizeof *pictures);
    cb_err e = drawings && pictures ? draw(timelines, count, drawings, pictures, to)
                                    : cb_fail(CB_ENOMEM, "not enough memory to draw %d timelines", count);
    for (int i = 0; drawings && i < count; i++) cb_drawing_free(&drawings[i]);
    free(drawings);
    free(pictures);
    return e;
}

cb_err cb_timeline_svg(const cb_timeline *timeline, FILE *to) {
    return cb_timelines_svg(timeline, 1, to);
}
