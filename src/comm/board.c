/* Boards and their meetings; see board.h and meeting.h.
 *
 * A meeting is a row of seats, one per member. A member writes its call into its seat and counts itself in; the last to
 * come compares all calls and opens the meeting. Its pieces are dealt out as shares, one per member, so that the same
 * member finds the same data in its cache again; who has done its share takes pieces of the others'. Who counts the
 * last piece ends the meeting.
 *
 * Invariant: a member's memory is touched by others between the opening and the end only, and only by members counted
 * in `active`, who look at the state after they are counted. So whoever sets BROKEN and then sees nobody active is
 * alone.
 *
 * Members come to the same meetings in the same order, each at its own pace; so meetings form a list, in segments, and
 * a segment is used again when every member has gone from all of its meetings. Numbers of meetings never come back,
 * which makes a seat's number say whether it is taken. */
#include "comm/board.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

enum { SEGMENT_MEETINGS = 16, LINE = 64 };

typedef enum state { GATHERING, OPEN, DONE, UNEQUAL, BROKEN } state;

typedef struct seat {
    _Alignas(LINE) atomic_uint_least64_t posted; /* number of the meeting for which the call stands here */
    cb_call call;
    char brought[CB_BROUGHT_BYTES];
    _Alignas(LINE) atomic_int_least64_t taken; /* pieces of this member's share */
} seat;

struct cb_meeting {
    uint64_t number;
    seat *seats; /* (size) */
    int size;
    _Alignas(LINE) atomic_int state;
    _Alignas(LINE) atomic_int arrived;
    atomic_int active; /* members at work */
    atomic_int_least64_t done;
};

typedef struct place { /* of a member on the board: its own, touched by nobody else */
    _Alignas(LINE) struct cb_segment *at;
    int next; /* meeting of the segment */
} place;

typedef struct gone {
    _Alignas(LINE) int meetings;
} gone;

typedef struct cb_segment {
    cb_meeting meetings[SEGMENT_MEETINGS];
    _Atomic(struct cb_segment *) next;
    struct cb_segment *next_free, *next_made;
    atomic_int members_gone;
    gone *gone; /* (size) by each member: meetings it has gone from, and one for having gone on to the next segment */
} cb_segment;

struct cb_board {
    cb_board *next;
    int holders;
    cb_board_plan plan;
    int *ranks;
    place *places;        /* (size) */
    pthread_mutex_t lock; /* of the list of segments */
    cb_segment *made, *free;
    uint64_t meetings; /* in all segments linked so far */
};

struct cb_boards {
    pthread_mutex_t lock;
    cb_board *first;
};

/* Segments */

static void *lines(size_t count, size_t bytes) {
    size_t all = (count * bytes + LINE - 1) / LINE * LINE;
    void *memory = aligned_alloc(LINE, all);
    return memory ? memset(memory, 0, all) : NULL;
}

static void segment_free(cb_segment *s) {
    free(s->meetings[0].seats);
    free(s->gone);
    free(s);
}

static cb_segment *segment_new(cb_board *board) {
    const size_t size = (size_t)board->plan.size;
    cb_segment *s = lines(1, sizeof *s);
    if (!s) return NULL;
    seat *seats = lines(SEGMENT_MEETINGS * size, sizeof *seats);
    s->meetings[0].seats = seats;
    s->gone = lines(size, sizeof *s->gone);
    if (!seats || !s->gone) {
        segment_free(s);
        return NULL;
    }
    for (size_t i = 0; i < SEGMENT_MEETINGS; i++) {
        s->meetings[i].seats = seats + i * size;
        s->meetings[i].size = (int)size;
    }
    s->next_made = board->made;
    board->made = s;
    return s;
}

static void meeting_reset(cb_meeting *m, uint64_t number) {
    m->number = number;
    for (int i = 0; i < m->size; i++) /* a line that nobody has written since stays where it is: in all caches */
        if (atomic_load_explicit(&m->seats[i].taken, memory_order_relaxed) > 0)
            atomic_store_explicit(&m->seats[i].taken, 0, memory_order_relaxed);
    if (atomic_load_explicit(&m->state, memory_order_relaxed) == GATHERING) return;
    atomic_store_explicit(&m->state, GATHERING, memory_order_relaxed);
    atomic_store_explicit(&m->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&m->active, 0, memory_order_relaxed);
    atomic_store_explicit(&m->done, 0, memory_order_relaxed);
}

/* A segment in which nobody is, ready for the board's next meetings. Under the lock. */
static cb_segment *segment_take(cb_board *board) {
    cb_segment *s = board->free;
    if (s)
        board->free = s->next_free;
    else
        s = segment_new(board);
    if (!s) return NULL;
    atomic_store_explicit(&s->next, NULL, memory_order_relaxed);
    atomic_store_explicit(&s->members_gone, 0, memory_order_relaxed);
    for (int i = 0; i < board->plan.size; i++) s->gone[i].meetings = 0;
    for (int i = 0; i < SEGMENT_MEETINGS; i++) meeting_reset(&s->meetings[i], ++board->meetings);
    return s;
}

static void segment_leave(cb_board *board, cb_segment *s, int me) {
    if (++s->gone[me].meetings < SEGMENT_MEETINGS + 1) return;
    if (atomic_fetch_add(&s->members_gone, 1) + 1 < board->plan.size) return;
    pthread_mutex_lock(&board->lock);
    s->next_free = board->free;
    board->free = s;
    pthread_mutex_unlock(&board->lock);
}

/* The segment after s, which the first member to need it links. NULL without memory. */
static cb_segment *segment_after(cb_board *board, cb_segment *s) {
    cb_segment *next = atomic_load_explicit(&s->next, memory_order_acquire);
    if (next) return next;
    pthread_mutex_lock(&board->lock);
    next = atomic_load_explicit(&s->next, memory_order_relaxed);
    if (!next) {
        next = segment_take(board);
        atomic_store_explicit(&s->next, next, memory_order_release);
    }
    pthread_mutex_unlock(&board->lock);
    return next;
}

/* Boards */

static void board_free(cb_board *board) {
    while (board->made) {
        cb_segment *s = board->made;
        board->made = s->next_made;
        segment_free(s);
    }
    pthread_mutex_destroy(&board->lock);
    free(board->places);
    free(board->ranks);
    free(board);
}

static cb_board *board_new(const cb_board_plan *plan) {
    const size_t size = (size_t)plan->size;
    cb_board *board = calloc(1, sizeof *board);
    if (!board) return NULL;
    pthread_mutex_init(&board->lock, NULL);
    board->plan = *plan;
    board->plan.ranks = board->ranks = malloc(size * sizeof *board->ranks);
    board->places = lines(size, sizeof *board->places);
    cb_segment *first = board->ranks && board->places ? segment_take(board) : NULL;
    if (!first) {
        board_free(board);
        return NULL;
    }
    memcpy(board->ranks, plan->ranks, size * sizeof *board->ranks);
    for (size_t i = 0; i < size; i++) board->places[i].at = first;
    return board;
}

cb_err cb_boards_make(cb_boards **boards) {
    *boards = calloc(1, sizeof **boards);
    if (!*boards) return cb_fail(CB_ENOMEM, "no memory for the list of boards");
    pthread_mutex_init(&(*boards)->lock, NULL);
    return CB_OK;
}

void cb_boards_free(cb_boards *boards) {
    while (boards->first) {
        cb_board *board = boards->first;
        boards->first = board->next;
        board_free(board);
    }
    pthread_mutex_destroy(&boards->lock);
    free(boards);
}

static bool is_board_of(const cb_board *board, const cb_board_plan *plan) {
    return board->plan.purpose == plan->purpose && board->plan.size == plan->size &&
           memcmp(board->ranks, plan->ranks, (size_t)plan->size * sizeof *plan->ranks) == 0;
}

cb_err cb_board_join(cb_boards *boards, const cb_board_plan *plan, cb_board **found) {
    pthread_mutex_lock(&boards->lock);
    cb_board *board = boards->first;
    while (board && !is_board_of(board, plan)) board = board->next;
    if (!board) {
        board = board_new(plan);
        if (board) {
            board->next = boards->first;
            boards->first = board;
        }
    }
    if (board) board->holders++;
    pthread_mutex_unlock(&boards->lock);
    *found = board;
    return board ? CB_OK : cb_fail(CB_ENOMEM, "no memory for a board of %d ranks", plan->size);
}

void cb_board_leave(cb_boards *boards, cb_board *board) {
    pthread_mutex_lock(&boards->lock);
    bool last = --board->holders == 0;
    if (last) {
        cb_board **link = &boards->first;
        while (*link != board) link = &(*link)->next;
        *link = board->next;
    }
    pthread_mutex_unlock(&boards->lock);
    if (last) board_free(board);
}

int cb_board_rank(const cb_board *board, int member) {
    return board->ranks[member];
}

/* Meetings */

int cb_meeting_size(const cb_meeting *m) {
    return m->size;
}
const cb_call *cb_meeting_call(const cb_meeting *m, int member) {
    return &m->seats[member].call;
}
const void *cb_meeting_brought(const cb_meeting *m, int member) {
    return m->seats[member].brought;
}

static bool are_alike(const cb_call *a, const cb_call *b) {
    return a->kind == b->kind && a->type == b->type && a->op == b->op && a->root == b->root && a->count == b->count;
}

static bool all_alike(const cb_meeting *m) {
    for (int i = 1; i < m->size; i++)
        if (!are_alike(&m->seats[i].call, &m->seats[0].call)) return false;
    return true;
}

static bool has_come(const cb_meeting *m, int member) {
    return atomic_load_explicit(&m->seats[member].posted, memory_order_acquire) == m->number;
}

/* Up to `most` members that sleep. */
static void ring(const cb_visit *visit, int most) {
    const cb_board *board = visit->board;
    for (int i = 1, rung = 0; i < board->plan.size && rung < most; i++) {
        cb_bell *bell = &board->plan.bells[board->ranks[(visit->me + i) % board->plan.size]];
        if (!atomic_load(&bell->sleeping)) continue;
        cb_bell_ring(bell);
        rung++;
    }
}

static void become(cb_meeting *m, state from, state to) {
    int expected = from;
    atomic_compare_exchange_strong(&m->state, &expected, to);
}

/* Piece i of n shared out over `size` members: shares differ by one at most. */
static int64_t share_begin(int64_t n, int size, int i) {
    return i * (n / size) + (i < n % size ? i : n % size);
}

/* Does pieces of one member's share until none is left or the meeting is broken off. Returns how many. */
static int64_t work_share(const cb_visit *visit, int member) {
    cb_meeting *m = visit->meeting;
    seat *s = &m->seats[member];
    int64_t begin = share_begin(visit->work.pieces, m->size, member), worked = 0;
    int64_t share = share_begin(visit->work.pieces, m->size, member + 1) - begin;
    while (atomic_load_explicit(&s->taken, memory_order_relaxed) < share &&
           atomic_load_explicit(&m->state, memory_order_relaxed) == OPEN) {
        int64_t piece = atomic_fetch_add_explicit(&s->taken, 1, memory_order_relaxed);
        if (piece >= share) break;
        visit->work.run(m, begin + piece);
        worked++;
    }
    return worked;
}

static void work_on(cb_visit *visit, bool all) {
    cb_meeting *m = visit->meeting;
    int64_t worked = 0;
    atomic_fetch_add(&m->active, 1);
    if (atomic_load(&m->state) == OPEN)
        for (int i = 0; i < (all ? m->size : 1); i++) worked += work_share(visit, (visit->me + i) % m->size);
    visit->worked = all ? CB_ALL_WORKED : CB_OWN_SHARE_WORKED;
    bool last = worked > 0 && atomic_fetch_add(&m->done, worked) + worked == visit->work.pieces;
    if (last) become(m, OPEN, DONE);
    atomic_fetch_sub(&m->active, 1);
    if (last) ring(visit, m->size);
}

/* The last to come opens it. Work of one piece is done at once: nobody need be woken for it twice. */
static void open_meeting(cb_visit *visit) {
    cb_meeting *m = visit->meeting;
    bool alike = all_alike(m);
    become(m, GATHERING, !alike ? UNEQUAL : visit->work.pieces > 0 ? OPEN : DONE);
    if (!alike || visit->work.pieces == 0)
        ring(visit, m->size);
    else if (visit->work.pieces == 1)
        work_on(visit, true);
    else
        ring(visit, visit->board->plan.helpers);
}

cb_err cb_visit_begin(cb_visit *visit, cb_board *board, int me, const cb_call *call, const cb_work *work) {
    place *p = &board->places[me];
    if (p->next == SEGMENT_MEETINGS) {
        cb_segment *from = p->at, *to = segment_after(board, from);
        if (!to) return cb_fail(CB_ENOMEM, "no memory for meetings of %d ranks", board->plan.size);
        *p = (place){.at = to};
        segment_leave(board, from, me);
    }
    cb_meeting *m = &p->at->meetings[p->next++];
    bool tiny = board->plan.tiny && work->alone && work->brought_bytes <= CB_BROUGHT_BYTES;
    *visit = (cb_visit){.board = board, .meeting = m, .segment = p->at, .me = me, .tiny = tiny, .work = *work};
    seat *s = &m->seats[me];
    s->call = *call;
    if (tiny) {
        if (work->brought_bytes > 0) memcpy(s->brought, call->from, (size_t)work->brought_bytes);
        atomic_store(&s->posted, m->number);
        ring(visit, m->size);
    } else {
        atomic_store_explicit(&s->posted, m->number, memory_order_release);
        if (atomic_fetch_add(&m->arrived, 1) + 1 == m->size)
            open_meeting(visit);
        else if (board->plan.tiny) /* one whose call was tiny waits for seats, and finds that this call differs */
            ring(visit, m->size);
    }
    return CB_OK;
}

int cb_visit_absent(const cb_visit *visit, int from) {
    for (int i = from; i < visit->meeting->size; i++)
        if (!has_come(visit->meeting, i)) return i;
    return -1;
}

bool cb_visit_ready(const cb_visit *visit) {
    if (visit->tiny) return cb_visit_absent(visit, 0) < 0;
    int now = atomic_load(&visit->meeting->state);
    return now != GATHERING && !(now == OPEN && visit->worked == CB_ALL_WORKED);
}

static cb_outcome tiny_step(const cb_visit *visit) {
    const cb_meeting *m = visit->meeting;
    if (cb_visit_absent(visit, 0) >= 0) return CB_VISIT_OPEN;
    if (!all_alike(m)) return CB_VISIT_UNEQUAL;
    visit->work.alone(m, &m->seats[visit->me].call);
    return CB_VISIT_DONE;
}

cb_outcome cb_visit_step(cb_visit *visit, bool all) {
    if (visit->tiny) return tiny_step(visit);
    bool can_work = visit->worked < (all ? CB_ALL_WORKED : CB_OWN_SHARE_WORKED);
    if (can_work && atomic_load(&visit->meeting->state) == OPEN) work_on(visit, all);
    switch (atomic_load(&visit->meeting->state)) {
    case DONE:
        return CB_VISIT_DONE;
    case UNEQUAL:
        return CB_VISIT_UNEQUAL;
    case BROKEN:
        return CB_VISIT_BROKEN;
    default:
        return CB_VISIT_OPEN;
    }
}

void cb_visit_break_off(cb_visit *visit) {
    cb_meeting *m = visit->meeting;
    if (visit->tiny) return; /* nobody touches another's memory */
    become(m, GATHERING, BROKEN);
    become(m, OPEN, BROKEN);
    while (atomic_load(&m->active) > 0) sched_yield();
}

/* Writes into the member's next seat, which nobody reads before it is taken: its line is on the way to this core while
 * the member does other things, and no longer when it comes to sit down. */
static void fetch_next_seat(const cb_board *board, int me) {
    const place *p = &board->places[me];
    if (p->next < SEGMENT_MEETINGS) p->at->meetings[p->next].seats[me].call.count = 0;
}

void cb_visit_end(cb_visit *visit) {
    fetch_next_seat(visit->board, visit->me);
    segment_leave(visit->board, visit->segment, visit->me);
}

/* Who called what */

static void put(char *out, size_t room, const char *text) {
    size_t used = strlen(out);
    snprintf(out + used, room - used, "%s", text);
}

static void put_call(char *out, size_t room, const cb_call *call) {
    char text[96];
    snprintf(text, sizeof text, " called %s of %lld %s", cb_kind_name(call->kind), (long long)call->count,
             cb_type_name(call->type));
    put(out, room, text);
    if (call->kind == CB_ALL_REDUCE || call->kind == CB_REDUCE_SCATTER || call->kind == CB_REDUCE) {
        snprintf(text, sizeof text, " (%s)", cb_reduce_op_name(call->op));
        put(out, room, text);
    } else if (call->kind == CB_BROADCAST) {
        snprintf(text, sizeof text, " from member %d", call->root);
        put(out, room, text);
    }
}

/* "ranks 0 2 called barrier": all who called what member `first` did. */
static void put_callers(char *out, size_t room, const cb_visit *visit, int first) {
    const cb_meeting *m = visit->meeting;
    int callers = 0;
    char number[16];
    for (int i = first; i < m->size; i++) callers += are_alike(&m->seats[i].call, &m->seats[first].call);
    put(out, room, callers > 1 ? "ranks" : "rank");
    for (int i = first, named = 0; i < m->size; i++) {
        if (!are_alike(&m->seats[i].call, &m->seats[first].call)) continue;
        snprintf(number, sizeof number, " %d", cb_board_rank(visit->board, i));
        put(out, room, named++ < 8 ? number : named == 10 ? " ..." : "");
    }
    put_call(out, room, &m->seats[first].call);
}

static bool is_first_of_its_kind(const cb_meeting *m, int member) {
    for (int i = 0; i < member; i++)
        if (are_alike(&m->seats[i].call, &m->seats[member].call)) return false;
    return true;
}

cb_err cb_visit_unequal(const cb_visit *visit) {
    const cb_meeting *m = visit->meeting;
    char who[1024] = "";
    for (int i = 0; i < m->size; i++) {
        if (!is_first_of_its_kind(m, i)) continue;
        if (i > 0) put(who, sizeof who, ", ");
        put_callers(who, sizeof who, visit, i);
    }
    return cb_fail(CB_EMISMATCH, "operation %llu of a %s group of %d: %s", (unsigned long long)(m->number - 1),
                   cb_purpose_name(visit->board->plan.purpose), m->size, who);
}
