/* The table of algorithms, and which one an operation takes. Rows of a kind stand in order of preference. */
#ifndef CB_COLLECTIVES_TABLE_H
#define CB_COLLECTIVES_TABLE_H

#include "collectives/pattern.h"
#include "comm/group.h"

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

/* A user's word that an operation is done by an algorithm: with counts (elements, as the operation's function takes
 * them) and groups between these limits, inclusive. */
typedef struct cb_rule {
    const cb_algorithm *algorithm;
    int64_t least_count, most_count;
    int least_members, most_members;
} cb_rule;

enum { CB_MOST_RULES = 64 };
typedef struct cb_selection {
    int count;
    cb_rule rule[CB_MOST_RULES];
} cb_selection;

/* What a choice depends on besides the operation. */
typedef struct cb_means {
    bool shared;                   /* the ranks share one memory and meet (cb_group.board, cb_comm_launch_shares) */
    const cb_selection *selection; /* rules that go before the table; NULL: none */
} cb_means;
static inline cb_means cb_means_plain(bool shared) {
    return (cb_means){.shared = shared};
}
cb_means cb_group_means(const cb_group *group);

/* The first rule that fits, or else the first row of the table that serves. There is always one for the kinds that
 * carry data. */
const cb_algorithm *cb_choose(cb_kind kind, cb_means means, int size, int64_t count);
/* Every rule that fits groups of this size can be followed: its algorithm serves them, and where it reduces it keeps
 * the order of sums on which equal bits rest. Error: CB_EINVAL with the algorithms that would do. */
CB_MUST_USE cb_err cb_selection_check(cb_means means, int size);
/* CB_EUSAGE with the names of the kind for one that is not known, CB_EINVAL with those that can where this one
 * cannot serve the group; size 0: any. */
CB_MUST_USE cb_err cb_algorithm_find(cb_kind kind, const char *name, bool shared, int size, const cb_algorithm **found);
/* "ring, bruck": the names of a kind's algorithms that can serve such a group. */
void cb_algorithms_serving(cb_kind kind, bool shared, int size, char *out, size_t room);
bool cb_algorithm_serves(const cb_algorithm *algorithm, bool shared, int size);
/* Sums are the balanced tree over the members, as in every other algorithm of which this is true. */
bool cb_algorithm_keeps_order(const cb_algorithm *algorithm, int size);

#endif
