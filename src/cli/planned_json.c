/* All of cuboid plan's answer as JSON. Bytes and counts are whole numbers. */
#include <math.h>

#include "cli/planned.h"

static json_t *layout_json(const cb_split *s) {
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:s,s:s,s:b,s:i,s:s}", "dp", s->dp, "tp", s->tp, "pp", s->pp, "cp",
                     s->cp, "chunks", s->chunks, "micro_batch_size", s->micro_batch, "schedule",
                     s->pp > 1 ? cb_schedule_word(s->schedule) : "none", "recompute", cb_recompute_word(s->recompute),
                     "sequence_parallel", s->sequence_parallel, "zero", s->zero, "layers_per_stage",
                     s->placement == CB_PLACE_WITH_ENDS ? "ends" : "even");
}

static json_int_t whole(double value) {
    return (json_int_t)llround(value);
}

static json_t *memory_json(const cb_device_memory *m) {
    json_int_t all = 0;
    json_t *o = json_pack("{s:i,s:f}", "stage", m->stage, "live", m->live);
    for (int kind = 0; kind < CB_DEVICE_KINDS; kind++) {
        json_object_set_new(o, cb_device_kind_name((cb_device_kind)kind), json_integer(whole(m->bytes[kind])));
        all += whole(m->bytes[kind]);
    }
    json_object_set_new(o, "all", json_integer(all));
    json_object_set_new(o, "allocated", json_integer(whole(m->allocated_bytes)));
    json_object_set_new(o, "outside", json_integer(whole(m->outside_bytes)));
    return o;
}

static json_t *time_json(const cb_planned *p, const cb_split *split, const cb_estimate *e) {
    json_t *causes = json_object();
    for (int cause = 0; cause < CB_CAUSES; cause++)
        json_object_set_new(causes, cb_cause_name((cb_cause)cause), json_real(e->by_cause_s[cause]));
    return json_pack("{s:s,s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:o}", "mfu_formula", cb_mfu_formula(), "hfu_formula",
                     cb_hfu_formula(&p->job, split), "step_s", e->step_s, "tokens_per_s", e->tokens_per_s, "mfu",
                     e->mfu, "hfu", e->hfu, "model_flops", e->model_flops, "hardware_flops", e->hardware_flops,
                     "bubble_share", e->bubble_share, "exposed_s", e->exposed_s, "by_cause_s", causes);
}

static json_t *result_json(const cb_planned *p, const cb_layout *l, bool fits) {
    json_t *o = json_pack("{s:o,s:b,s:o}", "layout", layout_json(&l->split), "fits", fits, "memory_bytes",
                          memory_json(&l->memory));
    if (fits) json_object_set_new(o, "time", time_json(p, &l->split, &l->estimate));
    return o;
}

static json_t *flows_json(const cb_planned *p, const cb_layout *l) {
    cb_flow rows[CB_MOST_FLOWS];
    int count = cb_flows_of(&p->job, &l->split, &p->sums, l->memory.stage, rows);
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:i,s:I,s:I,s:I}", "for", rows[i].dimension, "kind",
                                              rows[i].kind, "what", rows[i].what, "ranks", rows[i].size, "times",
                                              whole(rows[i].times), "payload_bytes", whole(rows[i].payload_bytes),
                                              "sent_bytes", whole(rows[i].sent_bytes)));
    return list;
}

static json_t *explained_json(const cb_planned *p, const cb_layout *l) {
    json_t *o = result_json(p, l, l->estimate.step_s > 0), *stages = json_array();
    for (int stage = 0; stage < l->split.pp; stage++) {
        cb_device_memory m = cb_device_memory_of(&p->job, &l->split, &p->sums, stage);
        json_t *one = memory_json(&m);
        json_object_set_new(one, "layers", json_integer(cb_split_layers(&p->job, &l->split, stage)));
        json_array_append_new(stages, one);
    }
    json_object_set_new(o, "stages", stages);
    json_object_set_new(o, "traffic", flows_json(p, l));
    const cb_search *all = p->anything_fixed ? &p->all_layouts : &p->search;
    if (l->estimate.step_s > 0) {
        json_int_t rank = (json_int_t)cb_search_rank(all, l->estimate.step_s) + 1;
        json_object_set_new(o, "rank", json_integer(rank));
        json_object_set_new(o, "rank_of", json_integer((json_int_t)all->fitting));
        json_object_set_new(o, "fastest_step_s", json_real(all->mesh[0].best.estimate.step_s));
    }
    return o;
}

static json_t *wall_json(const cb_planned *p) {
    cb_regime regime = cb_regime_of(&p->job);
    cb_wall wall = cb_planned_wall(p);
    double params = (double)cb_model_parameters(&p->model);
    const double of_parameter[] = {wall.weight, wall.grad, wall.adam};
    json_int_t bytes[3], all = 0;
    for (int i = 0; i < 3; i++) bytes[i] = whole(of_parameter[i] * params), all += bytes[i];
    return json_pack("{s:I,s:I,s:I,s:I,s:f,s:I}", "weights", bytes[0], "gradients", bytes[1], "optimizer", bytes[2],
                     "all", all, "stack_bytes_per_parameter", regime.weight + regime.grad + regime.optimizer, "device",
                     whole(p->cluster.device.memory_bytes));
}

static json_t *ways_json(const cb_planned *p, const cb_way ways[CB_WAYS]) {
    json_t *list = json_array();
    for (int i = 0; i < CB_WAYS; i++) {
        json_t *o = ways[i].possible ? result_json(p, &ways[i].layout, ways[i].fits) : json_object();
        json_object_set_new(o, "way", json_string(ways[i].name));
        json_object_set_new(o, "cuts", json_string(ways[i].splits));
        json_object_set_new(o, "possible", json_boolean(ways[i].possible));
        if (ways[i].possible) {
            json_object_set_new(o, "devices", json_integer(ways[i].devices));
            json_object_set_new(o, "limit", json_string(ways[i].limit));
            json_object_set_new(o, "traffic", flows_json(p, &ways[i].layout));
        } else {
            json_object_set_new(o, "why_not", json_string(ways[i].why_not));
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *meshes_json(const cb_planned *p, bool fitting) {
    json_t *list = json_array();
    char why[128];
    for (int i = 0; i < p->search.meshes; i++) {
        const cb_mesh_result *m = &p->search.mesh[i];
        if (m->fits != fitting) continue;
        json_t *o = result_json(p, &m->best, m->fits);
        if (!fitting)
            json_object_set_new(
                o, "why", json_string(cb_planned_shortfall(&m->best.memory, p->cluster.device.memory_bytes, why)));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *smallest_json(const cb_planned *p) {
    const cb_smallest *s = &p->smallest;
    if (s->nodes == 0) return json_null();
    return json_pack("{s:s,s:i,s:i,s:b}", "cluster", s->cluster, "nodes", s->nodes, "devices", s->devices,
                     "dp_left_open", s->dp_open);
}

static json_t *rules_json(const cb_planned *p) {
    json_t *list = json_array();
    for (int i = 0; i < cb_rules_count(); i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "rule", cb_rule_at(i)->name, "reason",
                                              cb_rule_at(i)->reason, "refused", (json_int_t)p->search.broken[i]));
    return list;
}

json_t *cb_planned_json(const cb_planned *p, const cb_way ways[CB_WAYS], const cb_layout *explained) {
    json_t *o =
        json_pack("{s:s,s:I,s:s,s:i,s:s,s:s,s:s,s:I,s:I}", "model", p->model.name, "parameters",
                  (json_int_t)cb_model_parameters(&p->model), "device", p->cluster.device.name, "devices",
                  p->cluster.devices, "network", p->cluster.network.name, "stack",
                  cb_stack_traits_of(p->job.stack)->name, "precision", cb_precision_word(p->job.precision),
                  "seq_length", (json_int_t)p->job.seq_length, "global_batch_size", (json_int_t)p->job.global_batch);
    json_object_set_new(o, "memory_wall_bytes", wall_json(p));
    if (ways) json_object_set_new(o, "ways", ways_json(p, ways));
    json_object_set_new(o, "layouts_possible", json_integer(p->search.legal));
    json_object_set_new(o, "layouts_fitting", json_integer(p->search.fitting));
    json_object_set_new(o, "search_s", json_real(p->search_s));
    json_object_set_new(o, "best", meshes_json(p, true));
    json_object_set_new(o, "too_big", meshes_json(p, false));
    if (!p->search.fitting) json_object_set_new(o, "smallest_cluster", smallest_json(p));
    json_object_set_new(o, "rules", rules_json(p));
    if (explained) json_object_set_new(o, "explained", explained_json(p, explained));
    if (p->tokens > 0 && p->search.fitting_meshes) {
        double days = cb_planned_days(p, &p->search.mesh[0].best), hours = days * 24 * p->cluster.devices;
        json_object_set_new(o, "training",
                            json_pack("{s:f,s:f,s:f}", "tokens", p->tokens, "days", days, "device_hours", hours));
        if (p->price > 0) json_object_set_new(json_object_get(o, "training"), "cost", json_real(hours * p->price));
    }
    return o;
}

static json_t *device_json(const cb_device_row *row) {
    const cb_accelerator *d = &row->device;
    json_t *peaks = json_object();
    static const char *const bits[CB_PRECISIONS] = {"32", "16", "8", "4"};
    for (int i = 0; i < CB_PRECISIONS; i++)
        if (d->peak_flops[i] > 0) json_object_set_new(peaks, bits[i], json_real(d->peak_flops[i] / 1e12));
    return json_pack("{s:s, s:s, s:s, s:o, s:f, s:f, s:f, s:i, s:i, s:s, s:s}", "name", d->name, "aliases",
                     row->aliases, "family", cb_accelerator_family_name(d->family), "peak_tflops", peaks, "memory_gib",
                     d->memory_bytes / (1 << 30), "memory_gb_per_s", d->memory_bytes_per_s / 1e9, "link_gb_per_s",
                     d->link_bytes_per_s / 1e9, "multiprocessors", d->multiprocessors, "node_devices",
                     row->node_devices, "network", row->network, "source", row->source);
}

/* As --hardware reads it, with aliases and sources beside. */
void cb_planned_print_hardware_json(const cb_hardware *hardware, FILE *to) {
    json_t *devices = json_array();
    for (int i = 0; i < hardware->count; i++) json_array_append_new(devices, device_json(&hardware->device[i]));
    json_t *o = json_pack("{s:o}", "devices", devices);
    json_dumpf(o, to, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', to);
    json_decref(o);
}
