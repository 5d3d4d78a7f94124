/* What processes of one run have to have alike, as text for cb_launch.alike. */
#ifndef CB_CLI_ALIKE_H
#define CB_CLI_ALIKE_H

#include <stdio.h>

#include "comm/comm.h"

typedef cb_err cb_alike_fn(const void *what, FILE *to);
/* Has fn write the lines and sets launch->alike to them, where ranks are processes. *text is the caller's to free after
 * the launch. */
CB_MUST_USE cb_err cb_alike_make(cb_launch *launch, cb_alike_fn *fn, const void *what, char **text);

#endif
