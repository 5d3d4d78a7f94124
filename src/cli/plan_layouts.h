/* cuboid plan without --validate: layouts of a model on a cluster. */
#ifndef CB_CLI_PLAN_LAYOUTS_H
#define CB_CLI_PLAN_LAYOUTS_H

#include "base/args.h"

/* Errors: CB_EUSAGE, CB_EINVAL with the rule, or with the smallest cluster that would do; of files named. */
const cb_arg *cb_plan_layouts_options(int *rows); /* its options; those of the other forms are like this one */
CB_MUST_USE cb_err cb_plan_layouts(int argc, char **argv);

#endif
