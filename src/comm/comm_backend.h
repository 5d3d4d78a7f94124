/* For implementers of a comm backend (threads.c, mpi.c) and of wrappers around one (checked.c, the fault injector of
 * the tests). A backend is one row of the table in comm.c. */
#ifndef CB_COMM_COMM_BACKEND_H
#define CB_COMM_COMM_BACKEND_H

#include <stddef.h>

#include "comm/account.h"
#include "comm/meeting.h"
#include "comm/record.h"

/* The head of every request; a backend embeds it first in a struct of its own. Requests come from the endpoint's pool.
 */
struct cb_req {
    cb_msg msg;
    bool is_send, in_use;
    cb_comm_event *event; /* comm.c's: NULL where it is not recorded */
    bool counted;         /* comm.c's: a message that is an operation of its own, under way */
    cb_req *prev, *next; /* the pool's: in the ring of those in use, or (next) in the queue of free ones */
};

struct cb_group;

typedef struct cb_comm_ops {
    const char *name;
    /* required */
    cb_err (*isend)(cb_comm *comm, const cb_msg *msg, cb_req **req);
    cb_err (*irecv)(cb_comm *comm, const cb_msg *msg, cb_req **req);
    cb_err (*test)(cb_comm *comm, cb_req **req, bool *done);
    cb_err (*wait)(cb_comm *comm, cb_req **req);
    cb_err (*alive)(cb_comm *comm);
    void (*abort)(cb_comm *comm);
    /* optional, all three or none: ranks share one memory. A group's members join and leave its board (NULL: no meetings
     * in this group); meet starts an operation, which test and wait end like a message. */
    cb_err (*join)(cb_comm *comm, cb_purpose purpose, const int *ranks, int size, cb_board **board);
    void (*leave)(cb_comm *comm, cb_board *board);
    cb_err (*meet)(cb_comm *comm, cb_board *board, int member, const cb_msg *msg, const cb_call *call,
                   const cb_work *work, cb_req **req);
    /* optional: the group's operation `sequence` is about to be begun by messages, with this call */
    cb_err (*announce)(cb_comm *comm, const struct cb_group *group, unsigned sequence, const cb_call *call);
    /* optional, both or none: the library's own collectives (cb_comm_native) */
    cb_err (*native)(cb_comm *comm, const struct cb_call *call);
    void (*native_name)(char out[64]);
    /* optional, default: nothing */
    cb_err (*finish)(cb_comm *comm); /* the rank's function returned CB_OK: is there something left under way? */
    void (*let_go)(cb_comm *comm);   /* the rank's function has returned: no peer touches its messages after this */
    void (*destroy)(cb_comm *comm);  /* a wrapper destroys the endpoint inside it too (cb_comm_destroy) */
} cb_comm_ops;

/* The head of every endpoint; a backend embeds it first in a struct of its own. */
struct cb_comm {
    const cb_comm_ops *ops;
    int rank, size;
    bool in_process;
    double deadline_s;
    cb_traffic traffic[CB_PURPOSES][CB_KINDS];
    cb_account account;
    cb_comm_recorder *recorder; /* NULL: nothing is recorded */
};

typedef cb_err (*cb_wrap_fn)(cb_comm *inner, void *wrap_arg, cb_comm **outer);

/* Requests of one size, recycled oldest first, so that a stale handle is recognised for long. Used by one thread only.
 */
typedef struct cb_pool {
    size_t item_bytes;
    cb_req in_use; /* head of the ring of requests in use, oldest first */
    cb_req *free_first, *free_last;
    int used, free;
    struct cb_slab *slabs;
} cb_pool;
void cb_pool_init(cb_pool *pool, size_t item_bytes);
cb_req *cb_pool_take(cb_pool *pool, const cb_msg *msg, bool is_send); /* NULL without memory */
void cb_pool_give(cb_pool *pool, cb_req *req);
void cb_pool_destroy(cb_pool *pool);
/* CB_EMISMATCH if requests are in use: a rank has to wait for all that it starts. */
CB_MUST_USE cb_err cb_pool_check_empty(const cb_pool *pool, int rank);

int64_t cb_msg_bytes(const cb_msg *msg);
/* "pp send/recv, microbatch 4, 3145728 bytes" or "tp all-reduce, #12, 16384 bytes". Returns out. */
char *cb_msg_describe(const cb_msg *msg, char out[96]);
/* The error of a message whose sides disagree in size: mine against the other side's (-1: more than mine, unknown how
 * many; theirs: its description or NULL). */
CB_MUST_USE cb_err cb_msg_size_mismatch(int me, bool is_send, const cb_msg *mine, int64_t their_bytes,
                                        const char *theirs);

/* What a backend's launch does for one rank: wraps the endpoint, runs fn, finishes and takes the wrappers off again. */
CB_MUST_USE cb_err cb_comm_run_rank(cb_comm *inner, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg);
void cb_comm_destroy(cb_comm *comm); /* ops->destroy if there is one */

/* A backend: runs fn on all ranks. wrap, if not NULL, is applied to each endpoint before fn sees it. */
typedef struct cb_backend {
    const char *name;
    const char *if_missing; /* NULL: in this build; else what to configure */
    cb_err (*launch)(const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn, void *arg);
} cb_backend;

extern const cb_backend cb_backend_threads, cb_backend_mpi;
/* As cb_comm_launch, with a wrapper put around every endpoint (inside the checking one). For tests. */
CB_MUST_USE cb_err cb_comm_launch_wrapped(const cb_launch *launch, cb_wrap_fn wrap, void *wrap_arg, cb_rank_fn fn,
                                          void *arg);
CB_MUST_USE cb_err cb_checked_wrap(cb_comm *inner, void *unused, cb_comm **outer);

#endif
