/* cuboid plan --this-machine: layouts of a run of `cuboid train` here, by the functions that the run itself plans with
 * and by measured times of its parts. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "cli/commands.h"
#include "cli/machine.h"
#include "cli/plan_machine.h"
#include "cli/verify_run.h"

typedef struct machine_options {
    cb_options train; /* first: rows of its table are valid for this struct too */
    const char *layouts, *schedules;
    int64_t most_ranks, repeats;
    bool this_machine, check;
} machine_options;

#define FIELD(name) offsetof(machine_options, name)
static const cb_arg own_rows[] = {
    {.name = "Plan for this machine", .type = CB_ARG_SECTION},
    {.name = "this-machine",
     .type = CB_ARG_BOOL,
     .offset = FIELD(this_machine),
     .fallback = "false",
     .help = "measure this machine and plan for cuboid train on it"},
    {.name = "layouts",
     .type = CB_ARG_STRING,
     .offset = FIELD(layouts),
     .help = "DPxTPxPP[:SCHEDULE], comma-separated",
     .derived = "that of --dp, --tp, --pp; without these all up to --most-ranks"},
    {.name = "schedules",
     .type = CB_ARG_STRING,
     .offset = FIELD(schedules),
     .fallback = "all",
     .help = "of all layouts, where pp > 1, as far as the sizes allow"},
    {.name = "most-ranks",
     .type = CB_ARG_INT,
     .offset = FIELD(most_ranks),
     .unit = "ranks",
     .help = "of all layouts",
     .derived = "the cores",
     .min = 1,
     .max = 1024},
    {.name = "check",
     .type = CB_ARG_BOOL,
     .offset = FIELD(check),
     .fallback = "false",
     .help = "train every layout for a few steps and compare memory, traffic and time"},
    {.name = "repeats",
     .type = CB_ARG_INT,
     .offset = FIELD(repeats),
     .fallback = "3",
     .unit = "steps",
     .help = "of --check at least, without those that warm up; the mean of their middle half counts",
     .min = 1,
     .max = 64},
};
enum { OWN_ROWS = sizeof own_rows / sizeof own_rows[0], MOST_ROWS = 128, MOST_LAYOUTS = 1024, MOST_SCHEDULES = 16 };

static const char usage[] =
    "cuboid plan --this-machine --model gpt2-124m [--dp 2 --tp 1 --pp 1] [--check] [options of train]";

const cb_arg *cb_plan_machine_options(int *rows) {
    *rows = OWN_ROWS;
    return own_rows;
}

static int make_table(cb_arg table[MOST_ROWS]) {
    int rows;
    const cb_arg *train = cb_options_table(&rows);
    memcpy(table, own_rows, sizeof own_rows);
    memcpy(table + OWN_ROWS, train, (size_t)rows * sizeof *train);
    return rows + OWN_ROWS;
}

/* What the search needs to be fixed: all layouts train on the same batch, so that they can be compared. */
static cb_err list_all(machine_options *o, int cores, cb_layout *layouts, int *count) {
    cb_options *t = &o->train;
    cb_model model;
    const char *schedules[MOST_SCHEDULES];
    if (!t->model && !t->init) return cb_fail(CB_EUSAGE, "no model: give --model NAME, or --init DIR");
    TRY(cb_model_load(&model, t->model ? t->model : t->init));
    if (o->most_ranks == 0) o->most_ranks = cores;
    if (t->global_batch_size == 0) t->global_batch_size = o->most_ranks * t->micro_batch_size;
    int micro_batches = (int)(t->global_batch_size / t->micro_batch_size);
    TRY(cb_layouts_schedules(o->schedules, schedules, MOST_SCHEDULES));
    cb_layouts_spec spec = {.model = &model,
                            .shards = model.heads,
                            .data_shards = micro_batches,
                            .most_ranks = (int)o->most_ranks,
                            .micro_batches = micro_batches,
                            .schedules = schedules};
    *count = cb_layouts_all(&spec, layouts, MOST_LAYOUTS);
    return CB_OK;
}

/* The one layout of the options: dp as they have it, or derived from the ranks. */
static cb_err list_one(const machine_options *o, cb_layout *layout) {
    cb_options own = o->train;
    cb_resolved resolved = {0};
    own.eval_iters = 0;
    cb_err e = cb_options_resolve(&own, &resolved);
    if (!e) *layout = (cb_layout){(int)own.dp, (int)own.tp, (int)own.pp, o->train.schedule, NULL};
    cb_resolved_free(&resolved);
    return e;
}

static void free_layout(cb_machine_layout *it) {
    if (it) cb_resolved_free(&it->resolved);
    free(it);
}

/* Appends the layout. A layout of a search that this model or batch cannot have is none. */
static cb_err add(cb_machine_plan *plan, const machine_options *o, const cb_layout *layout, bool search) {
    cb_machine_layout *it = calloc(1, sizeof *it);
    if (!it) return cb_fail(CB_ENOMEM, "no memory for a layout");
    it->layout = *layout;
    cb_err e = cb_layout_resolve(&o->train, layout, &it->options, &it->resolved);
    if (e && search && cb_err_code(e) == CB_EINVAL) {
        if (plan->why)
            cb_err_free(e);
        else
            plan->why = e;
        free_layout(it);
        return CB_OK;
    }
    if (!e) e = cb_run_plan(&it->resolved.run, &it->plan);
    it->fits = !e && cb_plan_fits(&it->plan);
    if (e) {
        free_layout(it);
        return e;
    }
    plan->at[plan->count++] = it;
    return CB_OK;
}

/* The fastest first, those that do not fit last, the smallest of them first. */
static int by_time(const void *a, const void *b) {
    const cb_machine_layout *x = *(cb_machine_layout *const *)a, *y = *(cb_machine_layout *const *)b;
    if (x->fits != y->fits) return y->fits - x->fits;
    if (!x->fits) return (x->plan.here_bytes > y->plan.here_bytes) - (x->plan.here_bytes < y->plan.here_bytes);
    return (x->estimate.tokens_per_s < y->estimate.tokens_per_s) -
           (x->estimate.tokens_per_s > y->estimate.tokens_per_s);
}

/* Those that do not fit come last, the smallest first. */
static cb_err none_fits(const cb_plan *smallest) {
    char here[16], available[16];
    return cb_fail(CB_EINVAL, "no layout fits this machine: the smallest needs %s, available are %s",
                   cb_os_human_bytes(smallest->here_bytes, here),
                   cb_os_human_bytes(smallest->available_bytes, available));
}

/* Something fits, and what was predicted to the byte is so. */
static cb_err verdict(const cb_machine_plan *plan) {
    char text[64];
    if (!plan->at[0]->fits) return none_fits(&plan->at[0]->plan);
    for (int i = 0; i < plan->count; i++) {
        const cb_machine_layout *it = plan->at[i];
        if (!cb_machine_is_off(it)) continue;
        return cb_fail(CB_EMISMATCH,
                       "%s: memory is %lld bytes off what was predicted, traffic %lld bytes, %lld messages and %lld "
                       "operations",
                       cb_layout_text(&it->layout, text), (long long)it->memory_off_bytes,
                       (long long)it->traffic_off_bytes, (long long)it->traffic_off_messages,
                       (long long)it->traffic_off_operations);
    }
    return CB_OK;
}

static cb_err plan_all(cb_machine_plan *plan, const machine_options *o, const cb_layout *layouts, int count,
                       bool search) {
    if (!search) TRY(cb_layouts_check(&o->train, layouts, count));
    for (int i = 0; i < count; i++) TRY(add(plan, o, &layouts[i], search));
    if (plan->count == 0 && plan->why)
        return cb_fail(CB_EINVAL, "no layout of up to %lld rank%s is possible, the first because: %s",
                       (long long)o->most_ranks, o->most_ranks == 1 ? "" : "s", cb_err_text(plan->why));
    if (plan->count == 0)
        return cb_fail(CB_EINVAL, "no layout of up to %lld ranks is possible for this model and batch",
                       (long long)o->most_ranks);
    TRY(cb_machine_measure(plan, o->check ? (int)o->repeats : 0));
    qsort(plan->at, (size_t)plan->count, sizeof *plan->at, by_time);
    if (plan->at[0]->fits) TRY(cb_machine_parts_measure(&plan->at[0]->resolved.run, plan->cores, &plan->parts));
    TRY(cb_machine_print(plan, o->train.json, stdout));
    return verdict(plan);
}

static cb_err list(machine_options *o, bool given, int cores, cb_layout *layouts, int *count, bool *search) {
    *count = 1;
    *search = !o->layouts && !given;
    if (o->layouts) return cb_layouts_parse(o->layouts, o->train.schedule, NULL, layouts, MOST_LAYOUTS, count);
    return given ? list_one(o, layouts) : list_all(o, cores, layouts, count);
}

/* given: the options have a layout. */
static cb_err plan_machine(machine_options *o, bool given) {
    cb_machine_plan plan = {.cores = cb_machine_cores(1)};
    int count = 0;
    bool search = false;
    if (o->train.comm > 0 || cb_comm_mpiexec_ranks() > 1)
        return cb_fail(CB_EUSAGE, "--this-machine measures ranks that are threads of one process; leave out mpi");
    cb_layout *layouts = calloc(MOST_LAYOUTS, sizeof *layouts);
    plan.at = calloc(MOST_LAYOUTS, sizeof *plan.at);
    cb_err e = layouts && plan.at ? CB_OK : cb_fail(CB_ENOMEM, "no memory for a list of layouts");
    if (!e) e = list(o, given, plan.cores, layouts, &count, &search);
    if (!e) e = plan_all(&plan, o, layouts, count, search);
    for (int i = 0; i < plan.count; i++) free_layout(plan.at[i]);
    cb_err_free(plan.why);
    free(plan.at);
    free(layouts);
    return e;
}

cb_err cb_plan_this_machine(int argc, char **argv) {
    cb_arg table[MOST_ROWS];
    int rows = make_table(table);
    machine_options o;
    TRY(cb_args_parse(table, rows, &o, argc, argv));
    if (o.train.help) {
        cb_args_help(table, rows, usage, stdout);
        return CB_OK;
    }
    o.train.dry_run = true; /* no data is needed */
    bool given = o.train.schedule_file != NULL;
    static const char *const sizes[] = {"ranks", "dp", "tp", "pp", NULL}, *const searched[] = {"most-ranks",
                                                                                               "schedules", NULL};
    if (o.layouts) {
        TRY(cb_args_refuse(table, rows, sizes, "is of one layout; leave it out, or --layouts", argc, argv));
        TRY(cb_args_refuse(table, rows, searched, "is for a search; leave it out, or --layouts", argc, argv));
    }
    for (int i = 0; sizes[i]; i++) given |= cb_args_given(table, rows, sizes[i], argc, argv);
    return plan_machine(&o, given);
}
