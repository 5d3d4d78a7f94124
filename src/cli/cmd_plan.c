/* cuboid plan: what a training step costs before anything is booked. */
#include <stddef.h>
#include <string.h>

#include "base/args.h"
#include "cli/commands.h"
#include "cli/plan_layouts.h"
#include "cli/plan_machine.h"
#include "cli/plan_validate.h"

cb_err cb_cmd_plan(int argc, char **argv) {
    if (cb_args_given(NULL, 0, "validate", argc, argv)) return cb_plan_validate(argc, argv);
    if (cb_args_given(NULL, 0, "this-machine", argc, argv)) return cb_plan_this_machine(argc, argv);
    if (cb_args_given(NULL, 0, "show-constants", argc, argv)) return cb_plan_show_constants(argc, argv);
    return cb_plan_layouts(argc, argv);
}
