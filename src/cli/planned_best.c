/* The tables of cuboid plan: the best layouts, those that do not fit, what the rules refuse; and what a training costs.
 */
#include <string.h>

#include "base/args.h"
#include "cli/planned.h"

enum { FAILING_SHOWN = 6 };

static const double TIGHT = 0.95; /* docs/planner.md: memory is predicted within 5% at best */

static bool has_cp(const cb_planned *p) {
    return p->wish.cp > 1 || (p->search.meshes && p->job.seq_length >= 2 * CB_CONTEXT_TOKENS);
}

static void print_best_row(const cb_planned *p, int number, const cb_layout *l, FILE *to) {
    const cb_split *s = &l->split;
    const cb_estimate *e = &l->estimate;
    char schedule[24], rate[16];
    fprintf(to, "%2d %5d %3d %3d", number, s->dp, s->tp, s->pp);
    if (has_cp(p)) fprintf(to, " %2d", s->cp);
    fprintf(to, " %4d  %-14s %-9s %2s %d", s->micro_batch, s->pp > 1 ? cb_planned_schedule(s, schedule) : "-",
            cb_recompute_word(s->recompute), s->sequence_parallel ? "sp" : "-", s->zero);
    bool tight = l->memory.total_bytes > TIGHT * p->cluster.device.memory_bytes;
    fprintf(to, " %7.4g %9s %4.1f %4.1f %5.1f%c %4.1f %4.1f\n", e->step_s, cb_planned_number(e->tokens_per_s, rate),
            100 * e->mfu, 100 * e->hfu, l->memory.total_bytes / (1 << 30), tight ? '*' : ' ', 100 * e->bubble_share,
            100 * e->exposed_s / e->step_s);
}

void cb_planned_print_best(const cb_planned *p, FILE *to) {
    const cb_search *s = &p->search;
    int shown = s->fitting_meshes < p->top ? s->fitting_meshes : (int)p->top;
    fprintf(to, "\nBEST LAYOUTS   possible %lld, fitting %lld; the fastest of each dp x tp x pp, %d of %d\n",
            (long long)s->legal, (long long)s->fitting, shown, s->fitting_meshes);
    fprintf(to, "%2s %5s %3s %3s%s %4s  %-14s %-9s %2s %s %7s %9s %4s %4s %5s  %4s %4s\n", "", "dp", "tp", "pp",
            has_cp(p) ? " cp" : "", "mb", "schedule", "recompute", "sp", "Z", "step s", "tokens/s", "MFU%", "HFU%",
            "GiB", "bub%", "com%");
    for (int i = 0; i < shown; i++) print_best_row(p, i + 1, &s->mesh[i].best, to);
    fprintf(to,
            "mb: sequences of a microbatch; sp: sequence parallel; Z: ZeRO stage. MFU: 6 FLOPs a weight of a\n"
            "product and causal attention (6 L C T), true vocabulary, of %.5g TFLOP/s a device in %s; HFU:\n"
            "with what is computed again. GiB: the fullest stage, of %.0f (*: nearer to it than memory can be\n"
            "predicted). bub, com: shares of the step that wait for other stages, for communication.\n",
            p->cluster.device.peak_flops[p->job.precision] / 1e12, cb_precision_word(p->job.precision),
            p->cluster.device.memory_bytes / (1 << 30));
}

void cb_planned_print_failing(const cb_planned *p, FILE *to) {
    const cb_search *s = &p->search;
    int failing = s->meshes - s->fitting_meshes, shown = p->all || failing < FAILING_SHOWN ? failing : FAILING_SHOWN;
    char why[128];
    if (failing == 0) return;
    fprintf(to, "\nTOO BIG   whatever is computed again or cut: %d of %d mesh%s, the nearest first%s\n", failing,
            s->meshes, s->meshes == 1 ? "" : "es", shown < failing ? " (--all shows all)" : "");
    for (int i = 0; i < shown; i++) {
        const cb_layout *l = &s->mesh[s->fitting_meshes + i].best;
        fprintf(to, "  dp %-5d tp %-3d pp %-3d", l->split.dp, l->split.tp, l->split.pp);
        if (l->split.cp > 1) fprintf(to, " cp %-3d", l->split.cp);
        fprintf(to, "  %s\n", cb_planned_shortfall(&l->memory, p->cluster.device.memory_bytes, why));
    }
}

void cb_planned_print_rules(const cb_planned *p, FILE *to) {
    fprintf(to, "\nREFUSED   by the first rule broken; what is refused together counts once\n");
    for (int i = 0; i < cb_rules_count(); i++) {
        if (p->search.broken[i] == 0) continue;
        cb_args_wrap(cb_rule_at(i)->reason, fprintf(to, "%10lld  ", (long long)p->search.broken[i]), to);
    }
}

double cb_planned_days(const cb_planned *p, const cb_layout *layout) {
    return p->tokens / layout->estimate.tokens_per_s / 86400;
}

void cb_planned_print_cost(const cb_planned *p, const cb_layout *layout, FILE *to) {
    if (!(p->tokens > 0)) return;
    double days = cb_planned_days(p, layout), hours = days * 24 * p->cluster.devices;
    char text[160], count[16], cost[16];
    fprintf(to, "\nTRAINING   %.4g billion tokens\n  %s\n", p->tokens / 1e9, cb_planned_layout(&layout->split, text));
    fprintf(to, "  %.4g days, %s device-hours", days, cb_planned_number(hours, count));
    if (p->price > 0) fprintf(to, ", %s at %.4g a device-hour", cb_planned_number(hours * p->price, cost), p->price);
    fprintf(to, ";\n  without failures and restarts\n");
}
