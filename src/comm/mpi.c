/* Ranks as MPI processes, one rank each. Data travels as bytes on a duplicate of MPI_COMM_WORLD, short notices (a rank
 * has ended, the world is to end) on a second one. Waits poll MPI_Test, then yield, then sleep, because ranks may be
 * more than cores. After an abort or a deadline MPI is not called any more, so it cannot touch a buffer; the process
 * then ends by MPI_Abort. Source: MPI 3.1 standard; messages above 1 GiB are one element of a derived type, as counts
 * are ints. */
#include "comm/comm_backend.h"

#ifndef CB_HAVE_MPI

const cb_backend cb_backend_mpi = {.name = "mpi", .if_missing = "-DCB_MPI=ON"};

#else

#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "comm/alike.h"
#include "comm/mpi_native.h"

enum { TAG_LIMIT = 1 << 21, BIG_BLOCK = 1 << 30, NOTICE_TAG = 1 };
enum { SPINS = 64, YIELDS = 4096, SLEEP_NS = 50000 };
enum { NOTICE_ENDED, NOTICE_ABORT };
/* Notices may overtake data on some networks: how long after a rank's end its last messages are still awaited; and how
 * long a rank that only knows of another's failure leaves it to that one to say so. */
static const double grace_s = 1, echo_s = 5;
/* mpiexec ends all processes when one does, and what it has not yet read of their output may be lost (seen with
 * MPICH 4.0): so long it is given to read a line. */
static const double print_s = 0.5;

typedef struct mpi_end {
    cb_comm comm;
    MPI_Comm data, control;
    cb_pool pool;
    MPI_Request notice_req;
    int notice_in, notice_out[2];
    double *ended_s; /* (size) when the notice of a rank's end came, 0 before */
    int ended;       /* how many */
    int aborted;     /* 0, or 1 + the rank that ended the world */
    bool timed_out;
} mpi_end;

typedef struct mpi_req {
    cb_req head;
    MPI_Request handle;
} mpi_req;

static mpi_end *end_of(cb_comm *comm) {
    return (mpi_end *)(void *)comm;
}

static cb_err check(int rc, const char *what) {
    if (rc == MPI_SUCCESS) return CB_OK;
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int length = 0;
    MPI_Error_string(rc, text, &length);
    return cb_fail(CB_EIO, "%s: %s", what, text);
}

/* Notices */

static cb_err await_notice(mpi_end *me) {
    if (me->ended == me->comm.size - 1) return CB_OK;
    return check(MPI_Irecv(&me->notice_in, 1, MPI_INT, MPI_ANY_SOURCE, NOTICE_TAG, me->control, &me->notice_req),
                 "MPI_Irecv of a notice");
}

static cb_err poll_notices(mpi_end *me) {
    while (me->notice_req != MPI_REQUEST_NULL) {
        int come = 0;
        MPI_Status status;
        TRY(check(MPI_Test(&me->notice_req, &come, &status), "MPI_Test of a notice"));
        if (!come) return CB_OK;
        if (me->notice_in == NOTICE_ENDED) {
            me->ended_s[status.MPI_SOURCE] = cb_now_s();
            me->ended++;
        } else if (!me->aborted) {
            me->aborted = 1 + status.MPI_SOURCE;
        }
        TRY(await_notice(me));
    }
    return CB_OK;
}

/* Notices are a few bytes: MPI takes them without waiting for the receiver. */
static void tell_all(mpi_end *me, int notice) {
    me->notice_out[notice] = notice;
    for (int i = 0; i < me->comm.size; i++) {
        MPI_Request req;
        if (i == me->comm.rank) continue;
        if (MPI_Isend(&me->notice_out[notice], 1, MPI_INT, i, NOTICE_TAG, me->control, &req) == MPI_SUCCESS)
            MPI_Request_free(&req);
    }
}

/* Operations */

static cb_err gone(const mpi_end *me) {
    if (me->timed_out) return cb_fail(CB_ETIMEOUT, "rank %d has already given up at a deadline", me->comm.rank);
    if (me->aborted) return cb_fail(CB_EPEER, "rank %d ended the world", me->aborted - 1);
    return CB_OK;
}

static cb_err alive(cb_comm *comm) {
    mpi_end *me = end_of(comm);
    TRY(gone(me));
    TRY(poll_notices(me));
    return gone(me);
}

/* One element of `type` is the whole message: blocks of 1 GiB and the rest. */
static cb_err make_big_type(int64_t bytes, MPI_Datatype *type) {
    int blocks = (int)(bytes / BIG_BLOCK), lengths[] = {blocks, (int)(bytes % BIG_BLOCK)};
    MPI_Aint at[] = {0, (MPI_Aint)blocks * BIG_BLOCK};
    MPI_Datatype block, parts[2] = {MPI_DATATYPE_NULL, MPI_BYTE};
    TRY(check(MPI_Type_contiguous(BIG_BLOCK, MPI_BYTE, &block), "MPI_Type_contiguous"));
    parts[0] = block;
    cb_err e = check(MPI_Type_create_struct(2, lengths, at, parts, type), "MPI_Type_create_struct");
    MPI_Type_free(&block);
    return e ? e : check(MPI_Type_commit(type), "MPI_Type_commit");
}

static int post(const mpi_end *me, const cb_msg *m, bool is_send, int count, MPI_Datatype type, MPI_Request *handle) {
    if (is_send) return MPI_Isend(m->data, count, type, m->peer, m->tag, me->data, handle);
    return MPI_Irecv(m->data, count, type, m->peer, m->tag, me->data, handle);
}

static cb_err start(cb_comm *comm, const cb_msg *msg, bool is_send, cb_req **req) {
    mpi_end *me = end_of(comm);
    TRY(gone(me));
    mpi_req *r = (mpi_req *)(void *)cb_pool_take(&me->pool, msg, is_send);
    if (!r) return cb_fail(CB_ENOMEM, "no memory for a request; rank %d has %d under way", comm->rank, me->pool.used);
    r->handle = MPI_REQUEST_NULL;
    int64_t bytes = cb_msg_bytes(msg);
    cb_err e;
    if (bytes <= BIG_BLOCK) {
        e = check(post(me, msg, is_send, (int)bytes, MPI_BYTE, &r->handle), "MPI_Isend or MPI_Irecv");
    } else {
        MPI_Datatype type;
        e = make_big_type(bytes, &type);
        if (!e) {
            e = check(post(me, msg, is_send, 1, type, &r->handle), "MPI_Isend or MPI_Irecv");
            MPI_Type_free(&type);
        }
    }
    if (e)
        cb_pool_give(&me->pool, &r->head);
    else
        *req = &r->head;
    return e;
}

static cb_err isend(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return start(comm, msg, true, req);
}
static cb_err irecv(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    return start(comm, msg, false, req);
}

/* rc and status: what MPI_Test said when it ended the request. */
static cb_err judge(const mpi_end *me, const cb_req *r, int rc, const MPI_Status *status) {
    int class = MPI_SUCCESS;
    if (rc != MPI_SUCCESS) MPI_Error_class(rc, &class);
    if (class == MPI_ERR_TRUNCATE) return cb_msg_size_mismatch(me->comm.rank, r->is_send, &r->msg, -1, NULL);
    TRY(check(rc, "MPI_Test"));
    if (r->is_send) return CB_OK;
    MPI_Count got = 0;
    TRY(check(MPI_Get_elements_x(status, MPI_BYTE, &got), "MPI_Get_elements_x"));
    if (got == cb_msg_bytes(&r->msg)) return CB_OK;
    return cb_msg_size_mismatch(me->comm.rank, false, &r->msg, (int64_t)got, NULL);
}

static cb_err end_request(mpi_end *me, cb_req **req, cb_err e) {
    cb_pool_give(&me->pool, *req);
    *req = NULL;
    return e;
}

/* Nobody will come: the peer ended some time ago. Gives the message up. */
static cb_err peer_ended(mpi_end *me, cb_req **req) {
    mpi_req *r = (mpi_req *)(void *)*req;
    char what[96];
    if (!r->head.is_send) MPI_Cancel(&r->handle);
    MPI_Request_free(&r->handle);
    cb_err e = cb_fail(CB_EMISMATCH, "rank %d %s rank %d (%s), but rank %d has ended", me->comm.rank,
                       r->head.is_send ? "has a message for" : "expects a message from", r->head.msg.peer,
                       cb_msg_describe(&r->head.msg, what), r->head.msg.peer);
    return end_request(me, req, e);
}

static cb_err test(cb_comm *comm, cb_req **req, bool *done) {
    mpi_end *me = end_of(comm);
    mpi_req *r = (mpi_req *)(void *)*req;
    *done = true;
    cb_err e = gone(me);
    if (e) return end_request(me, req, e);
    int flag = 0;
    MPI_Status status;
    int rc = MPI_Test(&r->handle, &flag, &status);
    if (rc != MPI_SUCCESS || flag) return end_request(me, req, judge(me, &r->head, rc, &status));
    e = alive(comm);
    if (e) return end_request(me, req, e);
    double ended_s = me->ended_s[r->head.msg.peer];
    if (ended_s > 0 && cb_now_s() > ended_s + grace_s) return peer_ended(me, req);
    *done = false;
    return CB_OK;
}

static void relax(int64_t turn) {
    if (turn < SPINS) return;
    if (turn < YIELDS)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
}

static cb_err late(mpi_end *me, cb_req **req) {
    const cb_msg *msg = &(*req)->msg;
    char what[96];
    me->timed_out = true;
    cb_err e =
        cb_fail(CB_ETIMEOUT, "rank %d waited %g s for %s rank %d (%s)", me->comm.rank, me->comm.deadline_s,
                (*req)->is_send ? "a message to be taken by" : "a message from", msg->peer, cb_msg_describe(msg, what));
    return end_request(me, req, e);
}

static cb_err wait(cb_comm *comm, cb_req **req) {
    double until_s = cb_now_s() + comm->deadline_s;
    for (int64_t turn = 0;; turn++) {
        bool done;
        cb_err e = test(comm, req, &done);
        if (e || done) return e;
        if (turn > SPINS && cb_now_s() > until_s) return late(end_of(comm), req);
        relax(turn);
    }
}

/* Only from the rank's own thread (MPI_THREAD_FUNNELED). */
static void abort_world(cb_comm *comm) {
    mpi_end *me = end_of(comm);
    if (me->aborted) return;
    tell_all(me, NOTICE_ABORT);
    me->aborted = 1 + comm->rank;
}

static cb_err finish(cb_comm *comm) {
    return cb_pool_check_empty(&end_of(comm)->pool, comm->rank);
}

static cb_err native(cb_comm *comm, const cb_call *call) {
    TRY(gone(end_of(comm)));
    return cb_mpi_native(end_of(comm)->data, call);
}

static const cb_comm_ops ops = {.name = "mpi",
                                .isend = isend,
                                .irecv = irecv,
                                .test = test,
                                .wait = wait,
                                .alive = alive,
                                .abort = abort_world,
                                .native = native,
                                .native_name = cb_mpi_native_name,
                                .finish = finish};

/* Launch */

/* The conditions that all processes find alike, so that none is left alone. */
static cb_err check_world(const mpi_end *me, const cb_launch *launch, int provided) {
    if (provided < MPI_THREAD_FUNNELED)
        return cb_fail(CB_EUNSUPPORTED, "this MPI has thread level %d; needed is MPI_THREAD_FUNNELED (%d)", provided,
                       MPI_THREAD_FUNNELED);
    int *tag_limit = NULL, found = 0;
    MPI_Comm_get_attr(me->data, MPI_TAG_UB, &tag_limit, &found);
    if (!found || *tag_limit < TAG_LIMIT - 1)
        return cb_fail(CB_EUNSUPPORTED, "this MPI has tags up to %d; needed are %d", found ? *tag_limit : 0,
                       TAG_LIMIT - 1);
    if (launch->ranks == 0 || launch->ranks == me->comm.size) return CB_OK;
    return cb_fail(CB_EINVAL,
                   "this run has %d ranks, but mpiexec started %d process%s; start it with: mpiexec -n %d ...",
                   launch->ranks, me->comm.size, me->comm.size == 1 ? "" : "es", launch->ranks);
}

static cb_err set_up(mpi_end *me, const cb_launch *launch, int provided) {
    me->comm = (cb_comm){.ops = &ops, .deadline_s = launch->deadline_s};
    me->notice_req = MPI_REQUEST_NULL;
    cb_pool_init(&me->pool, sizeof(mpi_req));
    MPI_Comm_rank(MPI_COMM_WORLD, &me->comm.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &me->comm.size);
    TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &me->data), "MPI_Comm_dup"));
    TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &me->control), "MPI_Comm_dup"));
    /* MPICH judges a failed MPI_Test by the handler of MPI_COMM_WORLD */
    TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
    TRY(check(MPI_Comm_set_errhandler(me->data, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
    TRY(check(MPI_Comm_set_errhandler(me->control, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
    return check_world(me, launch, provided);
}

/* All processes must have ended before the last one leaves, and every notice must be received before MPI is. */
static cb_err leave(mpi_end *me) {
    tell_all(me, NOTICE_ENDED);
    for (int64_t turn = 0; me->ended < me->comm.size - 1; turn++) {
        TRY(poll_notices(me));
        relax(turn);
    }
    return CB_OK;
}

static void rest(double seconds) {
    time_t whole = (time_t)seconds;
    nanosleep(&(struct timespec){.tv_sec = whole, .tv_nsec = (long)(1e9 * (seconds - (double)whole))}, NULL);
}

/* Says what failed and ends the world. An echo waits for the one that knows the cause; the others become echoes. */
static void end_world(mpi_end *me, cb_err e) {
    fflush(stdout);
    if (cb_err_code(e) == CB_EPEER)
        rest(echo_s);
    else
        abort_world(&me->comm);
    char line[2600];
    int length = snprintf(line, sizeof line, "rank %d: %s\n", me->comm.rank, cb_err_text(e));
    if (length >= (int)sizeof line) length = sizeof line - 1;
    if (write(STDERR_FILENO, line, (size_t)length) < 0) fflush(stderr); /* nothing more can be done about it */
    rest(print_s);
    MPI_Abort(MPI_COMM_WORLD, cb_err_exit_code(e));
}

/* The world of one process: *refused is what all refuse alike; the error returned is this rank's own. */
static cb_err run_process(mpi_end *me, const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg,
                          cb_err *refused) {
    me->ended_s = calloc((size_t)me->comm.size, sizeof *me->ended_s);
    if (!me->ended_s) return cb_fail(CB_ENOMEM, "no memory for a world of %d ranks", me->comm.size);
    TRY(await_notice(me));
    TRY(cb_comm_agree(&me->comm, launch->alike, launch->refusal ? *launch->refusal : CB_OK, refused));
    if (!*refused) TRY(cb_comm_run_rank(&me->comm, wrap, wrap_arg, fn, arg));
    return leave(me);
}

/* Where the caller wants it. */
static cb_err hand_out(const cb_launch *launch, cb_err refused) {
    if (!refused || !launch->refusal) return refused;
    cb_err_free(*launch->refusal);
    *launch->refusal = refused;
    return CB_OK;
}

static cb_err launch_mpi(const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg) {
    int initialized = 0, provided = 0;
    MPI_Initialized(&initialized);
    if (initialized) return cb_fail(CB_EUNSUPPORTED, "comm 'mpi' can be launched once in a process");
    TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread"));
    mpi_end me = {0};
    cb_err e = set_up(&me, launch, provided);
    if (!e) {
        cb_err refused = CB_OK, failed = run_process(&me, launch, wrap, wrap_arg, fn, arg, &refused);
        if (failed) end_world(&me, failed); /* does not come back */
        e = hand_out(launch, refused);
        MPI_Comm_free(&me.control);
        MPI_Comm_free(&me.data);
    }
    MPI_Finalize();
    if (e && me.comm.rank > 0) rest(print_s); /* rank 0 prints it for all */
    free(me.ended_s);
    cb_pool_destroy(&me.pool);
    return e;
}

const cb_backend cb_backend_mpi = {.name = "mpi", .launch = launch_mpi};

#endif
