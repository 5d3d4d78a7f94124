/* What ranks agree on before a run, over the messages of threads: the same outcome on every rank. */
#include <stdlib.h>

#include "comm/alike.h"
#include "comm/comm_backend.h"
#include "support/test.h"

enum { MOST = 12 };

typedef struct world {
    const char *alike[MOST]; /* of each rank */
    int refuses;             /* this rank and all above do; MOST: none */
    cb_code code;
    const char *said; /* "" for CB_OK */
} world;

static cb_err agree(cb_comm *comm, void *arg) {
    const world *w = arg;
    const int me = cb_comm_rank(comm);
    cb_err mine = me >= w->refuses ? cb_fail(CB_EIO, "no file %d", me) : CB_OK, outcome;
    CHECK_OK(cb_comm_agree(comm, w->alike[me], mine, &outcome));
    CHECK_STR(outcome ? cb_err_text(outcome) : "", w->said);
    if (outcome) CHECK_INT(cb_err_code(outcome), w->code);
    cb_err_free(outcome);
    cb_err_free(mine);
    return CB_OK;
}

static void run(int ranks, const world *w) {
    cb_launch launch = {.backend = "threads", .ranks = ranks, .deadline_s = 20};
    CHECK_OK(cb_comm_launch(&launch, agree, (void *)(uintptr_t)w));
}

static void equal_or_absent(void) {
    run(1, &(world){{"a\t1\n"}, MOST, CB_EINVAL, ""});
    run(3, &(world){{"a\t1\nb\t\n", "a\t1\nb\t\n", "a\t1\nb\t\n"}, MOST, CB_EINVAL, ""});
    run(3,
        &(world){{"a\t1\n", NULL, "a\t2\n"}, MOST, CB_EINVAL, ""}); /* who has nothing to compare wants none compared */
}

static void values_and_ranks_are_named(void) {
    const char *a = "x\t1\ny\t2\nz\t3\n", *b = "x\t1\ny\t22\nz\t3\n", *c = "x\t1\ny\t\nz\t30\n";
    run(2,
        &(world){{a, b}, MOST, CB_EINVAL, "all ranks have to be started alike, but y is 2 on rank 0 and 22 on rank 1"});
    run(4, &(world){{b, c, b, c},
                    MOST,
                    CB_EINVAL,
                    "all ranks have to be started alike, but y is 22 on ranks 0 2 and nothing on ranks 1 3; z is 3 on "
                    "ranks 0 2 "
                    "and 30 on ranks 1 3"});
    run(12, &(world){{a, a, a, a, a, a, a, a, a, a, a, b},
                     MOST,
                     CB_EINVAL,
                     "all ranks have to be started alike, but y is 2 on ranks 0 1 2 3 4 5 6 7 ... and 22 on rank 11"});
}

static void the_first_few_differences(void) {
    run(2, &(world){
               {"a\t0\nb\t0\nc\t0\nd\t0\ne\t0\nf\t0\ng\t0\nh\t0\n", "a\t1\nb\t1\nc\t1\nd\t1\ne\t1\nf\t1\ng\t1\nh\t1\n"},
               MOST,
               CB_EINVAL,
               "all ranks have to be started alike, but a is 0 on rank 0 and 1 on rank 1; b is 0 on rank 0 and 1 on "
               "rank 1; "
               "c is 0 on rank 0 and 1 on rank 1; d is 0 on rank 0 and 1 on rank 1; e is 0 on rank 0 and 1 on rank 1; "
               "f is 0 on rank 0 and 1 on rank 1; 2 more differ"});
}

/* Of other commands the other lines mean other things. */
static void names_that_part_end_it(void) {
    run(2, &(world){{"command\ta\nx\t1\nz\t1\n", "command\tb\ny\t1\nz\t2\n"},
                    MOST,
                    CB_EINVAL,
                    "all ranks have to be started alike, but command is a on rank 0 and b on rank 1"});
}

static void a_refusal_goes_before(void) {
    run(3, &(world){{"a\t1\n", "a\t2\n", NULL}, 2, CB_EIO, "rank 2: no file 2"});
    run(3, &(world){{"a\t1\n", "a\t2\n", "a\t3\n"}, 1, CB_EIO, "rank 1: no file 1"});
    run(3, &(world){{NULL, NULL, NULL}, 0, CB_EIO, "no file 0"});
}

static void a_long_text_is_cut(void) {
    char *longer[2];
    for (int i = 0; i < 2; i++) {
        longer[i] = malloc(5000);
        memset(longer[i], 'u' + i, 4998);
        memcpy(longer[i], "a\t", 2);
        memcpy(longer[i] + 4997, "\n", 2);
    }
    char said[2044] = "all ranks have to be started alike, but a is ";
    memset(said + strlen(said), 'u', sizeof said - 1 - strlen(said));
    said[sizeof said - 1] = '\0';
    run(2, &(world){{longer[0], longer[1]}, MOST, CB_EINVAL, said});
    free(longer[0]);
    free(longer[1]);
}

int main(void) {
    RUN(equal_or_absent);
    RUN(values_and_ranks_are_named);
    RUN(the_first_few_differences);
    RUN(names_that_part_end_it);
    RUN(a_refusal_goes_before);
    RUN(a_long_text_is_cut);
    return test_end();
}
