/* The checking wrapper: holds both sides of every message to the contract of comm.h. Before each message travels a
 * letter with the sender's view of it, which the receiver compares with its own; both have the same tag, so order keeps
 * them together. Receive buffers are poisoned until they are filled (0xFF: NaN as a float), send buffers must not
 * change before the wait, a request has one end, and none may be left over when the rank ends. Members of a group are
 * held to call the same operations (roll.h). */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "comm/roll.h"

enum { MAGIC = 0x4c45544e, LOOK_NS = 50000 };
/* How long a wait looks for cards first, which are on their way if all members have come: of its deadline. */
static const double cards_share = 0.125, cards_s = 1;

typedef struct letter {
    int32_t magic, purpose, kind, type;
    int64_t count;
    uint64_t checksum; /* of the data */
    int32_t note, unused;
} letter;

typedef struct checked_req {
    cb_req head;
    letter letter;
    cb_req *letter_req, *body_req;
} checked_req;

typedef struct checked {
    cb_comm comm;
    cb_comm_ops ops; /* own copy: it bears the inner backend's name */
    cb_comm *inner;
    cb_pool pool;
    cb_rolls rolls;
} checked;

static checked *checked_of(cb_comm *comm) {
    return (checked *)(void *)comm;
}

static uint64_t checksum(const cb_msg *msg) {
    return cb_hash(msg->data, cb_msg_bytes(msg));
}

static letter letter_for(const cb_msg *msg, bool is_send) {
    return (letter){.magic = is_send ? MAGIC : 0,
                    .purpose = (int32_t)msg->purpose,
                    .kind = (int32_t)msg->kind,
                    .type = (int32_t)msg->type,
                    .count = msg->count,
                    .checksum = is_send ? checksum(msg) : 0,
                    .note = msg->note};
}

/* Where the second half cannot be started the request stays in use: the first still refers to its letter. */
static cb_err start(cb_comm *comm, const cb_msg *msg, bool is_send, cb_req **req) {
    checked *me = checked_of(comm);
    checked_req *r = (checked_req *)(void *)cb_pool_take(&me->pool, msg, is_send);
    if (!r) return cb_fail(CB_ENOMEM, "no memory for a request; rank %d has %d under way", comm->rank, me->pool.used);
    if (!is_send && msg->count > 0) memset(msg->data, 0xFF, (size_t)cb_msg_bytes(msg));
    r->letter = letter_for(msg, is_send);
    r->letter_req = r->body_req = NULL;
    cb_msg first = *msg;
    first.type = CB_U8;
    first.count = sizeof r->letter;
    first.data = &r->letter;
    const cb_comm_ops *ops = me->inner->ops;
    TRY((is_send ? ops->isend : ops->irecv)(me->inner, &first, &r->letter_req));
    TRY((is_send ? ops->isend : ops->irecv)(me->inner, msg, &r->body_req));
    *req = &r->head;
    return CB_OK;
}

static cb_err isend(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return start(comm, msg, true, req);
}
static cb_err irecv(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return start(comm, msg, false, req);
}

static cb_err compare(const cb_comm *comm, const checked_req *r) {
    const letter *l = &r->letter;
    const cb_msg *m = &r->head.msg;
    if (l->magic != MAGIC)
        return cb_fail(CB_EMISMATCH, "rank %d got from rank %d, tag %d, something that is not a checked message",
                       comm->rank, m->peer, m->tag);
    if (l->purpose == (int32_t)m->purpose && l->kind == (int32_t)m->kind && l->type == (int32_t)m->type &&
        l->count == m->count && l->note == m->note)
        return CB_OK;
    return cb_fail(CB_EMISMATCH,
                   "rank %d expects %s #%d over %s of %lld %s from rank %d, which sent %s #%d over %s of %lld %s",
                   comm->rank, cb_kind_name(m->kind), m->note, cb_purpose_name(m->purpose), (long long)m->count,
                   cb_type_name(m->type), m->peer, cb_kind_name((cb_kind)l->kind), l->note,
                   cb_purpose_name((cb_purpose)l->purpose), (long long)l->count, cb_type_name((cb_type)l->type));
}

static cb_err check_data(const cb_comm *comm, const checked_req *r) {
    const cb_msg *m = &r->head.msg;
    if (checksum(m) == r->letter.checksum) return CB_OK;
    char what[96];
    cb_msg_describe(m, what);
    if (r->head.is_send)
        return cb_fail(CB_EMISMATCH, "rank %d changed a buffer between isend to rank %d and wait (%s)", comm->rank,
                       m->peer, what);
    return cb_fail(CB_EMISMATCH, "rank %d got other bytes from rank %d than were given to isend (%s)", comm->rank,
                   m->peer, what);
}

/* A handle that has ended already. The pool keeps ended requests for a while before it gives them out again. */
static cb_err check_handle(const cb_comm *comm, cb_req **req) {
    const cb_req *r = *req;
    if (r->in_use) return CB_OK;
    *req = NULL;
    char what[96];
    return cb_fail(CB_EMISMATCH, "rank %d used a request with rank %d again after its end (last: %s)", comm->rank,
                   r->msg.peer, cb_msg_describe(&r->msg, what));
}

/* Moves one half on; NULL is done. */
static cb_err step(cb_comm *inner, cb_req **half, bool block) {
    bool done;
    if (!*half) return CB_OK;
    return block ? inner->ops->wait(inner, half) : inner->ops->test(inner, half, &done);
}

/* Of a mismatch the calls tell more than a message that is not as expected. */
static cb_err tell_calls(checked *me, cb_err e) {
    if (cb_err_code(e) != CB_EMISMATCH) return e;
    cb_err told = cb_rolls_look(&me->rolls, me->inner);
    if (!told) return e;
    cb_err_free(e);
    return told;
}

/* The letter is compared before the body is looked at: of a wrong message the body may be of a wrong size. */
static cb_err progress(cb_comm *comm, cb_req **req, bool block, bool *done) {
    *done = true;
    TRY(check_handle(comm, req));
    checked *me = checked_of(comm);
    checked_req *r = (checked_req *)(void *)*req;
    bool had_letter = !r->letter_req;
    cb_err e = step(me->inner, &r->letter_req, block);
    if (!e && r->letter_req) {
        *done = false;
        return CB_OK;
    }
    if (!e && !r->head.is_send && !had_letter) e = compare(comm, r);
    cb_err body_error = step(me->inner, &r->body_req, block || e);
    if (!e && !body_error && r->body_req) {
        *done = false;
        return CB_OK;
    }
    if (!e && !body_error) body_error = check_data(comm, r);
    if (e) cb_err_free(body_error);
    *req = NULL;
    cb_pool_give(&me->pool, &r->head);
    return e ? e : body_error;
}

static cb_err test(cb_comm *comm, cb_req **req, bool *done) {
    checked *me = checked_of(comm);
    TRY(cb_rolls_look(&me->rolls, me->inner));
    cb_err e = progress(comm, req, false, done);
    return e ? tell_calls(me, e) : CB_OK;
}

/* Where members call different things, messages may be waited for that nobody sends: then their cards tell. */
static cb_err wait(cb_comm *comm, cb_req **req) {
    checked *me = checked_of(comm);
    bool done = false;
    double look_s = cards_share * comm->deadline_s < cards_s ? cards_share * comm->deadline_s : cards_s;
    for (double until_s = cb_now_s() + look_s; !done && me->rolls.first && cb_now_s() < until_s;) {
        TRY(test(comm, req, &done));
        if (!done) nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    if (done) return CB_OK;
    cb_err e = progress(comm, req, true, &done);
    return e ? tell_calls(me, e) : CB_OK;
}

static cb_err announce(cb_comm *comm, const cb_group *group, unsigned sequence, const cb_call *call) {
    checked *me = checked_of(comm);
    return cb_rolls_call(&me->rolls, me->inner, group, sequence, call);
}

static cb_err alive(cb_comm *comm) {
    cb_comm *inner = checked_of(comm)->inner;
    return inner->ops->alive(inner);
}

static void abort_world(cb_comm *comm) {
    cb_comm *inner = checked_of(comm)->inner;
    inner->ops->abort(inner);
}

static cb_err finish(cb_comm *comm) {
    checked *me = checked_of(comm);
    TRY(cb_pool_check_empty(&me->pool, comm->rank));
    TRY(cb_rolls_finish(&me->rolls, me->inner));
    return me->inner->ops->finish ? me->inner->ops->finish(me->inner) : CB_OK;
}

/* The backend has let go of the letters before (cb_comm_run_rank). */
static void destroy(cb_comm *comm) {
    checked *me = checked_of(comm);
    cb_comm_destroy(me->inner);
    cb_pool_destroy(&me->pool);
    cb_rolls_free(&me->rolls);
    free(me);
}

cb_err cb_checked_wrap(cb_comm *inner, void *unused, cb_comm **outer) {
    (void)unused;
    checked *me = calloc(1, sizeof *me);
    if (!me) return cb_fail(CB_ENOMEM, "no memory for the checks of rank %d", inner->rank);
    me->ops = (cb_comm_ops){.name = inner->ops->name,
                            .isend = isend,
                            .irecv = irecv,
                            .test = test,
                            .wait = wait,
                            .alive = alive,
                            .announce = announce,
                            .abort = abort_world,
                            .finish = finish,
                            .destroy = destroy};
    me->comm = *inner;
    me->comm.ops = &me->ops;
    me->inner = inner;
    cb_pool_init(&me->pool, sizeof(checked_req));
    *outer = &me->comm;
    return CB_OK;
}
