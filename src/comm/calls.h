/* Inside comm/: what members of a group call, compared and put into words. */
#ifndef CB_COMM_CALLS_H
#define CB_COMM_CALLS_H

#include "comm/meeting.h"

/* Two members want the same. */
bool cb_calls_are_alike(const cb_call *a, const cb_call *b);
/* CB_EMISMATCH "operation 7 of a tp group of 3: ranks 0 1 called ..., rank 2 called ...". ranks, calls: (size); NULL:
 * of that member it is not known. */
CB_MUST_USE cb_err cb_calls_unequal(cb_purpose purpose, unsigned long long number, int size, const int *ranks,
                                    const cb_call *const *calls);

#endif
