/* Spinning, yielding, sleeping; see bell.h. The sleep is a futex (Linux), whose word counts the rings, so that a ring
 * between the last look and the sleep is not lost. Source: U. Drepper, "Futexes are tricky", 2011. */
#include "comm/bell.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A message between two cores takes some tenths of a microsecond, and work that is waited for some ten. */
enum { SPINS = 2000, YIELDS = 32, YIELDS_OF_MANY = 4, MANY = 16 };

cb_patience cb_patience_for(int threads, int cores) {
    if (threads <= cores) return (cb_patience){SPINS, 0};
    return (cb_patience){0, threads <= MANY * cores ? YIELDS : YIELDS_OF_MANY};
}

static void relax(void) {
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

/* Returns what futex(2) says of the time: true unless until_s has passed. */
static bool sleep_until(atomic_uint *word, unsigned seen, double until_s) {
    time_t whole = (time_t)until_s;
    struct timespec until = {.tv_sec = whole, .tv_nsec = (long)(1e9 * (until_s - (double)whole))};
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, until_s > 0 ? &until : NULL, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    return rc == 0 || errno != ETIMEDOUT;
}

void cb_bell_ring(cb_bell *bell) {
    if (!atomic_load(&bell->sleeping) || !atomic_exchange(&bell->sleeping, false)) return;
    atomic_fetch_add(&bell->rung, 1);
    syscall(SYS_futex, &bell->rung, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

bool cb_bell_wait(cb_bell *bell, cb_patience patience, cb_ready_fn ready, const void *arg, double until_s) {
    for (int i = 0; i < patience.spins; i++, relax())
        if (ready(arg)) return true;
    for (int i = 0; i < patience.yields; i++, sched_yield())
        if (ready(arg)) return true;
    bool in_time = true;
    while (in_time) {
        unsigned seen = atomic_load(&bell->rung);
        atomic_store(&bell->sleeping, true);
        if (ready(arg)) break;
        in_time = sleep_until(&bell->rung, seen, until_s);
    }
    atomic_store(&bell->sleeping, false);
    return in_time || ready(arg);
}

void cb_bell_short_lock(pthread_mutex_t *lock) {
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_settype(&how, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(lock, &how);
    pthread_mutexattr_destroy(&how);
}
