/* cuboid plan: what a training step costs before anything is booked. Its forms have options of their own; the form is
 * chosen by the option that names it. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/plan_layouts.h"
#include "cli/plan_machine.h"
#include "cli/plan_validate.h"

static const struct form {
    const char *option; /* that chooses it; NULL: none of the others was given */
    cb_err (*run)(int argc, char **argv);
    const cb_arg *(*options)(int *rows);
    const char *name;
} forms[] = {
    {"validate", cb_plan_validate, cb_plan_validate_options, "--validate FILE.csv"},
    {"this-machine", cb_plan_this_machine, cb_plan_machine_options, "--this-machine"},
    {"show-constants", cb_plan_show_constants, cb_plan_constants_options, "--show-constants"},
    {NULL, cb_plan_layouts, cb_plan_layouts_options, "a plan for a cluster"},
};
enum { FORMS = sizeof forms / sizeof forms[0], MACHINE = 1, MOST_ROWS = 160 };

/* All options that a form takes; returns how many. */
static int options_of(const struct form *form, cb_arg table[MOST_ROWS]) {
    int rows, more = 0;
    const cb_arg *own = form->options(&rows), *train = cb_options_table(&more);
    memcpy(table, own, (size_t)rows * sizeof *own);
    if (form != &forms[MACHINE]) return rows;
    memcpy(table + rows, train, (size_t)more * sizeof *train);
    return rows + more;
}

/* Options of another form that this one does not have: said is what they go with. */
static cb_err refuse_others(const struct form *own, int argc, char **argv) {
    cb_arg taken[MOST_ROWS], others[MOST_ROWS];
    int rows = options_of(own, taken);
    for (int i = FORMS - 1; i >= 0; i--) {
        char why[128];
        snprintf(why, sizeof why, "goes with %s%s%s", forms[i].name, own->option ? ", not with --" : "",
                 own->option ? own->option : "");
        if (&forms[i] == own) continue;
        if (forms[i].option && cb_args_given(NULL, 0, forms[i].option, argc, argv))
            return cb_fail(CB_EUSAGE, "--%s and --%s: give one of them", own->option, forms[i].option);
        TRY(cb_args_refuse_foreign(taken, rows, others, options_of(&forms[i], others), why, argc, argv));
    }
    return CB_OK;
}

cb_err cb_cmd_plan(int argc, char **argv) {
    const struct form *form = forms;
    while (form->option && !cb_args_given(NULL, 0, form->option, argc, argv)) form++;
    TRY(refuse_others(form, argc, argv));
    return form->run(argc, argv);
}
