/* What an operation costs in the terms of the alpha-beta-gamma model, read off its pattern; pure. */
#ifndef CB_COLLECTIVES_TERMS_H
#define CB_COLLECTIVES_TERMS_H

#include "collectives/table.h"

/* On the way of the slowest: of each round the most that one member does or, where members share cores, the sum over
 * members / cores. */
typedef struct cb_terms {
    double messages;      /* alpha: sent, or received if those are more; a meeting is one */
    double sent_bytes;    /* beta: sent or received by a member */
    double reduced_bytes; /* gamma: that came and were reduced */
    double moved_bytes;   /* the least that cores read and write in memory, all members together */
    double set_bytes;     /* memory that all members together use for it: it fits a cache or not */
} cb_terms;

/* What an operation has to move whatever the algorithm, each operand read once and each result written once: fills
 * moved_bytes and set_bytes only; 0 of one member. */
cb_terms cb_operation_least(cb_kind kind, int size, int64_t count, cb_type type);

/* cores: that the members share. steps: room for those of a round (cb_pattern_most_steps); unused for a meeting. */
cb_terms cb_algorithm_terms(const cb_algorithm *algorithm, int size, int64_t count, cb_type type, int cores,
                            cb_step *steps);

#endif
