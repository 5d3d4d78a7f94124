/* cuboid bench: what can be measured on this machine. Each bench is a row of the table. */
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "cli/commands.h"

static const struct {
    const char *name;
    cb_err (*run)(int argc, char **argv);
    const char *help;
} benches[] = {
    {"step", cb_bench_step, "a training step against its floor, and layouts against one rank"},
    {"gemm", cb_bench_gemm, "the rates of matrix products by shape: those of a model's layers, or given ones"},
    {"comm", cb_bench_comm, "collective operations by algorithm and size: time, bandwidth, beside MPI's own"},
    {"tp", cb_bench_tp, "the tensor-parallel linear layer taken apart: products, collectives, overlap"},
};
enum { BENCHES = sizeof benches / sizeof benches[0] };

static const char *const *names(const char *list[BENCHES + 1]) {
    for (int i = 0; i < BENCHES; i++) list[i] = benches[i].name;
    list[BENCHES] = NULL;
    return list;
}

static cb_err refuse(const char *given) {
    const char *list[BENCHES + 1];
    char all[64] = "", near[256];
    for (int i = 0, used = 0; i < BENCHES; i++) {
        used += snprintf(all + used, sizeof all - (size_t)used, "%s%s", i ? ", " : "", benches[i].name);
    }
    if (!given) return cb_fail(CB_EUSAGE, "bench what? there are: %s", all);
    return cb_fail(CB_EUSAGE, "bench '%s' is not known%s There are: %s", given,
                   cb_args_suggest(given, names(list), near), all);
}

static void print_help(void) {
    puts("usage: cuboid bench WHAT [options]\n");
    for (int i = 0; i < BENCHES; i++) printf("  %-9s %s\n", benches[i].name, benches[i].help);
    puts("\n`cuboid bench WHAT --help` lists the options with defaults and units.");
}

cb_err cb_cmd_bench(int argc, char **argv) {
    if (argc > 0 && strcmp(argv[0], "--help") == 0) {
        print_help();
        return CB_OK;
    }
    if (argc == 0 || argv[0][0] == '-') return refuse(NULL);
    for (int i = 0; i < BENCHES; i++) {
        if (strcmp(argv[0], benches[i].name) == 0) return benches[i].run(argc - 1, argv + 1);
    }
    return refuse(argv[0]);
}
