/* From options to what is measured; see comm_options.h. */
#include <string.h>

#include "base/args.h"
#include "cli/algorithms.h"
#include "cli/comm_options.h"
#include "cli/machine.h"

static const cb_kind kinds[] = {CB_ALL_REDUCE, CB_ALL_GATHER, CB_REDUCE_SCATTER,
                                CB_BROADCAST,  CB_REDUCE,     CB_ALL_TO_ALL};
enum { MEASURED_KINDS = sizeof kinds / sizeof kinds[0], MOST_WORD = 64 };

cb_means cb_comm_means(const cb_comm_report *r) {
    return (cb_means){.shared = cb_comm_launch_shares(&r->plan.launch) && r->ranks > 1, .selection = r->plan.selection};
}

typedef cb_err word_fn(cb_comm_report *report, const cb_comm_options *o, const char *word);

/* Each word of a list with commas. */
static cb_err each_word(cb_comm_report *r, const cb_comm_options *o, const char *list, word_fn *fn) {
    char word[MOST_WORD];
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        TRY(fn(r, o, word));
        at += length;
        if (!*at) return CB_OK;
    }
}

static cb_err take_kind(cb_comm_report *r, const cb_comm_options *o, const char *word) {
    (void)o;
    const char *names[MEASURED_KINDS + 2] = {[MEASURED_KINDS] = "all"};
    bool all = strcmp(word, "all") == 0, known = all;
    for (int i = 0; i < MEASURED_KINDS; i++) {
        names[i] = cb_kind_name(kinds[i]);
        if (!all && strcmp(word, names[i]) != 0) continue;
        known = true;
        for (int k = 0; k < r->kinds; k++)
            if (r->kind[k] == kinds[i]) return cb_fail(CB_EUSAGE, "--op: '%s' is named twice", names[i]);
        r->kind[r->kinds++] = kinds[i];
    }
    if (known) return CB_OK;
    char near[256];
    return cb_fail(CB_EUSAGE,
                   "--op: '%s' is no operation%s There are: all-reduce, all-gather, reduce-scatter, broadcast, reduce, "
                   "all-to-all, all",
                   word, cb_args_suggest(word, names, near));
}

static cb_err take_size(cb_comm_report *r, const cb_comm_options *o, const char *word) {
    static const cb_arg row = {
        .name = "sizes", .type = CB_ARG_INT, .unit = "bytes", .min = 1, .max = CB_COMM_LARGEST_BYTES};
    int64_t bytes;
    char option[] = "--sizes", value[MOST_WORD];
    (void)o;
    snprintf(value, sizeof value, "%s", word);
    TRY(cb_args_parse(&row, 1, &bytes, 2, (char *[]){option, value}));
    if (r->plan.sizes == CB_COMM_MOST_SIZES)
        return cb_fail(CB_EUSAGE, "--sizes: more than %d sizes", CB_COMM_MOST_SIZES);
    if (r->plan.sizes > 0 && bytes <= r->plan.size_bytes[r->plan.sizes - 1])
        return cb_fail(CB_EUSAGE, "--sizes: %s does not come after %lld; they have to grow", word,
                       (long long)r->plan.size_bytes[r->plan.sizes - 1]);
    r->plan.size_bytes[r->plan.sizes++] = bytes;
    return CB_OK;
}

static cb_err take_sizes(cb_comm_report *r, const cb_comm_options *o) {
    if (o->sizes) return each_word(r, o, o->sizes, take_size);
    if (o->from > o->to)
        return cb_fail(CB_EUSAGE, "--from %lld is more than --to %lld", (long long)o->from, (long long)o->to);
    for (int64_t bytes = o->from; bytes <= o->to; bytes *= o->factor) r->plan.size_bytes[r->plan.sizes++] = bytes;
    return CB_OK;
}

static cb_err add_entry(cb_comm_report *r, cb_kind kind, const cb_algorithm *algorithm, bool native) {
    cb_comm_plan *p = &r->plan;
    if (p->entries == CB_COMM_MOST_ENTRIES)
        return cb_fail(CB_EUSAGE, "--op, --algo: more than %d tables at once", CB_COMM_MOST_ENTRIES);
    p->entry[p->entries++] = (cb_comm_entry){kind, algorithm, native};
    return CB_OK;
}

/* Of the kind now at the end of the entries. */
static cb_err add_named(cb_comm_report *r, cb_kind kind, const char *word) {
    int rows;
    const cb_algorithm *all = cb_algorithms(&rows), *found = NULL;
    if (strcmp(word, "chosen") == 0) return add_entry(r, kind, NULL, false);
    if (strcmp(word, "native") == 0) return add_entry(r, kind, NULL, true);
    if (strcmp(word, "all") != 0) {
        TRY(cb_algorithm_find(kind, word, cb_comm_means(r).shared, r->ranks, &found));
        return add_entry(r, kind, found, false);
    }
    for (int i = 0; i < rows; i++)
        if (all[i].kind == kind && cb_algorithm_serves(&all[i], cb_comm_means(r).shared, r->ranks))
            TRY(add_entry(r, kind, &all[i], false));
    return CB_OK;
}

static bool names_native(const char *algo) {
    for (const char *at = algo; at; at = strchr(at, ','))
        if (at += *at == ',', strncmp(at, "native", 6) == 0 && (!at[6] || at[6] == ',')) return true;
    return false;
}

/* Of several operations some may lack a named algorithm: that is left out, and said. */
static bool has(cb_kind kind, const char *word) {
    int rows;
    const cb_algorithm *all = cb_algorithms(&rows);
    bool found = strcmp(word, "chosen") == 0 || strcmp(word, "native") == 0 || strcmp(word, "all") == 0;
    for (int i = 0; i < rows && !found; i++) found = all[i].kind == kind && strcmp(all[i].name, word) == 0;
    return found;
}

/* An algorithm has to be one of at least one operation; if not, the error is that of the first. */
static cb_err check_named(cb_comm_report *r, const cb_comm_options *o, const char *word) {
    const cb_algorithm *found;
    (void)o;
    for (int k = 0; k < r->kinds; k++)
        if (has(r->kind[k], word)) return CB_OK;
    return cb_algorithm_find(r->kind[0], word, cb_comm_means(r).shared, r->ranks, &found);
}

/* At the kind that is last in the plan. */
static cb_err take_named(cb_comm_report *r, const cb_comm_options *o, const char *word) {
    (void)o;
    cb_kind kind = r->kind[r->kinds - 1];
    if (has(kind, word)) return add_named(r, kind, word);
    if (r->lacks == CB_COMM_MOST_LACKS)
        return cb_fail(CB_EUSAGE, "--algo: more than %d names that some operation lacks", r->lacks);
    cb_comm_lack *lack = &r->lack[r->lacks++];
    lack->kind = kind;
    snprintf(lack->name, sizeof lack->name, "%s", word);
    return CB_OK;
}

static cb_err take_entries(cb_comm_report *r, const cb_comm_options *o) {
    bool is_mpi = strcmp(o->comm, "mpi") == 0, native = names_native(o->algo);
    int wanted = r->kinds;
    if (native && !is_mpi)
        return cb_fail(CB_EUSAGE, "--algo native goes with --comm mpi; with --comm threads --native starts MPI's own");
    TRY(each_word(r, o, o->algo, check_named));
    r->kinds = 0;
    for (int k = 0; k < wanted; k++) {
        int before = r->plan.entries;
        r->kind[r->kinds++] = r->kind[k];
        TRY(each_word(r, o, o->algo, take_named));
        if (r->plan.entries == before)
            r->kinds--;
        else if (o->native && is_mpi && !native)
            TRY(add_entry(r, r->kind[r->kinds - 1], NULL, true));
    }
    return CB_OK;
}

static cb_err take_ranks(cb_comm_report *r, const cb_comm_options *o) {
    bool is_mpi = strcmp(o->comm, "mpi") == 0;
    int started = cb_comm_mpiexec_ranks(), cores = cb_machine_cores(1);
    TRY(cb_comm_check_backend(o->comm));
    if (!is_mpi && started > 1)
        return cb_fail(CB_EUSAGE,
                       "mpiexec started %d processes, but --comm threads would measure %d times the same; leave --comm "
                       "out or say --comm mpi",
                       started, started);
    r->ranks = o->ranks ? (int)o->ranks : is_mpi ? started : cores > 2 ? cores : 2;
    if (r->ranks > CB_COMM_MOST_RANKS)
        return cb_fail(CB_EUSAGE, "%d ranks; up to %d can be measured", r->ranks, CB_COMM_MOST_RANKS);
    if (is_mpi && r->ranks == 1 && !o->table && !o->draw && !o->svg)
        return cb_fail(
            CB_EUSAGE,
            "--comm mpi measures the ranks that mpiexec starts, here one alone; start it as mpiexec -n 2 cuboid "
            "bench comm ..., or leave --comm mpi out for ranks that are threads");
    r->plan.launch = (cb_launch){.backend = o->comm, .ranks = r->ranks, .deadline_s = 600};
    return CB_OK;
}

cb_err cb_comm_resolve(cb_comm_report *r, cb_comm_options *o) {
    static const cb_type types[] = {CB_F32, CB_BF16, CB_F64, CB_I32};
    if (!o->comm) o->comm = cb_comm_mpiexec_ranks() > 1 ? "mpi" : "threads";
    r->plan = (cb_comm_plan){.type = types[o->dtype],
                             .op = (cb_reduce_op)o->redop,
                             .repeats = (int)o->repeats,
                             .warmup = (int)o->warmup,
                             .pin = o->pin};
    TRY(take_ranks(r, o));
    if (o->algorithms) {
        TRY(cb_algorithms_read(&r->selection, "--algorithms", o->algorithms));
        r->plan.selection = &r->selection;
        TRY(cb_selection_check(cb_comm_means(r), r->ranks));
    }
    TRY(each_word(r, o, o->op, take_kind));
    TRY(take_sizes(r, o));
    return take_entries(r, o);
}
