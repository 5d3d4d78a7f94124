/* What a run will write, tried before it begins: see outputs.c. */
#ifndef CB_CLI_OUTPUTS_H
#define CB_CLI_OUTPUTS_H

#include "cli/options.h"

/* Finds out now what would else be found after hours of training: that a file or the directory of weights cannot be
 * made, that the disk is too small for the weights, that an output would overwrite the data. Leaves everything as it
 * was. Errors: CB_EIO, CB_EUSAGE with the path and why. */
CB_MUST_USE cb_err cb_outputs_check(const cb_options *options, const cb_run *run);
/* An output must not be an input, nor another output; /dev/null and the like may be. Either path may be NULL. Error
 * CB_EUSAGE. */
CB_MUST_USE cb_err cb_outputs_distinct(const char *option, const char *path, const char *other, const char *other_path);

#endif
