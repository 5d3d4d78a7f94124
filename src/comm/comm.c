/* The table of backends, and what is common to all: checks of a message, dispatch, counters, the run of one rank.
 * Counters belong to the outermost endpoint, the one the rank holds, so what wrappers add is not counted. */
#include "comm/comm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "base/clock.h"
#include "comm/comm_backend.h"

enum { TAG_LIMIT = 1 << 21, DEFAULT_DEADLINE_S = 60, LOOKS = 10 };

static const cb_backend *const backends[] = {&cb_backend_threads, &cb_backend_mpi};
enum { BACKENDS = sizeof backends / sizeof backends[0] };

const char *cb_comm_backends(void) {
    return "threads, mpi";
}

const char *cb_purpose_name(cb_purpose purpose) {
    static const char *const names[CB_PURPOSES] = {"tp", "dp", "pp", "embedding", "world"};
    return (unsigned)purpose < CB_PURPOSES ? names[purpose] : "unknown purpose";
}

const char *cb_kind_name(cb_kind kind) {
    static const char *const names[CB_KINDS] = {"send/recv",      "all-reduce", "all-gather",
                                                "reduce-scatter", "broadcast",  "barrier",
                                                "reduce",         "all-to-all"};
    return (unsigned)kind < CB_KINDS ? names[kind] : "unknown kind";
}

/* Launch */

struct wrappers { /* a test's wrapper inside the checking one */
    cb_wrap_fn wrap;
    void *wrap_arg;
    bool checked;
};

static cb_err wrap_all(cb_comm *inner, void *arg, cb_comm **outer) {
    const struct wrappers *w = arg;
    *outer = inner;
    if (w->wrap) TRY(w->wrap(inner, w->wrap_arg, outer));
    if (!w->checked) return CB_OK;
    cb_comm *checked = NULL;
    cb_err e = cb_checked_wrap(*outer, NULL, &checked);
    if (e)
        cb_comm_destroy(*outer);
    else
        *outer = checked;
    return e;
}

static cb_err find_backend(const char *name, const cb_backend **found) {
    for (int i = 0; i < BACKENDS; i++) {
        if (strcmp(backends[i]->name, name) != 0) continue;
        *found = backends[i];
        if (!backends[i]->if_missing) return CB_OK;
        return cb_fail(CB_EUNSUPPORTED, "comm '%s' is not in this build; configure with %s", name,
                       backends[i]->if_missing);
    }
    const char *names[BACKENDS + 1] = {NULL};
    char near[256];
    for (int i = 0; i < BACKENDS; i++) names[i] = backends[i]->name;
    return cb_fail(CB_EUSAGE, "comm '%s' is not known%s There are: %s", name, cb_args_suggest(name, names, near),
                   cb_comm_backends());
}

cb_err cb_comm_check_backend(const char *name) {
    const cb_backend *backend;
    return find_backend(name, &backend);
}

cb_err cb_comm_launch_wrapped(const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg) {
    const cb_backend *backend = NULL;
    TRY(find_backend(launch->backend, &backend));
    cb_launch filled = *launch;
    if (filled.deadline_s <= 0) filled.deadline_s = DEFAULT_DEADLINE_S;
    struct wrappers w = {wrap, wrap_arg, launch->checked};
    return backend->launch(&filled, wrap_all, &w, fn, arg);
}

cb_err cb_comm_launch(const cb_launch *launch, cb_rank_fn fn, void *arg) {
    return cb_comm_launch_wrapped(launch, NULL, NULL, fn, arg);
}

void cb_comm_destroy(cb_comm *comm) {
    if (comm->ops->destroy) comm->ops->destroy(comm);
}

cb_err cb_comm_run_rank(cb_comm *inner, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg) {
    cb_comm *outer = inner;
    TRY(wrap(inner, wrap_arg, &outer));
    cb_err e = fn(outer, arg);
    if (!e && outer->ops->finish) e = outer->ops->finish(outer);
    if (inner->ops->let_go) inner->ops->let_go(inner);
    if (outer != inner) cb_comm_destroy(outer);
    return e;
}

/* What the launchers tell each process: names of the number of processes and of its own number. */
static int from_environment(int which, int fallback) {
    static const char *const names[][2] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                                           {"PMI_SIZE", "PMI_RANK"},
                                           {"SLURM_STEP_NUM_TASKS", "SLURM_PROCID"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *size = getenv(names[i][0]), *rank = getenv(names[i][1]);
        if (!size || !rank || atoi(size) < 1) continue;
        return atoi(which == 0 ? size : rank);
    }
    return fallback;
}

int cb_comm_mpiexec_ranks(void) {
    return from_environment(0, 1);
}
int cb_comm_mpiexec_rank(void) {
    return from_environment(1, 0);
}

/* Endpoint */

int cb_comm_rank(const cb_comm *comm) {
    return comm->rank;
}
int cb_comm_size(const cb_comm *comm) {
    return comm->size;
}
const char *cb_comm_backend(const cb_comm *comm) {
    return comm->ops->name;
}
bool cb_comm_in_process(const cb_comm *comm) {
    return comm->in_process;
}

int64_t cb_msg_bytes(const cb_msg *msg) {
    return msg->count * cb_type_bytes(msg->type);
}

char *cb_msg_describe(const cb_msg *msg, char out[96]) {
    const char *word = msg->purpose == CB_FOR_PP && msg->kind == CB_SENDRECV ? "microbatch " : "#";
    snprintf(out, 96, "%s %s, %s%d, %lld bytes", cb_purpose_name(msg->purpose), cb_kind_name(msg->kind), word,
             msg->note, (long long)cb_msg_bytes(msg));
    return out;
}

cb_err cb_msg_size_mismatch(int me, bool is_send, const cb_msg *mine, int64_t their_bytes, const char *theirs) {
    char text[96], bytes[32] = "more";
    if (their_bytes >= 0) snprintf(bytes, sizeof bytes, "%lld bytes", (long long)their_bytes);
    return cb_fail(CB_EMISMATCH, "rank %d %s rank %d %lld bytes (%s), which %s %s%s%s%s", me,
                   is_send ? "sends to" : "expects from", mine->peer, (long long)cb_msg_bytes(mine),
                   cb_msg_describe(mine, text), is_send ? "expects" : "sent", bytes, theirs ? " (" : "",
                   theirs ? theirs : "", theirs ? ")" : "");
}

static cb_err check_msg(const cb_comm *comm, const cb_msg *msg, const char *verb) {
    if (msg->peer < 0 || msg->peer >= comm->size)
        return cb_fail(CB_EINVAL, "rank %d %s rank %d; the world has ranks 0 to %d", comm->rank, verb, msg->peer,
                       comm->size - 1);
    if (msg->tag < 0 || msg->tag >= TAG_LIMIT)
        return cb_fail(CB_EINVAL, "rank %d %s rank %d with tag %d; tags are 0 to %d", comm->rank, verb, msg->peer,
                       msg->tag, TAG_LIMIT - 1);
    if (msg->count < 0 || (msg->count > 0 && !msg->data))
        return cb_fail(CB_EINVAL, "rank %d %s rank %d a message of %lld elements%s", comm->rank, verb, msg->peer,
                       (long long)msg->count, msg->data ? "" : " without data");
    return CB_OK;
}

/* Messages of collective operations are part of the operation's event (collectives/exchange.c). */
static cb_err start(cb_comm *comm, const cb_msg *msg, bool is_send, cb_req **req) {
    cb_comm_event *event = NULL;
    if (comm->recorder && msg->kind == CB_SENDRECV) {
        event = cb_comm_event_begin(comm, msg->purpose, msg->kind, msg->peer, msg->note);
    }
    TRY((is_send ? comm->ops->isend : comm->ops->irecv)(comm, msg, req));
    (*req)->event = event;
    (*req)->counted = is_send && msg->kind == CB_SENDRECV;
    if (!event) return CB_OK;
    event->is_send = is_send;
    event->bytes = cb_msg_bytes(msg);
    event->posted_s = cb_now_s();
    event->wait_s = INFINITY;
    return CB_OK;
}

static cb_err start_counted(cb_comm *comm, const cb_msg *msg, bool is_send, cb_req **req) {
    cb_comm_enter(comm);
    cb_err e = start(comm, msg, is_send, req);
    if (!e && is_send) {
        cb_traffic *traffic = &comm->traffic[msg->purpose][msg->kind];
        traffic->messages++;
        traffic->bytes += cb_msg_bytes(msg);
        if ((*req)->counted) cb_comm_begin_operation(comm, msg->purpose, msg->kind);
    }
    cb_comm_leave(comm, msg->purpose, msg->kind);
    return e;
}

cb_err cb_comm_isend(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    TRY(check_msg(comm, msg, "sends to"));
    return start_counted(comm, msg, true, req);
}

cb_err cb_comm_irecv(cb_comm *comm, const cb_msg *msg, cb_req **req) {
    TRY(check_msg(comm, msg, "receives from"));
    return start_counted(comm, msg, false, req);
}

/* A request has ended; the pool still has it as it was. */
static void note_end(cb_comm *comm, cb_req *ended) {
    if (ended->event) cb_comm_event_end(ended->event);
    if (ended->counted) cb_comm_end_operation(comm, ended->msg.purpose, ended->msg.kind);
    ended->event = NULL;
    ended->counted = false;
}

/* What is through after a few looks was not waited for: the clock is not read. In one process they take some tenths of a
 * microsecond; MPI may let others run in its first. */
cb_err cb_comm_wait(cb_comm *comm, cb_req **req) {
    bool done = false;
    for (int look = comm->in_process ? 0 : LOOKS - 1; look < LOOKS && !done; look++) TRY(cb_comm_test(comm, req, &done));
    if (done) return CB_OK;
    cb_req *waited = *req;
    cb_comm_enter(comm);
    if (waited->event) waited->event->wait_s = cb_now_s();
    cb_err e = comm->ops->wait(comm, req);
    note_end(comm, waited);
    cb_comm_leave(comm, waited->msg.purpose, waited->msg.kind);
    return e;
}

cb_err cb_comm_test(cb_comm *comm, cb_req **req, bool *done) {
    *done = true;
    if (!*req) return CB_OK;
    cb_req *tested = *req;
    cb_err e = comm->ops->test(comm, req, done);
    if (!*req) note_end(comm, tested);
    return e;
}

void cb_comm_abort(cb_comm *comm) {
    comm->ops->abort(comm);
}
cb_err cb_comm_alive(cb_comm *comm) {
    return comm->ops->alive(comm);
}

cb_err cb_comm_native(cb_comm *comm, const cb_call *call) {
    if (comm->ops->native) return comm->ops->native(comm, call);
    return cb_fail(CB_EUNSUPPORTED, "comm '%s' is no library with collectives of its own", comm->ops->name);
}

void cb_comm_native_name(const cb_comm *comm, char out[64]) {
    out[0] = '\0';
    if (comm->ops->native_name) comm->ops->native_name(out);
}
