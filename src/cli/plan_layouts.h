/* cuboid plan without --validate: layouts of a model on a cluster. */
#ifndef CB_CLI_PLAN_LAYOUTS_H
#define CB_CLI_PLAN_LAYOUTS_H

#include "base/err.h"

/* Errors: CB_EUSAGE, CB_EINVAL with the rule, or with the smallest cluster that would do; of files named. */
CB_MUST_USE cb_err cb_plan_layouts(int argc, char **argv);

#endif
