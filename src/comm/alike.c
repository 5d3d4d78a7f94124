/* What ranks bring is gathered on rank 0, which compares it line by line and tells all; see alike.h. */
#include "comm/alike.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm/comm_backend.h"
#include "comm/group.h"

enum { MOST_TOLD = 6, MOST_RANKS_NAMED = 8, LAST_PHASE = 14, MOST_BYTES = 1 << 20 };

/* What a rank brings; in the message its two texts follow, each with its 0. */
typedef struct card {
    int32_t code; /* of the refusal; 0: none */
    int32_t alike_bytes, refusal_bytes;
} card;

typedef struct verdict {
    int32_t code;
    char text[2044];
} verdict;

static cb_err say(cb_comm *comm, int peer, void *data, int64_t bytes, bool is_send) {
    cb_req *req = NULL;
    cb_msg msg = {.peer = peer,
                  .tag = cb_tag_collective(CB_FOR_WORLD, 0, LAST_PHASE),
                  .purpose = CB_FOR_WORLD,
                  .kind = CB_SENDRECV,
                  .type = CB_U8,
                  .count = bytes,
                  .data = data};
    TRY(is_send ? comm->ops->isend(comm, &msg, &req) : comm->ops->irecv(comm, &msg, &req));
    return comm->ops->wait(comm, &req);
}

static cb_err hand_in(cb_comm *comm, const char *alike, cb_err refusal) {
    const char *why = refusal ? cb_err_text(refusal) : "";
    card mine = {.code = refusal ? (int32_t)cb_err_code(refusal) : 0,
                 .alike_bytes = (int32_t)strlen(alike) + 1,
                 .refusal_bytes = (int32_t)strlen(why) + 1};
    TRY(say(comm, 0, &mine, sizeof mine, true));
    TRY(say(comm, 0, (void *)(uintptr_t)alike, mine.alike_bytes, true));
    return say(comm, 0, (void *)(uintptr_t)why, mine.refusal_bytes, true);
}

/* What rank 0 has of all. */
typedef struct gathered {
    int ranks;
    const char **at; /* (ranks) the line of each that is looked at */
    char **text;     /* (ranks) owned */
} gathered;

static cb_err take(cb_comm *comm, int from, gathered *g, cb_err *first) {
    card theirs;
    TRY(say(comm, from, &theirs, sizeof theirs, false));
    if (theirs.alike_bytes < 1 || theirs.alike_bytes > MOST_BYTES || theirs.refusal_bytes < 1 ||
        theirs.refusal_bytes > MOST_BYTES)
        return cb_fail(CB_EMISMATCH, "rank %d is of another version of this program", from);
    char *why = malloc((size_t)theirs.refusal_bytes);
    g->text[from] = malloc((size_t)theirs.alike_bytes);
    cb_err e = why && g->text[from] ? CB_OK : cb_fail(CB_ENOMEM, "no memory for what rank %d is to run", from);
    if (!e) e = say(comm, from, g->text[from], theirs.alike_bytes, false);
    if (!e) e = say(comm, from, why, theirs.refusal_bytes, false);
    if (!e) g->text[from][theirs.alike_bytes - 1] = why[theirs.refusal_bytes - 1] = '\0';
    if (!e && theirs.code && !*first) *first = cb_fail((cb_code)theirs.code, "rank %d: %s", from, why);
    free(why);
    return e;
}

static size_t name_length(const char *line) {
    return strcspn(line, "\t\n");
}
static size_t line_length(const char *line) {
    return strcspn(line, "\n");
}

static bool same_line(const char *a, const char *b) {
    return line_length(a) == line_length(b) && strncmp(a, b, line_length(a)) == 0;
}
static bool same_name(const char *a, const char *b) {
    return name_length(a) == name_length(b) && strncmp(a, b, name_length(a)) == 0;
}

/* At most `length` bytes of the text; what has no room is cut off. */
static void put(verdict *v, const char *text, size_t length) {
    size_t used = strlen(v->text), room = sizeof v->text - 1 - used, n = strnlen(text, length);
    memcpy(v->text + used, text, n < room ? n : room);
}
static void put_text(verdict *v, const char *text) {
    put(v, text, strlen(text));
}

/* "2 on ranks 1 3": the value of all who have the line of rank `first`. */
static void put_value(verdict *v, const gathered *g, int first) {
    const char *line = g->at[first], *value = line + name_length(line);
    int have = 0;
    char number[24];
    if (*value == '\t') value++;
    if (line_length(value))
        put(v, value, line_length(value));
    else
        put_text(v, "nothing");
    for (int i = first; i < g->ranks; i++) have += same_line(g->at[i], line);
    put_text(v, have > 1 ? " on ranks" : " on rank");
    for (int i = first, named = 0; i < g->ranks; i++) {
        if (!same_line(g->at[i], line)) continue;
        snprintf(number, sizeof number, " %d", i);
        put_text(v, named < MOST_RANKS_NAMED ? number : named == MOST_RANKS_NAMED ? " ..." : "");
        named++;
    }
}

static bool is_first(const gathered *g, int rank) {
    for (int i = 0; i < rank; i++)
        if (same_line(g->at[i], g->at[rank])) return false;
    return true;
}

/* "--seed is 1 on rank 0 and 2 on ranks 1 3" */
static void put_difference(verdict *v, const gathered *g) {
    put(v, g->at[0], name_length(g->at[0]));
    put_text(v, " is ");
    for (int i = 0; i < g->ranks; i++) {
        if (!is_first(g, i)) continue;
        if (i > 0) put_text(v, " and ");
        put_value(v, g, i);
    }
}

/* Moves all to their next line; false at the end of any. */
static bool next_line(gathered *g) {
    bool all = true;
    for (int i = 0; i < g->ranks; i++) {
        g->at[i] += line_length(g->at[i]);
        g->at[i] += *g->at[i] == '\n';
        all = all && *g->at[i];
    }
    return all;
}

/* All begin; false where one has nothing to compare. */
static bool first_line(gathered *g) {
    bool all = true;
    for (int i = 0; i < g->ranks; i++) {
        g->at[i] = g->text[i];
        all = all && *g->at[i];
    }
    return all;
}

static bool all_same(const gathered *g, bool (*same)(const char *a, const char *b)) {
    for (int i = 1; i < g->ranks; i++)
        if (!same(g->at[i], g->at[0])) return false;
    return true;
}

/* Where names part, other programs run: what follows cannot be compared. */
static void compare(gathered *g, verdict *v) {
    int differ = 0;
    char more[64] = "";
    for (bool all = first_line(g); all; all = next_line(g)) {
        if (all_same(g, same_line)) continue;
        if (!all_same(g, same_name)) break;
        if (differ++ >= MOST_TOLD) continue;
        put_text(v, differ == 1 ? "all ranks have to be started alike, but " : "; ");
        put_difference(v, g);
    }
    if (differ > MOST_TOLD) snprintf(more, sizeof more, "; %d more differ", differ - MOST_TOLD);
    put_text(v, more);
    if (differ) v->code = CB_EINVAL;
}

/* Rank 0: what all are told. */
static cb_err judge(cb_comm *comm, gathered *g, const char *alike, cb_err refusal, verdict *v) {
    cb_err first = CB_OK, e = CB_OK;
    g->text[0] = strdup(alike);
    if (!g->text[0]) return cb_fail(CB_ENOMEM, "no memory for what rank 0 is to run");
    for (int i = 1; i < comm->size && !e; i++) e = take(comm, i, g, &first);
    cb_err why = refusal ? refusal : first;
    if (!e && why) {
        v->code = (int32_t)cb_err_code(why);
        put_text(v, cb_err_text(why));
    } else if (!e) {
        compare(g, v);
    }
    cb_err_free(first);
    return e;
}

static cb_err judge_all(cb_comm *comm, const char *alike, cb_err refusal, verdict *v) {
    gathered g = {.ranks = comm->size,
                  .at = calloc((size_t)comm->size, sizeof *g.at),
                  .text = calloc((size_t)comm->size, sizeof *g.text)};
    cb_err e = g.at && g.text ? judge(comm, &g, alike, refusal, v)
                              : cb_fail(CB_ENOMEM, "no memory for what %d ranks are to run", comm->size);
    for (int i = 0; g.text && i < comm->size; i++) free(g.text[i]);
    free(g.text);
    free(g.at);
    for (int i = 1; i < comm->size && !e; i++) e = say(comm, i, v, sizeof *v, true);
    return e;
}

cb_err cb_comm_agree(cb_comm *comm, const char *alike, cb_err refusal, cb_err *outcome) {
    verdict v = {0};
    *outcome = CB_OK;
    if (!alike) alike = "";
    cb_err e = comm->rank == 0 ? judge_all(comm, alike, refusal, &v) : hand_in(comm, alike, refusal);
    if (!e && comm->rank > 0) e = say(comm, 0, &v, sizeof v, false);
    TRY(cb_err_context(e, "before the run"));
    if (v.code) *outcome = cb_fail((cb_code)v.code, "%s", v.text);
    return CB_OK;
}
