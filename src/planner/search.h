/* The search: every legal layout of a job, first by memory, then by time. What is legal is a table of rules, each with
 * the reason that it gives; what a caller has fixed is a wish. Pure; allocates its results only. */
#ifndef CB_PLANNER_SEARCH_H
#define CB_PLANNER_SEARCH_H

#include "planner/device_memory.h"

/* Values that layouts must have; 0 (or CB_ANY, where 0 is a value) leaves one free. */
enum { CB_ANY = -1 };
typedef struct cb_wish {
    int dp, tp, pp, cp, chunks, micro_batch;
    int schedule, recompute, placement, sequence_parallel, zero; /* CB_ANY: free */
} cb_wish;
cb_wish cb_wish_none(void);

typedef struct cb_layout {
    cb_split split;
    cb_device_memory memory; /* of its fullest stage */
    cb_estimate estimate;
} cb_layout;

typedef struct cb_mesh_result {
    bool fits;
    cb_layout best;  /* fits: the fastest; else that which needs the least memory, without an estimate */
    int64_t layouts; /* legal ones of this mesh */
} cb_mesh_result;

typedef struct cb_rule {
    const char *name;   /* "heads" */
    const char *reason; /* one line, for people */
    bool of_any_run;    /* no run can break it; else it is one of what is searched */
} cb_rule;
int cb_rules_count(void);
const cb_rule *cb_rule_at(int index);
/* The first rule that the layout breaks, by index; -1: none. For the whole of a split that agrees with the cluster. */
int cb_rule_broken(const cb_job *job, const cb_split *split);
/* The same of the rules that no run can break. */
int cb_rule_of_any_run_broken(const cb_job *job, const cb_split *split);
/* Its reason, or what of the layout the stack does not have: "fsdp has no pipeline". */
const char *cb_rule_reason(const cb_job *job, const cb_split *split, int broken, char out[128]);

enum { CB_MOST_RULES = 24 };
/* cp is searched as long as a rank keeps so many tokens of a sequence; a wish may ask for more. */
enum { CB_CONTEXT_TOKENS = 8192 };

typedef struct cb_search {
    cb_mesh_result *mesh; /* owned; those that fit first, fastest first; then the others, least memory first */
    int meshes, fitting_meshes;
    int64_t legal, fitting;        /* layouts */
    int64_t broken[CB_MOST_RULES]; /* candidates refused, by rule */
    double *step_s;                /* owned; (fitting) ascending: for ranks */
} cb_search;

typedef struct cb_search_spec {
    const cb_job *job;
    const cb_constants *constants;
    cb_wish wish;
    /* Called now and then with the share that is done, in [0, 1]; may be NULL. */
    void (*tick)(void *arg, double done, int64_t layouts);
    /* Where set: called for each legal layout, and nothing else is done with it; the meshes' results say nothing. */
    void (*on_legal)(void *arg, const cb_split *split);
    void *arg;
} cb_search_spec;

/* Errors: CB_EINVAL where nothing is legal, with the rule that refused most; CB_ENOMEM. That nothing fits is no error.
 */
CB_MUST_USE cb_err cb_search_run(const cb_search_spec *spec, cb_search *search);
void cb_search_free(cb_search *search);
/* How many fitting layouts are faster than step_s. */
int64_t cb_search_rank(const cb_search *search, double step_s);

/* The fewest nodes, from the job's up, on which some layout that the wish allows fits; 0: none up to `most` nodes. */
int cb_search_least_nodes(const cb_search_spec *spec, int most);

#endif
