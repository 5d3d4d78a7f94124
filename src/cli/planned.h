/* cuboid plan: what was asked, resolved; and the parts of the answer. Each part prints for people; json.c has all of
 * them for programs. */
#ifndef CB_CLI_PLANNED_H
#define CB_CLI_PLANNED_H

#include <jansson.h>
#include <stdio.h>

#include "cli/numbers.h"
#include "planner/flows.h"
#include "planner/search.h"

/* The smallest cluster, of the same nodes (usual ones, where the cluster is a part of one), on which something fits
 * that has what was fixed. */
typedef struct cb_smallest {
    int nodes, devices; /* 0: none */
    bool dp_open;       /* with what was fixed but for dp */
    char cluster[160];  /* as --cluster has it */
} cb_smallest;

typedef struct cb_planned {
    /* options as typed */
    const char *model_name, *cluster_text, *hardware, *constants_file, *svg, *stack_name;
    int64_t seq_length, global_batch, dp, tp, pp, cp, chunks, micro_batch, zero, top, columns, vocab_multiple;
    int precision, schedule, recompute, placement;
    bool sequence_parallel, distributed_optimizer, grads_32, explain, all, json, list_hardware, help;
    double tokens, price;
    /* resolved */
    cb_hardware devices;
    cb_model model;
    cb_cluster cluster;
    cb_constants constants;
    cb_job job;
    cb_wish wish;
    cb_param_sums sums;
    cb_search search, all_layouts; /* of what was fixed; of everything, where something was */
    bool anything_fixed;
    double search_s; /* that the first of them took */
    cb_smallest smallest; /* where nothing fits */
} cb_planned;

/* planned_options.c: reads the options and what they name. *done: nothing more to do (--help, --list-hardware). The
 * struct must not move afterwards: the job points into it. */
CB_MUST_USE cb_err cb_planned_resolve(cb_planned *p, int argc, char **argv, bool *done);

/* planned_text.c: words and numbers that all parts share. */
char *cb_planned_bytes(double bytes, char out[16]);  /* "349 GB": powers of 1000, three digits */
const char *cb_schedule_word(cb_split_schedule schedule);
const char *cb_recompute_word(cb_split_recompute recompute);
const char *cb_precision_word(cb_precision precision);
char *cb_planned_schedule(const cb_split *split, char out[24]); /* "interleaved:2", with the chunks of a stage */
/* "dp 8 tp 4 pp 12, microbatch 2, 1f1b, recompute full, SP, ZeRO 1"; SP: sequence parallel. Returns out. */
char *cb_planned_layout(const cb_split *split, char out[160]);
/* "stage 0 needs 93.1 GiB of 80.0: 46% optimizer". Returns out. */
char *cb_planned_shortfall(const cb_device_memory *memory, double room_bytes, char out[128]);

/* planned_advice.c: e, that nothing is possible, and which values of what was fixed would be, all else as it is; or on
 * which cluster it would. */
CB_MUST_USE cb_err cb_planned_advise(cb_planned *p, cb_err e);
/* Where nothing fits: sets p->smallest; the error that says so. */
void cb_planned_find_smallest(cb_planned *p);
CB_MUST_USE cb_err cb_planned_too_small(const cb_planned *p);

/* planned_wall.c: bytes of a parameter in mixed precision as the papers count them: weight and gradient in 16 bits, Adam's
 * master weight and two moments in 32; all in 32 bits where the products are. */
typedef struct cb_wall {
    double weight, grad, adam;
} cb_wall;
cb_wall cb_planned_wall(const cb_planned *p);
void cb_planned_print_wall(const cb_planned *p, FILE *to);
/* planned_ways.c: data, tensor, pipeline and combined parallelism, each at its best on this cluster. */
typedef struct cb_way {
    const char *name, *splits;
    bool possible, fits;
    int devices; /* that it uses; fewer than the cluster's where no dp of all of them divides the batch */
    char why_not[160], limit[160]; /* why_not: where it is not possible */
    cb_layout layout;
} cb_way;
enum { CB_WAYS = 5 };
CB_MUST_USE cb_err cb_planned_ways(const cb_planned *p, cb_way ways[CB_WAYS]);
void cb_planned_print_ways(const cb_planned *p, const cb_way ways[CB_WAYS], FILE *to);
/* planned_best.c: the best layouts, what does not fit, what is refused. */
void cb_planned_print_best(const cb_planned *p, FILE *to);
void cb_planned_print_failing(const cb_planned *p, FILE *to);
void cb_planned_print_rules(const cb_planned *p, FILE *to);
void cb_planned_print_cost(const cb_planned *p, const cb_layout *layout, FILE *to);
double cb_planned_days(const cb_planned *p, const cb_layout *layout);
/* planned_explain.c: one layout. */
void cb_planned_print_layout(const cb_planned *p, const cb_layout *layout, FILE *to);
/* planned_timeline.c: the timeline of its step; to --svg too, if given. */
CB_MUST_USE cb_err cb_planned_print_timeline(const cb_planned *p, const cb_layout *layout, FILE *to);
/* planned_json.c */
void cb_planned_print_hardware_json(const cb_hardware *hardware, FILE *to);
json_t *cb_planned_json(const cb_planned *p, const cb_way ways[CB_WAYS], const cb_layout *explained);

#endif
