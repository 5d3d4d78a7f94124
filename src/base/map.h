/* A whole file mapped read-only. What is read from it is as safe as the reader's bounds checks; a file that someone
 * else shortens meanwhile ends the process (SIGBUS), as with every mapped file. */
#ifndef CB_BASE_MAP_H
#define CB_BASE_MAP_H

#include <stdint.h>

#include "base/err.h"

typedef struct cb_map {
    char *path; /* owned */
    const unsigned char *bytes;
    int64_t size; /* 0: an empty file, and bytes is NULL */
} cb_map;

/* Errors CB_EIO: missing, not readable, not a regular file (a directory, say). */
CB_MUST_USE cb_err cb_map_open(cb_map *map, const char *path);
void cb_map_close(cb_map *map); /* also of a zeroed struct */

#endif
