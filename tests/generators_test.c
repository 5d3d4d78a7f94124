/* Every schedule for all small sizes: proved complete and free of deadlock, bubbles and peaks equal to their closed
 * forms (the table of docs/pipeline.md), the smallest send window; exact lists; sizes that are refused. */
#include <limits.h>
#include <stdlib.h>

#include "pipeline/lists.h"
#include "pipeline/simulate.h"
#include "support/test.h"

enum { MAX_STAGES = 8, MAX_MICRO_BATCHES = 32, MAX_CHUNKS = 4 };

typedef struct costs {
    double f, b, w;
} costs;

static int least(int a, int b) {
    return a < b ? a : b;
}

static cb_err make_lowered(cb_schedule *s, const char *name, int p, int m, int chunks, int group) {
    cb_schedule_spec spec = {.name = name, .stages = p, .micro_batches = m, .chunks = chunks, .group = group};
    TRY(cb_schedule_make_spec(s, &spec));
    return cb_schedule_lower(s);
}

/* What a schedule costs with stages that are all alike and free messages. */
typedef struct measured {
    double bubble; /* of the step: its time less the work of a stage */
    double own;    /* the longest that a stage waits between its own first and last instruction */
} measured;

static double span_of_stage(const cb_schedule *s, int stage, const cb_span *span) {
    double begin = INFINITY, end = 0;
    for (int i = 0; i < s->list[stage].count; i++) {
        if (s->list[stage].at[i].kind > CB_W) continue;
        begin = fmin(begin, span[i].begin_s);
        end = fmax(end, span[i].end_s);
    }
    return end - begin;
}

static measured measure(const cb_schedule *s, costs c) {
    double f[MAX_STAGES], b[MAX_STAGES], w[MAX_STAGES], total = 0;
    double work = s->micro_batches * (c.f + c.b + c.w);
    cb_span *spans[MAX_STAGES];
    for (int r = 0; r < s->stages; r++) {
        f[r] = c.f;
        b[r] = c.b;
        w[r] = c.w;
    }
    cb_durations d = {.f_s = f, .b_s = b, .w_s = w};
    measured result = {NAN, 0};
    if (!CHECK_OK(cb_schedule_simulate(s, &d, spans, &total, NULL))) return result;
    result.bubble = total - work;
    for (int r = 0; r < s->stages; r++) result.own = fmax(result.own, span_of_stage(s, r, spans[r]) - work);
    free(spans[0]);
    return result;
}

static bool is_close(double got, double want) {
    return fabs(got - want) <= 1e-9 * (1 + fabs(want)) * 1000;
}

static const costs some_costs[] = {{1, 1, 1}, {10, 9, 8}, {2, 3, 1}, {12, 14, 10}};
enum { COSTS = sizeof some_costs / sizeof *some_costs };

static void check_close(const cb_schedule *s, const char *what, double got, double want) {
    if (CHECK(is_close(got, want))) return;
    fprintf(stderr, "    %s, %d stages, %d microbatches, %d chunks, group %d: %s %g, expected %g\n", s->name, s->stages,
            s->micro_batches, s->chunks, s->group, what, got, want);
}

/* Proves s and compares peaks (want_peak: of a stage) and the smallest window: rendezvous sends are enough for GPipe,
 * and where there is one stage or one microbatch; else there is one send ahead. Groups larger than p need more, up to
 * G - p + 1. */
static void check_proved(const cb_schedule *s, int (*want_peak)(const cb_schedule *s, int stage)) {
    int peak[MAX_STAGES], window, most = s->group > s->stages ? s->group - s->stages + 1 : 1;
    if (s->stages == 1 || s->micro_batches == 1 || strcmp(s->name, "gpipe") == 0) most = 0;
    if (!CHECK_OK(cb_schedule_check(s, INT_MAX, peak))) return;
    for (int r = 0; r < s->stages; r++) check_close(s, "peak", peak[r], want_peak(s, r));
    CHECK_OK(cb_schedule_least_window(s, &window));
    if (most > 1 && window <= most) window = most;
    check_close(s, "window", window, most);
}

static int peak_gpipe(const cb_schedule *s, int stage) {
    (void)stage;
    return s->micro_batches;
}

static int peak_one_f_one_b(const cb_schedule *s, int stage) {
    return least(s->micro_batches, s->stages - stage);
}

static int peak_zb_h1(const cb_schedule *s, int stage) {
    (void)stage;
    return least(s->micro_batches, s->stages);
}

static int peak_zb_h2(const cb_schedule *s, int stage) {
    (void)stage;
    return least(s->micro_batches, 2 * s->stages - 1);
}

static int peak_interleaved(const cb_schedule *s, int stage) {
    return least(s->micro_batches * s->chunks, 2 * (s->stages - 1 - stage) + (s->chunks - 1) * s->group + 1);
}

/* Of at least 2p-1 microbatches; of fewer, less. */
static int peak_zb_v(const cb_schedule *s, int stage) {
    (void)stage;
    return 2 * s->stages;
}

static void plain(void) {
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            for (int is_gpipe = 0; is_gpipe < 2; is_gpipe++) {
                cb_schedule s;
                CHECK_OK(make_lowered(&s, is_gpipe ? "gpipe" : "1f1b", p, m, 0, 0));
                check_proved(&s, is_gpipe ? peak_gpipe : peak_one_f_one_b);
                for (int i = 0; i < COSTS; i++) {
                    costs c = some_costs[i];
                    check_close(&s, "bubble", measure(&s, c).bubble, (p - 1) * (c.f + c.b + c.w));
                }
                cb_schedule_free(&s);
            }
        }
    }
}

static void zb_h1(void) {
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            cb_schedule s;
            CHECK_OK(make_lowered(&s, "zb-h1", p, m, 0, 0));
            check_proved(&s, peak_zb_h1);
            for (int i = 0; i < COSTS; i++) {
                costs c = some_costs[i];
                double got = measure(&s, c).bubble, want = (p - 1) * (c.f + c.b - c.w);
                if (m >= p) check_close(&s, "bubble", got, want);
                CHECK(got >= want - 1e-9); /* of fewer microbatches there is less W to fill with */
            }
            cb_schedule_free(&s);
        }
    }
}

/* From 2p-1 microbatches on no stage waits more than (p-1)(F+B-2W) in its own span: not at all if F = B = W. The step
 * takes at least as long as the last stage has to wait for its first microbatch. */
static void zb_h2(void) {
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            cb_schedule s;
            CHECK_OK(make_lowered(&s, "zb-h2", p, m, 0, 0));
            check_proved(&s, peak_zb_h2);
            for (int i = 0; i < COSTS && m >= 2 * p - 1; i++) {
                costs c = some_costs[i];
                measured got = measure(&s, c);
                check_close(&s, "own bubble", got.own, (p - 1) * fmax(0, c.f + c.b - 2 * c.w));
                check_close(&s, "bubble", got.bubble, (p - 1) * fmax(c.f, c.f + c.b - 2 * c.w));
            }
            cb_schedule_free(&s);
        }
    }
}

/* Of at least 2p microbatches. */
static int peak_dualpipe_v(const cb_schedule *s, int stage) {
    (void)stage;
    return 2 * s->stages + 1;
}

/* With fewer microbatches than the V's phases are made for. */
static void check_short_v(const cb_schedule *s, int most) {
    int peak[MAX_STAGES], window;
    CHECK_OK(cb_schedule_check(s, INT_MAX, peak));
    for (int r = 0; r < s->stages; r++) CHECK(peak[r] <= least(2 * s->micro_batches, most));
    CHECK_OK(cb_schedule_least_window(s, &window));
    CHECK_INT(window, s->micro_batches > 1);
}

/* From 2p-1 microbatches on no stage waits in its own span if F = B = W, and the last one begins after p-1 halves of F.
 */
static void zb_v(void) {
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            cb_schedule s;
            CHECK_OK(make_lowered(&s, "zb-v", p, m, 0, 0));
            if (m < 2 * p - 1) {
                check_short_v(&s, peak_zb_v(&s, 0));
            } else {
                check_proved(&s, peak_zb_v);
                measured got = measure(&s, (costs){1, 1, 1});
                check_close(&s, "own bubble", got.own, 0);
                check_close(&s, "bubble", got.bubble, (p - 1) * 0.5);
            }
            cb_schedule_free(&s);
        }
    }
}

/* From 2p microbatches on, if F = B. */
static void dualpipe_v(void) {
    static const costs alike[] = {{1, 1, 1}, {2, 2, 1}, {1, 1, 2}, {5, 5, 4}, {3, 3, 0}};
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            cb_schedule s;
            CHECK_OK(make_lowered(&s, "dualpipe-v", p, m, 0, 0));
            if (m < 2 * p) {
                check_short_v(&s, peak_dualpipe_v(&s, 0));
            } else {
                check_proved(&s, peak_dualpipe_v);
                for (size_t i = 0; i < sizeof alike / sizeof *alike; i++) {
                    costs c = alike[i];
                    check_close(&s, "bubble", measure(&s, c).bubble, 0.5 * (p - 1) * fmax(c.f, c.f + c.b - c.w));
                }
            }
            cb_schedule_free(&s);
        }
    }
}

static bool is_legal(int p, int m, int group) {
    return group >= p && group <= m && (m % group == 0 || m % group >= p);
}

static void check_interleaved(int p, int m, int chunks, int group) {
    cb_schedule s;
    CHECK_OK(make_lowered(&s, "interleaved", p, m, chunks, group));
    check_proved(&s, peak_interleaved);
    for (int i = 0; i < COSTS; i++) {
        costs c = some_costs[i];
        check_close(&s, "bubble", measure(&s, c).bubble, (p - 1) * (c.f + c.b + c.w) / chunks);
    }
    cb_schedule_free(&s);
}

/* All legal sizes; groups of every legal size up to 20 microbatches, and beyond of p. */
static void interleaved(void) {
    int legal = 0;
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            for (int chunks = 2; chunks <= MAX_CHUNKS; chunks++) {
                for (int group = 1; group <= (m <= 20 ? m + 1 : p); group++) {
                    cb_schedule s;
                    if (is_legal(p, m, group)) {
                        check_interleaved(p, m, chunks, group);
                        legal++;
                    } else {
                        CHECK_FAILS(make_lowered(&s, "interleaved", p, m, chunks, group), CB_EINVAL, "can be");
                    }
                }
            }
        }
    }
    printf("     %d interleaved schedules\n", legal);
}

static void check_text(const char *name, int p, int m, int chunks, const char *want) {
    cb_schedule_spec spec = {.name = name, .stages = p, .micro_batches = m, .chunks = chunks};
    cb_schedule s;
    char *text;
    CHECK_OK(cb_schedule_make_spec(&s, &spec));
    CHECK_OK(cb_schedule_text(&s, false, &text));
    if (!CHECK_STR(text, want)) fprintf(stderr, "    got:\n%s    expected:\n%s", text, want);
    free(text);
    cb_schedule_free(&s);
}

static void exact_orders(void) {
    check_text("zb-h1", 4, 8, 0,
               "0: F0 F1 F2 F3 B0 W0 F4 B1 W1 F5 B2 W2 F6 B3 W3 F7 B4 W4 B5 W5 B6 W6 B7 W7\n"
               "1: F0 F1 F2 B0 F3 B1 W0 F4 B2 W1 F5 B3 W2 F6 B4 W3 F7 B5 W4 B6 W5 B7 W6 W7\n"
               "2: F0 F1 B0 F2 B1 F3 B2 W0 F4 B3 W1 F5 B4 W2 F6 B5 W3 F7 B6 W4 B7 W5 W6 W7\n"
               "3: F0 B0 F1 B1 F2 B2 F3 B3 W0 F4 B4 W1 F5 B5 W2 F6 B6 W3 F7 B7 W4 W5 W6 W7\n");
    check_text("zb-h2", 2, 4, 0, "0: F0 F1 F2 B0 W0 F3 B1 W1 B2 W2 B3 W3\n1: F0 B0 F1 B1 F2 B2 W0 F3 B3 W1 W2 W3\n");
    check_text("interleaved", 2, 4, 2,
               "0: F0.0 F1.0 F0.1 F1.1 F2.0 B0.1 F3.0 B1.1 F2.1 B0.0 F3.1 B1.0 B2.1 B3.1 B2.0 B3.0\n"
               "1: F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 F2.0 B0.0 F3.0 B1.0 F2.1 B2.1 F3.1 B3.1 B2.0 B3.0\n");
    check_text("zb-v", 2, 3, 0,
               "placing v\n"
               "0: F0.0 F1.0 F2.0 F0.1 B0.1 W0.1 F1.1 B1.1 W1.1 B0.0 W0.0 F2.1 B2.1 W2.1 B1.0 W1.0 B2.0 W2.0\n"
               "1: F0.0 F0.1 F1.0 F1.1 B0.1 W0.1 F2.0 B0.0 W0.0 F2.1 B1.1 W1.1 B1.0 B2.1 B2.0 W1.0 W2.1 W2.0\n");
    check_text("dualpipe-v", 2, 4, 0,
               "placing v\n"
               "0: F0.0 F1.0 F2.0 F0.1 B0.1 W0.1 F1.1 F3.0 B1.1 W1.1 F2.1 B0.0 W0.0 B2.1 W2.1 F3.1 B1.0 W1.0 B3.1 W3.1 "
               "B2.0 W2.0 B3.0 W3.0\n"
               "1: F0.0 F0.1 F1.0 F1.1 F2.0 B0.1 W0.1 F2.1 B0.0 W0.0 F3.0 B1.1 W1.1 F3.1 B1.0 W1.0 B2.1 W2.1 B2.0 W2.0 "
               "B3.1 B3.0 W3.1 W3.0\n");
}

/* p=4, m=8 and (F, B, W) = (10, 9, 8): 1F1B 297, ZB-H1 249; interleaved with 2 chunks and F + B = 36: 342. */
static void known_totals(void) {
    static const struct {
        const char *name;
        costs c;
        double total;
    } known[] = {{"1f1b", {10, 9, 8}, 297}, {"zb-h1", {10, 9, 8}, 249}, {"interleaved", {12, 14, 10}, 342}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        cb_schedule s;
        costs c = known[i].c;
        CHECK_OK(make_lowered(&s, known[i].name, 4, 8, 0, 0));
        check_close(&s, "total", measure(&s, c).bubble + 8 * (c.f + c.b + c.w), known[i].total);
        cb_schedule_free(&s);
    }
}

/* In a V, neighbours in the model are neighbours among the stages or one stage, and first and last block share stage 0.
 */
static void placing(void) {
    cb_schedule s;
    CHECK_OK(make_lowered(&s, "zb-v", 4, 7, 0, 0));
    static const int want[4][2] = {{0, 7}, {1, 6}, {2, 5}, {3, 4}};
    for (int r = 0; r < 4; r++) {
        for (int chunk = 0; chunk < 2; chunk++) {
            int stage, back;
            CHECK_INT(cb_virtual_stage(&s, r, chunk), want[r][chunk]);
            cb_virtual_stage_place(&s, want[r][chunk], &stage, &back);
            CHECK(stage == r && back == chunk);
        }
    }
    int peer;
    cb_instr tied = {.kind = CB_REDUCE_TIED}, turn = {.kind = CB_SEND_F, .chunk = 0};
    CHECK(!cb_instr_partner(&s, 0, tied, &peer, NULL));
    CHECK(!cb_instr_partner(&s, 3, turn, &peer, NULL));
    turn.chunk = 1;
    CHECK(cb_instr_partner(&s, 3, turn, &peer, NULL) && peer == 2);
    cb_schedule_free(&s);
}

static cb_err refuse(const char *name, int p, int m, int chunks, int group) {
    cb_schedule s;
    cb_err e = make_lowered(&s, name, p, m, chunks, group);
    CHECK(e && !s.list);
    if (!e) cb_schedule_free(&s);
    return e;
}

static void refused_sizes(void) {
    CHECK_FAILS(refuse("zb-h", 4, 8, 0, 0), CB_EUSAGE,
                "did you mean 'zb-h1', 'zb-h2' or 'zb-v'? There are gpipe, 1f1b, interleaved, zb-h1");
    CHECK_FAILS(refuse("zb-h1", 4, 8, 2, 0), CB_EINVAL,
                "zb-h1: 2 chunks per stage; it has 1 (interleaved has 2 or more)");
    CHECK_FAILS(refuse("zb-v", 4, 8, 3, 0), CB_EINVAL, "zb-v: 3 chunks per stage; it has 2");
    CHECK_FAILS(refuse("interleaved", 4, 8, 1, 0), CB_EINVAL, "it has at least 2 (with 1 it would be 1f1b)");
    CHECK_FAILS(refuse("interleaved", 4, 8, -1, 0), CB_EINVAL, "-1 chunks per stage");
    CHECK_FAILS(refuse("gpipe", 4, 8, 0, 4), CB_EINVAL, "groups of 4 microbatches; only interleaved has groups");
    CHECK_FAILS(refuse("interleaved", 4, 10, 2, 0), CB_EINVAL,
                "10 microbatches in groups of 4 on 4 stages; a group has at least as many microbatches as there are "
                "stages, and so has the last one. Microbatches can be 8 or 12 with this group; with 10 microbatches "
                "the group can be 5");
    CHECK_FAILS(refuse("interleaved", 4, 3, 2, 0), CB_EINVAL,
                "Microbatches can be 4 with this group; with 3 microbatches no group can be");
    CHECK_FAILS(refuse("interleaved", 4, 8, 2, 3), CB_EINVAL, "with 8 microbatches the group can be 4");
    CHECK_FAILS(refuse("interleaved", 4, 8, 2, 9), CB_EINVAL,
                "Microbatches can be 9 with this group; with 8 microbatches the group can be 8");
    CHECK_FAILS(refuse("interleaved", 4, 8, 2, -1), CB_EINVAL, "groups of -1");
    CHECK_FAILS(refuse("zb-v", 0, 8, 0, 0), CB_EINVAL, "0 stages and 8 microbatches");
    CHECK_FAILS(refuse("zb-v", 1, INT_MAX, 0, 0), CB_EINVAL, "at most");
    CHECK_FAILS(refuse("interleaved", INT_MAX, INT_MAX, INT_MAX, 0), CB_EINVAL, "interleaved: ");
}

int main(void) {
    RUN(exact_orders);
    RUN(known_totals);
    RUN(placing);
    RUN(refused_sizes);
    RUN(plain);
    RUN(zb_h1);
    RUN(zb_h2);
    RUN(zb_v);
    RUN(dualpipe_v);
    RUN(interleaved);
    return test_end();
}
