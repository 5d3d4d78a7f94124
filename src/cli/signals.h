/* Asking a run to end: see signals.c. */
#ifndef CB_CLI_SIGNALS_H
#define CB_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

/* From now on *stop becomes 1 when a signal asks the run to end. To be called once, before any thread is made, as threads
 * inherit what they block. aloud: says on stderr what will happen. */
CB_MUST_USE cb_err cb_signals_watch(bool aloud, const volatile sig_atomic_t **stop);

#endif
