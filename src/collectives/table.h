/* The table of algorithms, and which one an operation takes. Rows of a kind stand in order of preference. */
#ifndef CB_COLLECTIVES_TABLE_H
#define CB_COLLECTIVES_TABLE_H

#include "collectives/pattern.h"

typedef struct cb_algorithm {
    cb_kind kind;
    const char *name;
    const cb_pattern *pattern; /* NULL: a meeting of ranks that share one memory */
    /* Taken by the operations of collectives.h where all of this holds; a row that is never taken is there to be named
     * (cuboid bench comm --algo). */
    bool chosen;
    int64_t least_count, least_block; /* elements; of a member's block of them */
    int most_members;                 /* 0: any number */
    bool power_of_two;                /* of members */
} cb_algorithm;

const cb_algorithm *cb_algorithms(int *count);
/* The first row that serves; shared: the group has a board. There is always one for the kinds that carry data. */
const cb_algorithm *cb_choose(cb_kind kind, bool shared, int size, int64_t count);
/* CB_EUSAGE with the names of the kind for one that is not known, CB_EUNSUPPORTED with those that can where this one
 * cannot serve the group. */
CB_MUST_USE cb_err cb_algorithm_find(cb_kind kind, const char *name, bool shared, int size, const cb_algorithm **found);
bool cb_algorithm_serves(const cb_algorithm *algorithm, bool shared, int size);
/* Sums are the balanced tree over the members, as in every other algorithm of which this is true. */
bool cb_algorithm_keeps_order(const cb_algorithm *algorithm, int size);

#endif
