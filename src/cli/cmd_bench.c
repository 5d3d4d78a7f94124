#include "cli/commands.h"
cb_err cb_cmd_bench(int argc, char **argv) { (void)argc; (void)argv; return cb_fail(CB_EUSAGE, "soon"); }
