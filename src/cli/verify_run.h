/* Inside verify: options of a layout, resolved. */
#ifndef CB_CLI_VERIFY_RUN_H
#define CB_CLI_VERIFY_RUN_H

#include "cli/verify.h"

cb_options cb_layout_options(const cb_options *options, const cb_layout *layout);
CB_MUST_USE cb_err cb_layout_resolve(const cb_options *options, const cb_layout *layout, cb_options *own,
                                     cb_resolved *resolved);

#endif
