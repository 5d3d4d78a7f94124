/* The words for a meeting whose members came with different calls: who called what. */
#include <stdio.h>
#include <string.h>

#include "comm/board_parts.h"

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
    for (int i = first; i < m->size; i++) callers += cb_calls_are_alike(&m->seats[i].call, &m->seats[first].call);
    put(out, room, callers > 1 ? "ranks" : "rank");
    for (int i = first, named = 0; i < m->size; i++) {
        if (!cb_calls_are_alike(&m->seats[i].call, &m->seats[first].call)) continue;
        snprintf(number, sizeof number, " %d", cb_board_rank(visit->board, i));
        put(out, room, named++ < 8 ? number : named == 10 ? " ..." : "");
    }
    put_call(out, room, &m->seats[first].call);
}

static bool is_first_of_its_kind(const cb_meeting *m, int member) {
    for (int i = 0; i < member; i++)
        if (cb_calls_are_alike(&m->seats[i].call, &m->seats[member].call)) return false;
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
