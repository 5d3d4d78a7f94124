/* Whole log lines with one write(2); see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void cb_log(cb_log_level level, const char *who, const char *module, const char *fmt, ...) {
    char line[2560];
    int n = who ? snprintf(line, sizeof line, "[%s] %s %s: ", who, level_names[level], module)
                : snprintf(line, sizeof line, "%s %s: ", level_names[level], module);
    va_list args;
    va_start(args, fmt);
    int more = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, args);
    va_end(args);
    n += more;
    if (n > (int)sizeof line - 2) n = (int)sizeof line - 2;
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, (size_t)n);
    (void)written; /* nothing left to tell it to */
}
