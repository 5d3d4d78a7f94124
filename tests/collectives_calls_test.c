/* Members of a group that call different things are told who called what, and none hangs: every pair of kinds, and one
 * kind with different types, counts, operations, roots. On threads by meetings and, checked, by messages; under
 * mpiexec, checked, one case a run: "collectives_calls_test cases" lists them for mpi_cases.sh. */
#include <stdlib.h>

#include "collectives/collectives.h"
#include "support/test.h"

enum { MOST = 9, COUNT = 50 };

typedef struct quarrel {
    cb_call call, other; /* the second is the culprit's */
    int culprit;
} quarrel;

static cb_err run(cb_group *g, const cb_call *c, float *a, float *b) {
    switch (c->kind) {
    case CB_ALL_REDUCE:
        return cb_all_reduce(g, a, c->count, c->type, c->op, NULL);
    case CB_ALL_GATHER:
        return cb_all_gather(g, b, a, c->count, c->type);
    case CB_REDUCE_SCATTER:
        return cb_reduce_scatter(g, a, b, c->count, c->type, c->op);
    case CB_BROADCAST:
        return cb_broadcast(g, a, c->count, c->type, c->root);
    case CB_REDUCE:
        return cb_reduce(g, b, a, c->count, c->type, c->op, c->root);
    case CB_ALL_TO_ALL:
        return cb_all_to_all(g, b, a, c->count, c->type);
    default:
        return cb_barrier(g);
    }
}

/* The quarrel is operation 1. Who is through with it, as the root of a broadcast may be, goes on to the next. */
static cb_err disagree(cb_comm *comm, void *arg) {
    const quarrel *q = arg;
    int ranks[MOST];
    cb_group group;
    for (int i = 0; i < MOST; i++) ranks[i] = i;
    TRY(cb_group_make(&group, comm, CB_FOR_TP, ranks, cb_comm_size(comm)));
    float *a = calloc(MOST * 2 * COUNT, sizeof *a), *b = calloc(MOST * 2 * COUNT, sizeof *b);
    cb_err e = cb_barrier(&group);
    if (!e) e = run(&group, group.me == q->culprit ? &q->other : &q->call, a, b);
    if (!e) e = cb_barrier(&group);
    cb_group_free(&group);
    free(a);
    free(b);
    return e;
}

static cb_call call_of(int kind) {
    return (cb_call){
        .kind = (cb_kind)kind, .type = kind == CB_BARRIER ? CB_U8 : CB_F32, .count = kind == CB_BARRIER ? 0 : COUNT};
}

static void check(const quarrel *q, int ranks, const char *call, const char *other) {
    for (int checked = 0; checked < 2; checked++) {
        char mine[128], theirs[128], head[64];
        cb_launch launch = {.backend = "threads", .ranks = ranks, .deadline_s = 20, .checked = checked};
        cb_err e = cb_comm_launch(&launch, disagree, (void *)q);
        const char *text = e ? cb_err_text(e) : "no error";
        snprintf(head, sizeof head, "operation 1 of a tp group of %d: rank", ranks);
        snprintf(mine, sizeof mine, " called %s", call);
        snprintf(theirs, sizeof theirs, "rank %d called %s", q->culprit, other);
        bool told =
            e && cb_err_code(e) == CB_EMISMATCH && strstr(text, head) && strstr(text, mine) && strstr(text, theirs);
        if (!CHECK(told)) fprintf(stderr, "    %s\n    expected: %s ...%s, %s\n", text, head, mine, theirs);
        cb_err_free(e);
    }
}

static void every_pair_of_kinds(void) {
    static const int sizes[] = {2, 3, MOST};
    for (int a = CB_ALL_REDUCE; a < CB_KINDS; a++) {
        for (int b = CB_ALL_REDUCE; b < CB_KINDS; b++) {
            for (int s = 0; s < 3 && a != b; s++) {
                for (int culprit = 0; culprit < sizes[s]; culprit += s < 2 ? 1 : 4) {
                    quarrel q = {call_of(a), call_of(b), culprit};
                    check(&q, sizes[s], cb_kind_name((cb_kind)a), cb_kind_name((cb_kind)b));
                }
            }
        }
    }
}

/* "all-reduce of 50 f32 (sum)", as far as it takes to tell two calls of a kind apart */
static void describe(const cb_call *c, char out[64]) {
    bool reduces = c->kind == CB_ALL_REDUCE || c->kind == CB_REDUCE_SCATTER || c->kind == CB_REDUCE;
    char op[16] = "", root[32] = "";
    if (reduces) snprintf(op, sizeof op, " (%s)", cb_reduce_op_name(c->op));
    if (c->kind == CB_BROADCAST) snprintf(root, sizeof root, " from member %d", c->root);
    if (c->kind == CB_REDUCE) snprintf(root, sizeof root, " to member %d", c->root);
    snprintf(out, 64, "%s of %lld %s%s%s", cb_kind_name(c->kind), (long long)c->count, cb_type_name(c->type), op, root);
}

/* The same kind: of another type that is as long, another count, operation, root. */
static bool differ(const cb_call *call, int what, cb_call *other) {
    *other = *call;
    bool reduces = call->kind == CB_ALL_REDUCE || call->kind == CB_REDUCE_SCATTER || call->kind == CB_REDUCE;
    if (what == 0) other->type = CB_I32;
    if (what == 1) other->count = COUNT + 1;
    if (what == 2) other->count = 0;
    if (what == 3) other->op = CB_MAX;
    if (what == 4) other->root = 1;
    return what < 3 || (what == 3 ? reduces : call->kind == CB_BROADCAST || call->kind == CB_REDUCE);
}
enum { WAYS_TO_DIFFER = 5 };

static void one_kind_called_differently(void) {
    for (int kind = CB_ALL_REDUCE; kind < CB_KINDS; kind++) {
        for (int what = 0; what < WAYS_TO_DIFFER && kind != CB_BARRIER; what++) {
            quarrel q = {.call = call_of(kind)};
            char call[64], other[64];
            if (!differ(&q.call, what, &q.other)) continue;
            describe(&q.call, call);
            describe(&q.other, other);
            for (q.culprit = 0; q.culprit < 3; q.culprit++) check(&q, 3, call, other);
        }
    }
}

/* Under mpiexec. A case: the arguments, and what some rank has to say. */

static int list_cases(void) {
    for (int a = CB_ALL_REDUCE; a < CB_KINDS; a++)
        for (int b = a + 1; b < CB_KINDS; b++)
            printf("3 %d %d %d|operation 1 of a tp group of 3: .*rank %d called %s\n", a, b, (a + b) % 3, (a + b) % 3,
                   cb_kind_name((cb_kind)b));
    return 0;
}

static int under_mpiexec(char **argument) {
    quarrel q = {call_of(atoi(argument[0])), call_of(atoi(argument[1])), atoi(argument[2])};
    cb_launch launch = {.backend = "mpi", .deadline_s = 10, .checked = true};
    cb_err e = cb_comm_launch(&launch, disagree, &q);
    int code = cb_err_exit_code(e);
    cb_err_free(e);
    return code;
}

int main(int argc, char **argv) {
    if (argc == 2) return list_cases();
    if (argc == 4) return under_mpiexec(argv + 1);
    RUN(every_pair_of_kinds);
    RUN(one_kind_called_differently);
    return test_end();
}
