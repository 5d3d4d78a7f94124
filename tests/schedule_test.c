/* Schedules: exact lists, exhaustive proofs over small sizes, broken lists with their errors. */
#include <limits.h>
#include <stdlib.h>

#include "pipeline/lists.h"
#include "pipeline/schedule.h"
#include "support/test.h"

enum { MAX_STAGES = 8, MAX_MICRO_BATCHES = 16 };

static int least(int a, int b) {
    return a < b ? a : b;
}

static cb_err make_lowered(cb_schedule *schedule, const char *name, int stages, int micro_batches) {
    TRY(cb_schedule_make(schedule, name, stages, micro_batches));
    return cb_schedule_lower(schedule);
}

static void check_text(const char *name, int stages, int micro_batches, bool lowered, const char *want) {
    cb_schedule s;
    char *text;
    CHECK_OK(cb_schedule_make(&s, name, stages, micro_batches));
    if (lowered) CHECK_OK(cb_schedule_lower(&s));
    CHECK_OK(cb_schedule_text(&s, lowered, &text));
    if (!CHECK_STR(text, want)) fprintf(stderr, "    got:\n%s    expected:\n%s", text, want);
    free(text);
    cb_schedule_free(&s);
}

static void exact_orders(void) {
    check_text("1f1b", 4, 8, false,
               "0: F0 F1 F2 F3 B0 F4 B1 F5 B2 F6 B3 F7 B4 B5 B6 B7\n"
               "1: F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 F7 B5 B6 B7\n"
               "2: F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7\n"
               "3: F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7\n");
    check_text("1f1b", 4, 2, false, "0: F0 F1 B0 B1\n1: F0 F1 B0 B1\n2: F0 F1 B0 B1\n3: F0 B0 F1 B1\n");
    check_text("gpipe", 2, 3, false, "0: F0 F1 F2 B0 B1 B2\n1: F0 F1 F2 B0 B1 B2\n");
    check_text("forward", 2, 2, false, "0: F0 F1\n1: F0 F1\n");
}

static void exact_lowering(void) {
    check_text("1f1b", 1, 1, true, "0: F0 B0 grads step\n");
    check_text("1f1b", 3, 2, true,
               "0: F0 sendF0 F1 sendF1 recvB0 B0 recvB1 B1 grads tied step\n"
               "1: recvF0 F0 sendF0 recvF1 F1 sendF1 recvB0 B0 sendB0 recvB1 B1 sendB1 grads step\n"
               "2: recvF0 F0 B0 sendB0 recvF1 F1 B1 sendB1 grads tied step\n");
    check_text("forward", 2, 2, true, "0: F0 sendF0 F1 sendF1\n1: recvF0 F0 recvF1 F1\n");
}

static void names(void) {
    cb_schedule s;
    int n = 0;
    for (const char *const *name = cb_schedule_names(); *name; name++, n++) {
        CHECK_OK(cb_schedule_make(&s, *name, 2, 2));
        CHECK_STR(s.name, *name);
        CHECK(!s.forward_only && strcmp(*name, "forward") != 0);
        cb_schedule_free(&s);
    }
    CHECK_INT(n, 7);
    CHECK_FAILS(cb_schedule_make(&s, "1f1", 2, 2), CB_EUSAGE, "'1f1'; did you mean '1f1b'");
    CHECK_FAILS(cb_schedule_make(&s, "g-pipe", 2, 2), CB_EUSAGE, "did you mean 'gpipe'? There are gpipe, 1f1b, ");
    CHECK_FAILS(cb_schedule_make(&s, "gpipe", 0, 2), CB_EINVAL, "0 stages and 2 microbatches");
    CHECK_FAILS(cb_schedule_make(&s, "gpipe", 2, -1), CB_EINVAL, "2 stages and -1 microbatches");
    CHECK_FAILS(cb_schedule_make(&s, "gpipe", 1, INT_MAX), CB_EINVAL, "at most");
    cb_schedule_free(&s); /* after an error: nothing to free, and no harm */
}

/* With chunks, text and partners follow the interleaved placement: virtual stage c * stages + r. */
static void chunks(void) {
    cb_schedule s = {.stages = 2, .micro_batches = 4, .chunks = 3};
    char text[24];
    CHECK_STR(cb_instr_text(&s, (cb_instr){.kind = CB_RECV_F, .micro_batch = 3, .chunk = 1}, text), "recvF3.1");
    for (int stage = 0; stage < s.stages; stage++) {
        for (int chunk = 0; chunk < s.chunks; chunk++) {
            int back_stage, back_chunk;
            cb_virtual_stage_place(&s, cb_virtual_stage(&s, stage, chunk), &back_stage, &back_chunk);
            CHECK(back_stage == stage && back_chunk == chunk);
        }
    }
    cb_instr send = {.kind = CB_SEND_F, .micro_batch = 1, .chunk = 0}, receive;
    int peer;
    CHECK(cb_instr_partner(&s, 1, send, &peer, &receive));
    CHECK(peer == 0 && receive.kind == CB_RECV_F && receive.micro_batch == 1 && receive.chunk == 1 &&
          receive.peer == 1);
    send.chunk = 2;
    CHECK(!cb_instr_partner(&s, 1, send, &peer, NULL));
}

static int want_peak(const char *name, int stages, int stage, int micro_batches) {
    if (strcmp(name, "forward") == 0) return 1;
    return strcmp(name, "gpipe") == 0 ? micro_batches : least(micro_batches, stages - stage);
}

/* Every receive awaits the very send that names it, and nothing else awaits anything. */
static void check_awaits(const cb_schedule *s) {
    for (int stage = 0; stage < s->stages; stage++) {
        for (int i = 0; i < s->list[stage].count; i++) {
            cb_instr it = s->list[stage].at[i];
            int from, index;
            bool awaits = cb_schedule_awaits(s, stage, i, &from, &index);
            CHECK(awaits == (it.kind == CB_RECV_F || it.kind == CB_RECV_B));
            if (!awaits) continue;
            cb_instr send = s->list[from].at[index];
            CHECK(from == it.peer && send.peer == stage && send.micro_batch == it.micro_batch);
            CHECK(send.kind == (it.kind == CB_RECV_F ? CB_SEND_F : CB_SEND_B));
        }
    }
}

static void check_one(const char *name, int stages, int micro_batches) {
    static const int windows[] = {CB_SEND_WINDOW, INT_MAX};
    cb_schedule s;
    int peak[MAX_STAGES];
    CHECK_OK(make_lowered(&s, name, stages, micro_batches));
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        CHECK_OK(cb_schedule_check(&s, windows[w], peak));
        for (int r = 0; r < stages; r++) CHECK_INT(peak[r], want_peak(name, stages, r, micro_batches));
    }
    check_awaits(&s);
    cb_schedule_free(&s);
}

static void all_small_schedules(void) {
    static const char *const all[] = {"gpipe", "1f1b", "forward"};
    for (size_t n = 0; n < sizeof all / sizeof *all; n++) {
        for (int p = 1; p <= MAX_STAGES; p++) {
            for (int m = 1; m <= MAX_MICRO_BATCHES; m++) check_one(all[n], p, m);
        }
    }
}

/* The smallest window with which a schedule runs to its end. */
static int smallest_window(const char *name, int stages, int micro_batches) {
    cb_schedule s;
    CHECK_OK(make_lowered(&s, name, stages, micro_batches));
    int window = 0;
    for (;; window++) {
        cb_err e = cb_schedule_check(&s, window, NULL);
        if (!e) break;
        if (!test_fails_(e, CB_EINVAL, "deadlock with a send window", __FILE__, __LINE__, name)) break;
    }
    cb_schedule_free(&s);
    return window;
}

/* Rendezvous sends are enough for GPipe and evaluation; 1F1B needs one send ahead as soon as two microbatches meet. */
static void windows(void) {
    for (int p = 1; p <= MAX_STAGES; p++) {
        for (int m = 1; m <= MAX_MICRO_BATCHES; m++) {
            CHECK_INT(smallest_window("gpipe", p, m), 0);
            CHECK_INT(smallest_window("forward", p, m), 0);
            CHECK_INT(smallest_window("1f1b", p, m), p >= 2 && m >= 2);
        }
    }
}

static void rendezvous_deadlock(void) {
    cb_schedule s;
    CHECK_OK(make_lowered(&s, "1f1b", 2, 4));
    CHECK_FAILS(
        cb_schedule_check(&s, 0, NULL), CB_EINVAL,
        "schedule 1f1b (2 stages, 4 microbatches): deadlock with a send window of 0: stage 0 waits in sendF1 for "
        "stage 1, stage 1 waits in sendB0 for stage 0");
    cb_schedule_free(&s);
}

static int index_of(const cb_schedule *s, int stage, const char *what) {
    char text[24];
    for (int i = 0; i < s->list[stage].count; i++) {
        if (strcmp(cb_instr_text(s, s->list[stage].at[i], text), what) == 0) return i;
    }
    fprintf(stderr, "stage %d has no %s\n", stage, what);
    abort();
}

static void drop(cb_schedule *s, int stage, const char *what) {
    cb_instr_list *list = &s->list[stage];
    int i = index_of(s, stage, what);
    memmove(&list->at[i], &list->at[i + 1], (size_t)(--list->count - i) * sizeof *list->at);
}

static void swap(cb_schedule *s, int stage, const char *one, const char *other) {
    cb_instr *a = &s->list[stage].at[index_of(s, stage, one)], *b = &s->list[stage].at[index_of(s, stage, other)],
             c = *a;
    *a = *b;
    *b = c;
}

static cb_instr *find(cb_schedule *s, int stage, const char *what) {
    return &s->list[stage].at[index_of(s, stage, what)];
}

/* Checks asynchronously and gives the schedule back, so that each broken list below is one block. */
#define CHECK_BROKEN(s, part)                                                  \
    do {                                                                       \
        CHECK_FAILS(cb_schedule_check((s), INT_MAX, NULL), CB_EINVAL, (part)); \
        cb_schedule_free((s));                                                 \
    } while (0)

static cb_schedule whole(const char *name) {
    cb_schedule s;
    CHECK_OK(make_lowered(&s, name, 3, 4));
    return s;
}

static void incomplete_lists(void) {
    cb_schedule s = whole("1f1b");
    drop(&s, 1, "B3");
    CHECK_BROKEN(&s, "stage 1 has no B3");
    s = whole("gpipe");
    drop(&s, 0, "F0");
    CHECK_BROKEN(&s, "stage 0 has no F0");
    s = whole("1f1b");
    drop(&s, 1, "recvF2");
    CHECK_BROKEN(&s, "stage 1 has no recvF2 to go with the sendF2 of stage 0");
    s = whole("1f1b");
    drop(&s, 2, "sendB0");
    CHECK_BROKEN(&s, "stage 2 has no sendB0 to go with the recvB0 of stage 1");
    s = whole("1f1b");
    drop(&s, 2, "tied");
    CHECK_BROKEN(&s, "stage 2 has no tied to go with the tied of stage 0");
    s = whole("1f1b");
    drop(&s, 1, "grads");
    CHECK_BROKEN(&s, "stage 1 has no grads");
    CHECK_OK(cb_schedule_make(&s, "1f1b", 3, 4));
    CHECK_BROKEN(&s, "stage 0 has no sendF0"); /* not lowered */
}

static void doubled_and_foreign(void) {
    cb_schedule s = whole("1f1b");
    *find(&s, 1, "F2") = *find(&s, 1, "F1");
    CHECK_BROKEN(&s, "stage 1 has F1 twice, as instructions 4 and 10");
    s = whole("1f1b");
    find(&s, 0, "F2")->micro_batch = 4;
    CHECK_BROKEN(&s, "F4 of chunk 0, is none of 4 microbatches and 1 chunks");
    s = whole("1f1b");
    find(&s, 0, "F2")->kind = CB_INSTR_KINDS;
    CHECK_BROKEN(&s, "instruction 4, kind 10 of chunk 0");
    s = whole("1f1b");
    CHECK_OK(cb_instr_push(&s.list[0], (cb_instr){.kind = CB_RECV_F, .peer = 2}));
    CHECK_BROKEN(&s, "stage 0: recvF0 (instruction 19) has no place in this schedule");
    s = whole("forward");
    CHECK_OK(cb_instr_push(&s.list[1], (cb_instr){.kind = CB_B, .peer = -1}));
    CHECK_BROKEN(&s, "stage 1: B0 (instruction 12) has no place in this schedule");
    s = whole("1f1b");
    find(&s, 0, "sendF1")->peer = 2;
    CHECK_BROKEN(&s, "stage 0: sendF1 (instruction 3) names stage 2 as its peer; it belongs with stage 1");
}

static void wrong_order(void) {
    cb_schedule s = whole("1f1b");
    swap(&s, 2, "F1", "B1");
    CHECK_BROKEN(&s, "stage 2: B1 (instruction 5) comes before F1 (instruction 6)");
    s = whole("1f1b");
    swap(&s, 1, "recvF1", "F1");
    CHECK_BROKEN(&s, "stage 1: F1 (instruction 3) comes before recvF1 (instruction 4)");
    s = whole("1f1b");
    swap(&s, 0, "sendF1", "F1");
    CHECK_BROKEN(&s, "stage 0: sendF1 (instruction 2) comes before F1 (instruction 3)");
    s = whole("1f1b");
    swap(&s, 0, "B3", "grads");
    CHECK_BROKEN(&s, "stage 0: B3 (instruction 16) comes after grads");
    s = whole("1f1b");
    swap(&s, 1, "grads", "step");
    CHECK_BROKEN(&s, "stage 1: grads (instruction 25) comes after step");
}

static void swapped_messages(void) {
    cb_schedule s = whole("gpipe");
    /* Stage 1 takes F1 first and F0 second: complete and in order by itself, but not the order of stage 0's sends. */
    swap(&s, 1, "recvF0", "recvF1");
    swap(&s, 1, "F0", "F1");
    swap(&s, 1, "sendF0", "sendF1");
    CHECK_BROKEN(&s,
                 "stage 1: recvF1 (instruction 0) comes before recvF0 (instruction 3), but stage 0 sends them in the "
                 "other order");
    s = whole("gpipe");
    swap(&s, 0, "recvB0", "recvB1");
    swap(&s, 0, "B0", "B1");
    CHECK_BROKEN(&s, "stage 0: recvB1 (instruction 8) comes before recvB0 (instruction 10), but stage 1 sends");
}

/* Stage 0 wants the gradient of microbatch 0 before it sends microbatch 1, stage 1 the other way round: no window
 * helps. */
static void true_cycle(void) {
    static const cb_instr first[] = {
        {CB_F, 0, 0, -1},          {CB_SEND_F, 0, 0, 1},        {CB_RECV_B, 0, 0, 1}, {CB_B, 0, 0, -1},
        {CB_F, 1, 0, -1},          {CB_SEND_F, 1, 0, 1},        {CB_RECV_B, 1, 0, 1}, {CB_B, 1, 0, -1},
        {CB_REDUCE_GRADS, 0, 0, -1}, {CB_REDUCE_TIED, 0, 0, 1}, {CB_STEP, 0, 0, -1}};
    static const cb_instr second[] = {{CB_RECV_F, 0, 0, 0},      {CB_F, 0, 0, -1},
                                      {CB_RECV_F, 1, 0, 0},      {CB_F, 1, 0, -1},
                                      {CB_B, 0, 0, -1},          {CB_SEND_B, 0, 0, 0},
                                      {CB_B, 1, 0, -1},          {CB_SEND_B, 1, 0, 0},
                                      {CB_REDUCE_GRADS, 0, 0, -1}, {CB_REDUCE_TIED, 0, 0, 0},
                                      {CB_STEP, 0, 0, -1}};
    cb_instr_list lists[2] = {0};
    cb_schedule s = {.name = "handmade", .stages = 2, .micro_batches = 2, .chunks = 1, .list = lists};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) CHECK_OK(cb_instr_push(&lists[0], first[i]));
    for (size_t i = 0; i < sizeof second / sizeof *second; i++) CHECK_OK(cb_instr_push(&lists[1], second[i]));
    CHECK_FAILS(cb_schedule_check(&s, INT_MAX, NULL), CB_EINVAL,
                "stage 0 waits in recvB0 for stage 1, stage 1 waits in recvF1 for stage 0");
    free(lists[0].at);
    free(lists[1].at);
}

int main(void) {
    RUN(exact_orders);
    RUN(exact_lowering);
    RUN(names);
    RUN(chunks);
    RUN(all_small_schedules);
    RUN(windows);
    RUN(rendezvous_deadlock);
    RUN(incomplete_lists);
    RUN(doubled_and_foreign);
    RUN(wrong_order);
    RUN(swapped_messages);
    RUN(true_cycle);
    return test_end();
}
