/* Time and bus bandwidth against size, log-log, a pair of panels for each operation: a line for each algorithm or
 * library with a point for each size, the model dotted where it leaves the line, and a mark where the fastest changes.
 */
#include <math.h>
#include <string.h>

#include "base/os.h"
#include "cli/comm_report.h"
#include "cli/svg.h"

enum {
    LEFT = 74,
    TOP = 58,
    PANEL_WIDTH = 400,
    PANEL_HEIGHT = 300,
    GAP = 84,
    LEGEND_WIDTH = 228,
    BELOW = 62,
    MOST_LINES = CB_COMM_MOST_ENTRIES + CB_COMM_MOST_PEERS,
    LABEL_ROOM = 46 /* of a crossover's size */
};
static const double model_near = 0.1; /* a model this near to what was measured is not drawn beside it */

/* A line of the picture: rows of `sizes` rows. */
typedef struct series {
    const cb_comm_row *row;
    char name[80];
} series;

typedef struct panel {
    const cb_comm_report *r;
    FILE *to;
    double left, top;
    double x[2], y[2]; /* logarithms at the ends of the axes */
    bool bandwidth;
} panel;

static double value(const panel *p, const cb_comm_row *row) {
    if (!p->bandwidth) return cb_comm_row_time_s(row) * 1e6;
    return cb_comm_algbw(row) * cb_comm_bus_factor(row->kind, p->r->ranks) * 1e-9;
}

static bool is_measured(const panel *p, const cb_comm_row *row) {
    return row->rounds && value(p, row) > 0;
}

static double x_of(const panel *p, double bytes) {
    return p->left + PANEL_WIDTH * (log(bytes) - p->x[0]) / (p->x[1] - p->x[0]);
}

static double y_of(const panel *p, double v) {
    return p->top + PANEL_HEIGHT * (1 - (log(v) - p->y[0]) / (p->y[1] - p->y[0]));
}

static int find_series(const cb_comm_report *r, int kind, series s[MOST_LINES]) {
    int n = 0;
    for (int e = 0; e < r->plan.entries; e++) {
        const cb_comm_entry *entry = &r->plan.entry[e];
        if (entry->kind != r->kind[kind]) continue;
        s[n].row = cb_comm_report_own(r, e, 0);
        if (entry->native)
            snprintf(s[n++].name, sizeof s->name, "%s's own", r->found.library);
        else
            snprintf(s[n++].name, sizeof s->name, "%s", entry->algorithm ? entry->algorithm->name : "as chosen");
    }
    for (int peer = 0; peer < r->peers; peer++) {
        s[n].row = cb_comm_report_of_peer(r, peer, kind, 0);
        snprintf(s[n++].name, sizeof s->name, "%s's own", r->peer[peer]);
    }
    return n;
}

/* The axes hold all values; whole decades upwards. */
static void scale(panel *p, const series *s, int n) {
    double low = INFINITY, high = 0, least = INFINITY, most = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < p->r->plan.sizes; k++) {
            const cb_comm_row *row = &s[i].row[k];
            double v = row->rounds ? value(p, row) : 0;
            if (v <= 0) continue;
            low = fmin(low, v);
            high = fmax(high, v);
            least = fmin(least, (double)row->bytes);
            most = fmax(most, (double)row->bytes);
        }
    if (high == 0) low = high = least = most = 1;
    p->x[0] = log(least) - 0.2;
    p->x[1] = log(most) + 0.2;
    p->y[0] = log(pow(10, floor(log10(low) + 1e-9)));
    p->y[1] = log(pow(10, ceil(log10(high) - 1e-9)));
    if (p->y[1] <= p->y[0]) p->y[1] = p->y[0] + log(10);
}

/* "8", "64", "4K", "2M" */
static char *size_text(double bytes, char out[24]) {
    static const char units[] = " KMG";
    int unit = 0;
    while (bytes >= 1024 && unit < 3) bytes /= 1024, unit++;
    snprintf(out, 24, unit ? "%.*g%c" : "%.*g", bytes < 100 ? 2 : 3, bytes, units[unit]);
    return out;
}

static void draw_axes(const panel *p) {
    char text[24];
    static const char thin[] = "stroke-width=\"1\"";
    for (double v = exp(p->y[0]); v <= exp(p->y[1]) * 1.001; v *= 10) {
        double y = y_of(p, v);
        cb_svg_line(p->to, p->left, y, p->left + PANEL_WIDTH, y, "#d5dbe1", thin);
        snprintf(text, sizeof text, "%g", v > 0.999 ? round(v) : v);
        cb_svg_text(p->to, "s", 'e', p->left - 7, y + 4, text);
        for (int k = 2; k < 10 && v * k < exp(p->y[1]); k++)
            cb_svg_line(p->to, p->left, y_of(p, v * k), p->left + PANEL_WIDTH, y_of(p, v * k), "#f0f2f5", thin);
    }
    int doublings = (int)((p->x[1] - p->x[0]) / log(2)), step = doublings > 12 ? 3 : doublings > 7 ? 2 : 1;
    for (int k = (int)ceil(p->x[0] / log(2)); k * log(2) <= p->x[1]; k++) {
        double x = x_of(p, exp2(k));
        if (k % step) continue;
        cb_svg_line(p->to, x, p->top, x, p->top + PANEL_HEIGHT, "#eceff2", thin);
        cb_svg_text(p->to, "s", 'm', x, p->top + PANEL_HEIGHT + 16, size_text(exp2(k), text));
    }
    fprintf(p->to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#8a96a3\"/>\n",
            p->left, p->top, PANEL_WIDTH, PANEL_HEIGHT);
    cb_svg_text(p->to, "s", 'm', p->left + PANEL_WIDTH / 2.0, p->top + PANEL_HEIGHT + 34, "size, bytes");
    cb_svg_text(p->to, "", 's', p->left, p->top - 10, p->bandwidth ? "bus bandwidth, GB/s" : "time, us");
}

/* A point for each size that was measured, and the line through them. */
static void draw_line(const panel *p, const series *s, int colour) {
    int points = 0;
    fprintf(
        p->to,
        "<g fill=\"%s\">\n<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\" points=\"",
        cb_svg_colour(colour), cb_svg_colour(colour));
    for (int k = 0; k < p->r->plan.sizes; k++) {
        if (!is_measured(p, &s->row[k])) continue;
        fprintf(p->to, "%.1f,%.1f ", x_of(p, (double)s->row[k].bytes), y_of(p, value(p, &s->row[k])));
        points++;
    }
    fputs("\"/>\n", p->to);
    for (int k = 0; k < p->r->plan.sizes; k++)
        if (is_measured(p, &s->row[k]))
            fprintf(p->to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>\n", x_of(p, (double)s->row[k].bytes),
                    y_of(p, value(p, &s->row[k])), points == 1 ? "3" : "2.4");
    fputs("</g>\n", p->to);
}

/* Where the model leaves the line: it is drawn from the point before to the point behind. */
static bool leaves(const cb_comm_row *row) {
    return row->rounds && row->predicted_s > 0 && fabs(row->predicted_s / cb_comm_row_time_s(row) - 1) > model_near;
}

/* false: none, or beyond the axis. */
static bool predicted(const panel *p, const cb_comm_row *row, double *v) {
    if (!is_measured(p, row) || row->predicted_s <= 0) return false;
    *v = p->bandwidth ? value(p, row) * cb_comm_row_time_s(row) / row->predicted_s : row->predicted_s * 1e6;
    return log(*v) >= p->y[0] && log(*v) <= p->y[1];
}

/* How many parts. */
static int draw_model(const panel *p, const series *s, int colour) {
    int parts = 0;
    double a, b;
    for (int k = 1; k < p->r->plan.sizes; k++) {
        const cb_comm_row *from = &s->row[k - 1], *to = &s->row[k];
        if ((!leaves(from) && !leaves(to)) || !predicted(p, from, &a) || !predicted(p, to, &b)) continue;
        cb_svg_line(p->to, x_of(p, (double)from->bytes), y_of(p, a), x_of(p, (double)to->bytes), y_of(p, b),
                    cb_svg_colour(colour), "stroke-width=\"1\" stroke-dasharray=\"1.5 3\"");
        parts++;
    }
    return parts;
}

static int fastest(const panel *p, const series *s, int n, int size) {
    int best = -1;
    for (int i = 0; i < n; i++) {
        double t = s[i].row[size].rounds ? cb_comm_row_time_s(&s[i].row[size]) : 0;
        if (t > 0 && (best < 0 || t < cb_comm_row_time_s(&s[best].row[size]))) best = i;
    }
    (void)p;
    return best;
}

/* Where line a, the fastest at one size, meets line b, the fastest at the next: between them, as lines are drawn. */
static bool meeting_point(const cb_comm_row a[2], const cb_comm_row b[2], double *bytes, double *time_us) {
    double a0 = log(cb_comm_row_time_s(&a[0])), a1 = log(cb_comm_row_time_s(&a[1])),
           b0 = log(cb_comm_row_time_s(&b[0])), b1 = log(cb_comm_row_time_s(&b[1])), closing = (b0 - a0) - (b1 - a1);
    if (!a[1].rounds || !b[0].rounds || closing <= 0) return false;
    double share = (b0 - a0) / closing;
    *bytes = exp((1 - share) * log((double)a[0].bytes) + share * log((double)a[1].bytes));
    *time_us = exp((1 - share) * a0 + share * a1) * 1e6;
    return share >= 0 && share <= 1;
}

/* How many. */
static int draw_crossovers(const panel *p, const series *s, int n) {
    double last_x = -1e9, bytes, time_us;
    int drawn = 0;
    for (int k = 1; k < p->r->plan.sizes; k++) {
        int a = fastest(p, s, n, k - 1), b = fastest(p, s, n, k);
        if (a < 0 || b < 0 || a == b || !meeting_point(&s[a].row[k - 1], &s[b].row[k - 1], &bytes, &time_us)) continue;
        double x = x_of(p, bytes), y = y_of(p, time_us);
        drawn++;
        char text[24];
        fprintf(
            p->to,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" fill=\"#ffffff\" stroke=\"#24303c\" stroke-width=\"1.5\"/>\n", x,
            y);
        if (x - last_x < LABEL_ROOM) continue; /* its size would lie over another's */
        last_x = x;
        cb_svg_line(p->to, x, y + 5, x, p->top + PANEL_HEIGHT - 14, "#8a96a3",
                    "stroke-width=\"1\" stroke-dasharray=\"2 3\"");
        cb_svg_text(p->to, "s", 'm', x, p->top + PANEL_HEIGHT - 4, size_text(bytes, text));
    }
    return drawn;
}

static bool has_model(const panel *p, const series *s, int n) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k < p->r->plan.sizes; k++)
            if (s[i].row[k].rounds && s[i].row[k].predicted_s > 0) return true;
    return false;
}

/* Of what is drawn only. modelled: parts of models. */
static void draw_legend(const panel *p, const series *s, int n, double x, int modelled, bool crossovers) {
    double y = p->top + 8;
    for (int i = 0; i < n; i++, y += 19) {
        cb_svg_line(p->to, x, y, x + 24, y, cb_svg_colour(i), "stroke-width=\"2\"");
        fprintf(p->to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\" fill=\"%s\"/>\n", x + 12, y, cb_svg_colour(i));
        cb_svg_text(p->to, "", 's', x + 31, y + 4, s[i].name);
    }
    if (has_model(p, s, n)) {
        if (modelled)
            cb_svg_line(p->to, x, y + 6, x + 24, y + 6, "#5b6875", "stroke-width=\"1\" stroke-dasharray=\"1.5 3\"");
        cb_svg_text(p->to, "s", 's', x + 31, y + 10,
                    modelled ? "the model, where it is 10% off" : "the model is within 10%");
        y += 19;
    }
    if (!crossovers) return;
    fprintf(p->to,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" fill=\"#ffffff\" stroke=\"#24303c\" stroke-width=\"1.5\"/>\n",
            x + 12, y + 6);
    cb_svg_text(p->to, "s", 's', x + 31, y + 10, "another is the fastest from here");
}

static void draw_kind(const cb_comm_report *r, int kind, double top, FILE *to) {
    series s[MOST_LINES];
    char title[128];
    int n = find_series(r, kind, s), crossovers = 0, modelled = 0;
    snprintf(title, sizeof title, "%s of %s over %d ranks, %s, %d cores", cb_kind_name(r->kind[kind]),
             cb_type_name(r->plan.type), r->ranks, r->plan.launch.backend, r->found.cores);
    cb_svg_text(to, "h", 's', LEFT, top + 24, title);
    for (int i = 0; i < 2; i++) {
        panel p = {.r = r, .to = to, .left = LEFT + i * (PANEL_WIDTH + GAP), .top = top + TOP, .bandwidth = i == 1};
        scale(&p, s, n);
        draw_axes(&p);
        for (int k = 0; k < n; k++) draw_line(&p, &s[k], k);
        for (int k = 0; k < n; k++) modelled += draw_model(&p, &s[k], k);
        if (i == 0) crossovers = draw_crossovers(&p, s, n);
        if (i == 1) draw_legend(&p, s, n, p.left + PANEL_WIDTH + 22, modelled, crossovers > 0);
    }
}

static double height_of(const cb_comm_report *r, int kind) {
    series s[MOST_LINES];
    double legend = 8 + 19.0 * find_series(r, kind, s) + 40;
    return TOP + (legend > PANEL_HEIGHT ? legend : PANEL_HEIGHT) + BELOW;
}

cb_err cb_comm_report_plot(FILE *to, const void *report) {
    const cb_comm_report *r = report;
    double height = 0, top = 0;
    for (int kind = 0; kind < r->kinds; kind++) height += height_of(r, kind);
    cb_svg_begin(to, LEFT + 2 * PANEL_WIDTH + GAP + 22 + LEGEND_WIDTH, height);
    for (int kind = 0; kind < r->kinds; kind++) {
        draw_kind(r, kind, top, to);
        top += height_of(r, kind);
    }
    cb_svg_end(to);
    return CB_OK;
}
