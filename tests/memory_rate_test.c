/* Rates of memory: between points and beyond them, the better of two, and that a measurement fills what it is for; their
 * values are the machine's. On threads, 1 to 3 ranks. */
#include "cli/memory_rate.h"

#include <stdlib.h>

#include "support/test.h"

static const cb_memory_rate made = {.points = 3,
                                    .set_bytes = {1 << 15, 1 << 16, 1 << 17},
                                    .bytes_per_s = {8e9, 4e9, 1e9},
                                    .handover_s_per_byte = {1e-10, 2e-10, 4e-10},
                                    .reduce_s_per_byte = 1e-11};

static void between_points(void) {
    const cb_memory_rate none = {0};
    CHECK_NEAR(cb_memory_rate_at(&made, 1 << 16), 4e9, 1);
    CHECK_NEAR(cb_memory_rate_at(&made, 46341), 6e9, 1e5); /* half way, by the logarithm */
    CHECK_NEAR(cb_memory_rate_at(&made, 1), 8e9, 1);
    CHECK_NEAR(cb_memory_rate_at(&made, 1 << 30), 1e9, 1);
    CHECK_NEAR(cb_memory_handover_at(&made, 1 << 17), 4e-10, 1e-15);
    CHECK(cb_memory_rate_at(&none, 1 << 16) == 0 && cb_memory_handover_at(&none, 1 << 16) == 0);
}

static void the_better(void) {
    cb_memory_rate rate = {0}, other = made;
    cb_memory_rate_better(&rate, &made);
    CHECK_INT(rate.points, 3);
    CHECK(rate.bytes_per_s[1] == 4e9 && rate.handover_s_per_byte[2] == 4e-10 && rate.reduce_s_per_byte == 1e-11);
    other.bytes_per_s[0] = 9e9;
    other.bytes_per_s[2] = 5e8;
    other.handover_s_per_byte[1] = 1e-10;
    other.handover_s_per_byte[2] = 5e-10;
    other.reduce_s_per_byte = 2e-11;
    cb_memory_rate_better(&rate, &other);
    CHECK(rate.bytes_per_s[0] == 9e9 && rate.bytes_per_s[2] == 1e9);
    CHECK(rate.handover_s_per_byte[1] == 1e-10 && rate.handover_s_per_byte[2] == 4e-10);
    CHECK(rate.reduce_s_per_byte == 1e-11);
}

enum { ROOM = 1 << 17 };

static cb_err measure(cb_comm *comm, void *arg) {
    const int ranks = cb_comm_size(comm), all[] = {0, 1, 2};
    char *a = aligned_alloc(64, ROOM), *b = aligned_alloc(64, ROOM);
    cb_memory_rate rate = {0};
    cb_group group;
    TRY(cb_group_make(&group, comm, CB_FOR_WORLD, all, ranks));
    cb_err e = cb_memory_rate_measure(&rate, &group, 2, a, b, ROOM, CB_F32);
    if (!e && group.me == 0) *(cb_memory_rate *)arg = rate;
    cb_group_free(&group);
    free(a);
    free(b);
    return e;
}

static void measured(void) {
    for (int ranks = 1; ranks <= 3; ranks++) {
        cb_memory_rate rate = {0};
        cb_launch launch = {.backend = "threads", .ranks = ranks, .deadline_s = 60};
        if (!CHECK_OK(cb_comm_launch(&launch, measure, &rate))) continue;
        CHECK_INT(rate.points, ranks == 1 ? 4 : 5); /* two parts of ROOM for each of at most two cores */
        for (int i = 0; i < rate.points; i++) {
            CHECK(rate.set_bytes[i] == (double)(1 << 15 << i) && rate.bytes_per_s[i] > 0);
            CHECK((rate.handover_s_per_byte[i] > 0) == (ranks > 1));
        }
        CHECK(rate.reduce_s_per_byte > 0);
    }
}

int main(void) {
    RUN(between_points);
    RUN(the_better);
    RUN(measured);
    return test_end();
}
