/* Walking all layouts: meshes, then what a mesh leaves open; see search.h. */
#include "planner/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIVISORS = 2048, TICKS_EVERY = 1024 };

cb_wish cb_wish_none(void) {
    return (cb_wish){
        .schedule = CB_ANY, .recompute = CB_ANY, .placement = CB_ANY, .sequence_parallel = CB_ANY, .zero = CB_ANY};
}

/* The divisors of n, ascending; or only `wish` (which may be none: then the rules say why), if there is one. */
typedef struct values {
    int at[MOST_DIVISORS], count;
} values;

static values divisors(int64_t n, int wish) {
    values v = {.count = 0};
    if (wish > 0) {
        v.at[v.count++] = wish;
        return v;
    }
    for (int64_t d = 1; d * d <= n && v.count < MOST_DIVISORS; d++)
        if (n % d == 0) v.at[v.count++] = (int)d;
    for (int i = v.count - 1; i >= 0 && v.count < MOST_DIVISORS; i--) /* their counterparts, unless a square's root */
        if ((int64_t)v.at[i] * v.at[i] != n) v.at[v.count++] = (int)(n / v.at[i]);
    return v;
}

typedef struct walk {
    const cb_search_spec *spec;
    const cb_job *job;
    cb_param_sums sums;
    cb_search *search;
    cb_mesh_result mesh; /* of the mesh at hand */
    int64_t step_room, mesh_room, candidates;
    double done;
    bool memory_only, found; /* stop at the first that fits */
    int furthest;            /* the rule that the candidate nearest to a legal one broke */
    int furthest_rank;       /* how near: whole layouts before groups of them, then the later rule */
    cb_split furthest_split; /* that candidate */
} walk;

static cb_err push_time(walk *w, double step_s) {
    cb_search *s = w->search;
    if (s->fitting == w->step_room) {
        w->step_room = w->step_room ? 2 * w->step_room : 4096;
        double *more = realloc(s->step_s, (size_t)w->step_room * sizeof *more);
        if (!more) return cb_fail(CB_ENOMEM, "no memory for the times of %lld layouts", (long long)w->step_room);
        s->step_s = more;
    }
    s->step_s[s->fitting++] = step_s;
    return CB_OK;
}

static cb_err push_mesh(walk *w) {
    cb_search *s = w->search;
    if (s->meshes == w->mesh_room) {
        w->mesh_room = w->mesh_room ? 2 * w->mesh_room : 64;
        cb_mesh_result *more = realloc(s->mesh, (size_t)w->mesh_room * sizeof *more);
        if (!more) return cb_fail(CB_ENOMEM, "no memory for %lld meshes", (long long)w->mesh_room);
        s->mesh = more;
    }
    s->mesh[s->meshes++] = w->mesh;
    s->fitting_meshes += w->mesh.fits;
    return CB_OK;
}

static void take_least_memory(walk *w, const cb_split *split, const cb_device_memory *memory) {
    cb_mesh_result *m = &w->mesh;
    if (m->fits || (m->layouts > 1 && memory->total_bytes >= m->best.memory.total_bytes)) return;
    m->best = (cb_layout){.split = *split, .memory = *memory};
}

/* A legal layout: does it fit, and how fast is it? */
static cb_err take(walk *w, const cb_split *split) {
    cb_estimate estimate;
    w->mesh.layouts++;
    w->search->legal++;
    if (w->spec->on_legal) {
        w->spec->on_legal(w->spec->arg, split);
        return CB_OK;
    }
    cb_device_memory memory = cb_device_memory_worst(w->job, split, &w->sums);
    if (memory.total_bytes > w->job->cluster->device.memory_bytes) {
        take_least_memory(w, split, &memory);
        return CB_OK;
    }
    w->found = true;
    if (w->memory_only) return CB_OK;
    TRY(cb_estimate_time(w->job, split, w->spec->constants, &estimate));
    TRY(push_time(w, estimate.step_s));
    if (w->mesh.fits && estimate.step_s >= w->mesh.best.estimate.step_s) return CB_OK;
    w->mesh.best = (cb_layout){*split, memory, estimate};
    w->mesh.fits = true;
    return CB_OK;
}

static void refuse(walk *w, const cb_split *split, int broken, bool whole) {
    int rank = broken + (whole ? CB_MOST_RULES : 0);
    w->search->broken[broken]++;
    if (rank > w->furthest_rank) w->furthest_rank = rank, w->furthest = broken, w->furthest_split = *split;
}

/* Broken already by the least that the fields still open can ask for: then whatever they are. Counts as one candidate.
 */
static bool is_hopeless(walk *w, cb_split split) {
    int broken;
    split.recompute = CB_KEEP_ALL, split.sequence_parallel = false, split.zero = 0;
    for (int placement = CB_PLACE_EVEN; placement <= CB_PLACE_WITH_ENDS; placement++) {
        split.placement = (cb_split_placement)placement;
        broken = cb_rule_broken(w->job, &split);
        if (broken < 0) return false;
    }
    split.placement = CB_PLACE_EVEN;
    refuse(w, &split, cb_rule_broken(w->job, &split), false);
    return true;
}

static cb_err consider(walk *w, const cb_split *split) {
    if (w->memory_only && w->found) return CB_OK;
    if (++w->candidates % TICKS_EVERY == 0 && w->spec->tick) w->spec->tick(w->spec->arg, w->done, w->search->legal);
    int broken = cb_rule_broken(w->job, split);
    if (broken < 0) return take(w, split);
    refuse(w, split, broken, true);
    return CB_OK;
}

static bool wanted(int wish, int value) {
    return wish == CB_ANY || wish == value;
}

/* What costs no ranks: recomputation, sequence parallelism, ZeRO, placement. */
static cb_err walk_switches(walk *w, cb_split split) {
    const cb_wish *wish = &w->spec->wish;
    for (int recompute = 0; recompute < CB_SPLIT_RECOMPUTES; recompute++) {
        if (recompute == CB_AGAIN_CHEAP && wish->recompute == CB_ANY && w->job->stack != CB_TITAN) continue;
        for (int placement = CB_PLACE_EVEN; placement <= CB_PLACE_WITH_ENDS; placement++)
            for (int bits = 0; bits < 8; bits++) {
                split.recompute = (cb_split_recompute)recompute;
                split.placement = (cb_split_placement)placement;
                split.sequence_parallel = bits & 1;
                split.zero = bits >> 1;
                if (wanted(wish->recompute, recompute) && wanted(wish->placement, placement) &&
                    wanted(wish->sequence_parallel, split.sequence_parallel) && wanted(wish->zero, split.zero))
                    TRY(consider(w, &split));
            }
    }
    return CB_OK;
}

static cb_err walk_schedules(walk *w, cb_split split) {
    static const cb_split_schedule searched[] = {CB_SPLIT_1F1B, CB_SPLIT_GPIPE, CB_SPLIT_ZB_H1, CB_SPLIT_INTERLEAVED,
                                                 CB_SPLIT_ZB_H2};
    const cb_wish *wish = &w->spec->wish;
    int count = wish->schedule == CB_SPLIT_ZB_H2 ? 5 : 4; /* no program steps as ZB-H2 asks, across the optimizer */
    if (split.pp == 1 && wish->schedule == CB_ANY && wish->chunks == 0) count = 1;
    for (int i = 0; i < count; i++) {
        split.schedule = searched[i];
        if (!wanted(wish->schedule, (int)split.schedule)) continue;
        bool interleaved = split.schedule == CB_SPLIT_INTERLEAVED;
        int least = interleaved ? 2 : 1, most = interleaved ? w->job->model->layers / split.pp : 1;
        if (wish->chunks) least = most = wish->chunks; /* the rules say where that cannot be */
        for (split.chunks = least; split.chunks <= most; split.chunks++)
            if (!is_hopeless(w, split)) TRY(walk_switches(w, split));
    }
    return CB_OK;
}

static cb_err walk_mesh(walk *w, cb_split split) {
    values micro_batches = divisors(w->job->global_batch / split.dp, w->spec->wish.micro_batch);
    w->mesh = (cb_mesh_result){0};
    for (int i = 0; i < micro_batches.count; i++) {
        split.micro_batch = micro_batches.at[i];
        TRY(walk_schedules(w, split));
    }
    return w->mesh.layouts ? push_mesh(w) : CB_OK;
}

/* Context parallelism has a use where a rank's part of the sequence is still long; shorter ones pay with dp. */
static int most_cp(const walk *w) {
    int64_t most = w->job->seq_length / CB_CONTEXT_TOKENS;
    return w->spec->wish.cp ? w->spec->wish.cp : most > 1 ? (int)most : 1;
}

static cb_err walk_dp(walk *w, cb_split split, int64_t model_parallel) {
    int dp = w->spec->wish.dp ? w->spec->wish.dp : (int)(w->job->cluster->devices / model_parallel);
    if (dp < 1) dp = 1;
    split.micro_batch = w->spec->wish.micro_batch ? w->spec->wish.micro_batch : 1;
    split.dp = dp, split.chunks = 1, split.schedule = CB_SPLIT_1F1B;
    return is_hopeless(w, split) ? CB_OK : walk_mesh(w, split);
}

static cb_err walk_all(walk *w) {
    const cb_wish *wish = &w->spec->wish;
    values tp = divisors(w->job->cluster->devices, wish->tp), pp = divisors(w->job->cluster->devices, wish->pp);
    values cp = divisors(w->job->cluster->devices, wish->cp);
    for (int i = 0; i < tp.count; i++)
        for (int j = 0; j < pp.count; j++)
            for (int k = 0; k < cp.count; k++) {
                int64_t size = (int64_t)tp.at[i] * pp.at[j] * cp.at[k];
                w->done = ((double)i * pp.count + j) / ((double)tp.count * pp.count);
                if (cp.at[k] > most_cp(w) || (size > w->job->cluster->devices && !wish->dp)) continue;
                if (w->job->cluster->devices % size && !wish->dp) continue;
                TRY(walk_dp(w, (cb_split){.tp = tp.at[i], .pp = pp.at[j], .cp = cp.at[k]}, size));
            }
    return CB_OK;
}

static int by_result(const void *a, const void *b) {
    const cb_mesh_result *x = a, *y = b;
    if (x->fits != y->fits) return x->fits ? -1 : 1;
    double dx = x->fits ? x->best.estimate.step_s : x->best.memory.total_bytes;
    double dy = y->fits ? y->best.estimate.step_s : y->best.memory.total_bytes;
    if (dx == dy) return x->best.split.cp - y->best.split.cp; /* the simpler of equals */
    return dx > dy ? 1 : -1;
}

static int by_time(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* " has tp 1, microbatch 5", the sizes that are fixed; " is possible" where none is. */
static void say_fixed(const cb_wish *wish, char out[128]) {
    const int sizes[] = {wish->dp, wish->tp, wish->pp, wish->cp, wish->micro_batch, wish->chunks, wish->zero + 1};
    static const char *const names[] = {"dp", "tp", "pp", "cp", "microbatch", "chunks", "ZeRO"};
    size_t used = 0;
    for (int i = 0; i < 7; i++)
        if (sizes[i])
            used += (size_t)snprintf(out + used, 128 - used, "%s%s %d", used ? ", " : " has ", names[i],
                                     i == 6 ? wish->zero : sizes[i]);
    if (!used) snprintf(out, 128, " is possible");
}

static cb_err say_furthest(const walk *w) {
    char fixed[128], reason[128];
    const cb_job *job = w->job;
    say_fixed(&w->spec->wish, fixed);
    return cb_fail(CB_EINVAL, "no layout of %d device%s for %lld sequence%s%s: %s", job->cluster->devices,
                   job->cluster->devices == 1 ? "" : "s", (long long)job->global_batch,
                   job->global_batch == 1 ? "" : "s", fixed,
                   cb_rule_reason(job, &w->furthest_split, w->furthest, reason));
}

/* Sizes that are fixed do not divide the cluster, or every candidate broke a rule: the one that got furthest says
 * which. */
static cb_err nothing_legal(const walk *w) {
    const cb_wish *wish = &w->spec->wish;
    int64_t fixed = 1, devices = w->job->cluster->devices;
    const int sizes[] = {wish->dp, wish->tp, wish->pp, wish->cp};
    for (int i = 0; i < 4; i++) fixed *= sizes[i] ? sizes[i] : 1;
    if (w->furthest > 0) return say_furthest(w);
    if (devices % fixed)
        return cb_fail(CB_EINVAL, "what is fixed of dp x tp x pp x cp is %lld, which does not divide the %lld device%s",
                       (long long)fixed, (long long)devices, devices == 1 ? "" : "s");
    if (wish->dp && wish->tp && wish->pp)
        return cb_fail(CB_EINVAL, "dp x tp x pp is %lld; the cluster has %lld device%s", (long long)fixed,
                       (long long)devices, devices == 1 ? "" : "s");
    return cb_fail(CB_EINVAL, "no layout is possible: %s", cb_rule_at(w->furthest)->reason);
}

static cb_err walk_spec(walk *w) {
    w->job = w->spec->job;
    w->sums = cb_param_sums_of(w->job->model);
    *w->search = (cb_search){0};
    return walk_all(w);
}

cb_err cb_search_run(const cb_search_spec *spec, cb_search *search) {
    walk w = {.spec = spec, .search = search};
    cb_err e = walk_spec(&w);
    if (!e && search->legal == 0) e = nothing_legal(&w);
    if (e) {
        cb_search_free(search);
        return e;
    }
    qsort(search->mesh, (size_t)search->meshes, sizeof *search->mesh, by_result);
    for (int i = 0; i < search->fitting_meshes; i++) {
        cb_layout *best = &search->mesh[i].best;
        cb_estimate_rates(spec->job, &best->split, &best->estimate);
    }
    if (search->fitting) qsort(search->step_s, (size_t)search->fitting, sizeof *search->step_s, by_time);
    return CB_OK;
}

void cb_search_free(cb_search *search) {
    free(search->mesh);
    free(search->step_s);
    search->mesh = NULL, search->step_s = NULL;
    search->meshes = search->fitting_meshes = 0;
}

int64_t cb_search_rank(const cb_search *search, double step_s) {
    int64_t low = 0, high = search->fitting; /* the first that is not faster lies in low..high */
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (search->step_s[middle] < step_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool fits_on(const cb_search_spec *spec, int nodes) {
    cb_cluster cluster = *spec->job->cluster;
    cb_job job = *spec->job;
    cb_search search;
    cb_search_spec smaller = *spec;
    cluster.devices = nodes * cluster.node_devices;
    job.cluster = &cluster, smaller.job = &job, smaller.tick = NULL;
    walk w = {.spec = &smaller, .search = &search, .memory_only = true};
    cb_err e = walk_spec(&w);
    cb_search_free(&search);
    cb_err_free(e);
    return !e && w.found;
}

/* However they are cut, weights, gradients and optimizer states lie somewhere. */
static int least_for_states(const cb_job *job) {
    cb_regime regime = cb_regime_of(job);
    double bytes = (regime.weight + regime.grad + regime.optimizer) * (double)cb_model_parameters(job->model);
    double nodes = bytes / (job->cluster->device.memory_bytes * job->cluster->node_devices);
    return nodes < 1e6 ? (int)nodes + 1 : 1000000;
}

int cb_search_least_nodes(const cb_search_spec *spec, int most) {
    for (int nodes = least_for_states(spec->job); nodes <= most; nodes++)
        if (fits_on(spec, nodes)) return nodes;
    return 0;
}
