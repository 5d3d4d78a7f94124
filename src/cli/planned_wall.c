/* The memory wall: what the states of the whole model take, and what one device has. */
#include "cli/planned.h"

static void print_row(const char *name, const char *kept_in, double bytes_each, double params, FILE *to) {
    char text[16];
    fprintf(to, "  %-12s %-8s %3.0f B %10s\n", name, kept_in, bytes_each, cb_planned_bytes(bytes_each * params, text));
}

cb_wall cb_planned_wall(const cb_planned *p) {
    bool single = p->job.precision == CB_MATH_32;
    return single ? (cb_wall){4, 4, 8} : (cb_wall){2, 2, 12};
}

void cb_planned_print_wall(const cb_planned *p, FILE *to) {
    double params = (double)cb_model_parameters(&p->model), room = p->cluster.device.memory_bytes;
    cb_regime regime = cb_regime_of(&p->job);
    cb_wall wall = cb_planned_wall(p);
    double own = regime.weight + regime.grad + regime.optimizer, all = wall.weight + wall.grad + wall.adam;
    const char *bits = wall.weight == 4 ? "32 bit" : "16 bit";
    char text[16];
    fprintf(to, "\nTHE MEMORY WALL   %s has %.5g billion parameters\n", p->model.name, params / 1e9);
    print_row("weights", bits, wall.weight, params, to);
    print_row("gradients", bits, wall.grad, params, to);
    print_row("Adam", "32 bit", wall.adam, params, to);
    fprintf(to, "  %-12s %-8s %3.0f B %10s   one %s has %.0f GiB: ", "all", "", all,
            cb_planned_bytes(all * params, text), p->cluster.device.name, room / (1 << 30));
    if (all * params > room)
        fprintf(to, "%.0f for these states alone\n", all * params / room + 0.5);
    else
        fprintf(to, "these states fill %.0f%% of it\n", 100 * all * params / room);
    if (own != all) {
        fprintf(to, "  %s keeps %.0f + %.0f + %.0f = %.0f B a parameter: %s\n", cb_stack_traits_of(p->job.stack)->name,
                regime.weight, regime.grad, regime.optimizer, own, cb_planned_bytes(own * params, text));
    }
}
