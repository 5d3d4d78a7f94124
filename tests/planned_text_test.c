/* Numbers and words of cuboid plan. */
#include "cli/planned.h"
#include "support/test.h"

static void bytes(void) {
    static const struct {
        double bytes;
        const char *text;
    } known[] = {{0, "0 B"},          {999, "999 B"},         {999.6, "1.00 kB"},   {1000, "1.00 kB"},
                 {9994, "9.99 kB"},   {9996, "10.0 kB"},      {99949, "99.9 kB"},   {99951, "100 kB"},
                 {349.2e9, "349 GB"}, {2.0952e12, "2.10 TB"}, {999.6e9, "1.00 TB"}, {1e18, "1.00 EB"},
                 {1e21, "1000 EB"}};
    char out[16];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CHECK_STR(cb_planned_bytes(known[i].bytes, out), known[i].text);
}

static void numbers(void) {
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0"},
                 {0.5, "0.5"},
                 {999.9, "999.9"},
                 {999.96, "1,000"},
                 {1234.4, "1,234"},
                 {186623, "186,600"},
                 {457350.2, "457,400"},
                 {999950, "1,000,000"},
                 {3026000, "3,026,000"},
                 {9.9994e9, "9,999,000,000"},
                 {1e10, "1e+10"}};
    char out[16];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        CHECK_STR(cb_planned_number(known[i].value, out), known[i].text);
}

static void layouts(void) {
    cb_split s = {8, 4, 12, 1, 1, 2, CB_SPLIT_1F1B, CB_AGAIN_LAYER, CB_PLACE_WITH_ENDS, false, 1};
    char out[160];
    CHECK_STR(cb_planned_layout(&s, out),
              "dp 8 tp 4 pp 12, microbatch 2, 1f1b, recompute full, ZeRO 1, ends as layers");
    s = (cb_split){2, 8, 4, 2, 5, 1, CB_SPLIT_INTERLEAVED, CB_KEEP_ALL, CB_PLACE_EVEN, true, 0};
    CHECK_STR(cb_planned_layout(&s, out),
              "dp 2 tp 8 pp 4 cp 2, microbatch 1, interleaved:5, recompute none, SP, ZeRO 0");
    s = (cb_split){1, 1, 1, 1, 1, 1, CB_SPLIT_1F1B, CB_AGAIN_ATTENTION, CB_PLACE_EVEN, false, 0};
    CHECK_STR(cb_planned_layout(&s, out), "dp 1 tp 1 pp 1, microbatch 1, no pipeline, recompute selective, ZeRO 0");
    cb_device_memory memory = {.stage = 3, .total_bytes = 93.0 * (1 << 30)};
    memory.bytes[CB_HOLD_ACTIVATIONS] = 46.5 * (1 << 30);
    CHECK_STR(cb_planned_shortfall(&memory, 80.0 * (1 << 30), out),
              "stage 3 needs 93.0 GiB of 80, 50% of it activations");
}

int main(void) {
    RUN(bytes);
    RUN(numbers);
    RUN(layouts);
    return test_end();
}
