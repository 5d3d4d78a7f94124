/* SIGTERM and SIGINT ask for a clean end after the step under way; a second one ends at once. The flag is the only mutable
 * static of the program: a signal handler can reach nothing else. */
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
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return &stop_asked;
}
