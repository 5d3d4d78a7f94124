/* Groups and tags: who may be a member, and that no two purposes, sequences, phases or microbatches share a tag. */
#include "comm/group.h"

#include <stdlib.h>

#include "comm/comm_backend.h"
#include "support/test.h"

static cb_err makes_groups(cb_comm *comm, void *arg) {
    (void)arg;
    int me = cb_comm_rank(comm), size = cb_comm_size(comm), even[] = {6, 4, 2, 0};
    cb_group group;
    if (me % 2 == 0 && size == 8) {
        CHECK_OK(cb_group_make(&group, comm, CB_FOR_DP, even, 4));
        CHECK_INT(group.size, 4);
        CHECK_INT(group.me, 3 - me / 2);
        CHECK_INT(group.ranks[group.me], me);
        CHECK_INT(group.sequence, 0);
        CHECK(group.comm == comm && group.purpose == CB_FOR_DP && group.ranks != even);
        cb_group_free(&group);
    } else if (size == 8) {
        CHECK_FAILS(cb_group_make(&group, comm, CB_FOR_DP, even, 4), CB_EINVAL, "is not in the dp group of 4 ranks");
    }
    int twice[] = {me, me}, outside[] = {me, size}, negative[] = {-1};
    if (size > 1)
        CHECK_FAILS(cb_group_make(&group, comm, CB_FOR_TP, twice, 2), CB_EINVAL,
                    "is member 0 and member 1 of a tp group");
    CHECK_FAILS(cb_group_make(&group, comm, CB_FOR_TP, outside, 2), CB_EINVAL,
                size > 1 ? "member 1 of a tp group is rank 8" : "of 2 ranks in a world of 1");
    CHECK_FAILS(cb_group_make(&group, comm, CB_FOR_PP, negative, 1), CB_EINVAL, "member 0 of a pp group is rank -1");
    CHECK_FAILS(cb_group_make(&group, comm, CB_FOR_PP, even, 0), CB_EINVAL, "a pp group of 0 ranks");
    cb_group_free(&group); /* of a failed one: allowed */
    return CB_OK;
}

static void groups(void) {
    for (int size = 1; size <= 8; size += 7) {
        cb_launch launch = {.backend = "threads", .ranks = size};
        CHECK_OK(cb_comm_launch(&launch, makes_groups, NULL));
    }
}

static int node_of(cb_comm *comm, int first, int step, int size) {
    int ranks[16];
    cb_group group;
    for (int i = 0; i < size; i++) ranks[i] = first + i * step;
    comm->rank = first;
    CHECK_OK(cb_group_make(&group, comm, CB_FOR_DP, ranks, size));
    int node = group.node;
    cb_group_free(&group);
    return node;
}

/* 16 processes, 4 on each of 4 machines, as launchers say. */
static void machines(void) {
    static const cb_comm_ops none = {.name = "none"};
    cb_comm comm = {.ops = &none, .size = 16};
    unsetenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    setenv("MPI_LOCALNRANKS", "4", 1);
    CHECK_INT(node_of(&comm, 0, 1, 16), 4);
    CHECK_INT(node_of(&comm, 4, 1, 4), 0); /* all on one machine */
    CHECK_INT(node_of(&comm, 1, 2, 8), 2);
    CHECK_INT(node_of(&comm, 0, 4, 4), 0); /* each on its own */
    CHECK_INT(node_of(&comm, 2, 1, 8), 2); /* 2, 4 and 2: parts of a machine */
    CHECK_INT(node_of(&comm, 0, 3, 5), 0); /* 2, 1, 1, 1: uneven */
    setenv("MPI_LOCALNRANKS", "none", 1);
    CHECK_INT(node_of(&comm, 0, 1, 16), 0);
    unsetenv("MPI_LOCALNRANKS");
}

enum { TAGS = 1 << 21 };

static int claim(unsigned char *taken, int tag) {
    if (tag < 0 || tag >= TAGS || taken[tag]) return 1;
    taken[tag] = 1;
    return 0;
}

static void tags_are_distinct(void) {
    unsigned char *taken = calloc(TAGS, 1);
    int bad = 0;
    if (!CHECK(taken)) return;
    for (int purpose = 0; purpose < CB_PURPOSES; purpose++)
        for (unsigned sequence = 0; sequence < 1 << 14; sequence++)
            for (int phase = 0; phase < 15; phase++)
                bad += claim(taken, cb_tag_collective((cb_purpose)purpose, sequence, phase));
    for (int backward = 0; backward < 2; backward++)
        for (int note = 0; note < 1 << 13; note++) bad += claim(taken, cb_tag_stage(backward, note));
    CHECK_INT(bad, 0);
    free(taken);
}

static void tags_wrap(void) {
    CHECK_INT(cb_tag_collective(CB_FOR_DP, 1u << 14, 3), cb_tag_collective(CB_FOR_DP, 0, 3));
    CHECK_INT(cb_tag_collective(CB_FOR_DP, ~0u, 3), cb_tag_collective(CB_FOR_DP, (1u << 14) - 1, 3));
    CHECK_INT(cb_tag_stage(1, 1 << 13), cb_tag_stage(1, 0));
    CHECK_INT(cb_tag_stage(7, 5), cb_tag_stage(1, 5));
}

int main(void) {
    RUN(groups);
    RUN(machines);
    RUN(tags_are_distinct);
    RUN(tags_wrap);
    return test_end();
}
