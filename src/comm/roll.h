/* Inside comm/: the roll of collective operations, part of the checking wrapper. Who calls an operation of a group
 * sends a card with its call to every other member and receives theirs, beside the operation's own messages and without
 * waiting. Whoever sees two calls that are not alike says who called what; the last to come sees all cards at once. */
#ifndef CB_COMM_ROLL_H
#define CB_COMM_ROLL_H

#include "comm/comm_backend.h"
#include "comm/group.h"

typedef struct cb_roll cb_roll;

typedef struct cb_rolls { /* of operations whose cards have not all come, the oldest first */
    cb_roll *first, *last;
} cb_rolls;

/* Sends and expects the cards of an operation. Never waits. inner: the endpoint that carries them. */
CB_MUST_USE cb_err cb_rolls_call(cb_rolls *rolls, cb_comm *inner, const cb_group *group, unsigned sequence,
                                 const cb_call *call);
/* Looks which cards have come. CB_EMISMATCH "operation 7 of a tp group of 3: rank 0 called ..., rank 1 called ...". */
CB_MUST_USE cb_err cb_rolls_look(cb_rolls *rolls, cb_comm *inner);
/* Waits for the rest. */
CB_MUST_USE cb_err cb_rolls_finish(cb_rolls *rolls, cb_comm *inner);
/* Gives the memory back; nobody sends or receives it any more. */
void cb_rolls_free(cb_rolls *rolls);

#endif
