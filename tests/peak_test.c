/* What a stage holds, for every schedule and all small sizes: per chunk and span of kinds against counting at each
 * instruction anew; closed forms; and that a ring of so many slots is enough. */
#include <stdlib.h>

#include "pipeline/schedule.h"
#include "support/test.h"

enum { MAX_STAGES = 8, MAX_MICRO_BATCHES = 32, MAX_CHUNKS = 4 };

static int least(int a, int b) {
    return a < b ? a : b;
}

static int index_of(const cb_schedule *s, int stage, int micro_batch, int chunk, cb_instr_kind kind) {
    const cb_instr_list *list = &s->list[stage];
    for (int i = 0; i < list->count; i++) {
        if (list->at[i].kind == kind && list->at[i].micro_batch == micro_batch && list->at[i].chunk == chunk) return i;
    }
    return -1;
}

/* For each instruction the number of microbatches between whose two instructions it lies; slot k belongs to microbatch
 * k mod `most`, and must be free when the next microbatch takes it. */
static void check_span(const cb_schedule *s, int stage, int chunk, cb_instr_kind from, cb_instr_kind until) {
    int begin[MAX_MICRO_BATCHES], end[MAX_MICRO_BATCHES], most = 0;
    for (int k = 0; k < s->micro_batches; k++) {
        begin[k] = index_of(s, stage, k, chunk, from == CB_W && !s->split_backward ? CB_B : from);
        end[k] = index_of(s, stage, k, chunk, until == CB_W && !s->split_backward ? CB_B : until);
    }
    for (int i = 0; i < s->list[stage].count; i++) {
        int live = 0;
        for (int k = 0; k < s->micro_batches; k++) live += begin[k] <= i && i <= end[k];
        if (live > most) most = live;
    }
    if (!CHECK_INT(cb_schedule_peak_of_chunk(s, stage, chunk, from, until), most)) {
        fprintf(stderr, "    %s, %d stages, %d microbatches: stage %d, chunk %d, kinds %d to %d\n", s->name, s->stages,
                s->micro_batches, stage, chunk, (int)from, (int)until);
    }
    bool is_free = true;
    for (int k = most; k < s->micro_batches; k++) is_free &= begin[k] > end[k - most];
    CHECK(is_free);
}

static void check_stage(const cb_schedule *s, int stage) {
    for (int chunk = 0; chunk < s->chunks; chunk++) {
        check_span(s, stage, chunk, CB_F, CB_F);
        check_span(s, stage, chunk, CB_F, CB_B);
        check_span(s, stage, chunk, CB_F, CB_W);
        check_span(s, stage, chunk, CB_B, CB_W);
    }
    if (s->chunks == 1) CHECK_INT(cb_schedule_peak(s, stage), cb_schedule_peak_of_chunk(s, stage, 0, CB_F, CB_W));
}

/* All legal numbers of chunks, lowered or not: messages do not count. */
static void check_sizes(const char *name, int stages, int micro_batches) {
    for (int chunks = 1; chunks <= MAX_CHUNKS; chunks++) {
        cb_schedule_spec spec = {.name = name, .stages = stages, .micro_batches = micro_batches, .chunks = chunks};
        cb_schedule s;
        cb_err e = cb_schedule_make_spec(&s, &spec);
        if (!e) {
            if (micro_batches % 2) CHECK_OK(cb_schedule_lower(&s));
            for (int r = 0; r < stages; r++) check_stage(&s, r);
            cb_schedule_free(&s);
        }
        cb_err_free(e);
    }
}

static void all_schedules(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int p = 1; p <= MAX_STAGES; p++) {
            for (int m = 1; m <= MAX_MICRO_BATCHES; m++) check_sizes(*name, p, m);
        }
    }
}

static void check_form(const cb_schedule *s, int stage, cb_instr_kind from, cb_instr_kind until, int want) {
    CHECK_INT(cb_schedule_peak_of_chunk(s, stage, 0, from, until), least(want, s->micro_batches));
}

/* Of stage r: ZB-H1 holds what 1F1B holds until B, p until W; ZB-H2 runs twice as far ahead. Ws are put off while there
 * are forwards left behind the warm-up. */
static void split_backward(void) {
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            for (int depth = 1; depth <= 2; depth++) {
                cb_schedule_spec spec = {.name = depth == 1 ? "zb-h1" : "zb-h2", .stages = p, .micro_batches = m};
                cb_schedule s;
                CHECK_OK(cb_schedule_make_spec(&s, &spec));
                for (int r = 0; r < p; r++) {
                    check_form(&s, r, CB_F, CB_B, depth * (p - 1 - r) + 1);
                    check_form(&s, r, CB_F, CB_W, depth * (p - 1) + 1);
                    int warm_up = least(m, depth * (p - 1 - r));
                    check_form(&s, r, CB_B, CB_W, least(depth * r, m - warm_up) + 1);
                }
                cb_schedule_free(&s);
            }
        }
    }
}

static void evaluation(void) {
    cb_schedule s;
    CHECK_OK(cb_schedule_make(&s, "forward", 3, 5));
    for (int r = 0; r < 3; r++) {
        CHECK_INT(cb_schedule_peak(&s, r), 1);
        CHECK_INT(cb_schedule_peak_of_chunk(&s, r, 0, CB_F, CB_F), 1);
    }
    cb_schedule_free(&s);
}

int main(void) {
    RUN(all_schedules);
    RUN(split_backward);
    RUN(evaluation);
    return test_end();
}
