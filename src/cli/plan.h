/* The plan of a run, for people and for programs: what a dry run prints. */
#ifndef CB_CLI_PLAN_H
#define CB_CLI_PLAN_H

#include <jansson.h>

#include "train/plan.h"

/* Adds "stages" with their memory and "traffic" to an object. plan: the run's. Errors of cb_run_schedule. */
CB_MUST_USE cb_err cb_plan_to_json(const cb_run *run, const cb_plan *plan, json_t *to);

/* Prints the plan: schedule, memory of each stage's ranks by kind with the peak of live microbatches, what all ranks
 * together send in a step, whether it fits this machine; json: as one object instead. Stages that are alike share a
 * row. Allocates nothing of the model. Errors of cb_run_plan. */
CB_MUST_USE cb_err cb_plan_print(const cb_run *run, bool json, FILE *to);

#endif
