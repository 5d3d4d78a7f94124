/* Where memory lives. A device allocates, copies and sums; host.c is the one of this build. Collectives call these and
 * never touch memory themselves, so the same algorithms will run on a GPU's memory. */
#ifndef CB_DEVICE_DEVICE_H
#define CB_DEVICE_DEVICE_H

#include <stdint.h>
#include <string.h>

#include "base/err.h"

typedef enum cb_type { CB_F32, CB_F64, CB_I32, CB_I64, CB_U8, CB_BF16, CB_TYPES } cb_type;
typedef enum cb_reduce_op { CB_SUM, CB_MAX, CB_MIN, CB_REDUCE_OPS } cb_reduce_op;

int64_t cb_type_bytes(cb_type type);
const char *cb_type_name(cb_type type);
const char *cb_reduce_op_name(cb_reduce_op op); /* "sum" "max" "min" */

/* bf16: the upper half of an f32. */
static inline float cb_bf16_widen(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}
/* To the nearest, ties to even; NaN stays one. */
static inline uint16_t cb_bf16_narrow(float value) {
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    if (value != value) return (uint16_t)(wide >> 16 | 0x40); /* rounding must not make it infinite */
    return (uint16_t)((wide + 0x7fff + (wide >> 16 & 1)) >> 16);
}
void cb_bf16_narrow_all(uint16_t *to, const float *from, int64_t count);
void cb_bf16_widen_all(float *to, const uint16_t *from, int64_t count);

typedef struct cb_device cb_device;
const cb_device *cb_device_host(void);

struct cb_device {
    const char *name;
    /* required */
    void (*copy)(void *to, const void *from, int64_t bytes);
    /* to[i] = from[0][i] op from[1][i] op ..., as the balanced binary tree of cb_tree (pairs (0,1), (2,3), ..., then
     * pairs of those; a lone last one moves up unchanged). `to` may be any of the `from`. n from 1 to 64 at a time or
     * more. */
    void (*reduce)(void *to, const void *const *from, int n, int64_t count, cb_type type, cb_reduce_op op);
    /* The same into all of to[0..n-1], n >= 2; each may be the `from` of its index. */
    void (*reduce_to_all)(void *const *to, const void *const *from, int n, int64_t count, cb_type type,
                          cb_reduce_op op);
};

#endif
