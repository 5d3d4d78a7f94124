/* Parts of cuboid plan that take options of their own. */
#ifndef CB_CLI_PLAN_VALIDATE_H
#define CB_CLI_PLAN_VALIDATE_H

#include "base/args.h"

/* Options of its own, --validate FILE.csv among them. Errors: of the file and its rows, with line and column. */
const cb_arg *cb_plan_validate_options(int *rows);
CB_MUST_USE cb_err cb_plan_validate(int argc, char **argv);

/* --show-constants [--json] [--constants FILE.json]. */
const cb_arg *cb_plan_constants_options(int *rows);
CB_MUST_USE cb_err cb_plan_show_constants(int argc, char **argv);

#endif
