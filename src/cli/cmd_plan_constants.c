/* cuboid plan --show-constants: the table of the planner's constants. */
#include <jansson.h>
#include <stddef.h>

#include "base/args.h"
#include "cli/plan_validate.h"
#include "planner/constants.h"

typedef struct constants_options {
    const char *constants;
    bool show, json, help;
} constants_options;

#define FIELD(name) offsetof(constants_options, name)
static const cb_arg table[] = {
    {.name = "show-constants",
     .type = CB_ARG_BOOL,
     .offset = FIELD(show),
     .fallback = "false",
     .help = "the constants of the cost model: value, unit, physical range, meaning, source"},
    {.name = "constants",
     .type = CB_ARG_STRING,
     .offset = FIELD(constants),
     .help = "constants of the cost model from this JSON file",
     .derived = "those built in"},
    {.name = "json", .type = CB_ARG_BOOL, .offset = FIELD(json), .fallback = "false", .help = "the table as JSON"},
    {.name = "help", .type = CB_ARG_BOOL, .offset = FIELD(help), .fallback = "false", .help = "this text"},
};
enum { ROWS = sizeof table / sizeof table[0] };

const cb_arg *cb_plan_constants_options(int *rows) {
    *rows = ROWS;
    return table;
}

static void print_json(const cb_constants *constants) {
    json_t *root = json_array();
    for (int i = 0; i < cb_constants_count(); i++) {
        const cb_constant *row = cb_constant_at(i);
        json_array_append_new(root, json_pack("{s:s, s:f, s:s, s:f, s:f, s:s, s:s}", "name", row->name, "value",
                                              cb_constants_value(constants, i), "unit", row->unit, "min", row->min,
                                              "max", row->max, "meaning", row->meaning, "source", row->source));
    }
    json_dumpf(root, stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(root);
}

cb_err cb_plan_show_constants(int argc, char **argv) {
    constants_options options;
    TRY(cb_args_parse(table, ROWS, &options, argc, argv));
    if (options.help) {
        cb_args_help(table, ROWS, "cuboid plan --show-constants [--constants FILE.json] [--json]", stdout);
        return CB_OK;
    }
    cb_constants constants = cb_constants_default();
    if (options.constants) TRY(cb_constants_read(&constants, options.constants));
    if (options.json)
        print_json(&constants);
    else
        cb_constants_print(&constants, stdout);
    return CB_OK;
}
