/* Pictures of algorithms, drawn from the steps that are run: a column for each round, a line for each rank, an arrow
 * for each message, in the colour of its first block. See comm_draw.h. */
#include "cli/comm_draw.h"

#include <math.h>
#include <string.h>

#include "cli/svg.h"
#include "collectives/terms.h"

enum { NAMES = 66, TOP = 74, ROW = 40, LETTER = 7, FEW_LABELS = 3 };

typedef struct picture {
    const cb_drawn *d;
    FILE *to;
    int rounds, blocks;
    double column, flight; /* widths: of a round, and of that its arrows */
    cb_step steps[CB_DRAW_MOST_RANKS];
} picture;

static cb_shape shape_of(const cb_drawn *d, int me) {
    return (cb_shape){.size = d->ranks, .me = me, .count = d->count};
}

cb_err cb_comm_draw_check(const cb_drawn *d) {
    int rows;
    const cb_algorithm *all = cb_algorithms(&rows);
    char names[256] = "";
    if (!d->algorithm->pattern) {
        for (int i = 0; i < rows; i++) {
            size_t used = strlen(names);
            if (all[i].kind == d->algorithm->kind && all[i].pattern)
                snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", all[i].name);
        }
        return cb_fail(CB_EUSAGE, "--draw: %s by '%s' sends no messages that could be drawn; these do: %s",
                       cb_kind_name(d->algorithm->kind), d->algorithm->name, names);
    }
    if (d->ranks < 2 || d->ranks > CB_DRAW_MOST_RANKS)
        return cb_fail(CB_EUSAGE, "--draw: %d ranks; 2 to %d can be drawn", d->ranks, CB_DRAW_MOST_RANKS);
    cb_shape shape = shape_of(d, 0);
    int rounds = d->algorithm->pattern->rounds(&shape);
    if (rounds <= CB_DRAW_MOST_ROUNDS) return CB_OK;
    return cb_fail(CB_EUSAGE, "--draw: %d rounds; up to %d can be drawn, so take fewer ranks", rounds,
                   CB_DRAW_MOST_ROUNDS);
}

static double y_of(int rank) {
    return TOP + ROW * (rank + 0.5);
}

/* Where a round's arrows begin; their labels stand before. */
static double x_of(const picture *p, int round) {
    return NAMES + p->column * (round + 1) - p->flight - 8;
}

/* "3", "2-5", "all", and of ranges with gaps "1,3,5,7". */
static void blocks_text(const picture *p, const cb_blocks *b, char out[48]) {
    bool whole = b->span >= p->blocks && b->run >= b->span;
    size_t used = 0;
    out[0] = '\0';
    if (whole && p->blocks > 1) snprintf(out, 48, "all");
    if (whole) return;
    for (int i = 0; i < b->span && used < 40; i += b->stride) {
        int run = b->span - i < b->run ? b->span - i : b->run, first = cb_modulo(b->first + i, p->blocks);
        used += (size_t)snprintf(out + used, 48 - used, run > 1 ? "%s%d-%d" : "%s%d", used ? "," : "", first,
                                 cb_modulo(first + run - 1, p->blocks));
    }
}

static bool adds(const picture *p, int receiver, int sender, int round) {
    cb_step steps[CB_DRAW_MOST_RANKS];
    cb_shape shape = shape_of(p->d, receiver);
    int n = p->d->algorithm->pattern->steps(&shape, round, steps);
    for (int i = 0; i < n; i++)
        if (steps[i].from == sender) return steps[i].combine == CB_ADD || steps[i].combine == CB_TREE;
    return false;
}

/* An arrow; its head is full where the receiver reduces. */
static void draw_message(const picture *p, int round, int from, const cb_step *step, bool labelled) {
    double x1 = x_of(p, round), x2 = x1 + p->flight, y1 = y_of(from), y2 = y_of(step->to), dx = x2 - x1, dy = y2 - y1;
    double length = sqrt(dx * dx + dy * dy), ux = dx / length, uy = dy / length, bx = x2 - 9 * ux, by = y2 - 9 * uy;
    const char *colour = cb_svg_colour(cb_modulo(step->send.first, p->blocks));
    char text[48];
    cb_svg_line(p->to, x1, y1, bx, by, colour, "stroke-width=\"1.5\"");
    fprintf(p->to, "<polygon points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\" fill=\"%s\" stroke=\"%s\"/>\n", x2, y2,
            bx - 4 * uy, by + 4 * ux, bx + 4 * uy, by - 4 * ux, adds(p, step->to, from, round) ? colour : "#ffffff",
            colour);
    if (!labelled) return;
    blocks_text(p, &step->send, text);
    cb_svg_text(p->to, "s", 'e', x1 - 4, y1 + (dy > 0 ? 13 : -5), text);
}

static int most_sends(picture *p, int round) {
    int most = 0;
    for (int me = 0; me < p->d->ranks; me++) {
        cb_shape shape = shape_of(p->d, me);
        int sends = 0, n = p->d->algorithm->pattern->steps(&shape, round, p->steps);
        for (int i = 0; i < n; i++) sends += p->steps[i].to >= 0;
        if (sends > most) most = sends;
    }
    return most;
}

/* Room for the longest label; few rounds are drawn wide. */
static void lay_out(picture *p) {
    size_t longest = 0;
    char text[48];
    for (int round = 0; round < p->rounds; round++) {
        if (most_sends(p, round) > FEW_LABELS) continue;
        for (int me = 0; me < p->d->ranks; me++) {
            cb_shape shape = shape_of(p->d, me);
            int n = p->d->algorithm->pattern->steps(&shape, round, p->steps);
            for (int i = 0; i < n; i++) {
                if (p->steps[i].to < 0) continue;
                blocks_text(p, &p->steps[i].send, text);
                if (strlen(text) > longest) longest = strlen(text);
            }
        }
    }
    p->flight = p->rounds <= 3 ? 140 : 50;
    p->column = p->flight + 24 + LETTER * (double)longest;
}

static void draw_round(picture *p, int round) {
    char text[24];
    bool labelled = most_sends(p, round) <= FEW_LABELS;
    snprintf(text, sizeof text, "round %d", round + 1);
    cb_svg_text(p->to, "s", 'm', x_of(p, round) + p->flight / 2, TOP - 8, text);
    for (int me = 0; me < p->d->ranks; me++) {
        cb_shape shape = shape_of(p->d, me);
        int up = 0, down = 0, n = p->d->algorithm->pattern->steps(&shape, round, p->steps);
        for (int i = 0; i < n; i++) {
            const cb_step *s = &p->steps[i];
            if (s->to < 0) continue;
            int *seen = s->to > me ? &down : &up; /* a label for each direction */
            draw_message(p, round, me, s, labelled && (*seen)++ == 0);
        }
        fprintf(p->to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\" fill=\"#24303c\"/>\n", x_of(p, round), y_of(me));
    }
}

static void draw_text(const picture *p, double y) {
    const cb_drawn *d = p->d;
    cb_step steps[CB_DRAW_MOST_RANKS];
    char text[200];
    cb_terms t = cb_algorithm_terms(d->algorithm, d->ranks, d->count, CB_F32, d->ranks, steps);
    double whole =
        (double)cb_pattern_elements(d->algorithm->pattern, &(cb_shape){.size = d->ranks, .count = d->count}) * 4;
    snprintf(text, sizeof text, "%s by %s over %d ranks", cb_kind_name(d->algorithm->kind), d->algorithm->name,
             d->ranks);
    cb_svg_text(p->to, "h", 's', 20, 26, text);
    snprintf(text, sizeof text,
             "%d round%s; data in %d block%s; on the longest way %.4g message%s, %.3g times the data sent, %.3g times "
             "reduced",
             p->rounds, p->rounds == 1 ? "" : "s", p->blocks, p->blocks == 1 ? "" : "s", t.messages,
             t.messages == 1 ? "" : "s", t.sent_bytes / whole, t.reduced_bytes / whole);
    cb_svg_text(p->to, "s", 's', 20, 45, text);
    cb_svg_text(p->to, "s", 's', 20, y,
                "numbers: the blocks sent; full heads: reduced with what is there, empty: put in its place");
}

cb_err cb_comm_draw(FILE *to, const void *drawn) {
    const cb_drawn *d = drawn;
    picture p = {.d = d, .to = to};
    cb_shape shape = shape_of(d, 0);
    p.rounds = d->algorithm->pattern->rounds(&shape);
    p.blocks = d->algorithm->pattern->blocks(&shape);
    lay_out(&p);
    double width = NAMES + p.column * p.rounds + 20, height = TOP + ROW * d->ranks + 40;
    cb_svg_begin(to, width > 640 ? width : 640, height);
    draw_text(&p, height - 16);
    for (int rank = 0; rank < d->ranks; rank++) {
        char text[24];
        snprintf(text, sizeof text, "rank %d", rank);
        cb_svg_text(to, "", 's', 20, y_of(rank) + 4, text);
        cb_svg_line(to, NAMES + 8, y_of(rank), NAMES + p.column * p.rounds, y_of(rank), "#d5dbe1",
                    "stroke-width=\"1\"");
    }
    for (int round = 0; round < p.rounds; round++) draw_round(&p, round);
    cb_svg_end(to);
    return CB_OK;
}
