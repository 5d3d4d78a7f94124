/* SIGTERM, SIGINT and SIGUSR1 ask for a clean end after the step under way; a second one ends at once. USR1 is there because
 * Open MPI's mpiexec hands it on to the ranks, while after a TERM it kills them within a second.
 * A thread waits for the signals, and all others block them: no handler may run on a thread that computes. oneDNN's f32
 * kernels point the stack pointer into a heap buffer, where the frame of a handler overwrites what it meets (oneDNN issue
 * 4845, there until 3.11; with a handler, one stop in thirty ended in a corrupted heap).
 * The flag is the only mutable static of the program: it must outlive whoever looks at it. */
#include "cli/signals.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

static sigset_t watched(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    return set;
}

static void say(int number) {
    char line[160];
    int n = snprintf(line, sizeof line, "%scuboid: SIG%s: ends after this step; a second signal ends it at once\n",
                     isatty(STDERR_FILENO) ? "\n" : "", sigabbrev_np(number));
    if (write(STDERR_FILENO, line, (size_t)n) < 0) return; /* nobody is there to read it */
}

static void *watch(void *aloud) {
    sigset_t set = watched();
    int number;
    if (sigwait(&set, &number) == 0) {
        stop_asked = 1;
        if (aloud) say(number);
    }
    pthread_sigmask(SIG_UNBLOCK, &set, NULL); /* the next one does what it does to any process */
    while (true) pause();
    return NULL;
}

cb_err cb_signals_watch(bool aloud, const volatile sig_atomic_t **stop) {
    sigset_t set = watched();
    pthread_t thread;
    *stop = &stop_asked;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int reason = pthread_create(&thread, NULL, watch, aloud ? &set : NULL);
    if (reason) return cb_fail(CB_ENOMEM, "cannot start the thread that waits for signals: %s", strerror(reason));
    pthread_detach(thread);
    return CB_OK;
}
