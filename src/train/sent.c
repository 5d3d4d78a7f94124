/* The operations and messages of a training step, counted before it is done: over tp four all-reduces of the residual
 * stream per layer and microbatch (Shoeybi et al. 2019), a fifth where it is recomputed in full, and those of
 * embedding, head and loss; over dp every gradient once; over pp what the schedule's list says; the tied table between
 * first and last stage; and the numbers that all agree on. */
#include "base/arena.h"
#include "train/plan.h"

typedef struct place {
    const cb_run *run;
    int coord[CB_DIMS];
    int layers;
    bool first, last; /* the stage holds the model's first block, its last */
    cb_sent *sent;
} place;

/* n all-reduces of `count` elements in a group of `size`, in which this rank is number `index`. */
static void add(const place *at, cb_purpose purpose, int size, int index, int64_t n, int64_t count, cb_type type) {
    if (size < 2 || count == 0) return;
    cb_cost one = cb_collective_cost(cb_run_means(at->run), CB_ALL_REDUCE, size, index, count, type);
    cb_traffic *to = &at->sent->of[purpose][CB_ALL_REDUCE];
    to->operations += n;
    to->messages += n * one.messages;
    to->bytes += n * one.bytes;
}

/* The same in the group of this rank along a dimension. */
static void add_along(const place *at, cb_dim dim, int64_t n, int64_t count, cb_type type) {
    static const cb_purpose purpose[CB_DIMS] = {[CB_TP] = CB_FOR_TP, [CB_DP] = CB_FOR_DP, [CB_PP] = CB_FOR_PP};
    add(at, purpose[dim], at->run->mesh.size[dim], at->coord[dim], n, count, type);
}

/* Of a microbatch: the projection's sum of each layer that computes it again; the output is not needed a second time.
 */
static int64_t sums_again(const place *at) {
    int64_t n = 0;
    for (int l = 0; l < at->layers; l++) n += !(cb_recompute_kept(&at->run->recompute, l) & CB_ACT_BIT(CB_ACT_MID));
    return n;
}

static void add_tensor_parallel(const place *at) {
    const cb_run *run = at->run;
    int64_t m = run->micro_batches, M = (int64_t)run->B * run->T, C = run->model.channels;
    add_along(at, CB_TP, m * (4 * at->layers + sums_again(at)), M * C, CB_F32);
    if (at->first) add_along(at, CB_TP, m, M * C, CB_F32); /* embedding */
    if (!at->last) return;
    add_along(at, CB_TP, m, M * C, CB_F32); /* gradient of the head's input */
    add_along(at, CB_TP, m, M, CB_F32);     /* maxima */
    add_along(at, CB_TP, m, 2 * M, CB_F32); /* sums of exponentials, logits of the targets */
}

static int64_t local_elements(const place *at, cb_role role) {
    const cb_run *run = at->run;
    cb_param param = cb_param_of(&run->model, role, role < CB_LAYER_ROLES ? 0 : -1);
    return cb_param_local_elements(&param, run->shards, run->shards / run->mesh.size[CB_TP]);
}

/* n times the gradients from role `from` to role `until`, which are neighbours in their arena, gaps between them
 * included, cut into buckets. */
static void add_gradients(const place *at, int64_t n, cb_role from, cb_role until) {
    int64_t count = 0, bucket = at->run->bucket_elements;
    for (int role = from; role < (int)until; role++) count += cb_aligned(4 * local_elements(at, (cb_role)role)) / 4;
    count += local_elements(at, until);
    add_along(at, CB_DP, n * (count / bucket), bucket, CB_F32);
    add_along(at, CB_DP, n, count % bucket, CB_F32);
}

static void add_data_parallel(const place *at) {
    if (at->last) add_gradients(at, 1, CB_WTE, CB_WTE);
    if (at->last) add_gradients(at, 1, CB_LNF_W, CB_LNF_B);
    add_gradients(at, at->layers, CB_LN1_W, CB_FC2_B);
    if (at->first) add_gradients(at, 1, CB_WTE, CB_WPE);
    add_along(at, CB_DP, 1, 2, CB_F64); /* loss, wish to stop */
}

static void add_pipeline(const place *at, const cb_schedule *schedule) {
    const cb_run *run = at->run;
    const cb_instr_list *list = &schedule->list[at->coord[CB_PP]];
    cb_traffic *to = &at->sent->of[CB_FOR_PP][CB_SENDRECV];
    for (int i = 0; i < list->count; i++) {
        if (list->at[i].kind == CB_SEND_F || list->at[i].kind == CB_SEND_B) to->operations++;
    }
    to->messages = to->operations;
    to->bytes = to->messages * 4 * run->B * run->T * run->model.channels;
    int64_t norms = (int64_t)cb_params_count(&run->model) * run->shards + 2;
    add_along(at, CB_TP, 1, norms, CB_F64);
    add_along(at, CB_PP, 1, norms, CB_F64);
    if (at->first != at->last) {
        add(at, CB_FOR_EMB, 2, at->last, 1, local_elements(at, CB_WTE), CB_F32);
    }
}

cb_sent cb_run_sent(const cb_run *run, const cb_schedule *schedule, int rank) {
    cb_sent sent = {0};
    place at = {.run = run, .sent = &sent};
    cb_mesh_coords(&run->mesh, rank, at.coord);
    at.layers = cb_placement_layers(&run->placement, at.coord[CB_PP]);
    at.first = cb_placement_is_first(&run->placement, at.coord[CB_PP]);
    at.last = cb_placement_is_last(&run->placement, at.coord[CB_PP]);
    add_tensor_parallel(&at);
    add_data_parallel(&at);
    add_pipeline(&at, schedule);
    return sent;
}
