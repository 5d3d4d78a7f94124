/* A pattern being run: its messages are posted round by round, what has come is settled. The caller waits or tests in
 * between (exchange.h). */
#ifndef CB_COLLECTIVES_COURSE_H
#define CB_COLLECTIVES_COURSE_H

#include "collectives/exchange.h"
#include "collectives/pattern.h"

typedef struct cb_course {
    const cb_pattern *pattern;
    cb_exchange *exchange;
    cb_shape shape;
    int root;         /* member that shape.me is counted from */
    const char *from; /* what is sent, and the own operand of a tree */
    const char *part; /* where all that is sent is the own block, and that lies apart; NULL: it is at its place in from */
    const char *own;  /* of a single block: the own operand of the first sum, which then stands in data; NULL: in data */
    char *data;       /* where received blocks go; the same as from but in one-round patterns */
    char *result;     /* of a tree; NULL: the block's place in data */
    char *scratch;    /* cb_pattern_scratch elements */
    cb_step *steps;   /* (cb_pattern_most_steps) */
    cb_reduce_op op;
} cb_course;

CB_MUST_USE cb_err cb_course_post(cb_course *course, int round);
void cb_course_settle(cb_course *course, int round);
#endif
