/* What ranks bring to a measured operation, and what has to come out: small whole numbers, so that sums are exact in
 * every type and order. The element at index i of a rank depends on i modulo a prime, so ranges are filled and compared
 * by copying a short row, and an element that lies elsewhere than it should differs from its neighbours. */
#ifndef CB_CLI_COMM_DATA_H
#define CB_CLI_COMM_DATA_H

#include "comm/meeting.h"

typedef struct cb_comm_data {
    int ranks;
    cb_type type;
    char *rows; /* (ranks + 1, period) elements: of each rank, and of the reduction */
} cb_comm_data;

/* op: of the reduction. Errors: CB_ENOMEM. */
CB_MUST_USE cb_err cb_comm_data_make(cb_comm_data *data, int ranks, cb_type type, cb_reduce_op op);
void cb_comm_data_free(cb_comm_data *data);

/* What rank `rank` of the group brings to the operation, into call->from (or to, where it works in place); what was in
 * `to` is made useless. */
void cb_comm_data_fill(const cb_comm_data *data, const cb_call *call, int rank);
/* How many elements of the rank's result are wrong. */
int64_t cb_comm_data_wrong(const cb_comm_data *data, const cb_call *call, int rank);

bool cb_comm_in_place(cb_kind kind); /* all-reduce and broadcast: `from` and `to` are the data */
/* Elements that a rank brings and gets. */
int64_t cb_comm_elements_in(cb_kind kind, int ranks, int64_t count);
int64_t cb_comm_elements_out(cb_kind kind, int ranks, int64_t count);

#endif
