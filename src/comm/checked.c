/* The checking wrapper (to come): for now the endpoint itself. */
#include "comm/comm_backend.h"

cb_err cb_checked_wrap(cb_comm *inner, void *unused, cb_comm **outer) {
    (void)unused;
    *outer = inner;
    return CB_OK;
}
