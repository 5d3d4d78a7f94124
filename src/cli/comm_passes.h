/* What the ranks of a measurement of collectives have, inside of comm_measure.h's files. */
#ifndef CB_CLI_COMM_PASSES_H
#define CB_CLI_COMM_PASSES_H

#include "cli/comm_data.h"
#include "cli/comm_measure.h"

enum { CB_COMM_MOST_PASSES = 6 };

typedef struct cb_comm_bench {
    const cb_comm_plan *plan;
    cb_comm *comm;
    cb_group group, control; /* measured; agreeing */
    cb_comm_data data;
    cb_comm_row *rows;
    char *from, *to, *scratch;
    int here_cores; /* of this machine, before the rank is bound to one */
    int64_t room_bytes, available_bytes;
    double begin_s, said_s; /* the start, the last line of progress */
    cb_paced *samples;      /* (entries, sizes, CB_COMM_MOST_PASSES * repeats) */
    int *taken;             /* of these, (entries, sizes) */
    int passes;             /* so far */
    cb_pace usual;          /* in them */
    cb_memory_rate memory[CB_COMM_MOST_PASSES];
    double memory_pace_s[CB_COMM_MOST_PASSES];
    cb_comm_found found;
} cb_comm_bench;

/* The row under measurement. */
typedef struct cb_comm_turn {
    cb_comm_bench *r;
    const cb_comm_entry *entry;
    cb_comm_row *row;
    cb_call call;
    int called;
    cb_paced *samples;
    int *taken;
} cb_comm_turn;

/* Fills the row but for its times; false where there is nothing to measure. */
bool cb_comm_describe(const cb_comm_bench *r, int entry, int size, cb_comm_row *row);

/* The largest of all ranks' values. Collective, as all below. */
CB_MUST_USE cb_err cb_comm_largest(cb_comm_bench *r, double *value);
/* Seconds of a barrier now; 0 where ranks share cores or are not all of one machine. */
CB_MUST_USE cb_err cb_comm_look_at_pace(cb_comm_bench *r, double *pace_s);

/* Checks the turn's result and chooses how many calls make a sample. */
CB_MUST_USE cb_err cb_comm_turn_begin(cb_comm_turn *turn);
CB_MUST_USE cb_err cb_comm_turn_check(cb_comm_turn *turn);
/* The next sample. */
CB_MUST_USE cb_err cb_comm_turn_sample(cb_comm_turn *turn);

/* Measures all rows and memory, in passes, and adds a round to each row. */
CB_MUST_USE cb_err cb_comm_passes(cb_comm_bench *r);

#endif
