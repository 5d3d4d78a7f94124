/* Runs of MPI's own collectives; see comm_peer.h. */
#include "cli/comm_peer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/mpiexec.h"

enum { MOST_REPORT_BYTES = 16 << 20 };

/* The word between blanks. */
static void trimmed(char *to, size_t room, const char *from, size_t length) {
    while (length && *from == ' ') from++, length--;
    while (length && from[length - 1] == ' ') length--;
    snprintf(to, room, "%.*s", (int)length, from);
}

static cb_err parse_one(cb_comm_peer *peer, const char *text, size_t length) {
    const char *at = memchr(text, '@', length);
    size_t start = at ? (size_t)(at - text) : length;
    trimmed(peer->start, sizeof peer->start, text, start);
    if (!*peer->start) return cb_fail(CB_EUSAGE, "--mpiexec: '%s' names no program to start ranks with", text);
    if (!at) return cb_own_path(peer->program);
    trimmed(peer->program, sizeof peer->program, at + 1, length - start - 1);
    if (access(peer->program, X_OK) == 0) return CB_OK;
    return cb_fail(CB_EUSAGE, "--mpiexec: '%s' is no program that can be run", peer->program);
}

cb_err cb_comm_peers_parse(const char *text, cb_comm_peer *peers, int most, int *count) {
    *count = 0;
    for (const char *at = text;;) {
        size_t length = strcspn(at, ";");
        if (*count == most) return cb_fail(CB_EUSAGE, "--mpiexec: '%s' names more than %d", text, most);
        TRY(parse_one(&peers[(*count)++], at, length));
        if (!at[length]) return CB_OK;
        at += length + 1;
    }
}

static void make_command(cb_words *w, const cb_comm_peer *peer, const cb_comm_report *r) {
    const cb_comm_plan *p = &r->plan;
    char ops[128] = "", sizes[CB_COMM_MOST_SIZES * 20] = "";
    cb_words_split(w, peer->start);
    cb_words_add_number(w, NULL, r->ranks);
    const char *const words[] = {peer->program, "bench", "comm", "--comm", "mpi", "--algo", "native", "--json"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) cb_words_add(w, words[i]);
    for (int i = 0, used = 0; i < r->kinds; i++)
        used += snprintf(ops + used, sizeof ops - (size_t)used, "%s%s", i ? "," : "", cb_kind_name(r->kind[i]));
    for (int i = 0, used = 0; i < p->sizes; i++)
        used +=
            snprintf(sizes + used, sizeof sizes - (size_t)used, "%s%lld", i ? "," : "", (long long)p->size_bytes[i]);
    const char *const pairs[][2] = {
        {"--op", ops}, {"--sizes", sizes}, {"--dtype", cb_type_name(p->type)}, {"--redop", cb_reduce_op_name(p->op)}};
    for (int i = 0; i < 4; i++) {
        cb_words_add(w, pairs[i][0]);
        cb_words_add(w, pairs[i][1]);
    }
    cb_words_add_number(w, "--repeats", p->repeats);
    cb_words_add_number(w, "--warmup", p->warmup);
    cb_words_add(w, p->pin ? "--pin" : "--no-pin");
}

static cb_comm_row *find(const cb_comm_report *r, int index, const char *op, int64_t count) {
    for (int kind = 0; kind < r->kinds; kind++) {
        if (strcmp(op, cb_kind_name(r->kind[kind])) != 0) continue;
        for (int size = 0; size < r->plan.sizes; size++) {
            cb_comm_row *row = cb_comm_report_of_peer(r, index, kind, size);
            row->kind = r->kind[kind];
            row->count = cb_comm_count_of(row->kind, r->ranks, r->plan.size_bytes[size], r->plan.type);
            row->bytes = cb_comm_bytes_of(row->kind, r->ranks, row->count, r->plan.type);
            if (row->count == count) return row;
        }
    }
    return NULL;
}

static cb_err take_row(const cb_comm_report *r, int index, json_t *o) {
    const char *op = "";
    json_int_t count = -1, wrong = 0;
    double time_us = 0, best_us = 0;
    if (json_unpack(o, "{s:s,s:I,s:I,s:F,s:F}", "op", &op, "count", &count, "wrong", &wrong, "time_us", &time_us,
                    "best_us", &best_us) != 0)
        return cb_fail(CB_EFORMAT, "a row lacks op, count, wrong, time_us or best_us");
    cb_comm_row *row = find(r, index, op, count);
    if (!row) return cb_fail(CB_EFORMAT, "a row of %s with %lld elements was not asked for", op, (long long)count);
    row->by = r->peer[index];
    row->wrong += wrong;
    row->round_s[row->rounds++] = time_us * 1e-6;
    if (row->best_s == 0 || best_us * 1e-6 < row->best_s) row->best_s = best_us * 1e-6;
    return CB_OK;
}

static cb_err take_report(cb_comm_report *r, int index, const char *path) {
    char *text;
    TRY(cb_file_read_text(path, "the report of MPI's ranks", MOST_REPORT_BYTES, &text));
    json_error_t wrong;
    json_t *root = json_loads(text, 0, &wrong), *o;
    free(text);
    cb_err e = root ? CB_OK : cb_fail(CB_EFORMAT, "no JSON, line %d: %s", wrong.line, wrong.text);
    const char *library = root ? json_string_value(json_object_get(root, "library")) : NULL;
    if (library) snprintf(r->peer[index], sizeof r->peer[index], "%s", library);
    size_t i;
    json_array_foreach(json_object_get(root, "rows"), i, o) {
        if (!e) e = take_row(r, index, o);
    }
    json_decref(root);
    return e;
}

cb_err cb_comm_peer_measure(const cb_comm_peer *peer, cb_comm_report *report, int index) {
    cb_words w = {.count = 0};
    char said[512];
    TRY(cb_temporary(said));
    make_command(&w, peer, report);
    cb_err e = cb_words_run(&w, said);
    if (!e) e = take_report(report, index, said);
    unlink(said);
    return cb_err_context(e, "MPI's own collectives by %s", peer->start);
}
