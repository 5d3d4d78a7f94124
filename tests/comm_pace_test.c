/* Samples of one pace among several. */
#include "cli/comm_pace.h"

#include "support/test.h"

static void one_pace(void) {
    double paces_s[] = {0, 0, 0};
    cb_pace usual = cb_pace_usual(paces_s, 3); /* unknown everywhere: all count */
    CHECK(cb_pace_has(usual, (cb_paced){.time_s = 1}));
    double close_s[] = {1.3, 1, 1.1, 1.39};
    usual = cb_pace_usual(close_s, 4);
    CHECK(usual.least_s == 1 && usual.most_s == 1.39);
}

static void the_most_of_two(void) {
    double paces_s[] = {5, 1.1, 5.5, 1, 5.1, 3};
    cb_pace usual = cb_pace_usual(paces_s, 6);
    CHECK(usual.least_s == 5 && usual.most_s == 5.5);
    CHECK(cb_pace_has(usual, (cb_paced){1, 5.2}));
    CHECK(!cb_pace_has(usual, (cb_paced){1, 1.05}));
    CHECK(!cb_pace_has(usual, (cb_paced){1, 3}));
}

/* Windows are tried from every pace on: the fullest counts, not the first. */
static void a_window_from_the_middle(void) {
    double paces_s[] = {1, 1.3, 1.45, 1.5, 1.6, 9};
    cb_pace usual = cb_pace_usual(paces_s, 6);
    CHECK(usual.least_s == 1.3 && usual.most_s == 1.6);
}

static void none(void) {
    cb_pace usual = cb_pace_usual(NULL, 0);
    CHECK(usual.least_s == 0 && usual.most_s == 0);
}

int main(void) {
    RUN(one_pace);
    RUN(the_most_of_two);
    RUN(a_window_from_the_middle);
    RUN(none);
    return test_end();
}
