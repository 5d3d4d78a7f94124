/* The commands of cuboid. Each takes the words after its name and returns an error, whose code decides the exit code.
 */
#ifndef CB_CLI_COMMANDS_H
#define CB_CLI_COMMANDS_H

#include "base/err.h"

CB_MUST_USE cb_err cb_cmd_train(int argc, char **argv);
CB_MUST_USE cb_err cb_cmd_plan(int argc, char **argv);
CB_MUST_USE cb_err cb_cmd_model(int argc, char **argv);
CB_MUST_USE cb_err cb_cmd_verify(int argc, char **argv);
CB_MUST_USE cb_err cb_cmd_schedule(int argc, char **argv);
CB_MUST_USE cb_err cb_cmd_trace(int argc, char **argv);
CB_MUST_USE cb_err cb_cmd_bench(int argc, char **argv);

/* What can be benched. */
CB_MUST_USE cb_err cb_bench_step(int argc, char **argv);
CB_MUST_USE cb_err cb_bench_gemm(int argc, char **argv);
CB_MUST_USE cb_err cb_bench_comm(int argc, char **argv);
CB_MUST_USE cb_err cb_bench_tp(int argc, char **argv);

#endif
