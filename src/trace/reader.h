/* Reading a trace file: what its two parts share. Not for other rooms. */
#ifndef CB_TRACE_READER_H
#define CB_TRACE_READER_H

#include "trace/format.h"

typedef struct reader {
    const char *path;
    cb_traced *into;
    int64_t event, events; /* at work, of how many */
} reader;

/* Layout, schedule and steps from "otherData". Errors CB_EFORMAT, also for traces of other programs; CB_ENOMEM. */
CB_MUST_USE cb_err cb_trace_read_metadata(reader *r, const json_t *root);

#endif
