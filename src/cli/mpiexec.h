/* Starting this program, or another build of it, under mpiexec. */
#ifndef CB_CLI_MPIEXEC_H
#define CB_CLI_MPIEXEC_H

#include "base/err.h"

enum { CB_MOST_WORDS = 256 };

/* A command line. */
typedef struct cb_words {
    char *word[CB_MOST_WORDS + 1];
    int count;
    char room[4096];
    int used; /* of room; more than there is: words were left out */
} cb_words;

void cb_words_add(cb_words *words, const char *text);
/* option may be NULL. */
void cb_words_add_number(cb_words *words, const char *option, long long value);
void cb_words_split(cb_words *words, const char *text); /* at blanks */

/* The file of the running program. */
CB_MUST_USE cb_err cb_own_path(char path[1024]);
/* A new empty file in TMPDIR or /tmp. */
CB_MUST_USE cb_err cb_temporary(char path[512]);

/* Runs the command and waits for its end. said: a path for its stdout, NULL: nowhere. What it says on stderr is shown
 * only if it fails. Errors: CB_EIO where it cannot be started, CB_EPEER with its exit code, CB_EUSAGE where there were
 * too many words. */
CB_MUST_USE cb_err cb_words_run(const cb_words *words, const char *said);

#endif
