/* Simulation: totals and bubbles against closed forms, for the schedules there are and, to hold checker, lowering and
 * simulator to more than one chunk and to a split backward, for two written here: interleaved and ZB-H1. */
#include "pipeline/simulate.h"

#include <limits.h>
#include <stdlib.h>

#include "pipeline/lists.h"
#include "support/test.h"

enum { MAX_STAGES = 16 };

/* Of stages that are all alike. */
typedef struct costs {
    double f_s, b_s, w_s, message_s, step_s;
} costs;

static cb_err simulate(const cb_schedule *s, costs c, cb_span **spans, double *total_s, double *bubble_s) {
    double f[MAX_STAGES], b[MAX_STAGES], w[MAX_STAGES];
    for (int r = 0; r < s->stages; r++) {
        f[r] = c.f_s;
        b[r] = c.b_s;
        w[r] = c.w_s;
    }
    cb_durations d = {.f_s = f, .b_s = b, .w_s = w, .message_s = c.message_s, .step_s = c.step_s};
    return cb_schedule_simulate(s, &d, spans, total_s, bubble_s);
}

static bool is_close(double a, double b) {
    return fabs(a - b) <= 1e-9 * (1 + fabs(b));
}

/* Spans of a stage follow each other, and a receive ends when its message has come and not before. */
static void check_spans(const cb_schedule *s, costs c, cb_span **spans) {
    for (int stage = 0; stage < s->stages; stage++) {
        double at = 0;
        for (int i = 0; i < s->list[stage].count; i++) {
            cb_span span = spans[stage][i];
            int from, index;
            CHECK(span.begin_s == at && span.end_s >= span.begin_s);
            at = span.end_s;
            if (!cb_schedule_awaits(s, stage, i, &from, &index)) continue;
            double there_s = spans[from][index].end_s + c.message_s;
            CHECK(span.end_s == fmax(span.begin_s, there_s));
        }
    }
}

static void check_total(cb_schedule *s, costs c, double want_s) {
    cb_span *spans[MAX_STAGES];
    double total_s, bubble_s[MAX_STAGES];
    if (!CHECK_OK(simulate(s, c, spans, &total_s, bubble_s))) return;
    check_spans(s, c, spans);
    if (!CHECK(is_close(total_s, want_s))) fprintf(stderr, "    %s: %g, expected %g\n", s->name, total_s, want_s);
    double work_s = s->micro_batches * (c.f_s + (s->forward_only ? 0 : c.b_s + c.w_s));
    for (int r = 0; r < s->stages; r++) CHECK(is_close(bubble_s[r], total_s - work_s));
    free(spans[0]);
}

static void check_named(const char *name, int stages, int micro_batches, costs c, double want_s) {
    cb_schedule s;
    CHECK_OK(cb_schedule_make(&s, name, stages, micro_batches));
    CHECK_OK(cb_schedule_lower(&s));
    check_total(&s, c, want_s);
    cb_schedule_free(&s);
}

/* Bubble (p-1)(F+B) for GPipe and 1F1B; with stages that are all alike this holds for fewer microbatches than stages
 * too. */
static void bubbles(void) {
    static const costs some[] = {{10, 9, 8, 0, 0}, {1, 2, 0, 0, 0}, {3, 0.5, 0.25, 0, 0}, {0, 1, 0, 0, 0}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        costs c = some[i];
        double both_s = c.f_s + c.b_s + c.w_s;
        for (int p = 1; p <= 8; p++) {
            for (int m = 1; m <= 16; m++) {
                check_named("gpipe", p, m, c, (m + p - 1) * both_s);
                check_named("1f1b", p, m, c, (m + p - 1) * both_s);
                check_named("forward", p, m, c, (m + p - 1) * c.f_s);
            }
        }
    }
    check_named("1f1b", 4, 8, (costs){10, 9, 8, 0, 0}, 297);
    check_named("1f1b", 4, 8, (costs){10, 17, 0, 0, 0}, 297);
}

/* GPipe pays for the way of the first activation and of the last gradient; messages in between hide behind work. */
static void messages_and_step(void) {
    costs c = {10, 9, 8, 3, 0};
    for (int p = 1; p <= 8; p++) {
        for (int m = 1; m <= 16; m++) check_named("gpipe", p, m, c, (m + p - 1) * 27 + 2 * (p - 1) * 3);
    }
    /* One microbatch goes there and back again, whatever the schedule. */
    for (int p = 1; p <= 8; p++) check_named("1f1b", p, 1, c, p * 27 + 2 * (p - 1) * 3);
    check_named("1f1b", 1, 2, (costs){10, 9, 8, 0, 5}, 59);
    /* Stage 0 is the last to finish; its step comes on top. */
    check_named("1f1b", 4, 8, (costs){10, 9, 8, 0, 5}, 302);
}

static void uneven_stages(void) {
    cb_schedule s;
    cb_span *spans[3];
    double total_s, bubble_s[3], f[] = {1, 5, 1}, b[] = {2, 10, 2};
    CHECK_OK(cb_schedule_make(&s, "gpipe", 3, 4));
    CHECK_OK(cb_schedule_lower(&s));
    cb_durations d = {.f_s = f, .b_s = b};
    CHECK_OK(cb_schedule_simulate(&s, &d, spans, &total_s, bubble_s));
    /* The slow stage starts after one forward and ends before one backward of stage 0; after its last forward, the
     * gradient of the first microbatch is already there but for forward and backward of the last stage. */
    CHECK_NEAR(total_s, 1 + 4 * 5 + (1 + 2) + 4 * 10 + 2, 1e-12);
    CHECK_NEAR(bubble_s[0], total_s - 12, 1e-12);
    CHECK_NEAR(bubble_s[1], total_s - 60, 1e-12);
    free(spans[0]);
    cb_schedule_free(&s);
}

static void bad_durations(void) {
    cb_schedule s;
    cb_span *spans[2];
    double total_s, good[] = {1, 1}, bad[] = {1, NAN};
    CHECK_OK(cb_schedule_make(&s, "1f1b", 2, 2));
    cb_durations d = {.f_s = good, .b_s = bad};
    CHECK_FAILS(cb_schedule_simulate(&s, &d, spans, &total_s, NULL), CB_EINVAL, "b_s of stage 1 is nan");
    d.b_s = NULL;
    CHECK_FAILS(cb_schedule_simulate(&s, &d, spans, &total_s, NULL), CB_EINVAL, "schedule 1f1b needs b_s");
    d = (cb_durations){.f_s = good, .b_s = good, .message_s = -1};
    CHECK_FAILS(cb_schedule_simulate(&s, &d, spans, &total_s, NULL), CB_EINVAL, "message_s is -1 s");
    CHECK(spans[0] == NULL);
    cb_schedule_free(&s);
}

/* A receive without its send: the simulator says so rather than wait. */
static void unsent_message(void) {
    cb_schedule s;
    cb_span *spans[2];
    double total_s;
    CHECK_OK(cb_schedule_make(&s, "1f1b", 2, 2));
    CHECK_OK(cb_schedule_lower(&s));
    s.list[0].at[1].kind = CB_REDUCE_GRADS;
    s.list[0].at[1].micro_batch = 0;
    s.list[0].count = 3;
    CHECK_FAILS(simulate(&s, (costs){1, 1, 0, 0, 0}, spans, &total_s, NULL), CB_EINVAL,
                "schedule 1f1b (2 stages, 2 microbatches): stage 1 waits in recvF0 for what stage 0 never does");
    CHECK(spans[0] == NULL);
    cb_schedule_free(&s);
}

/* ZB-H1 (Qi et al., "Zero Bubble Pipeline Parallelism", 2023), as a rule: 1F1B's order, and a W where r of them wait.
 */
static cb_err zb_h1(const cb_schedule *s, int r, cb_instr_list *list) {
    int m = s->micro_batches, warm_up = s->stages - r - 1 < m ? s->stages - r - 1 : m, w = 0;
    for (int i = 0; i < warm_up; i++) TRY(cb_compute_push(list, CB_F, i, 0));
    for (int b = 0; b < m; b++) {
        bool steady = b + warm_up < m;
        if (steady) TRY(cb_compute_push(list, CB_F, b + warm_up, 0));
        TRY(cb_compute_push(list, CB_B, b, 0));
        if (b + 1 - w > (steady ? r : 0)) TRY(cb_compute_push(list, CB_W, w++, 0));
    }
    while (w < m) TRY(cb_compute_push(list, CB_W, w++, 0));
    return CB_OK;
}

/* Interleaved 1F1B (Narayanan et al., 2021), microbatches in groups of p, m a multiple of p. */
static cb_err interleaved(const cb_schedule *s, int r, cb_instr_list *list) {
    int p = s->stages, v = s->chunks, total = s->micro_batches * v, warm_up = 2 * (p - r - 1) + (v - 1) * p;
    if (warm_up > total) warm_up = total;
    for (int f = 0, b = 0; b < total;) {
        if (f < total) TRY(cb_compute_push(list, CB_F, f / (p * v) * p + f % p, f / p % v));
        if (f++ < warm_up) continue;
        TRY(cb_compute_push(list, CB_B, b / (p * v) * p + b % p, v - 1 - b / p % v));
        b++;
    }
    return CB_OK;
}

static void make_by_hand(cb_schedule *s, cb_order *order) {
    s->list = calloc((size_t)s->stages, sizeof *s->list);
    for (int r = 0; r < s->stages; r++) CHECK_OK(order(s, r, &s->list[r]));
}

static void check_stage_text(const cb_schedule *s, int stage, const char *want) {
    char *text, *line = NULL, *rest;
    CHECK_OK(cb_schedule_text(s, false, &text));
    rest = text;
    for (int r = 0; r <= stage; r++) line = strsep(&rest, "\n");
    if (!CHECK_STR(line, want)) fprintf(stderr, "    got %s\n", line);
    free(text);
}

static void check_peaks_and_total(cb_schedule *s, const int *want_peak, costs c, double want_s) {
    int peak[MAX_STAGES];
    CHECK_OK(cb_schedule_lower(s));
    CHECK_OK(cb_schedule_check(s, INT_MAX, peak));
    for (int r = 0; r < s->stages; r++) CHECK_INT(peak[r], want_peak[r]);
    check_total(s, c, want_s);
    cb_schedule_free(s);
}

/* Bubble (p-1)(F+B-W). */
static void split_backward(void) {
    static const int peak[] = {4, 4, 4, 4};
    cb_schedule s = {.name = "zb-h1", .stages = 4, .micro_batches = 8, .chunks = 1, .split_backward = true};
    make_by_hand(&s, zb_h1);
    check_stage_text(&s, 0, "0: F0 F1 F2 F3 B0 W0 F4 B1 W1 F5 B2 W2 F6 B3 W3 F7 B4 W4 B5 W5 B6 W6 B7 W7");
    check_stage_text(&s, 1, "1: F0 F1 F2 B0 F3 B1 W0 F4 B2 W1 F5 B3 W2 F6 B4 W3 F7 B5 W4 B6 W5 B7 W6 W7");
    check_stage_text(&s, 3, "3: F0 B0 F1 B1 F2 B2 F3 B3 W0 F4 B4 W1 F5 B5 W2 F6 B6 W3 F7 B7 W4 W5 W6 W7");
    check_peaks_and_total(&s, peak, (costs){10, 9, 8, 0, 0}, 249);
    for (int p = 1; p <= 8; p++) {
        int flat[8];
        for (int r = 0; r < p; r++) flat[r] = p;
        s = (cb_schedule){.name = "zb-h1", .stages = p, .micro_batches = 2 * p, .chunks = 1, .split_backward = true};
        make_by_hand(&s, zb_h1);
        check_peaks_and_total(&s, flat, (costs){2, 3, 1, 0, 0}, 2 * p * 6 + (p - 1) * 4);
    }
}

/* Bubble (p-1)(F+B)/v. */
static void several_chunks(void) {
    cb_schedule s = {.name = "interleaved", .stages = 2, .micro_batches = 4, .chunks = 2};
    make_by_hand(&s, interleaved);
    check_stage_text(&s, 0, "0: F0.0 F1.0 F0.1 F1.1 F2.0 B0.1 F3.0 B1.1 F2.1 B0.0 F3.1 B1.0 B2.1 B3.1 B2.0 B3.0");
    check_stage_text(&s, 1, "1: F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 F2.0 B0.0 F3.0 B1.0 F2.1 B2.1 F3.1 B3.1 B2.0 B3.0");
    check_peaks_and_total(&s, (const int[]){5, 3}, (costs){12, 24, 0, 0, 0}, 4 * 36 + 18);
    s = (cb_schedule){.name = "interleaved", .stages = 4, .micro_batches = 8, .chunks = 2};
    make_by_hand(&s, interleaved);
    check_peaks_and_total(&s, (const int[]){11, 9, 7, 5}, (costs){12, 14, 10, 0, 0}, 342);
    for (int v = 2; v <= 4; v++) {
        int peak[4];
        s = (cb_schedule){.name = "interleaved", .stages = 4, .micro_batches = 16, .chunks = v};
        for (int r = 0; r < 4; r++) peak[r] = 2 * (3 - r) + (v - 1) * 4 + 1;
        make_by_hand(&s, interleaved);
        check_peaks_and_total(&s, peak, (costs){12, 24, 0, 0, 0}, 16 * 36 + 3 * 36.0 / v);
    }
}

int main(void) {
    RUN(bubbles);
    RUN(messages_and_step);
    RUN(uneven_stages);
    RUN(bad_durations);
    RUN(unsent_message);
    RUN(split_backward);
    RUN(several_chunks);
    return test_end();
}
