/* The digests in a log of `cuboid train --digest-every N --log FILE`, and what identifies its run. */
#ifndef CB_CLI_DIGEST_LOG_H
#define CB_CLI_DIGEST_LOG_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

typedef struct cb_digest_entry {
    int64_t step;
    uint64_t digest;
} cb_digest_entry;

typedef struct cb_digest_log {
    json_t *identity;
    cb_digest_entry *entry; /* steps ascending */
    int64_t count;
} cb_digest_log;

CB_MUST_USE cb_err cb_digest_log_read(cb_digest_log *log, const char *path);
void cb_digest_log_free(cb_digest_log *log);

#endif
