/* What the machine has: memory, cores, terminal. The only place that reads /proc and termios. */
#ifndef CB_BASE_OS_H
#define CB_BASE_OS_H

#include <stdbool.h>
#include <stdint.h>

/* Memory that can be allocated now: the least of MemAvailable and what the control groups leave. */
int64_t cb_os_available_bytes(void);
/* Cores this process may run on (affinity mask and control group quota), at least 1. */
int cb_os_cores(void);
/* The same from a recorded /proc and /sys below a folder (root "": this machine), for tests. INT64_MAX: no limit. */
int64_t cb_os_available_bytes_under(const char *root);
int64_t cb_os_quota_cores_under(const char *root);

bool cb_os_is_terminal(int fd);
/* A terminal, whose user has not set NO_COLOR (no-color.org), and not under mpiexec, which hides where output goes. */
bool cb_os_wants_colour(int fd);
int cb_os_terminal_columns(int fd); /* 80 where unknown */
/* bytes as "1.50 GiB"; out holds at least 16 characters. Returns out. */
char *cb_os_human_bytes(int64_t bytes, char out[16]);

#endif
