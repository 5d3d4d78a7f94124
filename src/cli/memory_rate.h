/* What memory moves, by how much of it is used: caches and what lies behind them. */
#ifndef CB_CLI_MEMORY_RATE_H
#define CB_CLI_MEMORY_RATE_H

#include <jansson.h>

#include "comm/group.h"

enum { CB_MEMORY_MOST_POINTS = 32 };

typedef struct cb_memory_rate {
    int points;
    double set_bytes[CB_MEMORY_MOST_POINTS];   /* of all cores together, growing by 2 */
    double bytes_per_s[CB_MEMORY_MOST_POINTS]; /* read and written, by all cores together */
    /* In which a core copies a byte that another has just written, all at once; 0: one core, or not threads of one
     * process. */
    double handover_s_per_byte[CB_MEMORY_MOST_POINTS];
    double reduce_s_per_byte; /* of one core: operands in its first cache, of the bytes of one */
} cb_memory_rate;

/* As many ranks of a machine as it has cores work at once, each on its own part; of several loops (a copy as a whole, a
 * copy in pieces, a change in place) and tries the best counts. rate: zero before. a, b: (room_bytes) of
 * each rank, which are written. *Collective over group*, of all ranks of the machines that it is on. */
CB_MUST_USE cb_err cb_memory_rate_measure(cb_memory_rate *rate, cb_group *group, int cores, char *a, char *b,
                                          int64_t room_bytes, cb_type type);
/* Takes from the other, measured on the same machine, what is better there. */
void cb_memory_rate_better(cb_memory_rate *rate, const cb_memory_rate *other);
/* Between points by the logarithm of the size; beyond them that of the last. 0 where nothing was measured. */
double cb_memory_rate_at(const cb_memory_rate *rate, double set_bytes);
double cb_memory_handover_at(const cb_memory_rate *rate, double set_bytes); /* seconds a byte */
json_t *cb_memory_rate_json(const cb_memory_rate *rate);

#endif
