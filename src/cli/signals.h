/* Asking a run to end: see signals.c. */
#ifndef CB_CLI_SIGNALS_H
#define CB_CLI_SIGNALS_H

#include <signal.h>

/* Installs the handlers; the flag becomes 1 when a signal came. */
const volatile sig_atomic_t *cb_signals_watch(void);

#endif
