/* For implementers of a comm backend (threads.c, mpi.c) and of wrappers around one (checked.c, the fault injector of the
 * tests). A backend is one row of the table in comm.c. */
#ifndef CB_COMM_COMM_BACKEND_H
#define CB_COMM_COMM_BACKEND_H

#include "comm/comm.h"

typedef struct cb_comm_ops {
    const char *name;
    /* required */
    cb_err (*isend)(cb_comm *comm, const cb_msg *msg, cb_req **req);
    cb_err (*irecv)(cb_comm *comm, const cb_msg *msg, cb_req **req);
    cb_err (*test)(cb_comm *comm, cb_req **req, bool *done);
    cb_err (*wait)(cb_comm *comm, cb_req **req);
    cb_err (*alive)(cb_comm *comm);
    void (*abort)(cb_comm *comm);
    /* optional, default: nothing */
    void (*destroy)(cb_comm *comm);
} cb_comm_ops;

/* The head of every endpoint; a backend embeds it first in a struct of its own. */
struct cb_comm {
    const cb_comm_ops *ops;
    int rank, size;
    bool in_process;
    double deadline_s;
    cb_traffic traffic[CB_PURPOSES][CB_KINDS];
};

/* A backend: runs fn on all ranks. wrap, if not NULL, is applied to each endpoint before fn sees it. */
typedef cb_err (*cb_wrap_fn)(cb_comm *inner, void *wrap_arg, cb_comm **outer);
typedef struct cb_backend {
    const char *name;
    const char *if_missing; /* NULL: in this build; else what to configure */
    cb_err (*launch)(const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg);
} cb_backend;

extern const cb_backend cb_backend_threads, cb_backend_mpi;
/* As cb_comm_launch, with a wrapper put around every endpoint (inside the checking one). For tests. */
CB_MUST_USE cb_err cb_comm_launch_wrapped(const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg);
CB_MUST_USE cb_err cb_checked_wrap(cb_comm *inner, void *unused, cb_comm **outer);

#endif
