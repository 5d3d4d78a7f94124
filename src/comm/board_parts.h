/* Inside boards: what board.c makes and visit.c uses. The rest of the program knows board.h only.
 *
 * Members come to the same meetings in the same order, each at its own pace; so meetings form a list, in segments, and
 * a segment is used again when every member has gone from all of its meetings. Numbers of meetings never come back,
 * which makes a seat's number say whether it is taken. */
#ifndef CB_COMM_BOARD_PARTS_H
#define CB_COMM_BOARD_PARTS_H

#include <pthread.h>

#include "comm/board.h"
#include "comm/calls.h"

enum { CB_SEGMENT_MEETINGS = 32, CB_LINE = 64, CB_SEAT_BYTES = 16 };

typedef enum cb_meeting_state { CB_GATHERING, CB_OPEN, CB_DONE, CB_UNEQUAL, CB_BROKEN } cb_meeting_state;

typedef struct cb_seat {
    _Alignas(CB_LINE) atomic_uint_least64_t posted; /* number of the meeting for which the call stands here */
    cb_call call;
    char brought[CB_SEAT_BYTES];                  /* with it a seat is one line */
    _Alignas(CB_LINE) atomic_int_least64_t taken; /* pieces of this member's share */
} cb_seat;

struct cb_meeting {
    uint64_t number;
    cb_seat *seats; /* (size) */
    char *brought;  /* (size, CB_BROUGHT_BYTES) what does not fit in a seat; NULL: calls bring nothing on this board */
    int size;
    _Alignas(CB_LINE) atomic_int state;
    _Alignas(CB_LINE) atomic_int arrived;
    atomic_int active; /* members at work */
    atomic_int_least64_t done;
};

typedef struct cb_place { /* of a member on the board: its own, touched by nobody else */
    _Alignas(CB_LINE) struct cb_segment *at;
    int next; /* meeting of the segment */
} cb_place;

typedef struct cb_gone {
    _Alignas(CB_LINE) int meetings;
} cb_gone;

typedef struct cb_segment {
    cb_meeting meetings[CB_SEGMENT_MEETINGS];
    _Atomic(struct cb_segment *) next;
    struct cb_segment *next_free, *next_made;
    atomic_int members_gone;
    cb_gone *gone; /* (size) by each member: meetings it has gone from, and one for having gone to the next segment */
} cb_segment;

struct cb_board {
    cb_board *next;
    int holders;
    cb_board_plan plan;
    int *ranks;
    cb_place *places;     /* (size) */
    pthread_mutex_t lock; /* of the list of segments */
    cb_segment *made, *free;
    uint64_t meetings; /* in all segments linked so far */
};

/* The segment after s, which the first member to need it links. NULL without memory. */
cb_segment *cb_segment_after(cb_board *board, cb_segment *s);
/* Member me has gone from one more meeting of s, or on to the next segment. */
void cb_segment_leave(cb_board *board, cb_segment *s, int me);

#endif
