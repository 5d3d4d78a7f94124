/* What a trace file's writer and reader agree on beside the trace-event format. Not for other rooms. */
#ifndef CB_TRACE_FORMAT_H
#define CB_TRACE_FORMAT_H

#include <jansson.h>

#include "trace/trace.h"

#define CB_TRACE_FORMAT "cuboid trace"
enum { CB_TRACE_VERSION = 1 };

/* Categories of slices that are neither instructions nor of a purpose of messages. */
#define CB_TRACE_STEP "step" /* a whole step of a rank */
#define CB_TRACE_PART "part" /* cb_traced_part */
#define CB_TRACE_WAIT "wait" /* the end of an operation that its rank waited for; told by the operation's args too */

/* What goes under "otherData"; NULL without memory. */
json_t *cb_traced_metadata(const cb_traced *traced);

#endif
