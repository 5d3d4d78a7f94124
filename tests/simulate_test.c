/* Simulation: totals and bubbles against closed forms, messages, uneven stages, bad durations. Interleaved and
 * zero-bubble schedules are in generators_test.c. */
#include "pipeline/simulate.h"

#include <stdlib.h>

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

/* One microbatch through a V of unequal chunks: down, up, back down and up; the last W of stage 0 is not hidden. */
static void uneven_chunks(void) {
    cb_schedule_spec spec = {.name = "zb-v", .stages = 2, .micro_batches = 1};
    cb_schedule s;
    cb_span *spans[2];
    double total_s, bubble_s[2], f[] = {1, 2, 4, 8}, b[] = {16, 32, 64, 128}, w[] = {3, 5, 7, 9};
    cb_durations d = {.f_s = f, .b_s = b, .w_s = w, .per_chunk = true};
    CHECK_OK(cb_schedule_make_spec(&s, &spec));
    CHECK_OK(cb_schedule_lower(&s));
    CHECK_OK(cb_schedule_simulate(&s, &d, spans, &total_s, bubble_s));
    /* Stage 1 does its first W, of 9, between its two Bs. */
    CHECK_NEAR(total_s, (1 + 4 + 8 + 2) + (32 + 128 + 9 + 64 + 16) + 3, 1e-12);
    CHECK_NEAR(bubble_s[0], total_s - (1 + 2 + 16 + 32 + 3 + 5), 1e-12);
    CHECK_NEAR(cb_durations_of_stage(&s, &d, CB_W, 1), 16, 1e-12);
    free(spans[0]);
    w[2] = INFINITY;
    CHECK_FAILS(cb_schedule_simulate(&s, &d, spans, &total_s, NULL), CB_EINVAL, "w_s of stage 1 is inf");
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

int main(void) {
    RUN(bubbles);
    RUN(messages_and_step);
    RUN(uneven_stages);
    RUN(uneven_chunks);
    RUN(bad_durations);
    RUN(unsent_message);
    return test_end();
}
