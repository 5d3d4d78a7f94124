/* How a rank waits for others of its process: it looks again and again for some microseconds, then lets other threads
 * run between two looks, then sleeps until somebody rings its bell. Ranks may outnumber cores by far. */
#ifndef CB_COMM_BELL_H
#define CB_COMM_BELL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct cb_bell {
    _Alignas(64) atomic_uint rung; /* the futex; on a cache line of its own */
    atomic_bool sleeping;
} cb_bell;

/* Looks before the sleep: while keeping the core, and letting others have it. */
typedef struct cb_patience {
    int spins, yields;
} cb_patience;
/* For a process of `threads` threads on `cores` cores. */
cb_patience cb_patience_for(int threads, int cores);

typedef bool (*cb_ready_fn)(const void *arg);

/* Wakes the bell's owner if it sleeps. What it waits for must have been stored before, by a sequentially consistent
 * operation or followed by such a fence: then either this sees it asleep or it sees what was stored. */
void cb_bell_ring(cb_bell *bell);
/* Only for the owner. Returns ready(arg): false when until_s (of cb_now_s; 0: never) has passed first. */
bool cb_bell_wait(cb_bell *bell, cb_patience patience, cb_ready_fn ready, const void *arg, double until_s);

/* A lock that is held for less time than it takes to sleep: who waits for it spins a little first. */
void cb_bell_short_lock(pthread_mutex_t *lock);

#endif
