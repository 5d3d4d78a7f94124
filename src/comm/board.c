/* Boards, and the segments of meetings on them; see board.h and board_parts.h. */
#include "comm/board_parts.h"

#include <stdlib.h>
#include <string.h>

struct cb_boards {
    pthread_mutex_t lock;
    cb_board *first;
};

/* Segments */

static void *lines(size_t count, size_t bytes) {
    size_t all = (count * bytes + CB_LINE - 1) / CB_LINE * CB_LINE;
    void *memory = aligned_alloc(CB_LINE, all);
    return memory ? memset(memory, 0, all) : NULL;
}

static void segment_free(cb_segment *s) {
    free(s->meetings[0].seats);
    free(s->meetings[0].brought);
    free(s->gone);
    free(s);
}

static cb_segment *segment_new(cb_board *board) {
    const size_t size = (size_t)board->plan.size;
    cb_segment *s = lines(1, sizeof *s);
    if (!s) return NULL;
    cb_seat *seats = lines(CB_SEGMENT_MEETINGS * size, sizeof *seats);
    s->meetings[0].seats = seats;
    s->gone = lines(size, sizeof *s->gone);
    char *brought = board->plan.tiny ? lines(CB_SEGMENT_MEETINGS * size, CB_BROUGHT_BYTES) : NULL;
    s->meetings[0].brought = brought;
    if (!seats || !s->gone || (board->plan.tiny && !brought)) {
        segment_free(s);
        return NULL;
    }
    for (size_t i = 0; i < CB_SEGMENT_MEETINGS; i++) {
        s->meetings[i].seats = seats + i * size;
        if (brought) s->meetings[i].brought = brought + i * size * CB_BROUGHT_BYTES;
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
    if (atomic_load_explicit(&m->state, memory_order_relaxed) == CB_GATHERING) return;
    atomic_store_explicit(&m->state, CB_GATHERING, memory_order_relaxed);
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
    for (int i = 0; i < CB_SEGMENT_MEETINGS; i++) meeting_reset(&s->meetings[i], ++board->meetings);
    return s;
}

void cb_segment_leave(cb_board *board, cb_segment *s, int me) {
    if (++s->gone[me].meetings < CB_SEGMENT_MEETINGS + 1) return;
    if (atomic_fetch_add(&s->members_gone, 1) + 1 < board->plan.size) return;
    pthread_mutex_lock(&board->lock);
    s->next_free = board->free;
    board->free = s;
    pthread_mutex_unlock(&board->lock);
}

cb_segment *cb_segment_after(cb_board *board, cb_segment *s) {
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
    cb_bell_short_lock(&board->lock);
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
