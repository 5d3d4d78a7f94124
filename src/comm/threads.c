/* Ranks as threads of one process. Every rank has a mailbox where sends to it and its own receives meet, matched by
 * (source, tag) in the order they came; who comes second copies straight from the sender's memory into the receiver's,
 * outside of all locks. Collectives do not go through mailboxes: members of a group meet on a board (board.c). A rank
 * waits as bell.c says.
 *
 * Invariant: a request's buffer is touched by a peer only while its state is COPYING, which is entered under the
 * mailbox's lock from QUEUED; a rank that gives up first takes its requests out of the mailboxes under that lock
 * (drop). */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/os.h"
#include "comm/board.h"
#include "comm/comm_backend.h"

enum { BUCKETS = 64, MAX_RANKS = 1 << 16, DEFAULT_STACK_BYTES = 1 << 20, NOBODY = -1 };

typedef enum state { QUEUED, COPYING, DONE, MISMATCH, DROPPED } state;

typedef struct end end;

typedef struct parcel {
    cb_req head;
    end *owner, *box; /* who started it; whose mailbox it is matched in: the receiver's; NULL: it is a visit */
    cb_visit visit;   /* to a meeting */
    struct parcel *next;
    cb_msg other; /* of a MISMATCH */
    atomic_int state;
} parcel;

typedef struct bucket {
    parcel *first, *last;
} bucket;

typedef struct world {
    int size;
    end *ends;
    cb_bell *bells; /* (size) */
    cb_boards *boards;
    cb_patience patience;
    int cores;
    atomic_int ended; /* ranks whose function has returned */
    atomic_int aborted; /* 0, or 1 + the rank that ended the world */
    /* the start, and the first error */
    pthread_mutex_t lock;
    pthread_cond_t started;
    enum { GATE_SHUT, GATE_OPEN, GATE_CANCELLED } gate;
    cb_err error;
    int error_rank;
    cb_wrap_fn wrap;
    void *wrap_arg;
    cb_rank_fn fn;
    void *arg;
} world;

struct end {
    cb_comm comm;
    world *w;
    pthread_t thread;
    pthread_mutex_t lock; /* of the mailbox */
    atomic_bool ended;
    atomic_int waits_for; /* rank, or NOBODY */
    bool timed_out, dropped;
    cb_pool pool;
    bucket buckets[BUCKETS];
};

/* Mailbox. A bucket holds, for one (source, tag), either sends or receives, never both. */

static int source_of(const parcel *p) {
    return p->head.is_send ? p->owner->comm.rank : p->head.msg.peer;
}

static bucket *bucket_of(end *box, int source, int tag) {
    uint32_t key = ((uint32_t)source * 0x9E3779B1u) ^ ((uint32_t)tag * 0x85EBCA77u);
    return &box->buckets[(key >> 16) % BUCKETS];
}

static void append(bucket *b, parcel *p) {
    p->next = NULL;
    if (b->last)
        b->last->next = p;
    else
        b->first = p;
    b->last = p;
}

static void take_out(bucket *b, parcel *before, parcel *p) {
    if (before)
        before->next = p->next;
    else
        b->first = p->next;
    if (b->last == p) b->last = before;
}

/* The oldest parcel of the other direction with p's source and tag, taken out; NULL where there is none. */
static parcel *take_match(bucket *b, const parcel *p) {
    parcel *before = NULL;
    for (parcel *q = b->first; q; before = q, q = q->next) {
        if (q->head.is_send == p->head.is_send || q->head.msg.tag != p->head.msg.tag || source_of(q) != source_of(p))
            continue;
        take_out(b, before, q);
        return q;
    }
    return NULL;
}

/* Waiting */

static void wake(const end *e) {
    cb_bell_ring(&e->w->bells[e->comm.rank]);
}

static void wake_all(const world *w) {
    for (int i = 0; i < w->size; i++) wake(&w->ends[i]);
}

static bool is_visit(const parcel *p) {
    return !p->box;
}

/* The rank on which p waits: the other side, or the first member that has not come to the meeting; then this rank itself
 * if all have. */
static int awaited(const parcel *p) {
    if (!is_visit(p)) return p->head.msg.peer;
    int absent = cb_visit_absent(&p->visit, 0);
    return absent < 0 ? p->owner->comm.rank : cb_board_rank(p->visit.board, absent);
}

static bool settled(const parcel *p) {
    int now = atomic_load(&p->state);
    return now != QUEUED && now != COPYING;
}

/* Nobody will ever come for a queued parcel, or not all to a meeting. */
static bool hopeless(const parcel *p) {
    const world *w = p->owner->w;
    if (atomic_load(&w->aborted)) return true;
    if (atomic_load_explicit(&w->ended, memory_order_relaxed) == 0) return false;
    return atomic_load(&w->ends[awaited(p)].ended);
}

/* There is something to do about p, or nothing more to be hoped for. */
static bool can_go_on(const void *arg) {
    const parcel *p = arg;
    return is_visit(p) ? cb_visit_ready(&p->visit) || hopeless(p)
                       : settled(p) || (atomic_load(&p->state) == QUEUED && hopeless(p));
}

static bool is_settled(const void *arg) {
    return settled(arg);
}

/* Takes p back, or waits for the end of a copy under way. After this no peer touches its buffer. */
static void drop(parcel *p) {
    bool queued = false;
    if (is_visit(p)) {
        cb_visit_break_off(&p->visit);
        return;
    }
    pthread_mutex_lock(&p->box->lock);
    if (atomic_load(&p->state) == QUEUED) {
        queued = true;
        bucket *b = bucket_of(p->box, source_of(p), p->head.msg.tag);
        parcel *before = NULL;
        for (parcel *q = b->first; q != p; q = q->next) before = q;
        take_out(b, before, p);
        atomic_store(&p->state, DROPPED);
    }
    pthread_mutex_unlock(&p->box->lock);
    const world *w = p->owner->w;
    if (!queued) (void)cb_bell_wait(&w->bells[p->owner->comm.rank], w->patience, is_settled, p, 0);
}

static void drop_all(end *me) {
    if (me->dropped) return;
    me->dropped = true;
    for (cb_req *r = me->pool.in_use.next; r != &me->pool.in_use; r = r->next) drop((parcel *)(void *)r);
}

/* Errors */

static cb_err alive(cb_comm *comm) {
    end *me = (end *)(void *)comm;
    int aborted = atomic_load(&me->w->aborted);
    if (!aborted && !me->timed_out) return CB_OK;
    drop_all(me);
    if (me->timed_out) return cb_fail(CB_ETIMEOUT, "rank %d has already given up at a deadline", comm->rank);
    return cb_fail(CB_EPEER, "rank %d ended the world", aborted - 1);
}

/* "; rank 1 waits for rank 0; rank 0 does not wait for anyone": where the chain of waits from `rank` leads. */
static void describe_chain(const end *me, int rank, char *out, size_t room) {
    *out = 0;
    for (int hops = 0; hops < 8 && rank != me->comm.rank; hops++) {
        int next = atomic_load(&me->w->ends[rank].waits_for);
        size_t used = strlen(out);
        if (next == NOBODY) {
            snprintf(out + used, room - used, "; rank %d does not wait for anyone", rank);
            return;
        }
        snprintf(out + used, room - used, "; rank %d waits for rank %d", rank, next);
        rank = next;
    }
}

static cb_err late(end *me, const parcel *p) {
    const cb_msg *msg = &p->head.msg;
    char what[96], chain[320];
    describe_chain(me, awaited(p), chain, sizeof chain);
    if (is_visit(p))
        return cb_fail(CB_ETIMEOUT, "rank %d waited %g s for rank %d to come to an operation (%s)%s", me->comm.rank,
                       me->comm.deadline_s, awaited(p), cb_msg_describe(msg, what), chain);
    return cb_fail(CB_ETIMEOUT, "rank %d waited %g s for %s rank %d (%s)%s", me->comm.rank, me->comm.deadline_s,
                   p->head.is_send ? "a message to be taken by" : "a message from", msg->peer,
                   cb_msg_describe(msg, what), chain);
}

static cb_err peer_ended(const end *me, const parcel *p) {
    char what[96];
    return cb_fail(CB_EMISMATCH, "rank %d %s rank %d (%s), but rank %d has ended", me->comm.rank,
                   is_visit(p)       ? "expects in an operation"
                   : p->head.is_send ? "has a message for"
                                     : "expects a message from",
                   awaited(p), cb_msg_describe(&p->head.msg, what), awaited(p));
}

static cb_err mismatch(const end *me, const parcel *p) {
    char what[96];
    return cb_msg_size_mismatch(me->comm.rank, p->head.is_send, &p->head.msg, cb_msg_bytes(&p->other),
                                cb_msg_describe(&p->other, what));
}

/* Operations */

/* p and its match are taken out of the mailbox; only this thread knows them now. After the second store the match may
 * be given back by its owner at any time. */
static void deliver(parcel *p, parcel *match) {
    const parcel *from = p->head.is_send ? p : match, *to = p->head.is_send ? match : p;
    end *owner = match->owner;
    int64_t bytes = cb_msg_bytes(&p->head.msg);
    state now = DONE;
    if (bytes != cb_msg_bytes(&match->head.msg)) {
        p->other = match->head.msg;
        match->other = p->head.msg;
        now = MISMATCH;
    } else if (bytes > 0) {
        memmove(to->head.msg.data, from->head.msg.data, (size_t)bytes);
    }
    atomic_store(&p->state, now);
    atomic_store(&match->state, now);
    wake(owner);
}

static cb_err start(cb_comm *comm, const cb_msg *msg, bool is_send, cb_req **req) {
    TRY(alive(comm));
    end *me = (end *)(void *)comm;
    parcel *p = (parcel *)(void *)cb_pool_take(&me->pool, msg, is_send);
    if (!p) return cb_fail(CB_ENOMEM, "no memory for a request; rank %d has %d under way", comm->rank, me->pool.used);
    p->owner = me;
    p->box = is_send ? &me->w->ends[msg->peer] : me;
    bucket *b = bucket_of(p->box, source_of(p), msg->tag);
    pthread_mutex_lock(&p->box->lock);
    parcel *match = take_match(b, p);
    atomic_store_explicit(&p->state, match ? COPYING : QUEUED, memory_order_relaxed);
    if (match)
        atomic_store_explicit(&match->state, COPYING, memory_order_relaxed);
    else
        append(b, p);
    pthread_mutex_unlock(&p->box->lock);
    if (match) deliver(p, match);
    *req = &p->head;
    return CB_OK;
}

static cb_err isend(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return start(comm, msg, true, req);
}
static cb_err irecv(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return start(comm, msg, false, req);
}

/* Ends the request with what became of it. */
static cb_err finish_request(end *me, cb_req **req, bool timed_out) {
    parcel *p = (parcel *)(void *)*req;
    cb_err e = CB_OK;
    if (!settled(p)) drop(p); /* it may still get through here */
    int now = atomic_load(&p->state);
    if (atomic_load(&me->w->aborted) || me->timed_out) {
        e = alive(&me->comm);
    } else if (timed_out && now == DROPPED) {
        me->timed_out = true;
        e = late(me, p);
        drop_all(me);
    } else if (now == DROPPED) {
        e = peer_ended(me, p);
    } else if (now == MISMATCH) {
        e = mismatch(me, p);
    }
    *req = NULL;
    cb_pool_give(&me->pool, &p->head);
    return e;
}

/* Visits */

static cb_err meet(cb_comm *comm, cb_board *board, int me_there, const cb_msg *msg, const cb_call *call,
                   const cb_work *work, cb_req **req) {
    TRY(alive(comm));
    end *me = (end *)(void *)comm;
    parcel *p = (parcel *)(void *)cb_pool_take(&me->pool, msg, false);
    if (!p) return cb_fail(CB_ENOMEM, "no memory for a request; rank %d has %d under way", comm->rank, me->pool.used);
    p->owner = me;
    p->box = NULL;
    cb_err e = cb_visit_begin(&p->visit, board, me_there, call, work);
    if (e)
        cb_pool_give(&me->pool, &p->head);
    else
        *req = &p->head;
    return e;
}

static cb_err end_visit(end *me, cb_req **req, cb_err e) {
    parcel *p = (parcel *)(void *)*req;
    cb_visit_end(&p->visit);
    *req = NULL;
    cb_pool_give(&me->pool, &p->head);
    return e;
}

/* Why a visit cannot go on, if the world has not ended anyway. */
typedef enum reason { PEER_ENDED, TIMED_OUT, GIVEN_UP } reason;

static cb_err give_up_visit(end *me, cb_req **req, reason why) {
    parcel *p = (parcel *)(void *)*req;
    char what[96];
    drop(p);
    cb_err e = alive(&me->comm);
    if (!e && why == GIVEN_UP) {
        e = cb_fail(CB_EPEER, "another rank has given up an operation (%s)", cb_msg_describe(&p->head.msg, what));
    } else if (!e && why == TIMED_OUT) {
        e = late(me, p);
        me->timed_out = true;
        drop_all(me);
    } else if (!e) {
        e = peer_ended(me, p);
    }
    return end_visit(me, req, e);
}

/* *done where it came to an end. `all`: help the others too. */
static cb_err step_visit(end *me, cb_req **req, bool all, bool *done) {
    parcel *p = (parcel *)(void *)*req;
    *done = true;
    switch (cb_visit_step(&p->visit, all)) {
    case CB_VISIT_DONE:
        return end_visit(me, req, CB_OK);
    case CB_VISIT_UNEQUAL:
        return end_visit(me, req, cb_visit_unequal(&p->visit));
    case CB_VISIT_BROKEN:
        return give_up_visit(me, req, GIVEN_UP);
    case CB_VISIT_OPEN:
        break;
    }
    if (hopeless(p) && cb_visit_absent(&p->visit, 0) >= 0) return give_up_visit(me, req, PEER_ENDED);
    *done = atomic_load(&me->w->aborted);
    return *done ? give_up_visit(me, req, PEER_ENDED) : CB_OK;
}

static cb_err wait_visit(end *me, cb_req **req) {
    parcel *p = (parcel *)(void *)*req;
    double until_s = cb_now_s() + me->comm.deadline_s;
    bool done = false, in_time = true;
    for (;;) {
        TRY(step_visit(me, req, true, &done));
        if (done) return CB_OK;
        if (!in_time) return give_up_visit(me, req, TIMED_OUT);
        in_time = cb_bell_wait(&me->w->bells[me->comm.rank], me->w->patience, can_go_on, p, until_s);
    }
}

/* Any request */

static cb_err test(cb_comm *comm, cb_req **req, bool *done) {
    end *me = (end *)(void *)comm;
    const parcel *p = (const parcel *)(const void *)*req;
    if (is_visit(p)) return step_visit(me, req, false, done);
    *done = can_go_on(p) || atomic_load(&me->w->aborted);
    return *done ? finish_request(me, req, false) : CB_OK;
}

static cb_err wait(cb_comm *comm, cb_req **req) {
    end *me = (end *)(void *)comm;
    const parcel *p = (const parcel *)(const void *)*req;
    atomic_store_explicit(&me->waits_for, awaited(p), memory_order_relaxed);
    cb_err e;
    if (is_visit(p)) {
        e = wait_visit(me, req);
    } else {
        double until_s = cb_now_s() + comm->deadline_s;
        bool in_time = cb_bell_wait(&me->w->bells[comm->rank], me->w->patience, can_go_on, p, until_s);
        e = finish_request(me, req, !in_time);
    }
    atomic_store_explicit(&me->waits_for, NOBODY, memory_order_relaxed);
    return e;
}

/* Groups of one have nobody to meet. */
static cb_err join(cb_comm *comm, cb_purpose purpose, const int *ranks, int size, cb_board **board) {
    const world *w = ((end *)(void *)comm)->w;
    *board = NULL;
    if (size < 2 || size > CB_MOST_AT_A_MEETING) return CB_OK;
    cb_board_plan plan = {.purpose = purpose,
                          .ranks = ranks,
                          .size = size,
                          .bells = w->bells,
                          .helpers = w->cores,
                          .tiny = w->size <= w->cores};
    return cb_board_join(w->boards, &plan, board);
}

static void leave(cb_comm *comm, cb_board *board) {
    cb_board_leave(((end *)(void *)comm)->w->boards, board);
}

/* May come from a thread that is not the rank's (a watchdog); the rank's requests are then dropped by its next call. */
static void abort_world(cb_comm *comm) {
    end *me = (end *)(void *)comm;
    int nobody = 0;
    atomic_compare_exchange_strong(&me->w->aborted, &nobody, 1 + comm->rank);
    wake_all(me->w);
    if (pthread_equal(pthread_self(), me->thread)) drop_all(me);
}

static cb_err finish(cb_comm *comm) {
    return cb_pool_check_empty(&((end *)(void *)comm)->pool, comm->rank);
}
static void let_go(cb_comm *comm) {
    drop_all((end *)(void *)comm);
}

static const cb_comm_ops ops = {.name = "threads",
                                .isend = isend,
                                .irecv = irecv,
                                .test = test,
                                .wait = wait,
                                .alive = alive,
                                .abort = abort_world,
                                .join = join,
                                .leave = leave,
                                .meet = meet,
                                .finish = finish,
                                .let_go = let_go};

/* Launch */

/* Keeps the first error; a real one replaces an echo. */
static void record(world *w, int rank, cb_err e) {
    pthread_mutex_lock(&w->lock);
    bool better = !w->error || (cb_err_code(w->error) == CB_EPEER && cb_err_code(e) != CB_EPEER);
    cb_err worse = better ? w->error : e;
    if (better) {
        w->error = e;
        w->error_rank = rank;
    }
    pthread_mutex_unlock(&w->lock);
    cb_err_free(worse);
}

static bool pass_gate(world *w) {
    pthread_mutex_lock(&w->lock);
    while (w->gate == GATE_SHUT) pthread_cond_wait(&w->started, &w->lock);
    bool open = w->gate == GATE_OPEN;
    pthread_mutex_unlock(&w->lock);
    return open;
}

static void open_gate(world *w, bool open) {
    pthread_mutex_lock(&w->lock);
    w->gate = open ? GATE_OPEN : GATE_CANCELLED;
    pthread_cond_broadcast(&w->started);
    pthread_mutex_unlock(&w->lock);
}

static void *rank_main(void *arg) {
    end *me = arg;
    world *w = me->w;
    if (!pass_gate(w)) return NULL;
    cb_err e = cb_comm_run_rank(&me->comm, w->wrap, w->wrap_arg, w->fn, w->arg);
    if (e) {
        record(w, me->comm.rank, e);
        abort_world(&me->comm);
    }
    atomic_store(&me->ended, true);
    atomic_fetch_add(&w->ended, 1);
    wake_all(w);
    return NULL;
}

static void init_end(world *w, int rank, double deadline_s) {
    end *e = &w->ends[rank];
    e->comm = (cb_comm){.ops = &ops, .rank = rank, .size = w->size, .in_process = true, .deadline_s = deadline_s};
    e->w = w;
    atomic_init(&e->waits_for, NOBODY);
    cb_pool_init(&e->pool, sizeof(parcel));
    cb_bell_short_lock(&e->lock);
}

static void destroy_end(end *e) {
    cb_pool_destroy(&e->pool);
    pthread_mutex_destroy(&e->lock);
}

/* Starts all threads behind the gate, so that a world is never half there; joins them. */
static cb_err run_threads(world *w, int64_t stack_bytes) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    int rc = pthread_attr_setstacksize(&attributes, (size_t)stack_bytes);
    int started = 0;
    while (rc == 0 && started < w->size) {
        rc = pthread_create(&w->ends[started].thread, &attributes, rank_main, &w->ends[started]);
        if (rc == 0) started++;
    }
    pthread_attr_destroy(&attributes);
    open_gate(w, rc == 0);
    for (int i = 0; i < started; i++) pthread_join(w->ends[i].thread, NULL);
    if (rc == 0) return CB_OK;
    return cb_fail(rc == EINVAL ? CB_EINVAL : CB_ENOMEM, "cannot start rank %d of %d with a stack of %lld bytes: %s",
                   started, w->size, (long long)stack_bytes, strerror(rc));
}

static cb_err run_world(world *w, const cb_launch *launch) {
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->started, NULL);
    for (int i = 0; i < w->size; i++) init_end(w, i, launch->deadline_s);
    cb_err e = run_threads(w, launch->stack_bytes > 0 ? launch->stack_bytes : DEFAULT_STACK_BYTES);
    if (!e && w->error) e = cb_err_context(w->error, "rank %d", w->error_rank);
    for (int i = 0; i < w->size; i++) destroy_end(&w->ends[i]);
    pthread_cond_destroy(&w->started);
    pthread_mutex_destroy(&w->lock);
    return e;
}

static cb_err launch_threads(const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg) {
    if (launch->ranks < 1 || launch->ranks > MAX_RANKS)
        return cb_fail(CB_EINVAL, "comm 'threads' with %d ranks; it runs 1 to %d", launch->ranks, MAX_RANKS);
    world w = {.size = launch->ranks, .wrap = wrap, .wrap_arg = wrap_arg, .fn = fn, .arg = arg};
    w.cores = cb_os_cores();
    w.patience = cb_patience_for(w.size, w.cores);
    w.ends = calloc((size_t)w.size, sizeof *w.ends);
    w.bells = aligned_alloc(sizeof *w.bells, (size_t)w.size * sizeof *w.bells);
    cb_err e = w.ends && w.bells
                   ? cb_boards_make(&w.boards)
                   : cb_fail(CB_ENOMEM, "no memory for %d ranks of %zu bytes", w.size, sizeof *w.ends);
    if (!e) {
        memset(w.bells, 0, (size_t)w.size * sizeof *w.bells);
        e = run_world(&w, launch);
        cb_boards_free(w.boards);
    }
    free(w.bells);
    free(w.ends);
    return e;
}

const cb_backend cb_backend_threads = {.name = "threads", .launch = launch_threads};
