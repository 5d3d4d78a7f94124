/* The step of one layout as a timeline: the schedule's own lists, simulated with the times that the cost model gives
 * each stage. Long steps are cut after some microbatches. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/os.h"
#include "cli/planned.h"
#include "cli/simulated.h"

enum { MOST_CELLS = 1 << 15 }; /* stages x microbatches x chunks */

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* For a file as many as there are, within reason; for a terminal as many as show filling, turns and draining: the
 * others repeat the turns. A multiple of pp with chunks. */
static int64_t drawn(const cb_planned *p, const cb_split *split) {
    int64_t m = cb_split_micro_batches(&p->job, split), pp = split->pp;
    if (p->svg) return least(m, MOST_CELLS / pp / split->chunks / pp * pp + pp);
    return least(m, split->chunks > 1 ? 2 * pp : pp + 4 > 8 ? pp + 4 : 8);
}

static cb_err make_schedule(const cb_planned *p, const cb_split *split, cb_schedule *schedule) {
    cb_schedule_spec spec = {.name = cb_schedule_word(split->schedule),
                             .stages = split->pp,
                             .micro_batches = (int)drawn(p, split),
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

static cb_err simulate(const cb_planned *p, const cb_split *split, cb_simulated *simulated) {
    size_t stages = (size_t)split->pp;
    cb_stage_times *times = calloc(stages, sizeof *times);
    double *seconds = calloc(3 * stages, sizeof *seconds), message_s;
    cb_schedule schedule;
    *simulated = (cb_simulated){0};
    cb_err e = times && seconds ? cb_estimate_stages(&p->job, split, &p->constants, times, &message_s)
                                : cb_fail(CB_ENOMEM, "no memory for the times of %d stages", split->pp);
    if (!e) e = make_schedule(p, split, &schedule);
    if (!e) {
        cb_durations durations = durations_of(times, split->pp, message_s, seconds);
        e = cb_simulated_make_uneven(simulated, schedule, &durations);
    }
    free(times);
    free(seconds);
    return e;
}

static cb_err write_svg(FILE *to, const void *timeline) {
    return cb_timeline_svg(timeline, to);
}

/* Its title says no bubble: that of a part of the microbatches is not the step's. */
static cb_err print(const cb_planned *p, const cb_simulated *s, const cb_split *split, FILE *to) {
    int columns = p->columns > 0 ? (int)p->columns : cb_os_terminal_columns(STDOUT_FILENO);
    int64_t all = cb_split_micro_batches(&p->job, split);
    static const cb_timeline_words words = {.numbers = "microbatch"};
    cb_timeline timeline = s->timeline;
    timeline.words = &words;
    if (!p->json) {
        fprintf(to, "\n  timeline, without reduction and optimizer, of %d of %lld microbatches%s\n",
                s->schedule.micro_batches, (long long)all,
                s->schedule.micro_batches < all ? "; others repeat the middle" : "");
        if (split->pp > 1)
            fputs("  (dots wait for other stages and for messages, on every stage; the bubble above is the share of\n"
                  "  the whole step in which the slowest stage waits for the pipeline to fill and drain)\n",
                  to);
        TRY(cb_timeline_text(&timeline, columns, cb_os_wants_colour(STDOUT_FILENO), to));
    }
    cb_err e = p->svg ? cb_file_replace(p->svg, write_svg, &timeline) : CB_OK;
    return cb_err_context(e, "--svg %s", p->svg);
}

cb_err cb_planned_print_timeline(const cb_planned *p, const cb_layout *layout, FILE *to) {
    cb_simulated simulated;
    cb_err e = simulate(p, &layout->split, &simulated);
    if (!e) e = print(p, &simulated, &layout->split, to);
    cb_simulated_free(&simulated);
    return e;
}
