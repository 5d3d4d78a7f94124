/* Inside comm/: boards, the memory in which meetings (meeting.h) take place. Used by threads.c, which knows about
 * ranks, deadlines and ends of the world; here are only members by index. */
#ifndef CB_COMM_BOARD_H
#define CB_COMM_BOARD_H

#include "comm/bell.h"
#include "comm/meeting.h"

/* Made for the group of these world ranks; bells[rank] are those of the world. tiny: calls may bring their data. */
typedef struct cb_board_plan {
    cb_purpose purpose;
    const int *ranks;
    int size;
    cb_bell *bells; /* (world) */
    int helpers;    /* sleeping members that a large meeting wakes for its work */
    bool tiny;
} cb_board_plan;

/* The world's boards. Find or make one, and hold it until cb_board_leave; the last holder's leave frees it. */
typedef struct cb_boards cb_boards;
CB_MUST_USE cb_err cb_boards_make(cb_boards **boards);
void cb_boards_free(cb_boards *boards); /* with boards that somebody still holds */
CB_MUST_USE cb_err cb_board_join(cb_boards *boards, const cb_board_plan *plan, cb_board **board);
void cb_board_leave(cb_boards *boards, cb_board *board);

/* A member's part in a meeting, from its coming until cb_visit_end. */
typedef struct cb_visit {
    cb_board *board;
    cb_meeting *meeting;
    struct cb_segment *segment; /* of the board, in which the meeting lies */
    int me;
    bool tiny; /* every member works alone, on what the calls brought */
    enum { CB_NOT_WORKED, CB_OWN_SHARE_WORKED, CB_ALL_WORKED } worked; /* then the rest is in the hands of others */
    cb_work work;
} cb_visit;

typedef enum cb_outcome { CB_VISIT_OPEN, CB_VISIT_DONE, CB_VISIT_UNEQUAL, CB_VISIT_BROKEN } cb_outcome;

/* Comes to the board's next meeting. Never waits; work of a single piece is done by the last to come. */
CB_MUST_USE cb_err cb_visit_begin(cb_visit *visit, cb_board *board, int me, const cb_call *call, const cb_work *work);
/* true when cb_visit_step can do something or knows the end. */
bool cb_visit_ready(const cb_visit *visit);
/* Does this member's share of the work and, where `all`, what is left of the others'. Never waits. Not again after it
 * has returned something else than CB_VISIT_OPEN. */
cb_outcome cb_visit_step(cb_visit *visit, bool all);
/* CB_EMISMATCH with who called what, of a meeting whose members came with different calls. */
CB_MUST_USE cb_err cb_visit_unequal(const cb_visit *visit);
/* After this no other member touches this one's memory. Waits for pieces under way only. */
void cb_visit_break_off(cb_visit *visit);
/* The first member from index `from` on that has not come, -1: none. */
int cb_visit_absent(const cb_visit *visit, int from);
int cb_board_rank(const cb_board *board, int member); /* in the world */
void cb_visit_end(cb_visit *visit);

#endif
