/* Schedules from text: what is written is read back, and every mistake is named with its line and word. */
#include <limits.h>
#include <stdlib.h>

#include "pipeline/schedule.h"
#include "support/test.h"

static bool is_same(const cb_schedule *a, const cb_schedule *b) {
    bool same = a->stages == b->stages && a->micro_batches == b->micro_batches && a->chunks == b->chunks &&
                a->placing == b->placing && a->split_backward == b->split_backward &&
                a->forward_only == b->forward_only && a->is_lowered == b->is_lowered;
    for (int r = 0; same && r < a->stages; r++) {
        same = a->list[r].count == b->list[r].count;
        for (int i = 0; same && i < a->list[r].count; i++) {
            cb_instr x = a->list[r].at[i], y = b->list[r].at[i];
            same = x.kind == y.kind && x.micro_batch == y.micro_batch && x.chunk == y.chunk && x.peer == y.peer;
        }
    }
    return same;
}

static void check_round_trip(const char *name, int p, int m, int chunks, bool lowered) {
    cb_schedule_spec spec = {.name = name, .stages = p, .micro_batches = m, .chunks = chunks};
    cb_schedule made, back;
    char *text;
    CHECK_OK(cb_schedule_make_spec(&made, &spec));
    if (lowered) CHECK_OK(cb_schedule_lower(&made));
    CHECK_OK(cb_schedule_text(&made, lowered, &text));
    if (CHECK_OK(cb_schedule_read(&back, "text", text))) {
        if (!CHECK(is_same(&made, &back))) fprintf(stderr, "    %s of %d stages\n", name, p);
        if (!lowered) CHECK_OK(cb_schedule_lower(&back));
        CHECK_OK(cb_schedule_check(&back, INT_MAX, NULL));
        cb_schedule_free(&back);
    }
    free(text);
    cb_schedule_free(&made);
}

static void round_trips(void) {
    for (const char *const *name = cb_schedule_names(); *name; name++) {
        for (int p = 1; p <= 5; p++) {
            for (int m = p; m <= 3 * p; m += p) {
                check_round_trip(*name, p, m, 0, false);
                check_round_trip(*name, p, m, 0, true);
            }
        }
    }
    check_round_trip("interleaved", 3, 6, 4, true);
    check_round_trip("forward", 3, 6, 0, false);
    check_round_trip("forward", 3, 6, 0, true);
}

static void liberties(void) {
    cb_schedule s;
    CHECK_OK(cb_schedule_read(&s, "mine",
                              "# two stages\n\n  1: F0 B0\tF1  B1 W1 W0 # the last\r\n0: F0 F1 B0 W0 B1 W1\n\t\n#end"));
    CHECK_STR(s.name, "mine");
    CHECK(s.stages == 2 && s.micro_batches == 2 && s.chunks == 1 && s.split_backward && !s.is_lowered);
    CHECK_OK(cb_schedule_lower(&s));
    CHECK_OK(cb_schedule_check(&s, CB_SEND_WINDOW, NULL));
    cb_schedule_free(&s);
    CHECK_OK(cb_schedule_read(&s, "mine", "placing loop\n0: F0 B0"));
    CHECK(s.placing == CB_CHUNKS_LOOP && s.stages == 1);
    cb_schedule_free(&s);
}

#define CHECK_REFUSED(text, part)                                            \
    do {                                                                     \
        cb_schedule s_;                                                      \
        CHECK_FAILS(cb_schedule_read(&s_, "f", (text)), CB_EFORMAT, (part)); \
        CHECK(!s_.list);                                                     \
    } while (0)

static void mistakes(void) {
    CHECK_REFUSED("", "f: no stage in 0 lines; a line is \"0: F0 B0\"");
    CHECK_REFUSED("# only this\n", "f: no stage in 1 lines");
    CHECK_REFUSED("0: F0 B0\n\n1: F0 X0\n", "f, line 3: 'X0' is no instruction; there are F3, B3, W3");
    CHECK_REFUSED("0: F0 B\n", "f, line 1: 'B' does not name a microbatch");
    CHECK_REFUSED("0: F0 B-1\n", "'B-1' does not name a microbatch");
    CHECK_REFUSED("0: F0 B100000\n", "'B100000' does not name a microbatch from 0 to 99999");
    CHECK_REFUSED("0: F0.x\n", "'F0.x' does not name a chunk");
    CHECK_REFUSED("0: F0.1.2\n", "'F0.1.2' goes on behind its instruction");
    CHECK_REFUSED("0: F0,B0\n", "'F0,B0' goes on behind its instruction");
    CHECK_REFUSED("0: F0 B0 step1\n", "'step1' goes on behind its instruction");
    CHECK_REFUSED("0 F0 B0\n", "f, line 1: '0' does not begin a stage");
    CHECK_REFUSED("F0 B0\n", "f, line 1: 'F0' does not begin a stage, as in \"0: F0 B0\" (or \"placing v\")");
    CHECK_REFUSED("placing w\n", "'placing' does not begin a stage");
    CHECK_REFUSED("9999: F0\n", "'9999:' does not begin a stage");
    CHECK_REFUSED("0: F0 B0\n0: F0 B0\n", "f, line 2: stage 0 has its list in line 1 already");
    CHECK_REFUSED("0: F0 B0\n2: F0 B0\n", "f: stage 1 has no list; there are stages up to 2");
    CHECK_REFUSED("0:\n", "f: no stage has an instruction");
    CHECK_REFUSED(
        "0: F0\n1: F99999\n",
        "f, line 2: 'F99999' is one of 100000 microbatches x 1 chunks, but no stage has more than 1 forwards");
}

/* What is well-formed but wrong is found by the checker, which names the instruction. */
static void check_found(const char *text, const char *part) {
    cb_schedule s;
    if (!CHECK_OK(cb_schedule_read(&s, "mine", text))) return;
    if (!s.is_lowered) CHECK_OK(cb_schedule_lower(&s));
    CHECK_FAILS(cb_schedule_check(&s, INT_MAX, NULL), CB_EINVAL, part);
    cb_schedule_free(&s);
}

static void wrong_lists(void) {
    check_found("0: F0 F1 B0 W0 B1\n1: F0 B0 W0 F1 B1 W1\n",
                "schedule mine (2 stages, 2 microbatches): stage 0 has no W1");
    check_found("0: F0 F1 B0 B1\n1: F0 B0 F1\n", "stage 1 has no B1");
    check_found("0: F0 F0 B0\n1: F0 B0\n", "stage 0 has F0 twice");
    check_found("0: B0 F0\n", "comes before F0");
    check_found("0: F0 B0 F1 B1\n1: F0 F1 B0 B1\n",
                "stage 0 waits in recvB0 for stage 1, stage 1 waits in recvF1 for stage 0");
    check_found("0: F0 F1 B0 B1\n1: F1 F0 B0 B1\n", "sends them in the other order");
    check_found("0: F0 sendF0 recvB0 B0 grads tied step\n1: recvF0 F0 B0 sendB0 grads step\n", "stage 1 has no tied");
    check_found("placing v\n0: F0.0 F0.1 B0.1 B0.0\n1: F0.1 F0.0 B0.1 B0.0\n", "stage 1: F0.1 (instruction");
}

int main(void) {
    RUN(round_trips);
    RUN(liberties);
    RUN(mistakes);
    RUN(wrong_lists);
    return test_end();
}
