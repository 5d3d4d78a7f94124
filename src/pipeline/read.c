/* Reading the text form back: a line per stage, "1: F0 F1 B0 B1", in any order, each stage once; '#' begins a comment;
 * a line "placing v" puts the chunks in a V. Sizes follow from the words: the largest microbatch and chunk, a backward
 * that is split if there is a W, evaluation if there is no backward. Only form is looked at here: whether the lists are
 * complete and can be executed is the checker's question, after lowering, which lists with messages have behind them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/lists.h"

enum { MOST_NUMBER = 99999, MOST_STAGES = 4096 };

typedef struct reader {
    const char *name;
    cb_schedule *schedule;
    int line;
    int lines_of[MOST_STAGES]; /* line + 1 that gave a stage; 0: none yet */
    int largest_line;          /* where the largest microbatch is, */
    char largest_word[24];     /* and as what */
} reader;

static cb_err fail(const reader *r, const char *word, size_t length, const char *what) {
    return cb_fail(CB_EFORMAT, "%s, line %d: '%.*s' %s", r->name, r->line, length > 40 ? 40 : (int)length, word, what);
}

/* Digits of [from, end) into *number; returns where they end, NULL where there are none or too many. */
static const char *read_number(const char *from, const char *end, int *number) {
    const char *p = from;
    *number = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        *number = *number * 10 + (*p - '0');
        if (*number > MOST_NUMBER) return NULL;
    }
    return p > from ? p : NULL;
}

/* The kind that a word begins with, the longest that fits; *length of it. */
static int kind_of(const char *word, size_t size, size_t *length) {
    int found = -1;
    *length = 0;
    for (int kind = 0; kind < CB_INSTR_KINDS; kind++) {
        const char *text = cb_kind_word((cb_instr_kind)kind);
        size_t n = strlen(text);
        if (n > size || n <= *length || strncmp(word, text, n) != 0) continue;
        *length = n;
        found = kind;
    }
    return found;
}

static void note_sizes(reader *r, cb_instr instr, const char *word, size_t length) {
    cb_schedule *s = r->schedule;
    if (instr.kind < CB_REDUCE_GRADS && instr.micro_batch >= s->micro_batches) {
        s->micro_batches = instr.micro_batch + 1;
        r->largest_line = r->line;
        snprintf(r->largest_word, sizeof r->largest_word, "%.*s", (int)length, word);
    }
    if (instr.chunk >= s->chunks) s->chunks = instr.chunk + 1;
    s->split_backward |= instr.kind == CB_W;
    if (instr.kind == CB_B || instr.kind == CB_W) s->forward_only = false;
    s->is_lowered |= instr.kind > CB_W;
}

static cb_err read_word(reader *r, int stage, const char *word, size_t length) {
    cb_instr instr = {.peer = -1};
    size_t used;
    int kind = kind_of(word, length, &used);
    if (kind < 0) {
        return fail(r, word, length,
                    "is no instruction; there are F3, B3, W3 (F3.1 of chunk 1), recvF3, sendB3, "
                    "grads, tied, step");
    }
    instr.kind = (cb_instr_kind)kind;
    const char *at = word + used, *end = word + length;
    if (instr.kind < CB_REDUCE_GRADS) {
        at = read_number(at, end, &instr.micro_batch);
        if (!at) return fail(r, word, length, "does not name a microbatch from 0 to 99999");
        if (at < end && *at == '.') at = read_number(at + 1, end, &instr.chunk);
        if (!at) return fail(r, word, length, "does not name a chunk from 0 to 99999 behind its point");
    }
    if (at != end) return fail(r, word, length, "goes on behind its instruction");
    note_sizes(r, instr, word, length);
    return cb_instr_push(&r->schedule->list[stage], instr);
}

static cb_err add_stage(reader *r, int stage) {
    cb_schedule *s = r->schedule;
    if (stage < s->stages) return CB_OK;
    cb_instr_list *list = realloc(s->list, (size_t)(stage + 1) * sizeof *list);
    if (!list) return cb_fail(CB_ENOMEM, "not enough memory for the lists of %d stages", stage + 1);
    memset(list + s->stages, 0, (size_t)(stage + 1 - s->stages) * sizeof *list);
    s->list = list;
    s->stages = stage + 1;
    return CB_OK;
}

static cb_err read_stage(reader *r, const char *line, const char *end) {
    int stage;
    size_t first = strcspn(line, " \t\r");
    if (first > (size_t)(end - line)) first = (size_t)(end - line);
    const char *at = read_number(line, end, &stage);
    if (!at || at == end || *at != ':' || stage >= MOST_STAGES) {
        return fail(r, line, first, "does not begin a stage, as in \"0: F0 B0\" (or \"placing v\")");
    }
    if (r->lines_of[stage]) {
        return cb_fail(CB_EFORMAT, "%s, line %d: stage %d has its list in line %d already", r->name, r->line, stage,
                       r->lines_of[stage]);
    }
    r->lines_of[stage] = r->line;
    TRY(add_stage(r, stage));
    for (at++; at < end;) {
        at += strspn(at, " \t\r");
        size_t length = strcspn(at, " \t\r\n#");
        if (at >= end) break;
        TRY(read_word(r, stage, at, length));
        at += length;
    }
    return CB_OK;
}

static bool is_line(const char *from, const char *end, const char *what) {
    while (end > from && strchr(" \t\r", end[-1])) end--;
    return (size_t)(end - from) == strlen(what) && strncmp(from, what, strlen(what)) == 0;
}

static cb_err read_lines(reader *r, const char *text) {
    for (const char *at = text; *at;) {
        const char *next = at + strcspn(at, "\n"), *begin = at + strspn(at, " \t\r"), *end = at + strcspn(at, "#\n");
        r->line++;
        if (is_line(begin, end, "placing v")) {
            r->schedule->placing = CB_CHUNKS_V;
        } else if (begin < end && !is_line(begin, end, "placing loop")) {
            TRY(read_stage(r, begin, end));
        }
        at = *next ? next + 1 : next;
    }
    return CB_OK;
}

/* Sizes that the lists cannot fill would make tables of any size. */
static cb_err check_sizes(const reader *r) {
    const cb_schedule *s = r->schedule;
    if (s->stages == 0)
        return cb_fail(CB_EFORMAT, "%s: no stage in %d lines; a line is \"0: F0 B0\"", r->name, r->line);
    int64_t most = 0, needed = (int64_t)s->micro_batches * s->chunks;
    for (int stage = 0; stage < s->stages; stage++) {
        if (!r->lines_of[stage]) {
            return cb_fail(CB_EFORMAT, "%s: stage %d has no list; there are stages up to %d", r->name, stage,
                           s->stages - 1);
        }
        int64_t forwards = 0;
        for (int i = 0; i < s->list[stage].count; i++) forwards += s->list[stage].at[i].kind == CB_F;
        if (forwards > most) most = forwards;
    }
    if (s->micro_batches == 0) return cb_fail(CB_EFORMAT, "%s: no stage has an instruction", r->name);
    if (most >= needed || needed <= 64) return CB_OK; /* of small ones the checker says what is missing */
    return cb_fail(CB_EFORMAT,
                   "%s, line %d: '%s' is one of %d microbatches x %d chunks, but no stage has more than %lld forwards",
                   r->name, r->largest_line, r->largest_word, s->micro_batches, s->chunks, (long long)most);
}

static void set_peers(cb_schedule *s) {
    for (int stage = 0; stage < s->stages; stage++) {
        for (int i = 0; i < s->list[stage].count; i++) {
            cb_instr *it = &s->list[stage].at[i];
            if (!cb_instr_partner(s, stage, *it, &it->peer, NULL)) it->peer = -1;
        }
    }
}

cb_err cb_schedule_read(cb_schedule *schedule, const char *name, const char *text) {
    *schedule = (cb_schedule){.chunks = 1, .forward_only = true};
    snprintf(schedule->name, sizeof schedule->name, "%s", name);
    reader *r = calloc(1, sizeof *r);
    if (!r) return cb_fail(CB_ENOMEM, "not enough memory to read the schedule %s", name);
    *r = (reader){.name = name, .schedule = schedule};
    cb_err e = read_lines(r, text);
    if (!e) e = check_sizes(r);
    free(r);
    if (e) {
        cb_schedule_free(schedule);
        return e;
    }
    set_peers(schedule);
    return CB_OK;
}
