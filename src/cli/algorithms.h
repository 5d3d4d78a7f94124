/* Which algorithm does which collective operation: a user's rules from a file, and the selection as a table. */
#ifndef CB_CLI_ALGORITHMS_H
#define CB_CLI_ALGORITHMS_H

#include <stdio.h>

#include "collectives/table.h"

/* {"rules": [{"op": "all-reduce", "algo": "tree", "counts": [0, 4095], "ranks": [2, 8]}, ...]}: counts (elements) and
 * ranks, first and last, may be left out: any. The first rule that fits counts. option: "--algorithms", for messages.
 * Errors: CB_EIO; CB_EFORMAT, CB_EUSAGE with the rule and what can stand there. */
CB_MUST_USE cb_err cb_algorithms_read(cb_selection *selection, const char *option, const char *path);

/* Rules and rows in their order of preference, and what is taken by a group of `ranks` at which counts. */
void cb_algorithms_print(cb_means means, int ranks, const char *comm, FILE *to);

/* The rules as one line of what processes have to have alike (alike.h); NULL: none. */
void cb_algorithms_alike(const cb_selection *selection, FILE *to);

#endif
