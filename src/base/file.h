/* Files read and written as a whole. */
#ifndef CB_BASE_FILE_H
#define CB_BASE_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* Puts what `write` writes into the file `path`: it is written beside it and then takes its place, so that the path
 * never holds half a file, and after an error holds what it held before. What is there and no ordinary file (/dev/null,
 * a pipe) is written itself. Errors, which do not name the path: write's own; CB_EIO. */
typedef cb_err cb_file_write(FILE *to, const void *arg);
CB_MUST_USE cb_err cb_file_replace(const char *path, cb_file_write *write, const void *arg);

/* A file of at most `most` bytes as a string, which the caller frees. what: names the file in messages, such as an option.
 * Errors: CB_EIO; CB_EFORMAT where it is larger. */
CB_MUST_USE cb_err cb_file_read_text(const char *path, const char *what, int64_t most, char **text);

#endif
