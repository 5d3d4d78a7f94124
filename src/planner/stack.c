/* The table of software stacks. Sources: the programs' public code and papers; see docs/planner.md. */
#include "planner/stack.h"

#include <stddef.h>

static const cb_stack_traits stacks[CB_STACKS] = {
    [CB_MEGATRON_2021] =
        {.name = "megatron-2021", .sync_messages = true, .split_loss = true, .scatter_gather = true, .gathers = 1},
    [CB_DEEPSPEED_2021] =
        {.name = "deepspeed-2021", .split_loss = true, .engine = true, .sums_apart = true, .gathers = 12},
    [CB_MEGATRON_CORE] = {.name = "megatron-core",
                          .prefetch = true,
                          .flash_2 = true,
                          .flash = true,
                          .vendor = true,
                          .graph = true,
                          .tp_overlap = true,
                          .dp_overlap = true,
                          .scatter_gather = true,
                          .sums_in_32 = true,
                          .gathers = 1},
    [CB_FSDP] = {.name = "fsdp",
                 .flash = true,
                 .dp_overlap = true,
                 .reduces_in_16 = true,
                 .gathers_passes = true,
                 .gathers = 1},
    [CB_TITAN] = {.name = "torchtitan",
                  .prefetch = true,
                  .weights_in_8 = true,
                  .gathers_passes = true,
                  .flash = true,
                  .compiled = true,
                  .graph = true,
                  .tp_overlap = true,
                  .dp_overlap = true,
                  .scatter_gather = true,
                  .gathers = 1},
    [CB_STATIC_GRAPH] = {.name = "static-graph", .split_loss = true, .graph = true, .dp_overlap = true, .gathers = 1},
    [CB_NANOTRON] = {.name = "nanotron",
                     .flash_2 = true,
                     .flash = true,
                     .zero_waits = true,
                     .dp_overlap = true,
                     .scatter_gather = true,
                     .sums_in_32 = true,
                     .loss_bytes = 52,
                     .sums_apart = true,
                     .by_weights = true,
                     .tp_backward = true,
                     .gathers = 1},
    [CB_CUBOID] = {.name = "cuboid",
                   .all_in_32 = true,
                   .compiled = true,
                   .graph = true,
                   .dp_overlap = true,
                   .sums_in_32 = true,
                   .gathers = 1},
};

const cb_stack_traits *cb_stack_traits_of(cb_stack stack) {
    return &stacks[stack];
}

const char *const *cb_stack_names(void) {
    static const char *const names[CB_STACKS + 1] = {"megatron-2021", "deepspeed-2021", "megatron-core",
                                                     "fsdp",          "torchtitan",     "static-graph",
                                                     "nanotron",      "cuboid",         NULL};
    return names;
}
