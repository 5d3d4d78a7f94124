/* Timing collective operations between the ranks of one world, every result checked. */
#ifndef CB_CLI_COMM_MEASURE_H
#define CB_CLI_COMM_MEASURE_H

#include "cli/comm_pace.h"
#include "cli/memory_rate.h"
#include "collectives/table.h"

enum {
    CB_COMM_MOST_RANKS = 256,
    CB_COMM_MOST_SIZES = 64,
    CB_COMM_MOST_ENTRIES = 64,
    CB_COMM_MOST_REPEATS = 64,
    CB_COMM_MOST_ROUNDS = 16
};

/* What is measured over all sizes. */
typedef struct cb_comm_entry {
    cb_kind kind;
    const cb_algorithm *algorithm; /* NULL: what the operation takes at each size, */
    bool native;                   /* or the backend's own library (cb_comm_native) */
} cb_comm_entry;

typedef struct cb_comm_plan {
    cb_launch launch;
    cb_type type;
    cb_reduce_op op;
    int repeats, warmup;
    bool pin, quiet; /* quiet: without progress */
    const cb_selection *selection; /* rules for what is chosen; NULL: none */
    int entries, sizes;
    cb_comm_entry entry[CB_COMM_MOST_ENTRIES]; /* of a kind one after the other */
    int64_t size_bytes[CB_COMM_MOST_SIZES];    /* wanted; as nccl-tests count an operation's size */
} cb_comm_plan;

/* An entry at a size. */
typedef struct cb_comm_row {
    cb_kind kind;
    const cb_algorithm *algorithm; /* NULL: the library's */
    const char *by;                /* "threads", "mpi", "Open MPI 4.1.4" */
    int64_t count, bytes;          /* as of the operation's functions; as nccl-tests count */
    int64_t wrong;                 /* elements, of all ranks, in all checks */
    int calls;                     /* in a sample */
    int rounds;                    /* measured; 0: not measured, as it needs too much memory or is the size before */
    bool too_large;                /* left out, as it needs more memory than there is */
    bool unusual;                  /* a round has no sample of the usual pace */
    bool chosen;                   /* by the algorithm that the operation takes by itself */
    double round_s[CB_COMM_MOST_ROUNDS]; /* of a call: each the median of the round's samples */
    double best_s;                       /* the least sample of all rounds */
    double predicted_s;                  /* by the fitted model; 0: none */
    double floor_s;                      /* in which memory moves what has to be moved; 0: unknown */
} cb_comm_row;

/* The size of an operation of count elements, and the count for a size, at least 1: all-reduce, broadcast and reduce
 * have count elements, the others a block of count for each rank. */
int64_t cb_comm_bytes_of(cb_kind kind, int ranks, int64_t count, cb_type type);
int64_t cb_comm_count_of(cb_kind kind, int ranks, int64_t bytes, cb_type type);
/* busbw / algbw: what a link carries of each byte of the operation's size. Source: nccl-tests, doc/PERFORMANCE.md. */
double cb_comm_bus_factor(cb_kind kind, int ranks);
double cb_comm_row_time_s(const cb_comm_row *row);         /* median of the rounds */
const char *cb_comm_row_algorithm(const cb_comm_row *row); /* "ring", "native" */
double cb_comm_algbw(const cb_comm_row *row);              /* bytes of the operation's size a second */

/* What the ranks found out beside the rows. */
typedef struct cb_comm_found {
    char library[64]; /* name of the backend's, empty if it is none */
    int cores;        /* that all ranks share, of all machines */
    cb_memory_rate memory;
    cb_pace pace;         /* of a barrier, in most samples of the last round; 0: not looked at */
    int samples, unusual; /* of all rounds; of these at another pace, which do not count */
} cb_comm_found;

/* One round: launches the world and adds a time to each row; rows: (entries, sizes), and found, are zero before the
 * first round. Under mpi collective over the processes. */
CB_MUST_USE cb_err cb_comm_measure(const cb_comm_plan *plan, cb_comm_row *rows, cb_comm_found *found);

#endif
