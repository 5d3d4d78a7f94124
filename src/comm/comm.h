/* How ranks reach each other: messages between the ranks of a world, groups, counters. The same program runs with ranks
 * as threads of one process or as MPI processes; which one is chosen by name at launch.
 *
 * Contract, enforced by the checking wrapper (checked.c): isend and irecv never wait; the wait on a send may last until
 * the receiver has taken it, and only then is the buffer free; order is kept per (source, destination, tag); after an
 * abort or a deadline every call returns an error (CB_EPEER, CB_ETIMEOUT) and no call waits for ever.
 *
 * Buffers: once a call of a rank has returned CB_EPEER or CB_ETIMEOUT no peer touches any of its buffers. A rank that
 * fails for a reason of its own calls cb_comm_abort before it frees what is under way. A rank that returns CB_OK has
 * waited for all that it started (else CB_EMISMATCH "rank 2 ended with 3 messages under way ..."); who then waits for a
 * message to or from it gets CB_EMISMATCH "... but rank 2 has ended", without waiting for the deadline. */
#ifndef CB_COMM_COMM_H
#define CB_COMM_COMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "device/device.h"

typedef struct cb_comm cb_comm; /* one rank's endpoint in the world */
typedef struct cb_req cb_req;   /* a message under way; owned by the endpoint, ended by wait (or test that says done) */

/* For whom traffic is counted. CB_FOR_EMB: the tied embedding between first and last stage. */
typedef enum cb_purpose { CB_FOR_TP, CB_FOR_DP, CB_FOR_PP, CB_FOR_EMB, CB_FOR_WORLD, CB_PURPOSES } cb_purpose;
typedef enum cb_kind {
    CB_SENDRECV,
    CB_ALL_REDUCE,
    CB_ALL_GATHER,
    CB_REDUCE_SCATTER,
    CB_BROADCAST,
    CB_BARRIER,
    CB_REDUCE,
    CB_ALL_TO_ALL,
    CB_KINDS
} cb_kind;
const char *cb_purpose_name(cb_purpose purpose); /* "tp" "dp" "pp" "embedding" "world" */
const char *cb_kind_name(cb_kind kind);          /* "send/recv" "all-reduce" ... */

typedef struct cb_traffic {
    int64_t operations;      /* begun by this rank: collective ones of more than one rank, single messages sent */
    int64_t messages, bytes; /* sent by this rank */
    double exposed_s;        /* time this rank stood in them: starting, moving on, waiting, adding */
    double overlapped_s;     /* time they were under way, until this rank noticed their end, while it did other work */
} cb_traffic;
void cb_traffic_add(cb_traffic *to, const cb_traffic *more);

/* One message. Both sides fill all fields alike except peer and data; the checking wrapper compares them. */
typedef struct cb_msg {
    int peer; /* world rank of the other side */
    int tag;  /* 0 .. 2^21-1, see cb_tag_* in group.h */
    cb_purpose purpose;
    cb_kind kind;
    cb_type type;
    int64_t count; /* elements; 0 is allowed */
    void *data;
    int note; /* microbatch or sequence number, for messages to people (watchdog, mismatch); not sent unless checked */
} cb_msg;

typedef struct cb_launch {
    const char *backend; /* "threads" or "mpi" */
    int ranks;           /* threads: how many; mpi: 0 or the number mpiexec must have started */
    double deadline_s;   /* longest wait for a peer, 0: 60 */
    bool checked;        /* put the checking wrapper around every endpoint */
    int64_t stack_bytes; /* threads: of a rank, 0: 1 MiB */
    const char *alike;   /* mpi: what all processes have to bring alike, as lines "name<TAB>value"; NULL: nothing */
    /* mpi: in, why this process has nothing to run (CB_OK: it has); out, in all processes the same: the first such reason,
     * which then stands for all. Owned by the caller. NULL: this process has something to run. */
    cb_err *refusal;
} cb_launch;

/* What a rank runs. May return any error; the launcher aborts the world at the first. */
typedef cb_err (*cb_rank_fn)(cb_comm *comm, void *arg);

/* Runs fn on every rank of the world and waits for all. Returns the first real error (never an echo, CB_EPEER, unless
 * there is nothing else), its text prefixed with "rank R: ". Under mpi each process runs one rank, once in its life; a
 * process whose fn fails prints "rank R: text" to stderr and ends the world with cb_err_exit_code, and does not come
 * back. An error that does come back under mpi is the same on all processes: print it where cb_comm_mpiexec_rank() is
 * 0. Under mpi fn runs only where every process has something to run, and all bring the same `alike`: else every process
 * gets the reason of the first that refuses, or CB_EINVAL "... --seed is 1 on rank 0 and 2 on rank 1", as its refusal if it
 * has such a field, from here if not. Errors of its own: CB_EUNSUPPORTED "comm 'mpi' is not in this build; configure with -DCB_MPI=ON", CB_EINVAL for a
 * wrong number of processes, CB_EUSAGE for an unknown name. */
CB_MUST_USE cb_err cb_comm_launch(const cb_launch *launch, cb_rank_fn fn, void *arg);
/* What launch would say of this name: CB_EUSAGE if there is none such, CB_EUNSUPPORTED if it is not in this build. */
CB_MUST_USE cb_err cb_comm_check_backend(const char *name);
/* Backend names in this build and out of it, for --help: "threads, mpi". */
const char *cb_comm_backends(void);
/* Number of processes mpiexec started (1 outside), found from the environment of the known launchers (Open MPI,
 * MPICH/PMI, Slurm); used for defaults and clear messages only. */
int cb_comm_mpiexec_ranks(void);
int cb_comm_mpiexec_rank(void);
/* Ranks that a launch will put on this machine: all threads, or those mpiexec started here. */
int cb_comm_launch_local_ranks(const cb_launch *launch);

/* Groups of this launch's ranks will meet on one memory instead of sending messages. */
bool cb_comm_launch_shares(const cb_launch *launch);

int cb_comm_rank(const cb_comm *comm);
int cb_comm_size(const cb_comm *comm);
const char *cb_comm_backend(const cb_comm *comm);
/* This rank among the ranks on the same machine, and their number. */
int cb_comm_local_rank(const cb_comm *comm);
int cb_comm_local_size(const cb_comm *comm);
/* true where all ranks live in one process (and share its memory and cores). */
bool cb_comm_in_process(const cb_comm *comm);

/* Starts a message. Not collective. Errors: CB_EPEER after an abort; CB_ENOMEM. */
CB_MUST_USE cb_err cb_comm_isend(cb_comm *comm, const cb_msg *msg, cb_req **req);
CB_MUST_USE cb_err cb_comm_irecv(cb_comm *comm, const cb_msg *msg, cb_req **req);
/* Waits until the message is through and sets *req to NULL; a NULL request is done. Errors: CB_EPEER, CB_ETIMEOUT with
 * who waited for whom, for which purpose, kind, note and how long; CB_EMISMATCH from the checking wrapper or a wrong
 * size. */
CB_MUST_USE cb_err cb_comm_wait(cb_comm *comm, cb_req **req);
/* Moves messages on without waiting; *done tells, and then *req is NULL. */
CB_MUST_USE cb_err cb_comm_test(cb_comm *comm, cb_req **req, bool *done);
/* Ends the world: every rank's next or current call returns CB_EPEER. Not collective. On threads any thread may call
 * it, under mpi the rank's own. */
void cb_comm_abort(cb_comm *comm);
/* CB_EPEER if the world was aborted. */
CB_MUST_USE cb_err cb_comm_alive(cb_comm *comm);

/* The same operation by the backend's own library (MPI_Allreduce and others) over all ranks of the world, to measure
 * against. Waits inside the library, without a deadline; not counted as traffic. *Collective over world.* Errors:
 * CB_EUNSUPPORTED where the backend is no library, or has no such type or as many elements. */
struct cb_call;
CB_MUST_USE cb_err cb_comm_native(cb_comm *comm, const struct cb_call *call);
/* "Open MPI 4.1.4"; empty without a library. */
void cb_comm_native_name(const cb_comm *comm, char out[64]);

const cb_traffic *cb_comm_traffic(const cb_comm *comm, cb_purpose purpose, cb_kind kind);
void cb_comm_traffic_reset(cb_comm *comm); /* while nothing is under way */

#endif
