/* Log lines to stderr, whole lines at a time: "[d0 p1 t3] warn comm: text". */
#ifndef CB_BASE_LOG_H
#define CB_BASE_LOG_H

#include "base/err.h"

typedef enum cb_log_level { CB_LOG_ERROR, CB_LOG_WARN, CB_LOG_INFO, CB_LOG_DEBUG } cb_log_level;

/* who: "d0 p1 t3", or NULL outside of any rank; module: "comm". Written with one write(2), so ranks do not interleave. */
void cb_log(cb_log_level level, const char *who, const char *module, const char *fmt, ...) CB_PRINTF(4, 5);

#endif
