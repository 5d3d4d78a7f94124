/* Visits to meetings; see board.h and meeting.h.
 *
 * A meeting is a row of seats, one per member. A member writes its call into its seat and counts itself in; the last to
 * come compares all calls and opens the meeting. Its pieces are dealt out as shares, one per member, so that the same
 * member finds the same data in its cache again; who has done its share takes pieces of the others'. Who counts the
 * last piece ends the meeting.
 *
 * Invariant: a member's memory is touched by others between the opening and the end only, and only by members counted
 * in `active`, who look at the state after they are counted. So whoever sets CB_BROKEN and then sees nobody active is
 * alone. */
#include <sched.h>
#include <string.h>

#include "comm/board_parts.h"

int cb_meeting_size(const cb_meeting *m) {
    return m->size;
}
const cb_call *cb_meeting_call(const cb_meeting *m, int member) {
    return &m->seats[member].call;
}
static char *place_of_brought(const cb_meeting *m, int member, int64_t bytes) {
    return bytes <= CB_SEAT_BYTES ? m->seats[member].brought : m->brought + (size_t)member * CB_BROUGHT_BYTES;
}
const void *cb_meeting_brought(const cb_meeting *m, int member, int64_t bytes) {
    return place_of_brought(m, member, bytes);
}

static bool all_alike(const cb_meeting *m) {
    for (int i = 1; i < m->size; i++)
        if (!cb_calls_are_alike(&m->seats[i].call, &m->seats[0].call)) return false;
    return true;
}

cb_err cb_visit_unequal(const cb_visit *visit) {
    const cb_meeting *m = visit->meeting;
    const cb_call *calls[CB_MOST_AT_A_MEETING];
    for (int i = 0; i < m->size; i++) calls[i] = &m->seats[i].call;
    return cb_calls_unequal(visit->board->plan.purpose, m->number - 1, m->size, visit->board->ranks, calls);
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

static void become(cb_meeting *m, cb_meeting_state from, cb_meeting_state to) {
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
    cb_seat *s = &m->seats[member];
    int64_t begin = share_begin(visit->work.pieces, m->size, member), worked = 0;
    int64_t share = share_begin(visit->work.pieces, m->size, member + 1) - begin;
    while (atomic_load_explicit(&s->taken, memory_order_relaxed) < share &&
           atomic_load_explicit(&m->state, memory_order_relaxed) == CB_OPEN) {
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
    if (atomic_load(&m->state) == CB_OPEN)
        for (int i = 0; i < (all ? m->size : 1); i++) worked += work_share(visit, (visit->me + i) % m->size);
    visit->worked = all ? CB_ALL_WORKED : CB_OWN_SHARE_WORKED;
    bool last = worked > 0 && atomic_fetch_add(&m->done, worked) + worked == visit->work.pieces;
    if (last) become(m, CB_OPEN, CB_DONE);
    atomic_fetch_sub(&m->active, 1);
    if (last) ring(visit, m->size);
}

/* The last to come opens it. Work of one piece is done at once: nobody need be woken for it twice. */
static void open_meeting(cb_visit *visit) {
    cb_meeting *m = visit->meeting;
    bool alike = all_alike(m);
    become(m, CB_GATHERING, !alike ? CB_UNEQUAL : visit->work.pieces > 0 ? CB_OPEN : CB_DONE);
    if (!alike || visit->work.pieces == 0)
        ring(visit, m->size);
    else if (visit->work.pieces == 1)
        work_on(visit, true);
    else
        ring(visit, visit->board->plan.helpers);
}

cb_err cb_visit_begin(cb_visit *visit, cb_board *board, int me, const cb_call *call, const cb_work *work) {
    cb_place *p = &board->places[me];
    if (p->next == CB_SEGMENT_MEETINGS) {
        cb_segment *from = p->at, *to = cb_segment_after(board, from);
        if (!to) return cb_fail(CB_ENOMEM, "no memory for meetings of %d ranks", board->plan.size);
        *p = (cb_place){.at = to};
        cb_segment_leave(board, from, me);
    }
    cb_meeting *m = &p->at->meetings[p->next++];
    const int64_t brought = work->brought_bytes;
    bool tiny =
        board->plan.tiny && work->alone && brought <= CB_BROUGHT_BYTES && brought * m->size <= CB_BROUGHT_TO_ALL;
    *visit = (cb_visit){.board = board, .meeting = m, .segment = p->at, .me = me, .tiny = tiny, .work = *work};
    cb_seat *s = &m->seats[me];
    s->call = *call;
    if (tiny) {
        if (brought > 0) memcpy(place_of_brought(m, me, brought), call->from, (size_t)brought);
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
    return now != CB_GATHERING && !(now == CB_OPEN && visit->worked == CB_ALL_WORKED);
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
    if (can_work && atomic_load(&visit->meeting->state) == CB_OPEN) work_on(visit, all);
    switch (atomic_load(&visit->meeting->state)) {
    case CB_DONE:
        return CB_VISIT_DONE;
    case CB_UNEQUAL:
        return CB_VISIT_UNEQUAL;
    case CB_BROKEN:
        return CB_VISIT_BROKEN;
    default:
        return CB_VISIT_OPEN;
    }
}

void cb_visit_break_off(cb_visit *visit) {
    cb_meeting *m = visit->meeting;
    if (visit->tiny) return; /* nobody touches another's memory */
    become(m, CB_GATHERING, CB_BROKEN);
    become(m, CB_OPEN, CB_BROKEN);
    while (atomic_load(&m->active) > 0) sched_yield();
}

/* Writes into the member's next seat, which nobody reads before it is taken: its line is on the way to this core while
 * the member does other things, and no longer when it comes to sit down. */
static void fetch_next_seat(const cb_board *board, int me) {
    const cb_place *p = &board->places[me];
    if (p->next < CB_SEGMENT_MEETINGS) p->at->meetings[p->next].seats[me].call.count = 0;
}

void cb_visit_end(cb_visit *visit) {
    fetch_next_seat(visit->board, visit->me);
    cb_segment_leave(visit->board, visit->segment, visit->me);
}
