/* The step of one layout as a timeline: the schedule's own lists, simulated with the times that the cost model gives
 * each stage. Of long steps some microbatches are drawn: filling, turns, draining. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/os.h"
#include "cli/planned.h"
#include "cli/simulated.h"

enum { MOST_SLOTS = 80, MOST_PIECES = 4 }; /* microbatches x chunks, and stages, that a picture's numbers fit */

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* As many microbatches as show filling, turns and draining: the others repeat the turns. In a file more of the turns,
 * as far as numbers fit. A multiple of pp with chunks. */
static int64_t drawn(const cb_planned *p, const cb_split *split, bool in_file) {
    int64_t m = cb_split_micro_batches(&p->job, split), pp = split->pp, v = split->chunks;
    int64_t some = v > 1 ? 2 * pp : pp + 4 > 8 ? pp + 4 : 8, more = (MOST_SLOTS - pp) / v / (v > 1 ? pp : 1);
    if (v > 1) more *= pp;
    return least(m, in_file && more > some ? more : some);
}

static cb_err make_schedule(const cb_split *split, int64_t micro_batches, cb_schedule *schedule) {
    cb_schedule_spec spec = {.name = cb_schedule_word(split->schedule),
                             .stages = split->pp,
                             .micro_batches = (int)micro_batches,
                             .chunks = split->chunks > 1 ? split->chunks : 0};
    return cb_schedule_make_spec(schedule, &spec);
}

/* seconds (3, stages) from stages (stages) */
static cb_durations durations_of(const cb_stage_times *stages, int count, double message_s, double *seconds) {
    for (int r = 0; r < count; r++) {
        seconds[r] = stages[r].forward_s;
        seconds[count + r] = stages[r].input_s;
        seconds[2 * count + r] = stages[r].weight_s;
    }
    return (cb_durations){.f_s = seconds, .b_s = seconds + count, .w_s = seconds + 2 * count, .message_s = message_s};
}

/* *shortest_s: the forward of a chunk on the stage where it is shortest. */
static cb_err simulate(const cb_planned *p, const cb_split *split, bool in_file, cb_simulated *simulated,
                       double *shortest_s) {
    size_t stages = (size_t)split->pp;
    cb_stage_times *times = calloc(stages, sizeof *times);
    double *seconds = calloc(3 * stages, sizeof *seconds), message_s;
    cb_schedule schedule;
    *simulated = (cb_simulated){0};
    cb_err e = times && seconds ? cb_estimate_stages(&p->job, split, &p->constants, times, &message_s)
                                : cb_fail(CB_ENOMEM, "no memory for the times of %d stages", split->pp);
    if (!e) e = make_schedule(split, drawn(p, split, in_file), &schedule);
    if (!e) {
        cb_durations durations = durations_of(times, split->pp, message_s, seconds);
        *shortest_s = times[0].forward_s;
        for (int i = 1; i < split->pp; i++) *shortest_s = fmin(*shortest_s, times[i].forward_s);
        *shortest_s /= split->chunks;
        e = cb_simulated_make_uneven(simulated, schedule, &durations);
    }
    free(times);
    free(seconds);
    return e;
}

/* "16 of 128 microbatches; others repeat the middle" */
static char *say_drawn(const cb_planned *p, const cb_simulated *s, const cb_split *split, char out[80]) {
    int64_t all = cb_split_micro_batches(&p->job, split);
    snprintf(out, 80, "%d of %lld microbatches%s", s->schedule.micro_batches, (long long)all,
             s->schedule.micro_batches < all ? "; others repeat the middle" : "");
    return out;
}

static const cb_timeline_words words = {.numbers = "microbatch"}; /* no bubble: that of a part is not the step's */

static void print_head(const cb_planned *p, const cb_simulated *s, const cb_split *split, FILE *to) {
    char count[80], pieces[24] = "";
    if (s->timeline.pieces > 1) snprintf(pieces, sizeof pieces, ", in %d pieces", s->timeline.pieces);
    fprintf(to, "\n  timeline of %s%s\n  (without reduction and optimizer", say_drawn(p, s, split, count), pieces);
    if (split->pp > 1)
        fputs("; dots wait for other stages and for messages, on every stage;\n"
              "  the bubble above is the share of the whole step in which the slowest stage waits for the\n"
              "  pipeline to fill and drain",
              to);
    fputs(")\n", to);
}

/* In as many pieces as give a forward one character and a half. */
static cb_err print_text(const cb_planned *p, const cb_split *split, FILE *to) {
    int columns = p->columns > 0 ? (int)p->columns : cb_os_terminal_columns(STDOUT_FILENO);
    double shortest_s;
    cb_simulated s;
    cb_err e = simulate(p, split, false, &s, &shortest_s);
    if (!e) {
        double pieces = ceil(1.5 * s.total_s / shortest_s / columns);
        s.timeline.words = &words;
        s.timeline.pieces = pieces < MOST_PIECES ? (int)pieces : MOST_PIECES;
        print_head(p, &s, split, to);
        e = cb_timeline_text(&s.timeline, columns, cb_os_wants_colour(STDOUT_FILENO), to);
    }
    cb_simulated_free(&s);
    return e;
}

static cb_err write_svg(FILE *to, const void *timeline) {
    return cb_timeline_svg(timeline, to);
}

static cb_err draw_file(const cb_planned *p, const cb_split *split) {
    char title[128], count[80];
    double shortest_s;
    cb_simulated s;
    cb_err e = simulate(p, split, true, &s, &shortest_s);
    if (!e) {
        s.timeline.words = &words;
        snprintf(title, sizeof title, "%s (%s)", s.timeline.title, say_drawn(p, &s, split, count));
        s.timeline.title = title;
        e = cb_err_context(cb_file_replace(p->svg, write_svg, &s.timeline), "--svg %s", p->svg);
    }
    cb_simulated_free(&s);
    return e;
}

cb_err cb_planned_print_timeline(const cb_planned *p, const cb_layout *layout, FILE *to) {
    if (!p->json) TRY(print_text(p, &layout->split, to));
    return p->svg ? draw_file(p, &layout->split) : CB_OK;
}
