/* Of training: the options of the table as they were resolved, and the contents of the files behind them, as a path may
 * lead elsewhere on another machine. */
#include "cli/alike.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cli/algorithms.h"
#include "cli/identity.h"
#include "cli/options.h"

/* The model by the lines of its config.json, a field each: `  "n_layer": 4,`. */
static cb_err put_model(const cb_model *model, FILE *to) {
    char *text, *rest;
    TRY(cb_model_write_config(model, &text));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *name = strchr(line, '"'), *end = name ? strstr(name, "\": ") : NULL;
        if (!end) continue;
        const char *value = end + strlen("\": ");
        fprintf(to, "the model's %.*s\t%.*s\n", (int)(end - name - 1), name + 1, (int)strcspn(value, ","), value);
    }
    free(text);
    return CB_OK;
}

static void put_tokens(const char *name, const cb_tokens *tokens, FILE *to) {
    char text[64] = "";
    if (tokens) cb_identity_tokens(tokens, text);
    fprintf(to, "what is in %s\t%s\n", name, text);
}

static void put_file(const char *name, const char *text, FILE *to) {
    fprintf(to, "what is in %s\t", name);
    if (text) fprintf(to, "%zu bytes, %016llx", strlen(text), (unsigned long long)cb_hash(text, (int64_t)strlen(text)));
    fputc('\n', to);
}

typedef struct resolved_options {
    const cb_options *options;
    const cb_resolved *resolved;
} resolved_options;

static cb_err put_all(const void *what, FILE *to) {
    const resolved_options *it = what;
    const cb_resolved *r = it->resolved;
    int rows;
    const cb_arg *table = cb_options_table(&rows);
    fputs("the command\ttrain\n", to);
    cb_args_alike(table, rows, it->options, to);
    put_file("--schedule-file", r->schedule_text, to);
    put_tokens("--data", r->tokens, to);
    put_tokens("--val-data", r->val_tokens, to);
    cb_algorithms_alike(r->selection, to);
    return put_model(&r->run.model, to);
}

cb_err cb_alike_make(cb_launch *launch, cb_alike_fn *fn, const void *what, char **text) {
    size_t bytes;
    if (strcmp(launch->backend, "mpi") != 0) return CB_OK;
    FILE *to = open_memstream(text, &bytes);
    cb_err e = to ? fn(what, to) : CB_OK;
    bool whole = to && fclose(to) == 0;
    if (!e && !whole) e = cb_fail(CB_ENOMEM, "no memory for a text of the options");
    launch->alike = *text;
    return e;
}

cb_err cb_options_alike(const cb_options *o, cb_resolved *r) {
    return cb_alike_make(&r->run.launch, put_all, &(resolved_options){o, r}, &r->alike);
}
