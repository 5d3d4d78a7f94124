/* SIGTERM, SIGINT and SIGUSR1 ask for a clean end after the step under way; a second one ends at once. USR1 is there because
 * Open MPI's mpiexec hands it on to the ranks, while after a TERM it kills them within a second. The flag is the only
 * mutable static of the program: a signal handler can reach nothing else. */
#include "cli/signals.h"

#include <stddef.h>

static volatile sig_atomic_t stop_asked;

static void ask(int number) {
    stop_asked = 1;
    signal(number, SIG_DFL);
}

const volatile sig_atomic_t *cb_signals_watch(void) {
    struct sigaction action = {.sa_handler = ask, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    static const int signals[] = {SIGTERM, SIGINT, SIGUSR1};
    for (int i = 0; i < 3; i++) sigaction(signals[i], &action, NULL);
    return &stop_asked;
}
