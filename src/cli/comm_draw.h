/* An algorithm as a picture: who sends which blocks to whom, round by round. */
#ifndef CB_CLI_COMM_DRAW_H
#define CB_CLI_COMM_DRAW_H

#include <stdio.h>

#include "collectives/table.h"

enum { CB_DRAW_MOST_RANKS = 32, CB_DRAW_MOST_ROUNDS = 64 };

typedef struct cb_drawn {
    const cb_algorithm *algorithm;
    int ranks;
    int64_t count; /* elements; pipelines have more rounds for more */
} cb_drawn;

/* Errors: CB_EUSAGE for an algorithm without messages, with those that have some; for too many ranks or rounds. */
CB_MUST_USE cb_err cb_comm_draw_check(const cb_drawn *drawn);
/* For cb_file_replace; drawn: cb_drawn, which was checked. */
CB_MUST_USE cb_err cb_comm_draw(FILE *to, const void *drawn);

#endif
