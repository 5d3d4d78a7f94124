/* Where memory lives. A device allocates, copies and sums; host.c is the one of this build. Collectives call these and
 * never touch memory themselves, so the same algorithms will run on a GPU's memory. */
#ifndef CB_DEVICE_DEVICE_H
#define CB_DEVICE_DEVICE_H

#include <stdint.h>

#include "base/err.h"

typedef enum cb_type { CB_F32, CB_F64, CB_I32, CB_I64, CB_U8, CB_BF16, CB_TYPES } cb_type;
typedef enum cb_reduce_op { CB_SUM, CB_MAX, CB_MIN, CB_REDUCE_OPS } cb_reduce_op;

int64_t cb_type_bytes(cb_type type);
const char *cb_type_name(cb_type type);
const char *cb_reduce_op_name(cb_reduce_op op); /* "sum" "max" "min" */

typedef struct cb_device cb_device;
const cb_device *cb_device_host(void);

struct cb_device {
    const char *name;
    /* required */
    void (*copy)(void *to, const void *from, int64_t bytes);
    /* to[i] = from[0][i] op from[1][i] op ..., as the balanced binary tree of cb_tree (pairs (0,1), (2,3), ..., then pairs
     * of those; a lone last one moves up unchanged). `to` may be any of the `from`. n from 1 to 64 at a time or more. */
    void (*reduce)(void *to, const void *const *from, int n, int64_t count, cb_type type, cb_reduce_op op);
};

#endif
