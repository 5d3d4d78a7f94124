/* A wrapper that makes one endpoint misbehave at its k-th started message (isend and irecv count, from 0): for tests of
 * what the other ranks do then. Give it to cb_comm_launch_wrapped: faulty_wrap with a faulty_plan. */
#ifndef CB_TESTS_SUPPORT_FAULTY_H
#define CB_TESTS_SUPPORT_FAULTY_H

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "comm/comm_backend.h"

typedef enum faulty_kind {
    FAULTY_NONE,
    FAULTY_ERROR, /* the call returns CB_EIO "injected ..." */
    FAULTY_LOST,  /* the message is never started, its wait ends at the deadline */
    FAULTY_SLEEP, /* the rank is late by sleep_s */
    FAULTY_KILL,  /* the process dies (a rank of its own only) */
    FAULTY_PACES  /* all ranks: before each message some get out of step, differently each time */
} faulty_kind;

typedef struct faulty_plan {
    faulty_kind kind;
    int rank, call;
    double sleep_s;
} faulty_plan;

typedef struct faulty_comm {
    cb_comm comm;
    cb_comm_ops ops;
    cb_comm *inner;
    const faulty_plan *plan;
    int calls;
    cb_pool lost;
} faulty_comm;

static inline faulty_comm *faulty_of(cb_comm *comm) {
    return (faulty_comm *)(void *)comm;
}

static inline void faulty_sleep(double seconds) {
    time_t whole = (time_t)seconds;
    nanosleep(&(struct timespec){.tv_sec = whole, .tv_nsec = (long)(1e9 * (seconds - (double)whole))}, NULL);
}

/* Half of the times nothing; else others run first, or, once in a while, all of them. */
static inline void faulty_pace(uint64_t number) {
    uint64_t bits = number * 0x9E3779B97F4A7C15u;
    bits = (bits ^ bits >> 29) * 0xBF58476D1CE4E5B9u >> 40;
    for (uint64_t n = bits % 8; n > 4; n--) sched_yield();
    if (bits % 64 == 8) faulty_sleep(1e-5);
}

static inline cb_err faulty_start(cb_comm *comm, const cb_msg *msg, bool is_send, cb_req **req) {
    faulty_comm *me = faulty_of(comm);
    const faulty_plan *plan = me->plan;
    if (plan->kind == FAULTY_PACES) {
        faulty_pace((uint64_t)me->calls++ * 1009 + (uint64_t)comm->rank);
    } else if (comm->rank == plan->rank && me->calls++ == plan->call) {
        if (plan->kind == FAULTY_ERROR) return cb_fail(CB_EIO, "injected at message %d", plan->call);
        if (plan->kind == FAULTY_KILL) raise(SIGKILL);
        if (plan->kind == FAULTY_SLEEP) faulty_sleep(plan->sleep_s);
        if (plan->kind == FAULTY_LOST) {
            *req = cb_pool_take(&me->lost, msg, is_send);
            return *req ? CB_OK : cb_fail(CB_ENOMEM, "no memory for a lost message");
        }
    }
    return is_send ? me->inner->ops->isend(me->inner, msg, req) : me->inner->ops->irecv(me->inner, msg, req);
}

static inline cb_err faulty_isend(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return faulty_start(comm, msg, true, req);
}

static inline cb_err faulty_irecv(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return faulty_start(comm, msg, false, req);
}

static inline cb_err faulty_give(faulty_comm *me, cb_req **req, cb_err e) {
    cb_pool_give(&me->lost, *req);
    *req = NULL;
    return e;
}

static inline cb_err faulty_test(cb_comm *comm, cb_req **req, bool *done) {
    faulty_comm *me = faulty_of(comm);
    if (me->lost.in_use.next != *req) return me->inner->ops->test(me->inner, req, done);
    cb_err e = me->inner->ops->alive(me->inner);
    *done = e != CB_OK;
    return e ? faulty_give(me, req, e) : CB_OK;
}

static inline cb_err faulty_wait(cb_comm *comm, cb_req **req) {
    faulty_comm *me = faulty_of(comm);
    if (me->lost.in_use.next != *req) return me->inner->ops->wait(me->inner, req);
    double until_s = cb_now_s() + comm->deadline_s;
    while (cb_now_s() < until_s) {
        bool done;
        cb_err e = faulty_test(comm, req, &done);
        if (e) return e;
        faulty_sleep(1e-3);
    }
    return faulty_give(me, req, cb_fail(CB_ETIMEOUT, "message %d was lost", me->plan->call));
}

static inline cb_err faulty_alive(cb_comm *comm) {
    cb_comm *inner = faulty_of(comm)->inner;
    return inner->ops->alive(inner);
}

static inline void faulty_abort(cb_comm *comm) {
    cb_comm *inner = faulty_of(comm)->inner;
    inner->ops->abort(inner);
}

static inline cb_err faulty_finish(cb_comm *comm) {
    cb_comm *inner = faulty_of(comm)->inner;
    return inner->ops->finish ? inner->ops->finish(inner) : CB_OK;
}

static inline void faulty_destroy(cb_comm *comm) {
    faulty_comm *me = faulty_of(comm);
    cb_comm_destroy(me->inner);
    cb_pool_destroy(&me->lost);
    free(me);
}

/* plan: a const faulty_plan, the same for all ranks */
static inline cb_err faulty_wrap(cb_comm *inner, void *plan, cb_comm **outer) {
    faulty_comm *me = calloc(1, sizeof *me);
    if (!me) return cb_fail(CB_ENOMEM, "no memory for a faulty endpoint");
    me->comm = *inner;
    me->comm.ops = &me->ops;
    me->ops = (cb_comm_ops){.name = inner->ops->name,
                            .isend = faulty_isend,
                            .irecv = faulty_irecv,
                            .test = faulty_test,
                            .wait = faulty_wait,
                            .alive = faulty_alive,
                            .abort = faulty_abort,
                            .finish = faulty_finish,
                            .destroy = faulty_destroy};
    me->inner = inner;
    me->plan = plan;
    cb_pool_init(&me->lost, sizeof(cb_req));
    *outer = &me->comm;
    return CB_OK;
}

#endif
