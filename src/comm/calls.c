/* The words for members that came with different calls: who called what. See calls.h. */
#include "comm/calls.h"

#include <stdio.h>
#include <string.h>

typedef struct words {
    int size;
    const int *ranks;
    const cb_call *const *calls;
    char text[1024];
} words;

bool cb_calls_are_alike(const cb_call *a, const cb_call *b) {
    return a->kind == b->kind && a->type == b->type && a->op == b->op && a->root == b->root && a->count == b->count;
}

static void put(words *w, const char *text) {
    size_t used = strlen(w->text);
    snprintf(w->text + used, sizeof w->text - used, "%s", text);
}

static void put_call(words *w, const cb_call *call) {
    char text[96];
    if (call->kind == CB_BARRIER)
        snprintf(text, sizeof text, " called barrier");
    else
        snprintf(text, sizeof text, " called %s of %lld %s", cb_kind_name(call->kind), (long long)call->count,
                 cb_type_name(call->type));
    put(w, text);
    if (call->kind == CB_ALL_REDUCE || call->kind == CB_REDUCE_SCATTER || call->kind == CB_REDUCE) {
        snprintf(text, sizeof text, " (%s)", cb_reduce_op_name(call->op));
        put(w, text);
    }
    if (call->kind == CB_BROADCAST || call->kind == CB_REDUCE) {
        snprintf(text, sizeof text, " %s member %d", call->kind == CB_BROADCAST ? "from" : "to", call->root);
        put(w, text);
    }
}

static bool alike(const words *w, int a, int b) {
    return w->calls[a] && w->calls[b] && cb_calls_are_alike(w->calls[a], w->calls[b]);
}

/* "ranks 0 2 called barrier": all who called what member `first` did. */
static void put_callers(words *w, int first) {
    int callers = 0;
    char number[16];
    for (int i = first; i < w->size; i++) callers += alike(w, i, first);
    put(w, callers > 1 ? "ranks" : "rank");
    for (int i = first, named = 0; i < w->size; i++) {
        if (!alike(w, i, first)) continue;
        snprintf(number, sizeof number, " %d", w->ranks[i]);
        put(w, named++ < 8 ? number : named == 10 ? " ..." : "");
    }
    put_call(w, w->calls[first]);
}

static bool is_first_of_its_kind(const words *w, int member) {
    for (int i = 0; i < member; i++)
        if (alike(w, i, member)) return false;
    return w->calls[member];
}

cb_err cb_calls_unequal(cb_purpose purpose, unsigned long long number, int size, const int *ranks,
                        const cb_call *const *calls) {
    words w = {.size = size, .ranks = ranks, .calls = calls};
    for (int i = 0; i < size; i++) {
        if (!is_first_of_its_kind(&w, i)) continue;
        if (*w.text) put(&w, ", ");
        put_callers(&w, i);
    }
    return cb_fail(CB_EMISMATCH, "operation %llu of a %s group of %d: %s", number, cb_purpose_name(purpose), size,
                   w.text);
}
