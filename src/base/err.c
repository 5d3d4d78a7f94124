/* Errors as owned values; see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cb_error {
    cb_code code;
    char text[];
};

/* What cb_fail returns when there is no memory left for the error itself. Never freed. */
static const struct {
    cb_code code;
    char text[48];
} out_of_memory = {CB_ENOMEM, "out of memory (and none left to say where)"};

#define CONSTANT_ERROR ((cb_err)(void *)&out_of_memory)

static cb_err make(cb_code code, const char *text) {
    size_t length = strlen(text);
    cb_err e = malloc(sizeof *e + length + 1);
    if (!e) return CONSTANT_ERROR;
    e->code = code;
    memcpy(e->text, text, length + 1);
    return e;
}

cb_err cb_fail(cb_code code, const char *fmt, ...) {
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return make(code, text);
}

cb_err cb_err_context(cb_err e, const char *fmt, ...) {
    if (!e) return CB_OK;
    char text[2560];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, 512, fmt, args);
    va_end(args);
    if (n > 511) n = 511;
    snprintf(text + n, sizeof text - (size_t)n, ": %s", e->text);
    cb_err longer = make(e->code, text);
    cb_err_free(e);
    return longer;
}

cb_code cb_err_code(cb_err e) { return e->code; }

const char *cb_err_text(cb_err e) { return e ? e->text : "no error"; }

void cb_err_free(cb_err e) {
    if (e != CONSTANT_ERROR) free(e);
}

int cb_err_exit_code(cb_err e) {
    if (!e) return 0;
    return e->code == CB_EUSAGE || e->code == CB_EINVAL || e->code == CB_EFORMAT ? 2 : 1;
}
