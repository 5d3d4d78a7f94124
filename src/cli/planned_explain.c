/* One layout: its memory by stage and kind, its traffic by dimension, its time by cause. */
#include <string.h>

#include "cli/planned.h"

enum { STAGES_SHOWN = 16, BAR = 40 };

static void print_head(const cb_planned *p, const cb_layout *l, FILE *to) {
    char text[160], rate[16];
    const cb_estimate *e = &l->estimate;
    fprintf(to, "\nONE LAYOUT   %s\n", cb_planned_layout(&l->split, text));
    long long m = cb_split_micro_batches(&p->job, &l->split);
    if (!(e->step_s > 0)) {
        fprintf(to, "  does not fit: %s\n", cb_planned_shortfall(&l->memory, p->cluster.device.memory_bytes, text));
        return;
    }
    fprintf(to, "  %.4g s a step, %s tokens/s, MFU %.1f%%, HFU %.1f%%; %lld microbatch%s a step, bubble %.1f%%\n",
            e->step_s, cb_planned_number(e->tokens_per_s, rate), 100 * e->mfu, 100 * e->hfu, m, m == 1 ? "" : "es",
            100 * e->bubble_share);
    fprintf(to, "  MFU: %s FLOPs a token (W: weights in products, Wl: the layers'; causal attention)\n  HFU: %s\n",
            cb_mfu_formula(), cb_hfu_formula(&p->job, &l->split));
}

/* Where it stands among all layouts. */
static void print_rank(const cb_planned *p, const cb_layout *l, FILE *to) {
    const cb_search *all = p->anything_fixed ? &p->all_layouts : &p->search;
    char text[160];
    if (!(l->estimate.step_s > 0) || all->fitting_meshes == 0) return;
    const cb_layout *best = &all->mesh[0].best;
    double slower = l->estimate.step_s / best->estimate.step_s - 1;
    if (all->fitting == 1)
        fputs("  the only layout that fits here", to);
    else
        fprintf(to, "  number %lld of %lld that fit, in a search%s",
                (long long)cb_search_rank(all, l->estimate.step_s) + 1, (long long)all->fitting,
                p->anything_fixed ? " with nothing fixed" : "");
    if (slower > 0)
        fprintf(to, ", %.1f%% slower than the fastest:\n  %s", 100 * slower, cb_planned_layout(&best->split, text));
    fputc('\n', to);
}

static void print_stage(const cb_planned *p, const cb_split *split, int stage, FILE *to) {
    cb_device_memory m = cb_device_memory_of(&p->job, split, &p->sums, stage);
    bool first = stage == 0, last = stage == split->pp - 1;
    const char *beside = first && last ? "emb, head" : first ? "embedding" : last ? "head" : "";
    fprintf(to, "  %5d %6d %-9s %5.3g", stage, cb_split_layers(&p->job, split, stage), beside, m.live);
    for (int kind = 0; kind < CB_DEVICE_KINDS; kind++) fprintf(to, " %7.2f", m.bytes[kind] / (1 << 30));
    fprintf(to, " %7.1f\n", m.total_bytes / (1 << 30));
}

/* Of many stages the first and the last ones. */
static void print_memory(const cb_planned *p, const cb_split *split, FILE *to) {
    static const char *const short_names[CB_DEVICE_KINDS] = {"weights", "grads",   "optim.", "activ.",
                                                             "logits",  "buffers", "framew."};
    fprintf(to, "\n  memory by stage, GiB of %.0f; live: microbatches whose activations it holds at once\n",
            p->cluster.device.memory_bytes / (1 << 30));
    fprintf(to, "  %5s %6s %-9s %5s", "stage", "layers", "beside", "live");
    for (int kind = 0; kind < CB_DEVICE_KINDS; kind++) fprintf(to, " %7s", short_names[kind]);
    fprintf(to, " %7s\n", "all");
    for (int stage = 0; stage < split->pp; stage++) {
        bool shown = split->pp <= STAGES_SHOWN || stage < STAGES_SHOWN / 2 || stage >= split->pp - STAGES_SHOWN / 2;
        if (shown) print_stage(p, split, stage, to);
        if (!shown && stage == STAGES_SHOWN / 2) fprintf(to, "  %5s\n", "...");
    }
}

static void print_flows(const cb_planned *p, const cb_layout *l, FILE *to) {
    cb_flow rows[CB_MOST_FLOWS];
    char each[16], sent[16];
    int count = cb_flows_of(&p->job, &l->split, &p->sums, l->memory.stage, rows);
    fprintf(to, "\n  traffic of a rank on stage %d, per step\n", l->memory.stage);
    fprintf(to, "  %-4s %-15s %6s %9s %10s %10s  %s\n", "for", "kind", "ranks", "times", "of each", "it sends", "what");
    for (int i = 0; i < count; i++) {
        const cb_flow *f = &rows[i];
        fprintf(to, "  %-4s %-15s %6d %9.0f %10s %10s  %s\n", f->dimension, f->kind, f->size, f->times,
                cb_planned_bytes(f->payload_bytes, each), cb_planned_bytes(f->sent_bytes, sent), f->what);
    }
    if (count == 0) fprintf(to, "  nothing\n");
}

static void print_causes(const cb_layout *l, FILE *to) {
    const cb_estimate *e = &l->estimate;
    if (!(e->step_s > 0)) return;
    fprintf(to, "\n  time by cause, on the slowest stage\n");
    for (int cause = 0; cause < CB_CAUSES; cause++) {
        double share = e->by_cause_s[cause] / e->step_s;
        if (share < 0.0005) continue;
        fprintf(to, "  %-12s %9.4g s %5.1f%%  ", cb_cause_name((cb_cause)cause), e->by_cause_s[cause], 100 * share);
        for (int i = 0; i < (int)(share * BAR + 0.5); i++) fputc('#', to);
        fputc('\n', to);
    }
}

void cb_planned_print_layout(const cb_planned *p, const cb_layout *layout, FILE *to) {
    print_head(p, layout, to);
    print_rank(p, layout, to);
    print_memory(p, &layout->split, to);
    print_flows(p, layout, to);
    print_causes(layout, to);
}
